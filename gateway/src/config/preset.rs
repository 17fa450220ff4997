//! Carrier profiles: which keys a preset gives a trunk before its own are read.
//!
//! One table a preset, only what differs from `generic`, each value as the file would write it. A value that this
//! version does not take yet is left out and named in the profile, or refused where the trunk would be another
//! without it; it counts from the day its key is taken, without a change here. Knows no key's meaning.

use std::net::IpAddr;

use toml::de::DeTable;
use toml::{Table, Value};

use super::error::Problem;
use super::file::trunk::{Preset, Provenance};
use super::file::{File, trunk};
use super::place::{Finding, KeyPath};
use super::resolve::Faults;
use super::{check, schema};

/// One key of a preset.
struct Row {
    key: &'static str,
    /// As TOML.
    value: &'static str,
    when: When,
    /// What happens while this version does not take it.
    without: Without,
    proof: Proof,
}

/// On which trunks a row counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// Every peer is reached over TLS.
    Tls,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Without {
    /// The trunk works with less; the profile says so.
    Told,
    /// An operator would be deceived.
    Refused,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// Read in the carrier's own text.
    Carrier,
    /// To be confirmed with the carrier.
    Hearsay,
}

const fn row(key: &'static str, value: &'static str) -> Row {
    Row {
        key,
        value,
        when: When::Always,
        without: Without::Told,
        proof: Proof::Carrier,
    }
}

impl Row {
    const fn hearsay(self) -> Row {
        Row {
            proof: Proof::Hearsay,
            ..self
        }
    }

    const fn needed(self) -> Row {
        Row {
            without: Without::Refused,
            ..self
        }
    }

    const fn over_tls(self) -> Row {
        Row {
            when: When::Tls,
            ..self
        }
    }

    fn text(&self) -> String {
        format!("{} = {}", self.key, self.value)
    }
}

/// Calls a second are those of an account as it is opened; more is asked for there.
const TWILIO: &[Row] = &[
    row("calls_per_second", "1"),
    row("number_out", "\"e164_plus\"").hearsay(),
    row("srtp", "\"optional\"").over_tls(),
];
const TELNYX: &[Row] = &[
    row("number_out", "\"e164_plus\""),
    row("srtp", "\"optional\"").over_tls().hearsay(),
];
const BANDWIDTH: &[Row] = &[
    row("codecs", "[\"PCMU\", \"PCMA\"]").hearsay(),
    row("number_out", "\"e164_plus\"").hearsay(),
];
const CHIME: &[Row] = &[
    row("calls_per_second", "1"),
    row("number_out", "\"e164_plus\""),
    row("srtp", "\"optional\"").over_tls().hearsay(),
];
const TEAMS: &[Row] = &[
    row("srtp", "\"required\"").needed(),
    row("hold", "\"inactive\""),
    row("number_out", "\"e164_plus\""),
    row("user_phone", "true"),
    row("rel100", "\"supported\""),
    row("session_timer", "\"supported\""),
];
const JAPAN: &[Row] = &[
    row("home_country", "\"JP\""),
    row("number_out", "\"national\"").hearsay(),
    row("user_phone", "true"),
    row("identity_out", "\"ppi\"").hearsay(),
    row("codecs", "[\"PCMU\"]").hearsay(),
    row("ptime_ms", "20").hearsay(),
    row("rel100", "\"supported\""),
    row("session_timer", "\"supported\"").hearsay(),
];

impl Preset {
    fn rows(self) -> &'static [Row] {
        match self {
            Preset::Generic => &[],
            Preset::Twilio => TWILIO,
            Preset::Telnyx => TELNYX,
            Preset::Bandwidth => BANDWIDTH,
            Preset::Chime => CHIME,
            Preset::Teams => TEAMS,
            Preset::Japan => JAPAN,
        }
    }

    /// The one transport its peers take, if there is only one.
    fn transport(self) -> Option<&'static str> {
        match self {
            Preset::Teams => Some("tls"),
            Preset::Generic
            | Preset::Twilio
            | Preset::Telnyx
            | Preset::Bandwidth
            | Preset::Chime
            | Preset::Japan => None,
        }
    }

    fn of_word(word: &str) -> Option<Preset> {
        const ALL: [Preset; 7] = [
            Preset::Generic,
            Preset::Twilio,
            Preset::Telnyx,
            Preset::Bandwidth,
            Preset::Chime,
            Preset::Teams,
            Preset::Japan,
        ];
        ALL.into_iter().find(|preset| preset.word() == word)
    }
}

