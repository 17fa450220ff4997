//! A recorded call of a customer and an agent in virtual time, and whoever wants to disturb its audio.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use house::sim::{Ask, Sdes, Town};
use house::srtp::SUITES;
use house::tone;
use media::shard::Counts;
use serde_json::json;

pub const MS: Duration = Duration::from_millis(1);
/// What the customer and the agent say, and what an attacker says.
pub const CUSTOMER_HZ: f64 = 500.0;
pub const AGENT_HZ: f64 = 800.0;
pub const ATTACK_HZ: f64 = 1_900.0;
/// An address outside the networks of every trunk.
pub const ATTACKER: &str = "10.66.0.66:4000";
/// The longest gap that an attack may make: one packet more than usual.
const GAP_MAX: Duration = Duration::from_millis(40);

pub struct Scene {
    pub town: Town,
    pub router: usize,
    pub customer: usize,
    pub agent: usize,
    begun: Instant,
}

impl Scene {
    /// Both in clear; `carrier` are further keys of the customer's trunk.
    pub fn new(carrier: &str) -> Scene {
        Scene::with(carrier, None)
    }

    /// The customer with SRTP.
    pub fn secure() -> Scene {
        let keys = "srtp = \"required\"\nsrtp_without_tls = true";
        Scene::with(keys, Some(Sdes::new(SUITES[0], Ask::Savp, 0x31)))
    }

    fn with(carrier: &str, sdes: Option<Sdes>) -> Scene {
        let mut town = Town::with(7, |text| {
            text.replace(
                "name = \"carrier\"\n",
                &format!("name = \"carrier\"\n{carrier}\n"),
            )
            .replace(
                "media_allow = [\"10.0.0.0/8\"]",
                "media_allow = [\"10.0.0.0/16\"]",
            )
        });
        let router = town.router();
        let (customer, agent) = (town.customer(CUSTOMER_HZ), town.agent(AGENT_HZ));
        town.parties[customer].sdes = sdes;
        town.parties[customer].sequence = 65_400;
        let (caller, call) = town.answered_call(router, customer);
        let desk = town.dialled(router, agent, &call);
        town.ask(router, "record.start", json!({"target": call}));
        let legs = json!({"call": call, "legs": [caller, desk]});
        town.ask(router, "bridge.create", legs);
        town.run_for(400 * MS);
        assert!(town.media_net.bind(ATTACKER.parse().unwrap()));
        let begun = town.now;
        Scene {
            town,
            router,
            customer,
            agent,
            begun,
        }
    }

    /// The gateway's RTP port towards the customer.
    pub fn port(&self) -> SocketAddr {
        self.town.parties[self.customer].far_media.unwrap()
    }

    /// The gateway's RTCP port beside it.
    pub fn rtcp_port(&self) -> SocketAddr {
        let port = self.port();
        SocketAddr::new(port.ip(), port.port() + 1)
    }

    /// Where the customer's own packets come from.
    pub fn source(&self) -> SocketAddr {
        self.town.parties[self.customer].media
    }

    /// One datagram at the customer's port.
    pub fn send(&self, from: SocketAddr, datagram: &[u8]) {
        self.town.media_net.send(from, datagram, &[], self.port());
    }

    /// Sends each datagram, so many between two turns of a millisecond.
    pub fn spray(&mut self, from: SocketAddr, a_turn: usize, datagrams: impl IntoIterator<Item = Vec<u8>>) {
        for (number, datagram) in datagrams.into_iter().enumerate() {
            if number % a_turn == 0 {
                self.town.run_for(MS);
            }
            self.send(from, &datagram);
        }
        self.town.run_for(20 * MS);
    }

    /// Counts of the media plane.
    pub fn counts(&mut self) -> Counts {
        self.town.media_counts()[0]
    }

    /// From the beginning until now, and for another half second, both heard each other, without a gap and without
    /// anybody else; the recording too holds nobody else.
    pub fn assert_undisturbed(&mut self) {
        let since = self.town.now;
        self.town.run_for(500 * MS);
        let until = self.town.now;
        let ways = [
            (self.customer, AGENT_HZ, CUSTOMER_HZ),
            (self.agent, CUSTOMER_HZ, AGENT_HZ),
        ];
        for (party, other, own) in ways {
            let party = &self.town.parties[party];
            let lately = party.samples(since, until);
            let (other, own) = (tone::level(&lately, other), tone::level(&lately, own));
            assert!(
                other > 0.2 && own < 0.01,
                "{}: the other {other}, itself {own}",
                party.name
            );
            let strange = tone::level(&party.samples(self.begun, until), ATTACK_HZ);
            assert!(strange < 0.01, "{} hears the attacker: {strange}", party.name);
            let gap = party.gap(self.begun, until);
            assert!(gap <= GAP_MAX, "{}: a gap of {gap:?}", party.name);
        }
        assert!(self.town.taped.len() >= 2, "both are recorded");
        for samples in self.town.taped.values() {
            let strange = tone::level(samples, ATTACK_HZ);
            assert!(strange < 0.01, "the attacker is recorded: {strange}");
        }
    }

    /// Nothing was sent to there.
    pub fn assert_sent_nothing(&self, address: &str) {
        let got = self
            .town
            .media_net
            .receive(address.parse().unwrap(), &mut [0; 2048]);
        assert_eq!(got, None, "{address} is sent something");
    }

    /// The call ends as calls do, and everything it had is given back.
    pub fn end(mut self) {
        self.town.hang_up(self.customer);
        self.town.run_for(200 * MS);
        self.town.hang_up(self.agent);
        self.town.run_for(Duration::from_secs(40));
        assert!(self.town.core.engine().is_empty());
        assert_eq!(self.town.records.len(), 1);
        let in_use = self.town.media_in_use();
        assert!(in_use.iter().all(|in_use| *in_use == (0, 0)), "{in_use:?}");
    }
}

/// An RTP packet of the attacker's tone.
pub fn attack(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut samples = [0; 160];
    tone::sine(ATTACK_HZ, 0.5, u64::from(sequence) * 160, &mut samples);
    let mut packet = header(0, ssrc, sequence);
    packet.extend(samples.map(tone::mulaw));
    packet
}

/// A plain RTP header.
pub fn header(payload_type: u8, ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet
}
