//! The messages of RFC 4475 and RFC 5118 as the whole gateway answers them, over UDP and over TCP.
//!
//! What the guard reads in each is in `tests/corpus.rs`; here is what the sender is told.

use std::path::Path;
use std::time::Duration;

use crate::rig::*;

/// What comes back last over UDP, and over TCP: 0 is silence. Offers whose media is elsewhere get 488; `clerr` and
/// `multi01` promise more than they hold, so a stream waits for it.
const VERDICTS: [(&str, u16, u16); 61] = [
    ("badaspec", 0, 0),
    ("badbranch", 200, 200),
    ("baddate", 488, 488),
    ("baddn", 0, 0),
    ("badinv01", 0, 0),
    ("badvers", 505, 505),
    ("bcast", 0, 0),
    ("bext01", 420, 420),
    ("bigcode", 0, 0),
    ("clerr", 400, 0),
    ("cparam01", 405, 405),
    ("cparam02", 405, 405),
    ("dblreq", 405, 400),
    ("esc01", 488, 488),
    ("esc02", 405, 405),
    ("escnull", 405, 405),
    ("escruri", 400, 400),
    ("insuf", 0, 0),
    ("intmeth", 405, 405),
    ("inv2543", 488, 400),
    ("invut", 415, 415),
    ("longreq", 488, 488),
    ("ltgtruri", 400, 400),
    ("lwsdisp", 200, 200),
    ("lwsruri", 400, 400),
    ("lwsstart", 400, 400),
    ("mcl01", 400, 400),
    ("mismatch01", 400, 400),
    ("mismatch02", 400, 400),
    ("mpart01", 405, 405),
    ("multi01", 400, 0),
    ("ncl", 400, 400),
    ("noreason", 0, 0),
    ("novelsc", 416, 416),
    ("quotbal", 0, 0),
    ("regaut01", 405, 405),
    ("regbadct", 400, 400),
    ("regescrt", 405, 405),
    ("scalar02", 0, 0),
    ("scalarlg", 0, 0),
    ("sdp01", 488, 488),
    ("semiuri", 200, 200),
    ("transports", 200, 200),
    ("trws", 400, 400),
    ("unkscm", 416, 416),
    ("unksm2", 405, 405),
    ("unreason", 0, 0),
    ("wsinv", 481, 481),
    ("zeromf", 200, 200),
    ("ipv4-mapped-ipv6", 488, 488),
    ("ipv6-bad", 400, 400),
    ("ipv6-bug-abnf-3-colons", 200, 200),
    ("ipv6-correct-abnf-2-colons", 200, 200),
    ("ipv6-good", 405, 405),
    ("ipv6-in-sdp", 488, 488),
    ("mult-ip-in-header", 481, 481),
    ("mult-ip-in-sdp", 488, 488),
    ("port-ambiguous", 405, 405),
    ("port-unambiguous", 405, 405),
    ("via-received-param-no-delim", 200, 200),
    ("via-received-param-with-delim", 481, 481),
];

fn corpus(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let named = paths.iter().map(|path| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read(path).unwrap())
    });
    named.collect()
}

#[test]
fn each_message_of_rfc_4475_and_rfc_5118_gets_its_answer_or_silence() {
    let messages = [corpus("rfc4475"), corpus("rfc5118")].concat();
    assert_eq!(messages.len(), 49 + 12);
    let mut told = Vec::new();
    for (name, bytes) in &messages {
        let mut rig = Rig::new();
        let over_udp = status(&rig.udp(CARRIER, bytes)).unwrap_or(0);
        let strays = rig
            .sent
            .iter()
            .filter(|(flow, _)| flow.remote.ip() != address(CARRIER).ip());
        assert_eq!(
            strays.count(),
            0,
            "{name}: answers go to where the message came from"
        );
        rig.run_for(Duration::from_secs(100));
        assert!(rig.is_at_rest(), "{name} left something");
        let mut rig = Rig::new();
        let over_tcp = status(&rig.tcp(CARRIER, bytes).0).unwrap_or(0);
        rig.run_for(Duration::from_secs(100));
        assert!(rig.is_at_rest(), "{name} left something");
        told.push((name.as_str(), over_udp, over_tcp));
        rig.assert_alive();
    }
    assert_eq!(told, VERDICTS);
}
