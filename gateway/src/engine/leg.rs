//! A leg: one party of a call, that is one SIP dialog and one RTP stream.
//!
//! Owns the party's state, flags and times. Changes only through the rooms that know the rules
//! (`inbound`, `dial`, `hold`, `ending` …). Knows nothing of sockets, JSON or other legs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::PlayKey;
use sip::endpoint::{ExtraHeader, Flow, SessionKey};
use sip::sdp::LocalMedia;

use super::audio::info_digits::InfoDigits;
use super::audio::listening::Listening;
use super::audio::media_plan::MediaPlan;
use super::callers::redirected::Diverter;
use super::io::Now;
use super::keys::{BridgeKey, CallKey, LegKey, OpKey};
use super::policy::admission::Way;
use super::table::Row;
use super::transfers::referred::Asked;
use crate::control::protocol::{
    CodecName, EndReason, EndedBy, Id, LegDial, Name, OnControllerLost, Party, Redirected,
};
use crate::stir::Statement;

/// One party.
#[derive(Clone, Debug)]
pub struct Leg {
    /// Our number for it.
    pub key: LegKey,
    /// Its id towards clients.
    pub id: Id,
    /// The call it belongs to.
    pub call: CallKey,
    /// The app that owns it.
    pub app: Name,
    /// Index of its trunk.
    pub trunk: usize,
    /// The SIP session.
    pub session: SessionKey,
    /// The caller as shown to clients.
    pub from: Party,
    /// The called party as shown to clients.
    pub to: Party,
    /// How far it is.
    pub stage: Stage,
    /// What is special to its direction.
    pub origin: Origin,
    /// Set while held here.
    pub hold: Option<Hold>,
    /// The peer holds us by its SDP.
    pub far_held: bool,
    /// Nobody hears this party.
    pub muted_send: bool,
    /// This party hears nobody.
    pub muted_recv: bool,
    /// Added to what this party says, dB.
    pub gain_rx_db: f32,
    /// Added to what this party hears, dB.
    pub gain_tx_db: f32,
    /// Its stream.
    pub media: LegMedia,
    /// The bridge it is in.
    pub bridge: Option<BridgeKey>,
    /// Digits on their way to it by INFO.
    pub info_digits: InfoDigits,
    /// A running collect.
    pub collect: Option<OpKey>,
    /// A REFER of the peer that waits for a word.
    pub asked: Option<Box<Asked>>,
    /// When things happened.
    pub times: Times,
    /// Holds so far.
    pub hold_tally: HoldTally,
    /// Targets tried, for the call record.
    pub attempts: Vec<Attempt>,
    /// Longest time from its answer (`leg.set max_duration_ms`).
    pub max_duration: Option<Duration>,
    /// What happens when its app's last connection is gone; `None`: the app's own rule.
    pub on_controller_lost: Option<OnControllerLost>,
    /// When that happens; set while the app has no connection.
    pub controller_lost_at: Option<Instant>,
    /// Codecs this leg is limited to, in order; `None`: those of its trunk.
    pub codecs: Option<Vec<CodecName>>,
    /// Clients' own words.
    pub tags: BTreeMap<String, String>,
}

/// How far a leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Inbound, nothing but 100 sent; or outbound, no 18x seen.
    Trying,
    /// An 18x was sent or seen.
    Ringing,
    /// Inbound: our 200 is out, its ACK is not in.
    Answering,
    /// Talking.
    Answered,
    /// Over; the record of its call is not written yet.
    Ended {
        /// Who ended it.
        by: EndedBy,
        /// Why.
        reason: EndReason,
        /// The SIP status, if one decided.
        sip: Option<u16>,
        /// The Q.850 cause.
        q850: Option<u8>,
    },
}

/// What is special to a direction.
#[derive(Clone, Debug)]
pub enum Origin {
    /// The peer called.
    In(Inbound),
    /// We called.
    Out(Box<Outbound>),
}

