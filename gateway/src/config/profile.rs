//! The effective profile of a trunk, as `check` prints it: every key with the value in force.

use std::fmt::{self, Display};

use sip::auth::Users;

use super::fraud::{Fraud, FraudLimit};
use super::tls::TrunkTls;
use super::trunk::{
    Codec, Host, IdentityOut, Network, ReferIn, RefreshMethod, RefresherWish, Srtp, StirIn, Support, Trunk,
    transport_of, transport_word,
};

impl Trunk {
    /// One `key = value` a line, in the order of the documentation, secrets left out; then where the values come
    /// from and what the trunk refuses.
    pub fn profile(&self) -> String {
        let mut text = format!("[[trunk]] {}\n  preset = {}\n", self.name, self.preset.word());
        let groups = [
            self.peers(),
            self.registration(),
            self.limits(),
            self.addresses(),
            self.extensions_spoken(),
            self.media(),
            self.numbers(),
            self.stir(),
            self.fixed(),
        ];
        for (key, value) in groups.concat() {
            text.push_str(&format!("  {key} = {value}\n"));
        }
        let origins = [
            ("own keys", &self.provenance.own),
            ("keys of the preset", &self.provenance.preset),
            ("of the preset, but not in this version", &self.provenance.missing),
            (
                "of the preset, to be confirmed with the carrier",
                &self.provenance.unconfirmed,
            ),
        ];
        for (what, keys) in origins.into_iter().filter(|(_, keys)| !keys.is_empty()) {
            text.push_str(&format!("  {what}: {}\n", keys.join(", ").replace(" = ", "=")));
        }
        for refusal in self.refusals() {
            text.push_str(&format!("  refuses: {refusal}\n"));
        }
        text
    }

    /// What the trunk does not let through, in sentences an operator can look for.
    fn refusals(&self) -> Vec<String> {
        let codecs = list(self.codecs.iter().map(|codec| codec_word(*codec)));
        let media = list(self.media_allow.iter().map(Block));
        let mut refusals = vec![
            format!("offers without a codec of {codecs}, or with media outside {media}: 488"),
            "3xx answers: a failure, not followed; T.38: port 0 or 488".to_owned(),
            "a sixth redirect: 482".to_owned(),
        ];
        let mut also = |when: bool, text: &str| {
            if when {
                refusals.push(text.to_owned());
            }
        };
        also(
            self.transfers.refer_in == ReferIn::Reject,
            "REFER: 405 (refer_in=reject)",
        );
        also(
            !self.identity_trusted,
            "identities that the peer asserts or prefers: ignored, From counts (identity_trusted=false)",
        );
        also(
            !self.identity_trusted && self.identity_out == IdentityOut::Pai,
            "P-Asserted-Identity to the peer: not sent, From alone (identity_trusted=false)",
        );
        also(
            self.stir.incoming == StirIn::Require,
            "callers without a valid Identity: 428, 436, 437, 438 or 403",
        );
        also(
            self.srtp.policy == Srtp::Off,
            "offers of RTP/SAVP: 488 (srtp=off)",
        );
        also(
            self.srtp.policy == Srtp::Required,
            "offers without keys: 488; answers without keys: the call is ended (srtp=required)",
        );
        also(
            self.sip_policy.rel100 == Support::Required,
            "callers without 100rel: 421 (rel100=required)",
        );
        also(
            self.sip_policy.timer.support == Support::Required,
            "callers without session timers: 421 (session_timer=required)",
        );
        also(
            self.challenge.is_some(),
            "requests without digest credentials: 401 (challenge)",
        );
        also(self.accept_register.is_none(), "REGISTER: 405");
        also(
            self.register.is_some(),
            "dialling while not registered: trunk_down (register)",
        );
        also(self.calls_in == 0, "every call of the peer: calls_in=0");
        also(self.hosts.is_empty(), "dialling numbers: no hosts");
        also(
            self.caller_ids.is_empty(),
            "every caller id: no caller_ids, calls go out anonymous",
        );
        also(
            self.headers_in.is_empty() && self.headers_out.is_empty(),
            "further headers, both ways: none are listed",
        );
        refusals
    }

