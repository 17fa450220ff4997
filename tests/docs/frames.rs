//! Lines of a control connection as a page shows them.

use gateway::control::protocol::parse_frame;
use serde_json::Value;

use super::blocks::Block;

/// What is wrong with the lines of a block.
pub fn check(block: &Block) -> Vec<String> {
    let lines = block.lines.iter().filter(|line| !line.is_empty());
    lines
        .filter_map(|line| Some(format!("{line}: {}", fault(line)?)))
        .collect()
}

fn fault(line: &str) -> Option<String> {
    if let Some(request) = line.strip_prefix("→ ") {
        return match parse_frame(request).request {
            Ok(_) => None,
            Err(failure) => Some(failure.to_string()),
        };
    }
    let Some(told) = line.strip_prefix("← ") else {
        return Some("neither `→ ` nor `← `".to_owned());
    };
    let told: Value = match serde_json::from_str(told) {
        Ok(told) => told,
        Err(error) => return Some(error.to_string()),
    };
    let is_event =
        told["method"] == "event" && told["params"]["seq"].is_u64() && told["params"]["type"].is_string();
    let is_reply = !told["id"].is_null()
        && (told["result"]["seq"].is_u64() || told["error"]["data"]["kind"].is_string());
    (told["jsonrpc"] != "2.0" || !(is_event || is_reply)).then(|| "neither a reply nor an event".to_owned())
}

#[test]
fn a_wrong_line_is_found() {
    for line in [
        r#"→ {"jsonrpc":"2.0","id":1,"method":"leg.fly","params":{}}"#,
        r#"→ {"jsonrpc":"2.0","id":1,"method":"leg.answer","params":{"lag":"l1"}}"#,
        r#"→ {"id":1,"method":"ping"}"#,
        r#"← {"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"← {"jsonrpc":"2.0","method":"event","params":{"type":"leg.ended"}}"#,
        "← {",
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
    ] {
        assert!(fault(line).is_some(), "{line}");
    }
    assert_eq!(fault(r#"→ {"jsonrpc":"2.0","id":1,"method":"ping"}"#), None);
    assert_eq!(fault(r#"← {"jsonrpc":"2.0","id":1,"result":{"seq":4}}"#), None);
}
