use std::path::Path;

use super::*;

/// The methods this version answers, as the contract lists them.
const METHODS: &[&str] = &[
    "hello",
    "subscribe",
    "unsubscribe",
    "state.get",
    "ping",
    "schema.get",
    "batch",
    "call.tag",
    "call.end",
    "leg.progress",
    "leg.answer",
    "leg.reject",
    "leg.dial",
    "leg.hangup",
    "leg.hold",
    "leg.resume",
    "leg.mute",
    "leg.unmute",
    "leg.send_dtmf",
    "leg.set",
    "leg.stats",
    "bridge.create",
    "bridge.add",
    "bridge.remove",
    "bridge.move",
    "bridge.replace",
    "bridge.set_matrix",
    "bridge.swap",
    "bridge.destroy",
    "play.start",
    "play.stop",
    "play.pause",
    "play.resume",
    "collect.start",
    "record.start",
    "record.pause",
    "record.resume",
    "record.stop",
    "transfer.blind",
    "transfer.attended",
    "transfer.accept",
    "transfer.reject",
    "policy.check",
    "number.map",
    "limits.get",
    "limits.set",
    "trunk.list",
    "trunk.enable",
    "trunk.disable",
    "prompt.list",
    "recording.list",
    "trace.start",
    "trace.stop",
    "drain.start",
    "drain.cancel",
    "drain.status",
    "explain",
];

/// The events this version tells, as the contract lists them.
const EVENTS: &[&str] = &[
    "gateway.started",
    "gateway.stopping",
    "tick",
    "drain.progress",
    "drain.done",
    "config.applied",
    "limits.changed",
    "alarm.raised",
    "alarm.cleared",
    "controller.lost",
    "controller.returned",
    "trunk.up",
    "trunk.down",
    "trunk.registered",
    "trunk.registration_failed",
    "phone.registered",
    "phone.unregistered",
    "leg.incoming",
    "leg.dialing",
    "leg.ringing",
    "leg.answered",
    "leg.media_up",
    "leg.updated",
    "leg.held",
    "leg.resumed",
    "leg.far_held",
    "leg.far_resumed",
    "leg.muted",
    "leg.unmuted",
    "leg.dtmf",
    "leg.one_way",
    "leg.quality",
    "leg.media_lost",
    "leg.media_restored",
    "leg.transfer_requested",
    "leg.ended",
    "call.started",
    "call.refused",
    "call.ended",
    "bridge.created",
    "bridge.joined",
    "bridge.left",
    "bridge.moved",
    "bridge.mode",
    "bridge.matrix",
    "bridge.destroyed",
    "play.started",
    "play.ended",
    "collect.ended",
    "record.started",
    "record.paused",
    "record.resumed",
    "record.stopped",
    "record.stored",
    "record.failed",
    "transfer.progress",
    "op.ended",
    "call.record",
    "stats",
];

fn names<'a>(list: &'a Value, member: &str) -> Vec<&'a str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|entry| entry[member].as_str().unwrap())
        .collect()
}

#[test]
fn every_method_of_this_version_is_described() {
    let schema = schema();
    let described = names(&schema["methods"], "name");
    for method in METHODS {
        assert!(described.contains(method), "{method}");
    }
    assert_eq!(described.len(), METHODS.len());
}

#[test]
fn every_event_of_this_version_is_described() {
    let schema = schema();
    let described = names(&schema["x-events"]["types"], "type");
    for event in EVENTS {
        assert!(described.contains(event), "{event}");
    }
}

#[test]
fn everything_that_is_pointed_to_is_there() {
    fn check(value: &Value, definitions: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(path) = members.get("$ref").and_then(Value::as_str) {
                    let name = path
                        .strip_prefix("#/components/schemas/")
                        .unwrap_or_else(|| panic!("{path}"));
                    assert!(definitions.get(name).is_some(), "{name}");
                }
                members.values().for_each(|member| check(member, definitions));
            }
            Value::Array(list) => list.iter().for_each(|entry| check(entry, definitions)),
            _ => {}
        }
    }
    let schema = schema();
    check(&schema, &schema["components"]["schemas"]);
}

#[test]
fn every_member_has_a_description() {
    let schema = schema();
    let definitions = &schema["components"]["schemas"];
    let is_described = |member: &Value| {
        let target = member["$ref"]
            .as_str()
            .and_then(|path| path.rsplit('/').next())
            .map(|name| &definitions[name]);
        member.get("description").is_some()
            || target.is_some_and(|target| target.get("description").is_some())
    };
    for method in schema["methods"].as_array().unwrap() {
        assert_ne!(method["summary"], "", "{}", method["name"]);
        for param in method["params"].as_array().unwrap() {
            assert!(
                is_described(&param["schema"]),
                "{} {}",
                method["name"],
                param["name"]
            );
        }
    }
    for (name, definition) in definitions.as_object().unwrap() {
        for (member, schema) in definition["properties"].as_object().into_iter().flatten() {
            assert!(is_described(schema), "{name}.{member}");
        }
    }
}

#[test]
fn every_result_has_seq() {
    for method in schema()["methods"].as_array().unwrap() {
        let result = &method["result"]["schema"];
        assert!(result["properties"]["seq"].is_object(), "{}", method["name"]);
        assert!(
            result["required"].as_array().unwrap().contains(&json!("seq")),
            "{}",
            method["name"]
        );
    }
}

#[test]
fn shapes_that_go_both_ways_are_one() {
    let settings = SchemaSettings::draft2020_12();
    let mut inputs = settings.clone().for_deserialize().into_generator();
    let mut outputs = settings.for_serialize().into_generator();
    for info in Request::METHODS {
        (info.params)(&mut inputs);
        (info.result)(&mut outputs);
    }
    for info in Event::ALL {
        (info.data)(&mut outputs);
    }
    let (inputs, outputs) = (inputs.take_definitions(false), outputs.take_definitions(false));
    for (name, input) in &inputs {
        if let Some(output) = outputs.get(name) {
            assert_eq!(input, output, "{name}");
        }
    }
}

#[test]
fn the_text_is_the_same_every_time() {
    assert_eq!(schema_json(), schema_json());
}

/// `WRITE_DOCS=1 cargo test -p gateway the_page` writes the page anew.
#[test]
fn the_page_agrees_with_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/control-protocol.md");
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, markdown()).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        page == markdown(),
        "docs/control-protocol.md is stale: WRITE_DOCS=1 cargo test -p gateway the_page"
    );
}
