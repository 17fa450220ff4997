use super::*;
use serde_json::json;

#[test]
fn every_kind_has_its_code_and_data() {
    let decision = PolicyDecision::deny("region", "region:GG");
    let table = [
        (Failure::parse_error("x"), "invalid_params", -32700, json!({})),
        (Failure::invalid_request("x"), "invalid_params", -32600, json!({})),
        (Failure::unknown_method("x"), "not_found", -32601, json!({})),
        (
            Failure::method_not_available("stream.start"),
            "not_found",
            -32601,
            json!({}),
        ),
        (
            Failure::invalid_params("params.a", "bad"),
            "invalid_params",
            -32602,
            json!({ "path": "params.a" }),
        ),
        (
            Failure::not_found("leg", "l_1"),
            "not_found",
            -32000,
            json!({ "leg": "l_1" }),
        ),
        (
            Failure::already_ended("leg", "l_1"),
            "already_ended",
            -32000,
            json!({ "leg": "l_1" }),
        ),
        (Failure::id_taken("a"), "id_taken", -32000, json!({ "id": "a" })),
        (Failure::invalid_state("x"), "invalid_state", -32000, json!({})),
        (
            Failure::key_conflict("k"),
            "key_conflict",
            -32000,
            json!({ "key": "k" }),
        ),
        (Failure::fenced(), "fenced", -32000, json!({})),
        (Failure::forbidden("x"), "forbidden", -32000, json!({})),
        (Failure::unauthorized(), "unauthorized", -32000, json!({})),
        (
            Failure::limit(ErrorKind::LimitCalls, "instance.calls", 100, 100),
            "limit_calls",
            -32000,
            json!({ "rule": "instance.calls", "limit": 100, "value": 100 }),
        ),
        (
            Failure::limit(ErrorKind::LimitCps, "trunk:a.calls_per_second", 5, 6),
            "limit_cps",
            -32000,
            json!({ "rule": "trunk:a.calls_per_second", "limit": 5, "value": 6 }),
        ),
        (
            Failure::limit(ErrorKind::LimitPorts, "media.ports", 4, 4),
            "limit_ports",
            -32000,
            json!({ "rule": "media.ports", "limit": 4, "value": 4 }),
        ),
        (
            Failure::limit(ErrorKind::LimitLegs, "bridge.max_legs", 6, 6),
            "limit_legs",
            -32000,
            json!({ "rule": "bridge.max_legs", "limit": 6, "value": 6 }),
        ),
        (
            Failure::too_many_inflight(256),
            "too_many_inflight",
            -32000,
            json!({ "rule": "connection.inflight", "limit": 256, "value": 256 }),
        ),
        (
            Failure::policy(ErrorKind::DestinationNotAllowed, &decision),
            "destination_not_allowed",
            -32000,
            json!({ "decision": "deny", "step": "region", "rule": "region:GG" }),
        ),
        (
            Failure::caller_id_not_allowed("t"),
            "caller_id_not_allowed",
            -32000,
            json!({ "trunk": "t" }),
        ),
        (Failure::number_invalid("x"), "number_invalid", -32000, json!({})),
        (
            Failure::no_route("t"),
            "no_route",
            -32000,
            json!({ "trunk": "t" }),
        ),
        (
            Failure::trunk_down("t", "unregistered"),
            "trunk_down",
            -32000,
            json!({ "trunk": "t" }),
        ),
        (Failure::codec_mismatch(), "codec_mismatch", -32000, json!({})),
        (
            Failure::prompt_not_found("p"),
            "prompt_not_found",
            -32000,
            json!({ "prompt": "p" }),
        ),
        (
            Failure::prompt_bad("p", "not a WAV file"),
            "prompt_bad",
            -32000,
            json!({ "prompt": "p" }),
        ),
        (
            Failure::storage_unavailable("x"),
            "storage_unavailable",
            -32000,
            json!({}),
        ),
        (
            Failure::disk_low(1, 512),
            "disk_low",
            -32000,
            json!({ "free_mb": 1, "min_free_mb": 512 }),
        ),
        (Failure::draining(), "draining", -32000, json!({})),
        (
            Failure::config_invalid("a.b", "c"),
            "config_invalid",
            -32000,
            json!({ "path": "a.b", "why": "c" }),
        ),
        (Failure::deadline(), "deadline", -32000, json!({})),
        (Failure::internal("x"), "internal", -32000, json!({})),
    ];
    for (failure, kind, code, data) in &table {
        let object = failure.to_value();
        assert_eq!(object["data"]["kind"], *kind);
        assert_eq!(object["code"], *code, "{kind}");
        for (member, value) in data.as_object().unwrap() {
            assert_eq!(object["data"][member], *value, "{kind}");
        }
        assert_eq!(Failure::from_value(&object), *failure);
    }
    for kind in ErrorKind::ALL {
        assert!(
            table.iter().any(|(failure, ..)| failure.kind == *kind),
            "{kind} has no constructor"
        );
    }
}

#[test]
fn quoted_text_is_clipped() {
    let message = Failure::unknown_method(&"é".repeat(60_000)).message;
    assert!(message.len() < 200, "{}", message.len());
    assert!(Failure::internal("é".repeat(1_000)).message.len() <= 512);
}