/// The half of an inbound leg that only it has.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// Call-ID of its dialog.
    pub call_id: String,
    /// The offer; none: ours goes out in the 200, or in the first 18x where they are reliable.
    pub offer: Option<Bytes>,
    /// How its INVITE came here, for those it leads to.
    pub hops: Hops,
    /// 18x go out reliably (RFC 3262).
    pub is_reliable: bool,
    /// What is owed to the peer as soon as the port is known.
    pub owed: Owed,
    /// The body of our 18x or 200: our answer, or our offer where the INVITE had none.
    pub sent: Option<Bytes>,
    /// Who sent the call on to us.
    pub redirected: Option<Redirected>,
    /// The leg that it takes the place of once it is answered.
    pub replaces: Option<LegKey>,
}

/// What an INVITE says of its way, carried over to the INVITEs it leads to (RFC 3261 §16.3, §16.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hops {
    /// Hops that were left when it came; none said so.
    pub left: Option<u8>,
    /// Marks of gateways it has passed.
    pub marks: Vec<String>,
}

/// A reply that waits for the stream's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owed {
    /// Nothing.
    Nothing,
    /// A provisional response with SDP.
    Early(u16),
    /// The 200.
    Answer,
    /// The 200, and the BYE after it: the router has answered and hung up since.
    Goodbye,
}

/// The half of an outbound leg that only it has.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// Its op, until answered or ended.
    pub op: Option<OpKey>,
    /// The transfer it was dialled for, until it is answered.
    pub transfer: Option<OpKey>,
    /// When the ring limit ends it; `None` once answered or ended.
    pub ring_until: Option<Instant>,
    /// Whether early media is let through.
    pub early_media: bool,
    /// Remote tag of the early dialog heard at present.
    pub early_tag: Option<String>,
    /// Targets still to be tried, next first.
    pub targets: Vec<Flow>,
    /// Until when DNS may say where the peers are; `None`: it has.
    pub names_until: Option<Instant>,
    /// Trunks tried once this one has no target left, next first.
    pub fallback: Vec<usize>,
    /// The trunk whose seizure was counted last.
    pub seized: Option<usize>,
    /// What this attempt has shown.
    pub heard: Heard,
    /// The command, for the next trunk.
    pub dial: LegDial,
    /// The target being tried.
    pub target: Option<Flow>,
    /// What every attempt says.
    pub invite: InviteText,
}

/// What an attempt has shown of its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Heard {
    /// Nothing above 100.
    Nothing,
    /// An 18x that is no 180: the call may still go elsewhere.
    Progress,
    /// 180: somebody is asked, and routing on is over.
    Ringing,
}

/// The parts of an outbound INVITE that do not depend on the target.
#[derive(Clone, Debug, Default)]
pub struct InviteText {
    /// User part or whole URI for the Request-URI.
    pub to: Addressee,
    /// From as a name-addr.
    pub from: String,
    /// Further headers.
    pub headers: Vec<ExtraHeader>,
    /// Shared by all attempts.
    pub call_id: String,
    /// Shared by all attempts.
    pub from_tag: String,
    /// Hops left.
    pub max_forwards: u8,
    /// Who sent the call on, oldest first; History-Info names the target too.
    pub diverters: Vec<Diverter>,
    /// What is signed of it, for each attempt anew.
    pub statement: Option<Statement>,
}

/// Whom an outbound INVITE names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// A user part as it is written on this trunk; the host is the target's.
    Number(String),
    /// A whole URI.
    Uri(String),
    /// A user with registered phones: the URI of each target, in order.
    Phones {
        /// The user.
        user: String,
        /// Request-URIs.
        uris: Vec<String>,
    },
}

impl Leg {
    /// Call-ID of its dialog, or of the attempt that runs.
    pub fn call_id(&self) -> &str {
        match &self.origin {
            Origin::In(inbound) => &inbound.call_id,
            Origin::Out(outbound) => &outbound.invite.call_id,
        }
    }
}

impl Default for Addressee {
    fn default() -> Self {
        Addressee::Uri(String::new())
    }
}

/// Held by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Music class; `None` is silence.
    pub music: Option<String>,
    /// Since when.
    pub since: Instant,
    /// Whether the peer was told by re-INVITE.
    pub signalled: bool,
}