/// The file of a text that was held against the schema, with every preset's values in their places.
pub(super) fn read(text: &str) -> Result<(File, Vec<Finding>), toml::de::Error> {
    let mut whole: Table = text.parse()?;
    let mut findings = Vec::new();
    let mut provenances = Vec::new();
    if let Some(Value::Array(trunks)) = whole.get_mut("trunk") {
        let schema = trunk_schema();
        for (index, trunk) in trunks.iter_mut().enumerate() {
            let path = KeyPath::default().key("trunk").index(index);
            if let Value::Table(trunk) = trunk {
                provenances.push(apply(trunk, &schema, &path, &mut findings));
            }
        }
    }
    let mut file: File = whole.try_into()?;
    for (trunk, provenance) in file.trunk.iter_mut().zip(provenances) {
        trunk.provenance = provenance;
    }
    Ok((file, findings))
}

fn trunk_schema() -> serde_json::Value {
    let whole = schema();
    let found = whole.pointer("/properties/trunk/items").cloned();
    debug_assert!(found.is_some(), "trunks are a list of tables");
    found.unwrap_or_default()
}

/// Puts in what the trunk does not say itself.
fn apply(
    trunk: &mut Table,
    schema: &serde_json::Value,
    path: &KeyPath,
    findings: &mut Vec<Finding>,
) -> Provenance {
    let mut provenance = Provenance {
        own: trunk.keys().filter(|key| *key != "preset").cloned().collect(),
        ..Provenance::default()
    };
    let word = trunk.get("preset").and_then(Value::as_str).unwrap_or_default();
    let Some(preset) = Preset::of_word(word) else {
        return provenance;
    };
    let is_tls = is_all_tls(trunk);
    for row in preset.rows() {
        let counts = row.when == When::Always || is_tls;
        if !counts || trunk.contains_key(row.key) {
            continue;
        }
        match value_taken(row, schema) {
            Some(value) => {
                trunk.insert(row.key.to_owned(), value);
                provenance.preset.push(row.text());
                if row.proof == Proof::Hearsay {
                    provenance.unconfirmed.push(row.text());
                }
            }
            None if row.without == Without::Refused => findings.push(Finding {
                path: path.key("preset"),
                problem: Problem::PresetNeeds {
                    preset: preset.word(),
                    key: row.key,
                    value: row.value,
                },
            }),
            None => provenance.missing.push(row.text()),
        }
    }
    provenance
}

/// The row's value, if this version takes it.
fn value_taken(row: &Row, schema: &serde_json::Value) -> Option<Value> {
    let text = row.text();
    let table = DeTable::parse(&text).ok()?;
    let findings = check::check_at(schema, table.get_ref(), &KeyPath::default().key("trunk"));
    let is_missing = |finding: &Finding| matches!(finding.problem, Problem::Missing { .. });
    if !findings.iter().all(is_missing) {
        return None;
    }
    text.parse::<Table>().ok()?.remove(row.key)
}

fn is_all_tls(trunk: &Table) -> bool {
    let hosts = trunk.get("hosts").and_then(Value::as_array);
    hosts.is_some_and(|hosts| {
        let is_tls = |host: &Value| host.as_str().is_some_and(|host| has_transport(host, "tls"));
        !hosts.is_empty() && hosts.iter().all(is_tls)
    })
}

fn has_transport(host: &str, transport: &str) -> bool {
    host.split(';')
        .skip(1)
        .any(|part| part.strip_prefix("transport=") == Some(transport))
}

