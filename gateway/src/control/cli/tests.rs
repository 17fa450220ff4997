use std::path::PathBuf;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;

use super::*;

/// A socket at which each connection gets these lines, one for each that it sends.
struct Script {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Script {
    fn start(name: &str, connections: Vec<Vec<&'static str>>) -> Self {
        let path = std::env::temp_dir().join(format!("cli-{}-{name}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let task = tokio::spawn(async move {
            for lines in connections {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = BufReader::new(stream);
                for answer in lines {
                    let mut asked = String::new();
                    stream.read_line(&mut asked).await.unwrap();
                    stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        Self { path, task }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

const HELLO: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"seq\":4,\"epoch\":\"e\"}}\n";

async fn run(script: &Script, method: &str, params: Option<&str>) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = ctl(&script.path, None, method, params, &mut out, &mut err)
        .await
        .unwrap();
    (
        code,
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

#[tokio::test]
async fn ctl_prints_the_result() {
    let script = Script::start(
        "result",
        vec![vec![
            HELLO,
            "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"seq\":5}}\n",
        ]],
    );
    assert_eq!(
        run(&script, "leg.hold", Some("{\"leg\":\"l\"}")).await,
        (EXIT_OK, "{\"seq\":5}\n".into(), "".into())
    );
}

#[tokio::test]
async fn ctl_says_no_hello_where_none_is_needed() {
    let script = Script::start(
        "ping",
        vec![vec!["{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"seq\":5}}\n"]],
    );
    assert_eq!(run(&script, "ping", None).await.0, EXIT_OK);
}

#[tokio::test]
async fn ctl_prints_a_refusal_on_stderr() {
    let refusal = concat!(
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32000,\"message\":\"no leg `l`\",",
        "\"data\":{\"kind\":\"not_found\",\"leg\":\"l\"}}}\n"
    );
    let script = Script::start("refusal", vec![vec![HELLO, refusal]]);
    let (code, out, err) = run(&script, "leg.hold", Some("{\"leg\":\"l\"}")).await;
    assert_eq!((code, out.as_str()), (EXIT_FAILED, ""));
    let error: Value = serde_json::from_str(&err).unwrap();
    assert_eq!(
        (&error["data"]["kind"], &error["data"]["leg"]),
        (&json!("not_found"), &json!("l"))
    );
}

#[tokio::test]
async fn ctl_tells_wrong_usage_from_a_missing_gateway() {
    let script = Script::start("usage", vec![]);
    let (code, _, err) = run(&script, "leg.hold", Some("{leg}")).await;
    assert_eq!(code, EXIT_USAGE, "{err}");
    let nowhere = PathBuf::from("/nonexistent/control.sock");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    assert_eq!(
        ctl(&nowhere, None, "ping", None, &mut out, &mut err)
            .await
            .unwrap(),
        EXIT_FAILED
    );
    assert!(
        String::from_utf8(err)
            .unwrap()
            .contains("/nonexistent/control.sock")
    );
}

#[tokio::test]
async fn events_go_on_after_a_lost_connection() {
    let first = concat!(
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"seq\":4,\"epoch\":\"e\"}}\n",
        "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"seq\":5,\"epoch\":\"e\"}}\n"
    );
    let second = concat!(
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"seq\":6,\"epoch\":\"e\",\"resumed\":true,\"from\":6}}\n",
        "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"seq\":6,\"epoch\":\"e\"}}\n"
    );
    let third = concat!(
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"seq\":2,\"epoch\":\"f\",\"resumed\":false,\"why\":\"epoch_changed\",",
        "\"snapshot\":{\"seq\":2,\"epoch\":\"f\"}}}\n"
    );
    let script = Script::start("events", vec![vec![first], vec![second], vec![third]]);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = EventsArgs {
        count: Some(3),
        ..EventsArgs::default()
    };
    assert_eq!(
        events(&script.path, &args, &mut out, &mut err).await.unwrap(),
        EXIT_OK
    );
    let out = String::from_utf8(out).unwrap();
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            json!({ "seq": 5, "epoch": "e" }),
            json!({ "seq": 6, "epoch": "e" }),
            json!({ "snapshot": { "seq": 2, "epoch": "f" } }),
        ]
    );
}

#[test]
fn schema_prints_the_document() {
    let mut out = Vec::new();
    assert_eq!(schema(&mut out).unwrap(), EXIT_OK);
    let document: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(document["openrpc"], "1.3.2");
}
