//! The effective profile of a trunk, as `check` prints it: every key with the value in force.

use std::fmt::{self, Display, Write};

use super::trunk::{Codec, Host, Network, Trunk, transport_word};

impl Trunk {
    /// One `key = value` a line, in the order of the documentation; secrets left out.
    pub fn profile(&self) -> String {
        let mut text = format!("[[trunk]] {}\n", self.name);
        // Writing to a String cannot fail.
        let _ = self.write_profile(&mut text);
        text
    }

    fn write_profile(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "  preset = generic")?;
        writeln!(out, "  hosts = {}", list(&self.hosts))?;
        writeln!(out, "  allow = {}", list(self.allow.iter().map(Block)))?;
        writeln!(
            out,
            "  media_allow = {}",
            list(self.media_allow.iter().map(Block))
        )?;
        writeln!(
            out,
            "  calls = {}, in {}, out {}",
            self.calls, self.calls_in, self.calls_out
        )?;
        writeln!(
            out,
            "  calls_per_second = {}, burst {}",
            self.calls_per_second, self.burst
        )?;
        writeln!(
            out,
            "  limit_status = {}, retry_after_s = {}",
            self.limit_status, self.retry_after_s
        )?;
        writeln!(
            out,
            "  route_on = {}, attempts_max = {}",
            list(&self.route_on),
            self.attempts_max
        )?;
        writeln!(out, "  timer_b_ms = {}", self.timer_b.as_millis())?;
        match &self.auth {
            Some(auth) => writeln!(
                out,
                "  auth = {}, realm {}",
                auth.username,
                or_any(auth.realm.as_deref())
            )?,
            None => writeln!(out, "  auth = none")?,
        }
        writeln!(
            out,
            "  listen = {}://{}",
            transport_word(self.listen.transport),
            self.listen.addr
        )?;
        let contact = self.contact_host.as_deref().unwrap_or(&self.advertise);
        writeln!(
            out,
            "  advertise = {}, contact_host = {contact}, from_host = {}",
            self.advertise, self.from_host
        )?;
        writeln!(
            out,
            "  media_address = {}, in SDP {}",
            self.media_address, self.media_advertise
        )?;
        writeln!(out, "  media_source = {}", self.media_source.word())?;
        writeln!(
            out,
            "  media_timeout_s = {}",
            self.media_timeout.map_or(0, |limit| limit.as_secs())
        )?;
        let codecs = list(self.codecs.iter().map(|codec| codec_word(*codec)));
        writeln!(
            out,
            "  codecs = {codecs}, ptime_ms = {}, answer {}",
            self.ptime_ms,
            self.answer_codecs.word()
        )?;
        writeln!(
            out,
            "  early_media = {}, dtmf = {}",
            self.early_media.word(),
            self.dtmf.word()
        )?;
        writeln!(out, "  hold = {}, srtp = off", self.hold.word())?;
        writeln!(
            out,
            "  home_country = {}",
            self.home_country.as_deref().unwrap_or("none")
        )?;
        writeln!(
            out,
            "  number_in = {}, number_out = {}",
            self.number_in.word(),
            self.number_out.word()
        )?;
        writeln!(
            out,
            "  prefix_out = \"{}\", user_phone = {}",
            self.prefix_out, self.user_phone
        )?;
        writeln!(
            out,
            "  agents = {}, extensions = {}",
            self.agents, self.extensions
        )?;
        writeln!(
            out,
            "  identity_trusted = {}, identity_out = {}",
            self.identity_trusted,
            self.identity_out.word()
        )?;
        writeln!(out, "  caller_ids = {}", list(&self.caller_ids))?;
        writeln!(out, "  reason_out = {}", self.reason_out)?;
        writeln!(
            out,
            "  headers_in = {}, headers_out = {}",
            list(&self.headers_in),
            list(&self.headers_out)
        )?;
        writeln!(
            out,
            "  rel100 = off, session_timer = off, refer_in = reject, refer_out = bridge, redirect = refuse"
        )
    }
}

fn codec_word(codec: Codec) -> &'static str {
    match codec {
        Codec::Pcmu => "PCMU",
        Codec::Pcma => "PCMA",
    }
}

fn or_any(realm: Option<&str>) -> &str {
    realm.unwrap_or("any of its own addresses")
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
        let Host {
            addr,
            transport,
            priority,
            weight,
        } = self;
        write!(
            f,
            "{addr};transport={};priority={priority};weight={weight}",
            transport_word(*transport)
        )
    }
}
