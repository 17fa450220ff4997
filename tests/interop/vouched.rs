//! Signed callers against a second implementation: `secsipidx` believes what we sign, and we what it signs. And a
//! certificate that is fetched while a caller waits.

use std::path::Path;
use std::time::Duration;

use gateway::stir::{Attest, Facts, Signer, Statement, Trust, Verdict, check};
use house::papers::{Papers, statement};
use house::wire::{
    AGENTS, Authority, CARRIER, Folder, Https, Manner, OUR_NUMBER, Settings, Sipp, Site, now_us, peer,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::version::TLS13;
use serde_json::json;

use crate::audio::heard_on_both_sides;

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

/// A caller with these headers of its own, who streams a tone.
fn caller(site: &Site, headers: &str) -> Sipp {
    Sipp::new("caller_streams", CARRIER)
        .to(site.gateway.udp())
        .fill("headers", headers)
        .talk(Duration::from_secs(3))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t13_a_certificate_is_fetched_over_https_for_the_first_call_and_remembered_for_the_second() {
    let (papers, authority) = (Papers::new("fetched"), Authority::new("house"));
    let identity = authority.issue(&["127.0.0.1"]);
    let manner = Manner::answer("200 OK", "Cache-Control: max-age=600\r\n", &papers.certificate);
    let server = Https::serve("127.0.0.1", identity.server(&TLS13), manner).await;
    let settings = Settings {
        carrier_keys: papers.fetching("require", &[&server.address().to_string()]),
        tables: "[stir]\nfetch_ca = \"fetch.pem\"".to_owned(),
        ..Settings::default()
    };
    let site = Site::furnished("fetched", &settings, |folder| {
        authority.write(&folder.join("fetch.pem"));
    })
    .await;
    let signer = papers.signer(&server.url("/p.pem"));
    let token = statement("4930987654", OUR_NUMBER.trim_start_matches('+'), Attest::A);
    let headers = || format!("Identity: {}\n", signer.identity(&token, now_us() / 1_000_000));

    let agent = Sipp::new("callee", AGENTS).talk(Duration::from_secs(30));
    let agent_uri = agent.uri();
    let agent = agent.start(&site.folder).await;
    let first = caller(&site, &headers()).start(&site.folder).await;
    heard_on_both_sides(&site, first, agent, &agent_uri, true).await;
    let place = site.router.place();
    let second = caller(&site, &headers()).start(&site.folder).await;
    let call = site
        .router
        .wait(place, "a second call", |heard| heard.is("leg.incoming"))
        .await;
    let leg = call.text("leg");
    site.router.call("leg.answer", json!({ "leg": leg })).await;
    site.router.wait_leg(place, "leg.ended", leg).await;
    second.finish().await;

    let heard = site.router.heard();
    let calls: Vec<_> = heard.iter().filter(|heard| heard.is("leg.incoming")).collect();
    assert_eq!(calls.len(), 2);
    for call in calls {
        let data = &call.event["data"];
        assert_eq!(data["stir"]["verdict"], "valid", "{data}");
        assert_eq!(data["from"]["attestation"], "A", "{data}");
    }
    assert_eq!(server.requests(), ["GET /p.pem HTTP/1.1"], "asked once");
    assert_eq!(site.gateway.metric("stir_fetches_total", "fetched"), 1);
    assert_eq!(site.gateway.metric("stir_certificates", ""), 1);
    assert_eq!(site.gateway.metric("stir_waiting", ""), 0);
}
