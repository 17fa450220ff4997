//! The effective profile of a trunk, as `check` prints it: every key with the value in force.

use std::fmt::{self, Display};

use super::trunk::{Codec, Host, Network, Trunk, transport_of, transport_word};

impl Trunk {
    /// One `key = value` a line, in the order of the documentation; secrets left out.
    pub fn profile(&self) -> String {
        let mut text = format!("[[trunk]] {}\n  preset = generic\n", self.name);
        let groups = [
            self.peers(),
            self.limits(),
            self.addresses(),
            self.media(),
            self.numbers(),
            self.fixed(),
        ];
        for (key, value) in groups.concat() {
            text.push_str(&format!("  {key} = {value}\n"));
        }
        text
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
        ]
    }

    fn limits(&self) -> Vec<Line> {
        vec![
            ("calls", self.calls.to_string()),
            ("calls_in", self.calls_in.to_string()),
            ("calls_out", self.calls_out.to_string()),
            ("calls_per_second", self.calls_per_second.to_string()),
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
            ("user_phone", self.user_phone.to_string()),
            ("agents", self.agents.to_string()),
            ("extensions", self.extensions.to_string()),
            ("identity_trusted", self.identity_trusted.to_string()),
            ("identity_out", self.identity_out.word().to_owned()),
            ("caller_ids", list(&self.caller_ids)),
            ("reason_out", self.reason_out.to_string()),
            ("headers_in", list(&self.headers_in)),
            ("headers_out", list(&self.headers_out)),
        ]
    }

    /// Keys that have one value in this version.
    fn fixed(&self) -> Vec<Line> {
        const FIXED: [(&str, &str); 9] = [
            ("srtp", "off"),
            ("rel100", "off"),
            ("session_timer", "off"),
            ("refer_in", "reject"),
            ("refer_out", "bridge"),
            ("redirect", "refuse"),
            ("t38", "refuse"),
            ("uri", "sip"),
            ("diversion_out", "off"),
        ];
        FIXED.map(|(key, value)| (key, value.to_owned())).to_vec()
    }
}

type Line = (&'static str, String);

fn codec_word(codec: Codec) -> &'static str {
    match codec {
        Codec::Pcmu => "PCMU",
        Codec::Pcma => "PCMA",
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