    fn peers(&self) -> Vec<Line> {
        let auth = self.auth.as_ref().map_or_else(
            || "none".to_owned(),
            |auth| {
                format!(
                    "{}, realm {}",
                    auth.username,
                    auth.realm.as_deref().unwrap_or("any of its own addresses")
                )
            },
        );
        vec![
            ("hosts", list(&self.hosts)),
            ("allow", list(self.allow.iter().map(Block))),
            ("media_allow", list(self.media_allow.iter().map(Block))),
            ("route_on", list(&self.route_on)),
            ("fallback", list(&self.fallback)),
            ("attempts_max", self.attempts_max.to_string()),
            ("timer_b_ms", self.timer_b.as_millis().to_string()),
            (
                "options_interval_s",
                self.options_interval
                    .map_or(0, |every| every.as_secs())
                    .to_string(),
            ),
            ("options_down_after", self.options_down_after.to_string()),
            ("options_up_after", self.options_up_after.to_string()),
            ("auth", auth),
            (
                "tls",
                self.tls.as_ref().map_or_else(|| "none".to_owned(), tls_line),
            ),
        ]
    }

    fn registration(&self) -> Vec<Line> {
        let users = |users: &Users| format!("{} users of realm {}", users.len(), users.realm());
        let challenge = self.challenge.as_ref().map(|asked| users(asked));
        let accept = self.accept_register.as_ref();
        let accept = accept.map(|phones| format!("{}, max {}", users(&phones.users), phones.max));
        let register = self.register.as_ref();
        let expires = register.map(|register| register.expires.as_secs().to_string());
        let none = || "none".to_owned();
        vec![
            ("challenge", challenge.unwrap_or_else(none)),
            ("register", register.is_some().to_string()),
            ("register_expires_s", expires.unwrap_or_else(none)),
            (
                "gin",
                register.is_some_and(|register| register.is_bulk).to_string(),
            ),
            ("accept_register", accept.unwrap_or_else(none)),
        ]
    }

    fn limits(&self) -> Vec<Line> {
        vec![
            ("calls", self.calls.to_string()),
            ("calls_in", self.calls_in.to_string()),
            ("calls_out", self.calls_out.to_string()),
            ("calls_per_second", self.calls_per_second.to_string()),
            ("messages_per_second", self.messages_per_second.to_string()),
            ("burst", self.burst.to_string()),
            ("limit_status", self.limit_status.to_string()),
            ("retry_after_s", self.retry_after_s.to_string()),
        ]
    }

    fn addresses(&self) -> Vec<Line> {
        vec![
            ("listen", self.listen.to_string()),
            ("advertise", self.advertise.clone()),
            (
                "contact_host",
                self.contact_host.as_ref().unwrap_or(&self.advertise).clone(),
            ),
            ("from_host", self.from_host.clone()),
            (
                "media_address",
                format!("{}, in SDP {}", self.media_address, self.media_advertise),
            ),
        ]
    }

    fn extensions_spoken(&self) -> Vec<Line> {
        let timer = &self.sip_policy.timer;
        let refresher = match timer.refresher {
            RefresherWish::Auto => "auto",
            RefresherWish::Us => "us",
            RefresherWish::Peer => "peer",
        };
        let refresh_by = match timer.method {
            RefreshMethod::Auto => "auto",
            RefreshMethod::Update => "update",
            RefreshMethod::Reinvite => "reinvite",
        };
        vec![
            ("rel100", support_word(self.sip_policy.rel100).to_owned()),
            ("session_timer", support_word(timer.support).to_owned()),
            ("session_expires_s", timer.interval_s.to_string()),
            ("min_se_s", timer.min_s.to_string()),
            ("refresher", refresher.to_owned()),
            ("refresh_by", refresh_by.to_owned()),
        ]
    }

    fn media(&self) -> Vec<Line> {
        vec![
            ("media_source", self.media_source.word().to_owned()),
            (
                "media_timeout_s",
                self.media_timeout.map_or(0, |limit| limit.as_secs()).to_string(),
            ),
            ("codecs", list(self.codecs.iter().map(|codec| codec_word(*codec)))),
            ("ptime_ms", self.ptime_ms.to_string()),
            ("answer_codecs", self.answer_codecs.word().to_owned()),
            ("srtp", self.srtp.policy.word().to_owned()),
            (
                "srtp_suites",
                list(self.srtp.suites.iter().map(|suite| suite.name())),
            ),
            ("srtp_offer", self.srtp.offer.word().to_owned()),
            ("srtp_without_tls", self.srtp.without_tls.to_string()),
            ("early_media", self.early_media.word().to_owned()),
            ("dtmf", self.dtmf.word().to_owned()),
            ("hold", self.hold.word().to_owned()),
        ]
    }

