//! Lines of a control connection as a page shows them.

use gateway::control::protocol::parse_frame;
use serde_json::{Value, json};

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
        return refusal(request).or_else(|| steps(request).iter().find_map(|step| refusal(step)));
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

fn refusal(request: &str) -> Option<String> {
    parse_frame(request)
        .request
        .err()
        .map(|failure| failure.to_string())
}

/// The steps of a batch as frames of their own: the gateway reads each when its turn comes.
fn steps(request: &str) -> Vec<String> {
    let batch: Value = serde_json::from_str(request).unwrap_or_default();
    let steps = batch["params"]["steps"].as_array().cloned().unwrap_or_default();
    let frame = |step: Value| {
        json!({ "jsonrpc": "2.0", "id": 1, "method": step["method"], "params": step["params"] }).to_string()
    };
    steps.into_iter().map(frame).collect()
}

#[test]
fn a_wrong_line_is_found() {
    for line in [
        r#"→ {"jsonrpc":"2.0","id":1,"method":"leg.fly","params":{}}"#,
        r#"→ {"jsonrpc":"2.0","id":1,"method":"leg.answer","params":{"lag":"l1"}}"#,
        r#"→ {"id":1,"method":"ping"}"#,
        r#"→ {"jsonrpc":"2.0","id":1,"method":"batch","params":{"steps":[{"method":"leg.answer","params":{"lag":"l1"}}]}}"#,
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