/// What a preset wants of the trunk's own words: how peers are reached, and a name in Contact.
pub(super) fn check_names(entry: &trunk::Trunk, advertise: &str, path: &KeyPath, faults: &mut Faults) {
    let Some(transport) = entry.preset.transport() else {
        return;
    };
    let preset = entry.preset.word();
    for (index, host) in entry.hosts.iter().enumerate() {
        if !has_transport(host, transport) {
            faults.add(
                path.key("hosts").index(index),
                Problem::PresetTransport { preset, transport },
            );
        }
    }
    let contact = entry.contact_host.as_deref().unwrap_or(advertise);
    if contact.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        let actual = contact.to_owned();
        faults.add(path.key("preset"), Problem::PresetContact { preset, actual });
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Config, ConfigError};
    use super::*;

    fn parse(keys: &str) -> Result<Config, ConfigError> {
        let text = format!("[[trunk]]\nname = \"t\"\nallow = [\"192.0.2.0/24\"]\n{keys}\n");
        Config::parse(&text, Path::new("/etc/gw/gateway.toml"), None)
    }

    #[test]
    fn every_row_is_toml_of_a_key_that_is_known_now_or_later() {
        let schema = trunk_schema();
        for preset in [
            Preset::Twilio,
            Preset::Telnyx,
            Preset::Bandwidth,
            Preset::Chime,
            Preset::Teams,
            Preset::Japan,
        ] {
            for row in preset.rows() {
                let text = row.text();
                let table = DeTable::parse(&text).unwrap();
                for finding in check::check_at(&schema, table.get_ref(), &KeyPath::default().key("trunk")) {
                    let is_expected = matches!(
                        finding.problem,
                        Problem::Missing { .. } | Problem::LaterKey | Problem::LaterValue { .. }
                    );
                    assert!(is_expected, "{} {text}: {}", preset.word(), finding.problem);
                }
            }
        }
    }

    #[test]
    fn a_preset_gives_values_and_the_trunk_overrides_them() {
        let trunk = parse("preset = \"japan\"").unwrap().trunks.remove(0);
        assert_eq!(trunk.home_country.as_deref(), Some("JP"));
        assert_eq!(trunk.number_out, trunk::NumberOut::National);
        assert_eq!(trunk.identity_out, trunk::IdentityOut::Ppi);
        assert_eq!(
            (trunk.user_phone, trunk.codecs.as_slice()),
            (true, &[media::Codec::Pcmu][..])
        );
        let own = "preset = \"japan\"\nnumber_out = \"e164\"\nidentity_out = \"from\"\nuser_phone = false";
        let trunk = parse(own).unwrap().trunks.remove(0);
        assert_eq!(trunk.number_out, trunk::NumberOut::E164);
        assert_eq!(trunk.identity_out, trunk::IdentityOut::From);
        assert!(!trunk.user_phone);
        assert_eq!(
            trunk.provenance.own,
            ["allow", "identity_out", "name", "number_out", "user_phone"]
        );
        for (word, calls) in [
            ("twilio", 1),
            ("chime", 1),
            ("telnyx", 20),
            ("bandwidth", 20),
            ("generic", 20),
        ] {
            let trunk = parse(&format!("preset = \"{word}\"")).unwrap().trunks.remove(0);
            assert_eq!(trunk.calls_per_second, calls, "{word}");
        }
    }

    #[test]
    fn encrypted_media_is_a_preset_of_encrypted_peers_only() {
        let clear: Table = "hosts = [\"192.0.2.1\"]".parse().unwrap();
        let mixed: Table = "hosts = [\"a;transport=tls\", \"b;transport=udp\"]"
            .parse()
            .unwrap();
        let secure: Table = "hosts = [\"a;transport=tls;priority=1\"]".parse().unwrap();
        assert_eq!(
            [&clear, &mixed, &secure, &Table::new()].map(is_all_tls),
            [false, false, true, false]
        );
    }

    /// Teams without TLS and SRTP is no Teams: as long as either is missing, or a peer is not reached so, the
    /// file is refused and says why.
    #[test]
    fn teams_over_anything_but_tls_is_refused() {
        let keys = "preset = \"teams\"\nsrtp = \"off\"\nhosts = [\"192.0.2.1:5061;transport=udp\"]";
        let error = parse(keys).unwrap_err().to_string();
        assert!(
            error.contains("`teams` is reached over tls only; write `;transport=tls`"),
            "{error}"
        );
        assert!(
            error.contains("`teams` wants a host name in Contact, not `127.0.0.1`; set `contact_host`"),
            "{error}"
        );
        let named = "preset = \"teams\"\nsrtp = \"off\"\ncontact_host = \"sbc.example.com\"";
        let trunk = parse(named).unwrap().trunks.remove(0);
        assert_eq!(
            (trunk.hold, trunk.user_phone),
            (trunk::HoldDirection::Inactive, true)
        );
    }

    /// A new row either is of a key that is there, or is listed here with what it waits for.
    #[test]
    fn no_preset_wants_what_this_version_has_not() {
        let schema = trunk_schema();
        for preset in [
            Preset::Generic,
            Preset::Twilio,
            Preset::Telnyx,
            Preset::Bandwidth,
            Preset::Chime,
            Preset::Teams,
            Preset::Japan,
        ] {
            let waits: Vec<String> = preset
                .rows()
                .iter()
                .filter(|row| value_taken(row, &schema).is_none())
                .map(Row::text)
                .collect();
            assert_eq!(waits, Vec::<String>::new(), "{}", preset.word());
        }
        // What is not there is told apart from what is.
        assert!(value_taken(&row("t38", "\"pass\""), &schema).is_none());
        assert!(value_taken(&row("hold", "\"inactive\""), &schema).is_some());
    }
}
