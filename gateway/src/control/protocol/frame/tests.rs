use super::*;
use crate::control::protocol::{ErrorKind, HoldMusic};
use serde_json::json;

fn failure(text: &str) -> (Option<String>, Failure) {
    let frame = parse_frame(text);
    (frame.id.map(|id| id.get().to_owned()), frame.request.unwrap_err())
}

fn request(method: &str, params: serde_json::Value) -> Result<Request, Failure> {
    let text = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    parse_frame(&text).request.map(|request| *request)
}

#[test]
fn reads_a_request() {
    let frame =
        parse_frame(r#" {"jsonrpc":"2.0","id":"a","method":"leg.hold","params":{"leg":"l_1","key":"k"}} "#);
    assert_eq!(frame.id.unwrap().get(), "\"a\"");
    let request = *frame.request.unwrap();
    assert_eq!(
        (request.method(), request.key().unwrap().as_str()),
        ("leg.hold", "k")
    );
    let Request::LegHold(hold) = request else { panic!() };
    assert_eq!(
        (hold.leg.as_str(), &hold.music, hold.signal),
        ("l_1", &HoldMusic::Class("default".into()), false)
    );
}

#[test]
fn tells_a_notification_from_a_null_id() {
    assert!(parse_frame(r#"{"jsonrpc":"2.0","method":"ping"}"#).id.is_none());
    assert_eq!(
        parse_frame(r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#)
            .id
            .unwrap()
            .get(),
        "null"
    );
}

#[test]
fn bad_frames_get_the_codes_of_json_rpc() {
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{}{}}}"#,
        "[".repeat(32),
        "]".repeat(32)
    );
    for (text, code, id) in [
        ("", -32700, Some("null")),
        ("{\"jsonrpc\":", -32700, Some("null")),
        ("{} {}", -32700, Some("null")),
        ("hello", -32700, Some("null")),
        ("[]", -32600, Some("null")),
        (
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
            -32600,
            Some("null"),
        ),
        ("3", -32600, Some("null")),
        ("{}", -32600, Some("null")),
        (r#"{"id":7,"method":"ping"}"#, -32600, Some("7")),
        (r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#, -32600, Some("7")),
        (r#"{"jsonrpc":"2.0","id":7}"#, -32600, Some("7")),
        (r#"{"jsonrpc":"2.0","id":7,"method":5}"#, -32600, Some("7")),
        (
            r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
            -32600,
            Some("null"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
            -32600,
            Some("null"),
        ),
        (&deep, -32600, Some("null")),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"nonsense"}"#,
            -32601,
            Some("7"),
        ),
        (r#"{"jsonrpc":"2.0","method":"nonsense"}"#, -32601, None),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}"#,
            -32602,
            Some("7"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":null}"#,
            -32602,
            Some("7"),
        ),
    ] {
        let (got_id, failure) = failure(text);
        assert_eq!((failure.code, got_id.as_deref()), (code, id), "{text}");
    }
}

#[test]
fn brackets_in_texts_are_no_nesting() {
    let tags = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": { "tags": { "a": "[\"".repeat(60) } } });
    assert!(parse_frame(&tags.to_string()).request.is_ok());
}

#[test]
fn methods_of_later_versions_are_refused_by_name() {
    for method in crate::control::protocol::NOT_AVAILABLE {
        let failure = request(method, json!({})).unwrap_err();
        assert_eq!((failure.kind, failure.code), (ErrorKind::NotFound, -32601));
        assert!(
            failure.message.contains(method) && failure.message.contains("not available"),
            "{failure}"
        );
    }
}

#[test]
fn wrong_parameters_name_their_path() {
    for (method, params, path) in [
        ("leg.hold", json!({}), "params.leg"),
        ("leg.hold", json!({ "leg": "a b" }), "params.leg"),
        ("leg.hold", json!({ "leg": 3 }), "params.leg"),
        ("leg.hold", json!({ "leg": "l", "misic": "x" }), "params.misic"),
        ("leg.hold", json!({ "leg": "l", "fence": 3 }), "params.fence"),
        ("leg.hold", json!({ "leg": "l", "key": "" }), "params.key"),
        (
            "leg.hold",
            json!({ "leg": "l", "tags": { "a": 3 } }),
            "params.tags.a",
        ),
        (
            "leg.dial",
            json!({ "to": "+1", "trunk": "t", "ring_timeout_ms": 0 }),
            "params.ring_timeout_ms",
        ),
        (
            "leg.dial",
            json!({ "to": "+1", "trunk": "t", "ring_timeout_ms": "x" }),
            "params.ring_timeout_ms",
        ),
        ("leg.dial", json!({ "to": "+1\r\n", "trunk": "t" }), "params.to"),
        (
            "leg.dial",
            json!({ "to": "+1", "trunk": "t", "caller_id": { "nunber": "3" } }),
            "params.caller_id.nunber",
        ),
        (
            "leg.dial",
            json!({ "to": "+1", "trunk": "t", "codecs": ["PCMU", "G729"] }),
            "params.codecs[1]",
        ),
        (
            "leg.dial",
            json!({ "to": "+1", "trunk": "t", "codecs": [] }),
            "params.codecs",
        ),
        (
            "leg.dial",
            json!({ "to": "+1", "trunk": "t", "early_media": "mix" }),
            "params.early_media",
        ),
        (
            "leg.progress",
            json!({ "leg": "l", "status": 182 }),
            "params.status",
        ),
        (
            "leg.progress",
            json!({ "leg": "l", "status": 180, "play": "a" }),
            "params.play",
        ),
        (
            "leg.progress",
            json!({ "leg": "l", "status": 183, "play": {} }),
            "params.play",
        ),
        (
            "leg.reject",
            json!({ "leg": "l", "status": 302 }),
            "params.status",
        ),
        (
            "leg.send_dtmf",
            json!({ "leg": "l", "digits": "12x" }),
            "params.digits",
        ),
        (
            "leg.send_dtmf",
            json!({ "leg": "l", "digits": "1", "method": "smoke" }),
            "params.method",
        ),
        (
            "leg.set",
            json!({ "leg": "l", "gain_rx_db": 99 }),
            "params.gain_rx_db",
        ),
        (
            "leg.set",
            json!({ "leg": "l", "on_controller_lost": { "after_ms": 0, "action": "fallback" } }),
            "params.on_controller_lost.action",
        ),
        (
            "bridge.create",
            json!({ "legs": ["a", "b", "a"] }),
            "params.legs[2]",
        ),
        ("bridge.create", json!({ "max_legs": 0 }), "params.max_legs"),
        (
            "bridge.add",
            json!({ "bridge": "b", "leg": "l", "role": "whisper" }),
            "params.role",
        ),
        (
            "bridge.add",
            json!({ "bridge": "b", "leg": "l", "to": "x" }),
            "params.to",
        ),
        (
            "bridge.set_matrix",
            json!({ "bridge": "b", "pairs": [] }),
            "params.pairs",
        ),
        (
            "bridge.set_matrix",
            json!({ "bridge": "b", "pairs": [{ "from": "a", "to": "b" }] }),
            "params.pairs[0].gain_db",
        ),
        (
            "bridge.set_matrix",
            json!({ "bridge": "b", "pairs": [{ "from": "a", "to": "a", "gain_db": null }] }),
            "params.pairs[0]",
        ),
        (
            "bridge.swap",
            json!({ "bridge": "b", "a": "l", "b": "l" }),
            "params.b",
        ),
        (
            "play.start",
            json!({ "target": "l", "sources": [{ "prompt": "a" }, { "tone": "siren" }] }),
            "params.sources[1].tone",
        ),
        (
            "collect.start",
            json!({ "leg": "l", "min": 5, "max": 4, "first_ms": 1, "inter_ms": 1 }),
            "params.min",
        ),
        (
            "record.start",
            json!({ "target": "l", "format": "opus" }),
            "params.format",
        ),
        (
            "record.start",
            json!({ "target": "l", "channels": "mix" }),
            "params.channels",
        ),
        (
            "record.start",
            json!({ "target": "l", "encrypt": true }),
            "params.encrypt",
        ),
        ("limits.set", json!({}), "params"),
        ("call.tag", json!({ "call": "c" }), "params.tags"),
        (
            "hello",
            json!({ "app": "a", "resume": { "epoch": "e" } }),
            "params.resume.seq",
        ),
        (
            "hello",
            json!({ "app": "a", "subscribe": { "type": [] } }),
            "params.subscribe.type",
        ),
        ("batch", json!({ "steps": [] }), "params.steps"),
        (
            "batch",
            json!({ "steps": [{ "method": "leg.hold", "param": {} }] }),
            "params.steps[0].param",
        ),
    ] {
        let failure = request(method, params.clone()).unwrap_err();
        assert_eq!(
            (failure.kind, failure.code, failure.data["path"].as_str()),
            (ErrorKind::InvalidParams, -32602, Some(path)),
            "{method} {params}: {failure}"
        );
        assert!(failure.message.starts_with(&format!("{path}: ")), "{failure}");
    }
}

#[test]
fn music_left_out_is_not_music_null() {
    let music = |params| match request("leg.hold", params).unwrap() {
        Request::LegHold(hold) => hold.music,
        other => panic!("{other:?}"),
    };
    assert_eq!(music(json!({ "leg": "l" })), HoldMusic::Class("default".into()));
    assert_eq!(music(json!({ "leg": "l", "music": null })), HoldMusic::Silence);
    assert_eq!(
        music(json!({ "leg": "l", "music": "calm" })),
        HoldMusic::Class("calm".into())
    );
}

#[test]
fn takes_the_examples_of_the_contract() {
    assert!(
        request(
            "hello",
            json!({ "app": "default", "client": "router-a", "subscribe": {} })
        )
        .is_ok()
    );
    let batch = json!({ "atomic": true, "key": "consult-77-1", "steps": [
        { "method": "leg.dial", "params": { "id": "agent", "call": "c_77", "to": "sip:agent1@127.0.0.1:5070",
          "trunk": "agents", "ring_timeout_ms": 20000 } },
        { "method": "bridge.create", "params": { "id": "b77", "call": "c_77", "legs": ["l_a1", "agent"] } } ] });
    let Request::Batch(batch) = request("batch", batch).unwrap() else {
        panic!()
    };
    let Request::LegDial(dial) = batch.steps[0].request(&[]).unwrap() else {
        panic!()
    };
    assert_eq!(dial.ring_timeout_ms.get(), 20_000);
}

#[test]
fn writes_replies() {
    let id = RawValue::from_string("4".into()).unwrap();
    let body = ResultBody::of(&json!({ "bridge": "b77", "seq": 3 }));
    assert_eq!(
        &*success_line(&id, 10, &body, false),
        r#"{"jsonrpc":"2.0","id":4,"result":{"seq":10,"bridge":"b77"}}"#
    );
    assert_eq!(
        &*success_line(&id, 10, &body, true),
        r#"{"jsonrpc":"2.0","id":4,"result":{"seq":10,"replayed":true,"bridge":"b77"}}"#
    );
    let line = failure_line(None, &Failure::draining());
    let reply: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        reply,
        json!({ "jsonrpc": "2.0", "id": null,
            "error": { "code": -32000, "message": "the gateway is draining", "data": { "kind": "draining" } } })
    );
    assert_eq!(LineKind::of(&line), LineKind::Reply);
}

#[test]
fn tells_lines_by_their_beginning() {
    let event = |kind: &str| format!(r#"{EVENT_PREFIX}{{"seq":12,"type":"{kind}","data":{{}}}}}}"#);
    assert_eq!(LineKind::of(&event("stats")), LineKind::Stats);
    assert_eq!(LineKind::of(&event("tick")), LineKind::State);
    assert_eq!(LineKind::of(&event("leg.ended")), LineKind::State);
}