/// The leg's stream as the engine knows it.
#[derive(Clone, Debug)]
pub struct LegMedia {
    /// Which shard has it.
    pub shard: usize,
    /// Its address in our SDP, once opened.
    pub local: Option<SocketAddr>,
    /// What was agreed, and what of it the shard knows.
    pub plan: MediaPlan,
    /// Our side of the SDP as sent last: session id and version live here.
    pub offered: Option<LocalMedia>,
    /// `o=` session id.
    pub sdp_id: u64,
    /// `o=` version of what was sent last.
    pub sdp_version: u64,
    /// What was sent last.
    pub sent: Option<Bytes>,
    /// RTP arrives.
    pub rx: bool,
    /// RTP leaves.
    pub tx: bool,
    /// `leg.media_up` is out.
    pub up_told: bool,
    /// Since when nothing arrives though it should.
    pub silent_since: Option<Instant>,
    /// What was told of how well it is.
    pub listening: Listening,
    /// What the shard mixes for this leg now.
    pub applied: Applied,
    /// When that silence ends the leg.
    pub timeout_at: Option<Instant>,
    /// A re-INVITE of ours is open: what it would change.
    pub reinvite: Option<Reinvite>,
    /// The peer's re-INVITE had no offer: ours is in the 200, the answer comes with the ACK.
    pub late_reoffer: bool,
    /// Numbers asked for last.
    pub measured: Option<Box<media::stream::Stats>>,
    /// The shard has reported it closed, with its last numbers.
    pub closed: Option<Box<media::stream::Stats>>,
}

/// What the shard was last told to do for one leg.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// Who it hears, with gains.
    pub hears: Vec<(LegKey, f32)>,
    /// What plays beneath.
    pub background: Option<(Background, PlayKey)>,
    /// Digits pass on; `None`: never told (the shard's default is yes).
    pub digits_blocked: bool,
}

/// What a leg hears when nobody speaks to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Background {
    /// Music of this class.
    Music(String),
    /// The ring tone of the called party.
    Ringback,
}

/// Why we sent a re-INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reinvite {
    /// The op of the `leg.hold` or `leg.resume` that asked for it.
    pub op: OpKey,
    /// Whether the peer took itself for held before it.
    pub was_signalled: bool,
}

/// When things happened, on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// INVITE came or `leg.dial` was taken.
    pub offered: Now,
    /// First 18x.
    pub ringing: Option<Now>,
    /// Answered.
    pub answered: Option<Now>,
    /// Ended.
    pub ended: Option<Now>,
}

/// Holds counted up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HoldTally {
    /// How many have begun.
    pub count: u32,
    /// Time of those that are over.
    pub total: Duration,
    /// The longest that is over.
    pub longest: Duration,
}

impl HoldTally {
    /// Adds one hold that lasted so long.
    pub fn add(&mut self, lasted: Duration) {
        self.total += lasted;
        self.longest = self.longest.max(lasted);
    }
}

/// One target that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// `address:port;transport=…`.
    pub peer: String,
    /// Its final status; none: it never answered.
    pub status: Option<u16>,
    /// The cause read from it.
    pub q850: Option<u8>,
}

impl LegMedia {
    /// A stream not yet opened.
    pub fn new(shard: usize, sdp_id: u64) -> Self {
        LegMedia {
            shard,
            local: None,
            plan: MediaPlan::default(),
            offered: None,
            sdp_id,
            sdp_version: 0,
            sent: None,
            rx: false,
            tx: false,
            up_told: false,
            silent_since: None,
            timeout_at: None,
            listening: Listening::default(),
            applied: Applied::default(),
            reinvite: None,
            late_reoffer: false,
            measured: None,
            closed: None,
        }
    }

    /// Offer and answer let us send.
    pub fn may_send(&self) -> bool {
        self.plan
            .agreed
            .as_ref()
            .is_some_and(|negotiated| negotiated.send)
    }

    /// Offer and answer let the peer send.
    pub fn may_receive(&self) -> bool {
        self.plan
            .agreed
            .as_ref()
            .is_some_and(|negotiated| negotiated.receive)
    }
}

impl Leg {
    /// Which way it goes on its trunk.
    pub fn way(&self) -> Way {
        match self.origin {
            Origin::In(_) => Way::In,
            Origin::Out(_) => Way::Out,
        }
    }