    fn numbers(&self) -> Vec<Line> {
        vec![
            (
                "home_country",
                self.home_country.as_deref().unwrap_or("none").to_owned(),
            ),
            ("number_in", self.number_in.word().to_owned()),
            ("number_out", self.number_out.word().to_owned()),
            ("prefix_out", format!("\"{}\"", self.prefix_out)),
            ("uri", self.uri.word().to_owned()),
            ("user_phone", self.user_phone.to_string()),
            ("agents", self.agents.to_string()),
            ("emergency", self.emergency.to_string()),
            ("fraud", fraud_line(&self.fraud)),
            ("extensions", self.extensions.to_string()),
            ("identity_trusted", self.identity_trusted.to_string()),
            ("identity_out", self.identity_out.word().to_owned()),
            ("caller_ids", list(&self.caller_ids)),
            ("diversion_out", self.diversion_out.word().to_owned()),
            ("reason_out", self.reason_out.to_string()),
            ("headers_in", list(&self.headers_in)),
            ("headers_out", list(&self.headers_out)),
        ]
    }

    fn stir(&self) -> Vec<Line> {
        let own = |key: &str| self.provenance.own.iter().any(|own| own == key);
        let given = |key: &str| if own(key) { "given" } else { "none" }.to_owned();
        let signer = self.stir.signer.as_ref();
        vec![
            ("refer_in", self.transfers.refer_in.word().to_owned()),
            ("refer_out", self.transfers.refer_out.word().to_owned()),
            ("replaces_out", self.transfers.replaces_out.to_string()),
            ("redirect", self.transfers.redirect.word().to_owned()),
            ("stir_in", self.stir.incoming.word().to_owned()),
            ("stir_out", signer.map_or("off", |_| "sign").to_owned()),
            ("stir_anchors", given("stir_anchors")),
            ("stir_certs", format!("{} certificates", self.stir.trust.chains())),
            ("stir_hosts", list(&self.stir.hosts)),
            ("stir_key", given("stir_key")),
            (
                "stir_x5u",
                signer.map_or("none", |signer| signer.x5u()).to_owned(),
            ),
            (
                "stir_attest",
                signer.map_or("none", |signer| signer.attest().word()).to_owned(),
            ),
        ]
    }

    /// Keys that have one value in this version.
    fn fixed(&self) -> Vec<Line> {
        vec![("t38", "refuse".to_owned())]
    }
}

type Line = (&'static str, String);

fn fraud_line(fraud: &Fraud) -> String {
    let mut words: Vec<String> = fraud.limits.iter().flat_map(limit_words).collect();
    words.push(format!("redirects {}", fraud.redirects));
    words.join(", ")
}

fn limit_words(limit: &FraudLimit) -> Vec<String> {
    let limits = [
        ("calls", limit.calls),
        ("calls_per_hour", limit.calls_per_hour),
        ("minutes_per_day", limit.minutes_per_day),
    ];
    let set = limits
        .into_iter()
        .filter_map(|(word, limit)| Some((word, limit?)));
    set.map(|(word, allowed)| format!("{}{word} {allowed}", limit.rule_prefix()))
        .collect()
}

fn tls_line(tls: &TrunkTls) -> String {
    let TrunkTls {
        ca,
        identity,
        name,
        min,
        is_known_by_certificate,
    } = tls;
    let ca = ca
        .as_ref()
        .map_or("the system's".into(), |ca| ca.to_string_lossy());
    let shown = identity
        .as_ref()
        .map_or("none".into(), |files| files.cert.to_string_lossy());
    let name = name.as_deref().unwrap_or("its host");
    let needed = if *is_known_by_certificate {
        "needed"
    } else {
        "not needed"
    };
    format!(
        "ca {ca}, cert {shown}, name {name}, min {}, from peers that connect {needed}",
        min.word()
    )
}

fn codec_word(codec: Codec) -> &'static str {
    match codec {
        Codec::Pcmu => "PCMU",
        Codec::Pcma => "PCMA",
        Codec::G722 => "G722",
        Codec::Opus => "opus",
    }
}

fn support_word(support: Support) -> &'static str {
    match support {
        Support::Off => "off",
        Support::Supported => "supported",
        Support::Required => "required",
    }
}

fn list(items: impl IntoIterator<Item = impl Display>) -> String {
    let items = items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>();
    format!("[{}]", items.join(", "))
}

struct Block<'a>(&'a Network);

impl Display for Block<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0.address, self.0.prefix)
    }
}

impl Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.literal() {
            Some((transport, addr)) => write!(f, "{addr};transport={}", transport_word(transport))?,
            None => {
                f.write_str(&self.site.host)?;
                if let Some(port) = self.site.port {
                    write!(f, ":{port}")?;
                }
                if let Some(transport) = self.site.carriage.and_then(transport_of) {
                    write!(f, ";transport={}", transport_word(transport))?;
                }
            }
        }
        write!(f, ";priority={};weight={}", self.priority, self.weight)
    }
}
