//! Signed callers against a second implementation: `secsipidx` believes what we sign, and we what it signs.

use std::path::Path;

use gateway::stir::{Attest, Facts, Signer, Statement, Trust, Verdict, check};
use house::wire::{Folder, peer};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

const X5U: &str = "https://cert.example.org/p.pem";
const CALLER: &str = "4930123456";
const CALLED: &str = "81312345678";

/// Whether `secsipidx` believes the value in `file`, and what it says.
fn is_believed(file: &Path, key: &Path) -> (bool, String) {
    let mut command = peer("secsipidx", "secsipidx");
    command.arg("-check").arg("-expire").arg("60");
    let output = command
        .arg("-fidentity")
        .arg(file)
        .arg("-fpubkey")
        .arg(key)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn t13_secsipidx_and_we_believe_each_other() {
    let folder = Folder::new("vouched");
    let (root, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let anchor = params.self_signed(&root).unwrap();
    let leaf = CertificateParams::new(Vec::new())
        .unwrap()
        .signed_by(&key, &Issuer::new(params, root))
        .unwrap();
    let (private, public) = (folder.join("key.pem"), folder.join("public.pem"));
    std::fs::write(&private, key.serialize_pem()).unwrap();
    std::fs::write(&public, key.public_key_pem()).unwrap();
    let now_s = house::wire::now_us() / 1_000_000;

    let signer = Signer::new(&key.serialize_pem(), X5U, Attest::A).unwrap();
    let statement = Statement {
        orig: CALLER.to_owned(),
        dest: CALLED.to_owned(),
        attest: Attest::A,
        origid: "123e4567-e89b-12d3-a456-426655440000".to_owned(),
    };
    let ours = signer.identity(&statement, now_s);
    let file = folder.join("ours");
    std::fs::write(&file, &ours).unwrap();
    let (believed, said) = is_believed(&file, &public);
    assert!(believed, "{said}\n{ours}");
    let claims = ours.split('.').nth(1).unwrap();
    let forged = ours.replacen(
        claims,
        &claims.replacen(&claims[30..31], if &claims[30..31] == "A" { "B" } else { "A" }, 1),
        1,
    );
    std::fs::write(&file, forged).unwrap();
    assert!(!is_believed(&file, &public).0, "a changed token is not believed");

    let mut command = peer("secsipidx", "secsipidx");
    command
        .arg("-sign-full")
        .arg("-k")
        .arg(&private)
        .args(["-a", "B", "-o", CALLER, "-d", CALLED, "-x5u", X5U]);
    let output = command.output().unwrap();
    let theirs = String::from_utf8(output.stdout).unwrap();
    let mut trust = Trust::default();
    trust.add_anchors(anchor.pem().as_bytes()).unwrap();
    trust.add_chain(X5U, leaf.pem().as_bytes()).unwrap();
    let facts = Facts {
        identities: vec![theirs.trim().to_owned()],
        date: None,
        caller: vec![CALLER.to_owned()],
        called: vec![CALLED.to_owned()],
    };
    let checked = check(&facts, &trust, None, now_s);
    assert_eq!(
        (checked.verdict, checked.claimed.attest),
        (Verdict::Valid, Some(Attest::B)),
        "{theirs}"
    );
}
