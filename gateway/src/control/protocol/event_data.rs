//! What each event tells beside its envelope. Computes nothing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::id::{Id, Name};
use super::params::{HoldMusic, OnControllerLost};
use super::party::{Party, Redirected, Stir};
use super::policy::PolicyDecision;
use super::stats::{DirectionQuality, LegStats};
use super::text::Tags;
use super::time::Timestamp;
use super::view::{Db, Hears};
use super::words::{
    BridgeLeftWhy, BridgeMode, BridgeRole, CodecName, CollectEndedWhy, ControllerLostAction, Direction,
    DtmfMethod, EndReason, EndedBy, MediaDirection, MuteDirection, OpKind, OpOutcome, PlayEndedWhy, Route,
    TraceEndedWhy, TraceNumbers,
};

/// Makes the data type of an event.
macro_rules! data {
    ($($(#[doc = $doc:literal])* $name:ident { $($body:tt)* })+) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
        pub struct $name { $($body)* }
    )+};
}

data! {
    /// Nothing beside the envelope.
    Nothing {}

    /// The gateway is up.
    GatewayStarted {
        /// Its version.
        pub version: String,
        /// Calls that the crash before this start ended.
        pub lost_calls: u64,
    }

    /// Nothing happened; the number of the last event is repeated.
    Tick {
        /// The number of the last event.
        pub seq: u64,
    }

    /// Calls are still up while the gateway is emptied.
    DrainProgress {
        /// So many.
        pub left: u64,
    }

    /// What of a changed configuration is in use.
    ConfigApplied {
        /// Entries of the number map that were not there.
        pub numbers_added: u64,
        /// Entries that are no more.
        pub numbers_removed: u64,
        /// Entries with another app, or another `unclaimed`.
        pub numbers_changed: u64,
        /// Trunks that may show other numbers than before.
        pub trunks_with_other_caller_ids: u64,
        /// Tables and keys of the file that differ from what runs and wait for a restart.
        pub waits_for_restart: Vec<String>,
    }

    /// Something needs a person, or no longer does.
    Alarm {
        /// What, a stable word.
        pub kind: String,
        /// For people.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub message: Option<String>,
    }

    /// The last connection of an application is gone.
    ControllerLost {
        /// The application.
        pub app: Name,
        /// When something is done about it.
        pub after_ms: u64,
        /// What then, where a leg does not say otherwise.
        pub action: ControllerLostAction,
    }

    /// An application is connected again.
    ControllerReturned {
        /// The application.
        pub app: Name,
    }

    /// A trunk can be used.
    TrunkUp {
        /// The trunk.
        pub trunk: Name,
    }

    /// A trunk cannot be used.
    TrunkDown {
        /// The trunk.
        pub trunk: Name,
        /// Why, a stable word.
        pub why: String,
    }

    /// A trunk is registered.
    TrunkRegistered {
        /// The trunk.
        pub trunk: Name,
        /// The server that has its contact.
        pub server: String,
        /// For how long; it is refreshed before.
        pub expires_s: u64,
    }

    /// A server did not take a trunk's registration.
    TrunkRegistrationFailed {
        /// The trunk.
        pub trunk: Name,
        /// The server.
        pub server: String,
        /// Why: `refused` (it answered), `timeout` or `transport`.
        pub why: String,
        /// Its final SIP status; null where it gave none.
        pub sip: Option<u16>,
        /// When the next request goes out, to this server or another; null: never, it was forbidden (403).
        pub retry_in_ms: Option<u64>,
    }

    /// A user's phones.
    PhoneRegistration {
        /// The trunk.
        pub trunk: Name,
        /// The user: `leg.dial` reaches it as `sip:USER` on that trunk.
        pub user: String,
    }

    /// A call came in on a leg.
    LegIncoming {
        /// The caller.
        pub from: Party,
        /// The number called.
        pub to: Party,
        /// Where it came from.
        pub trunk: Name,
        /// Headers that the trunk lets pass.
        pub headers: BTreeMap<String, String>,
        /// The codecs offered that we know, in the peer's order.
        pub codecs: Vec<CodecName>,
        /// Who sent the call on to us, if anyone did.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub redirected: Option<Redirected>,
        /// What its signature is worth; left out where there is none to tell of.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub stir: Option<Stir>,
        /// Who authenticated, where the trunk asks for that.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub user: Option<String>,
        /// The leg that it takes the place of once it is answered: the peer sent Replaces.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub replaces: Option<Id>,
    }

    /// An INVITE went out.
    LegDialing {
        /// The caller shown.
        pub from: Party,
        /// The destination.
        pub to: Party,
        /// Where it went.
        pub trunk: Name,
        /// Why it went there.
        pub route: Route,
        /// Why it may be dialled.
        pub decision: PolicyDecision,
    }

    /// 18x was sent or came.
    LegRinging {
        /// Whether audio comes with it.
        pub early_media: bool,
        /// The SIP status.
        pub sip: u16,
    }

    /// A leg was answered.
    LegAnswered {
        /// The codec agreed on.
        pub codec: CodecName,
        /// Whether its media is encrypted.
        pub secure: bool,
        /// From the INVITE to the answer.
        pub setup_ms: u64,
    }

    /// Settings or what was agreed with the peer changed; only what changed is named.
    LegUpdated {
        /// The codec.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub codec: Option<CodecName>,
        /// Whether its media is encrypted, where that has changed.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub secure: Option<bool>,
        /// Gain of what the peer says.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub gain_rx_db: Option<Db>,
        /// Gain of what the peer hears.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub gain_tx_db: Option<Db>,
        /// What happens when the application's last connection is gone.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub on_controller_lost: Option<OnControllerLost>,
        /// Ended after so long.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub max_duration_ms: Option<u64>,
    }

    /// A leg is held.
    LegHeld {
        /// What it hears: a class of music, or null for silence.
        pub music: HoldMusic,
    }

    /// A mute began or ended.
    LegMuting {
        /// Which way.
        pub direction: MuteDirection,
    }

    /// A party pressed a digit; told at the digit's end.
    LegDtmf {
        /// `0-9 * # A-D`.
        pub digit: char,
        /// How it came.
        pub method: DtmfMethod,
        /// How long it was pressed.
        pub duration_ms: u64,
    }

    /// Audio passes one way only; `leg.media_restored` tells that it is over.
    LegOneWay {
        /// The way in which none passes.
        pub direction: MediaDirection,
        /// Since when, as far as is known: for `tx` since the peer's reports, or the kernel, show it.
        pub since: Timestamp,
    }

    /// How well a leg was over the last 5 s, in its worse direction. Comes every `media.quality_interval_s`, and at once
    /// where `mos` crosses 4.03, 3.60 or 3.10 (ITU-T G.107 annex B: nearly all, some, many are dissatisfied).
    LegQuality {
        /// Quality estimated from loss and delay (ITU-T G.107), 1 to 4.5.
        pub mos: f64,
        /// The part of the packets that is lost or late, 0 to 1.
        pub loss: f64,
        /// Interarrival jitter.
        pub jitter_ms: f64,
        /// Round trip; null until a report told it.
        pub rtt_ms: Option<f64>,
        /// What we hear of the peer; null where it said nothing.
        pub rx: Option<DirectionQuality>,
        /// What the peer hears of us, as it reports; null without a report of the last 15 s.
        pub tx: Option<DirectionQuality>,
    }

    /// A leg is over.
    LegEnded {
        /// Who ended it.
        pub by: EndedBy,
        /// Why.
        pub reason: EndReason,
        /// The final SIP status of its INVITE; null where none was.
        pub sip: Option<u16>,
        /// The Q.850 cause; null where none is known.
        pub q850: Option<u16>,
        /// From the INVITE to the answer or the end.
        pub ring_ms: u64,
        /// From the answer to the end.
        pub talk_ms: u64,
        /// All holds together.
        pub hold_ms: u64,
        /// True where it was cancelled because the call was answered elsewhere: no missed call.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        pub answered_elsewhere: bool,
        /// Where a 3xx sends the caller, best first, on a trunk with `redirect = "ask"`; at most 8, and only the
        /// first time in a call. One of them may be dialled, by `leg.dial` with this call.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub contacts: Vec<String>,
    }

    /// The peer wants its party transferred (REFER). Nothing is dialled before `transfer.accept`.
    LegTransferRequested {
        /// Whom it wants called.
        pub to: String,
        /// The leg in whose place the party is to come: an attended transfer between two legs of the peer.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub with: Option<Id>,
        /// Who asks, as the peer says (RFC 3892).
        #[serde(skip_serializing_if = "Option::is_none")]
        pub referred_by: Option<String>,
        /// The status it was refused with already, where the trunk does not ask; null: it waits for an answer.
        pub sip: Option<u16>,
    }

    /// How far a transfer is.
    TransferProgress {
        /// The status of the new call, or of the REFER that was refused.
        pub sip: u16,
    }

    /// A call began.
    CallStarted {
        /// Its application.
        pub app: Name,
        /// How its first leg was set up.
        pub direction: Direction,
        /// The caller.
        pub from: Party,
        /// The destination.
        pub to: Party,
    }

    /// A call was not let in.
    CallRefused {
        /// The rule, such as `instance.calls`.
        pub rule: String,
        /// The limit; null where the rule is none.
        pub limit: Option<u64>,
        /// The count before this call; null where the rule is no limit.
        pub value: Option<u64>,
        /// The caller.
        pub from: Party,
        /// The number called.
        pub to: Party,
        /// Where it came from, or was to go.
        pub trunk: Name,
        /// Of a dial: what decided, the very object its error carries.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub decision: Option<serde_json::Map<String, serde_json::Value>>,
    }

    /// Tags were put on a call.
    CallTagged {
        /// All its tags.
        pub tags: Tags,
    }

    /// A bridge was made.
    BridgeCreated {
        /// How it carries audio.
        pub mode: BridgeMode,
        /// Most members.
        pub max_legs: u32,
    }

    /// A leg is a member.
    BridgeJoined {
        /// What it is there.
        pub role: BridgeRole,
        /// Who hears whom with it.
        pub hears: Hears,
    }

    /// A leg is no longer a member.
    BridgeLeft {
        /// Why.
        pub why: BridgeLeftWhy,
    }

    /// A leg went from one bridge to another at once. The envelope names the other.
    BridgeMoved {
        /// Where it was.
        pub from: Id,
        /// Where it is.
        pub to: Id,
    }

    /// A bridge carries audio another way.
    BridgeModeChanged {
        /// How.
        pub mode: BridgeMode,
    }

    /// Who hears whom changed.
    BridgeMatrix {
        /// Who hears whom.
        pub hears: Hears,
    }

    /// A play is over.
    PlayEnded {
        /// Why.
        pub why: PlayEndedWhy,
        /// How far it came.
        pub position_ms: u64,
    }

    /// Collecting is over.
    CollectEnded {
        /// The digits, without the terminator.
        pub digits: String,
        /// Why.
        pub why: CollectEndedWhy,
    }

    /// A recording began.
    RecordStarted {
        /// What is recorded: a call, a bridge or a leg.
        pub target: Id,
        /// Where the joined file will be.
        pub path: String,
    }

    /// A recording grows by silence, or no longer does.
    RecordPausing {
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub reason: Option<String>,
    }

    /// A recording takes no more audio.
    RecordStopped {
        /// Its length.
        pub duration_ms: u64,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub reason: Option<String>,
    }

    /// A recording is on disk.
    RecordStored {
        /// `file://` URI of the joined file.
        pub uri: String,
        /// Lower-case hex SHA-256 of that file.
        pub sha256: String,
        /// The parties, in the order of its channels.
        pub channels: Vec<Id>,
        /// Its length.
        pub duration_ms: u64,
    }

    /// A recording could not be kept.
    RecordFailed {
        /// Why, for people.
        pub why: String,
    }

    /// A trace began.
    TraceStarted {
        /// The trace.
        pub trace: Id,
        /// The trunk it follows.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub trunk: Option<Name>,
        /// For how long.
        pub ms: u64,
        /// How it writes numbers and names.
        pub numbers: TraceNumbers,
    }

    /// A trace is over.
    TraceEnded {
        /// The trace.
        pub trace: Id,
        /// Why.
        pub why: TraceEndedWhy,
        /// Messages it followed.
        pub messages: u64,
        /// Of those, the ones that a slow disk lost.
        pub lost: u64,
        /// Where messages and ladder are.
        pub text: String,
        /// Where the pcap file is.
        pub pcap: String,
        /// What went wrong, for people.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub error: Option<String>,
    }

    /// Long work came to its end.
    OpEnded {
        /// The op.
        pub op: Id,
        /// What it was.
        pub kind: OpKind,
        /// How it came out.
        pub outcome: OpOutcome,
        /// Where it failed: the peer's SIP status, if it gave one.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub sip: Option<u16>,
    }

    /// Measurements of the legs that a subscription covers.
    Stats {
        /// By leg.
        pub legs: BTreeMap<Id, LegStats>,
    }
}
