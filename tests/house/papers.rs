//! What vouches for a caller in one test: an authority, a signer under it, and their files.

use std::path::PathBuf;

use gateway::stir::{Attest, Signer, Statement, Trust};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// Where the certificate of [`Papers`] is on file.
pub const X5U: &str = "https://cert.example.org/p.pem";

/// An authority, a signer and its certificate. Their files are gone when dropped.
pub struct Papers {
    folder: PathBuf,
    key: String,
    anchors: String,
    /// The signer's certificate, PEM.
    pub certificate: String,
}

impl Papers {
    /// `name` is that of no other test.
    pub fn new(name: &str) -> Papers {
        let folder = std::env::temp_dir().join(format!("papers-{}-{name}", std::process::id()));
        std::fs::create_dir_all(folder.join("certs/cert.example.org")).unwrap();
        let (root, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let anchor = params.self_signed(&root).unwrap();
        let issuer = Issuer::new(params, root);
        let leaf = CertificateParams::new(Vec::new())
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        let papers = Papers {
            key: key.serialize_pem(),
            anchors: anchor.pem(),
            certificate: leaf.pem(),
            folder,
        };
        for (file, text) in [
            ("anchors.pem", &papers.anchors),
            ("certs/cert.example.org/p.pem", &papers.certificate),
            ("key.pem", &papers.key),
        ] {
            std::fs::write(papers.folder.join(file), text).unwrap();
        }
        papers
    }

    /// The path of `anchors.pem`, `key.pem` or the folder `certs`.
    pub fn path(&self, file: &str) -> String {
        self.folder.join(file).display().to_string()
    }

    /// Keys of a trunk whose certificates are files; `word` is its `stir_in`.
    pub fn incoming(&self, word: &str) -> String {
        let (anchors, certs) = (self.path("anchors.pem"), self.path("certs"));
        format!("stir_in = \"{word}\"\nstir_anchors = \"{anchors}\"\nstir_certs = \"{certs}\"")
    }

    /// Keys of a trunk that fetches certificates from these hosts.
    pub fn fetching(&self, word: &str, hosts: &[&str]) -> String {
        let anchors = self.path("anchors.pem");
        format!("stir_in = \"{word}\"\nstir_anchors = \"{anchors}\"\nstir_hosts = {hosts:?}")
    }

    /// Keys of a trunk that signs.
    pub fn outgoing(&self, attest: &str) -> String {
        let key = self.path("key.pem");
        format!("stir_out = \"sign\"\nstir_key = \"{key}\"\nstir_x5u = \"{X5U}\"\nstir_attest = \"{attest}\"")
    }

    /// Signs, and says that the certificate is there.
    pub fn signer(&self, x5u: &str) -> Signer {
        Signer::new(&self.key, x5u, Attest::A).unwrap()
    }

    /// Believes the authority, and has the certificate of [`X5U`].
    pub fn trust(&self) -> Trust {
        let mut trust = Trust::default();
        trust.add_anchors(self.anchors.as_bytes()).unwrap();
        trust.add_chain(X5U, self.certificate.as_bytes()).unwrap();
        trust
    }
}

impl Drop for Papers {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// That one of these numbers calls the other; both canonical.
pub fn statement(orig: &str, dest: &str, attest: Attest) -> Statement {
    Statement {
        orig: orig.to_owned(),
        dest: dest.to_owned(),
        attest,
        origid: "123e4567-e89b-12d3-a456-426655440000".to_owned(),
    }
}