    /// Answered as far as the router goes, whether or not the 200 is out or acknowledged.
    pub fn is_taken(&self) -> bool {
        let owes_answer = self.inbound().is_some_and(|inbound| inbound.owed == Owed::Answer);
        match self.stage {
            Stage::Answered => true,
            Stage::Answering => self.inbound().is_some(),
            Stage::Trying | Stage::Ringing => owes_answer,
            Stage::Ended { .. } => false,
        }
    }

    /// The Q.850 cause it ended with.
    pub fn ended_q850(&self) -> Option<u8> {
        match self.stage {
            Stage::Ended { q850, .. } => q850,
            Stage::Trying | Stage::Ringing | Stage::Answering | Stage::Answered => None,
        }
    }

    /// Ended, but its peer has not had its 200 and BYE.
    pub fn owes_goodbye(&self) -> bool {
        self.inbound()
            .is_some_and(|inbound| inbound.owed == Owed::Goodbye)
    }

    /// Over or not.
    pub fn is_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended { .. })
    }

    /// Speech may pass: answered, or early media has begun to flow.
    pub fn is_up(&self) -> bool {
        match self.stage {
            Stage::Answered => true,
            Stage::Ringing | Stage::Trying => self.is_early(),
            Stage::Answering | Stage::Ended { .. } => false,
        }
    }

    /// An outbound leg whose early media flows.
    pub fn is_early(&self) -> bool {
        match &self.origin {
            Origin::Out(out) => {
                !matches!(self.stage, Stage::Answered | Stage::Ended { .. })
                    && out.early_media
                    && out.early_tag.is_some()
                    && self.media.rx
            }
            Origin::In(_) => false,
        }
    }

    /// The inbound half, if it is one.
    pub fn inbound(&self) -> Option<&Inbound> {
        match &self.origin {
            Origin::In(inbound) => Some(inbound),
            Origin::Out(_) => None,
        }
    }

    /// When silence ends the leg; a held one may be silent.
    pub fn media_timeout_at(&self) -> Option<Instant> {
        if self.hold.is_some() || self.far_held {
            return None;
        }
        self.media.timeout_at
    }

    /// When its longest time is over; a leg that rings has not begun it.
    pub fn max_duration_at(&self) -> Option<Instant> {
        match self.stage {
            Stage::Answered => Some(self.times.answered?.mono + self.max_duration?),
            Stage::Trying | Stage::Ringing | Stage::Answering | Stage::Ended { .. } => None,
        }
    }

    /// The outbound half, if it is one.
    pub fn outbound(&self) -> Option<&Outbound> {
        match &self.origin {
            Origin::Out(outbound) => Some(outbound),
            Origin::In(_) => None,
        }
    }

    /// The outbound half to change.
    pub fn outbound_mut(&mut self) -> Option<&mut Outbound> {
        match &mut self.origin {
            Origin::Out(outbound) => Some(outbound),
            Origin::In(_) => None,
        }
    }

    /// The inbound half to change.
    pub fn inbound_mut(&mut self) -> Option<&mut Inbound> {
        match &mut self.origin {
            Origin::In(inbound) => Some(inbound),
            Origin::Out(_) => None,
        }
    }

    /// Ends the running hold, if any, and counts it.
    pub fn take_hold(&mut self, now: Instant) -> Option<Hold> {
        let hold = self.hold.take()?;
        self.hold_tally.add(now.saturating_duration_since(hold.since));
        Some(hold)
    }

    /// Hold time so far, the running one included.
    pub fn hold_time(&self, now: Instant) -> (Duration, Duration) {
        let running = self
            .hold
            .as_ref()
            .map(|hold| now.saturating_duration_since(hold.since));
        let running = running.unwrap_or_default();
        (
            self.hold_tally.total + running,
            self.hold_tally.longest.max(running),
        )
    }
}

impl Row for Leg {
    fn deadline(&self) -> Option<Instant> {
        if self.is_ended() {
            return None;
        }
        let ring = self.outbound().and_then(|out| out.ring_until);
        let names = self.outbound().and_then(|out| out.names_until);
        let all = [
            ring,
            names,
            self.max_duration_at(),
            self.media_timeout_at(),
            self.controller_lost_at,
            self.info_digits.deadline(),
            self.asked.as_ref().map(|asked| asked.until),
        ];
        all.into_iter().flatten().min()
    }
}
