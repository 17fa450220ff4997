//! Events: their names, their data, and the line they are written as. Numbers nothing itself.

use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::call_record::WrittenRecord;
use super::cause::Cause;
use super::event_data::*;
use super::id::{Id, Name};
use super::limits::Limits;
use super::text::Tags;
use super::time::Timestamp;

/// Makes the enum of events and the list of them from one table.
macro_rules! events {
    ($($(#[doc = $doc:literal])* $name:literal => $variant:ident($data:ty)),+ $(,)?) => {
        /// What happened.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Event { $($(#[doc = $doc])* $variant($data)),+ }

        impl Event {
            /// Every event, in the order of the contract.
            pub const ALL: &'static [EventInfo] = &[$(EventInfo {
                name: $name,
                doc: concat!($($doc),*),
                data: |generator| generator.subschema_for::<$data>(),
            }),+];

            /// The `type` it is written with.
            pub const fn type_name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name),+ }
            }
        }
    };
}

/// A row of the list of events.
pub struct EventInfo {
    /// Its `type`.
    pub name: &'static str,
    /// What it tells.
    pub doc: &'static str,
    /// The schema of its `data`.
    pub data: fn(&mut SchemaGenerator) -> Schema,
}

events! {
    /// The gateway is up; `lost_calls` counts the calls that a crash before this start ended.
    "gateway.started" => GatewayStarted(GatewayStarted),
    /// The gateway goes down.
    "gateway.stopping" => GatewayStopping(Nothing),
    /// At least every 5 s: the number of the last event. Takes no number of its own.
    "tick" => Tick(Tick),
    /// Calls are still up while the gateway is emptied.
    "drain.progress" => DrainProgress(DrainProgress),
    /// The last call is gone after a drain.
    "drain.done" => DrainDone(Nothing),
    /// The configuration file was read again, and its number map is in use.
    "config.applied" => ConfigApplied(ConfigApplied),
    /// Limits changed.
    "limits.changed" => LimitsChanged(Box<Limits>),
    /// Something needs a person.
    "alarm.raised" => AlarmRaised(Alarm),
    /// It no longer does.
    "alarm.cleared" => AlarmCleared(Alarm),
    /// The last connection of an application is gone.
    "controller.lost" => ControllerLost(ControllerLost),
    /// An application is connected again.
    "controller.returned" => ControllerReturned(ControllerReturned),
    /// A trunk can be used.
    "trunk.up" => TrunkUp(TrunkUp),
    /// A trunk cannot be used.
    "trunk.down" => TrunkDown(TrunkDown),
    /// A trunk that registers is registered, or registered again after it was not.
    "trunk.registered" => TrunkRegistered(TrunkRegistered),
    /// A server did not take a trunk's registration.
    "trunk.registration_failed" => TrunkRegistrationFailed(TrunkRegistrationFailed),
    /// A user of a trunk that takes registrations has its first phone registered.
    "phone.registered" => PhoneRegistered(PhoneRegistration),
    /// Its last one is gone.
    "phone.unregistered" => PhoneUnregistered(PhoneRegistration),
    /// A call came in on a leg.
    "leg.incoming" => LegIncoming(Box<LegIncoming>),
    /// An INVITE went out.
    "leg.dialing" => LegDialing(Box<LegDialing>),
    /// 18x was sent or came.
    "leg.ringing" => LegRinging(LegRinging),
    /// A leg was answered: inbound when our 200 was acknowledged, outbound when the peer's 2xx came.
    "leg.answered" => LegAnswered(LegAnswered),
    /// Audio passes both ways.
    "leg.media_up" => LegMediaUp(Nothing),
    /// Settings or what was agreed with the peer changed.
    "leg.updated" => LegUpdated(LegUpdated),
    /// A leg is held, or hears other music on hold.
    "leg.held" => LegHeld(LegHeld),
    /// A leg is no longer held.
    "leg.resumed" => LegResumed(Nothing),
    /// The peer holds us.
    "leg.far_held" => LegFarHeld(Nothing),
    /// The peer no longer holds us.
    "leg.far_resumed" => LegFarResumed(Nothing),
    /// A mute began.
    "leg.muted" => LegMuted(LegMuting),
    /// A mute ended.
    "leg.unmuted" => LegUnmuted(LegMuting),
    /// A party pressed a digit; told at the digit's end.
    "leg.dtmf" => LegDtmf(LegDtmf),
    /// Audio passes one way only.
    "leg.one_way" => LegOneWay(LegOneWay),
    /// Quality crossed a mark.
    "leg.quality" => LegQuality(LegQuality),
    /// No RTP arrives.
    "leg.media_lost" => LegMediaLost(Nothing),
    /// RTP arrives again.
    "leg.media_restored" => LegMediaRestored(Nothing),
    /// The peer wants its party transferred.
    "leg.transfer_requested" => LegTransferRequested(Box<LegTransferRequested>),
    /// A leg is over.
    "leg.ended" => LegEnded(LegEnded),
    /// A call began.
    "call.started" => CallStarted(Box<CallStarted>),
    /// A call was not let in.
    "call.refused" => CallRefused(Box<CallRefused>),
    /// Tags were put on a call.
    "call.tagged" => CallTagged(CallTagged),
    /// The last leg of a call is over.
    "call.ended" => CallEnded(Nothing),
    /// A bridge was made.
    "bridge.created" => BridgeCreated(BridgeCreated),
    /// A leg is a member; what it may hear follows hold, mute and media.
    "bridge.joined" => BridgeJoined(BridgeJoined),
    /// A leg is no longer a member.
    "bridge.left" => BridgeLeft(BridgeLeft),
    /// A leg went from one bridge to another at once.
    "bridge.moved" => BridgeMoved(BridgeMoved),
    /// A bridge carries audio another way.
    "bridge.mode" => BridgeMode(BridgeModeChanged),
    /// Who hears whom changed.
    "bridge.matrix" => BridgeMatrix(BridgeMatrix),
    /// A bridge is gone.
    "bridge.destroyed" => BridgeDestroyed(Nothing),
    /// A play is heard.
    "play.started" => PlayStarted(Nothing),
    /// A play is over.
    "play.ended" => PlayEnded(PlayEnded),
    /// Collecting is over.
    "collect.ended" => CollectEnded(CollectEnded),
    /// A recording began.
    "record.started" => RecordStarted(RecordStarted),
    /// A recording grows by silence.
    "record.paused" => RecordPaused(RecordPausing),
    /// A recording goes on.
    "record.resumed" => RecordResumed(RecordPausing),
    /// A recording takes no more audio.
    "record.stopped" => RecordStopped(RecordStopped),
    /// A recording is on disk.
    "record.stored" => RecordStored(RecordStored),
    /// A recording could not be kept.
    "record.failed" => RecordFailed(RecordFailed),
    /// How far a transfer is.
    "transfer.progress" => TransferProgress(TransferProgress),
    /// A trace began: who asked for it, and what it follows.
    "trace.started" => TraceStarted(TraceStarted),
    /// A trace is over; its files are whole.
    "trace.ended" => TraceEnded(TraceEnded),
    /// Long work came to its end; once for every op.
    "op.ended" => OpEnded(OpEnded),
    /// The final record of a call; once for every call, also for refused ones.
    "call.record" => CallRecord(WrittenRecord),
    /// Measurements, at the subscription's interval. Takes no number of its own.
    "stats" => Stats(Stats),
}

/// What an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Subject {
    /// The call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<Id>,
    /// The leg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leg: Option<Id>,
    /// The bridge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<Id>,
    /// The op.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op: Option<Id>,
    /// The recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording: Option<Id>,
}

/// An event with its place in the one order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Envelope<'a> {
    /// Its number; `tick` and `stats` repeat the last one.
    pub seq: u64,
    /// Its `type`.
    #[serde(rename = "type")]
    pub type_name: &'static str,
    /// Changes when the numbers begin anew.
    pub epoch: &'a str,
    /// When, on the wall clock.
    pub ts: Timestamp,
    /// When, on a clock that is never set, microseconds since the start.
    pub mono_us: u64,
    /// The instance.
    pub instance: &'a Name,
    /// What it is about.
    #[serde(flatten)]
    pub subject: &'a Subject,
    /// Shared by the events of one batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<&'a Id>,
    /// Who did it.
    pub cause: &'a Cause,
    /// The tags of its leg or call.
    pub tags: &'a Tags,
    /// What happened.
    pub data: &'a Event,
}

impl Envelope<'_> {
    /// The notification, without a line end.
    pub fn to_line(&self) -> Result<Arc<str>, serde_json::Error> {
        let mut line = EVENT_PREFIX.to_owned();
        line.push_str(&serde_json::to_string(self)?);
        line.push('}');
        Ok(line.into())
    }
}

/// What every event line begins with; the number and the type follow at once.
pub(super) const EVENT_PREFIX: &str = r#"{"jsonrpc":"2.0","method":"event","params":"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::words::{CauseBy, EndReason, EndedBy};

    #[test]
    fn an_event_is_a_notification_with_its_envelope() {
        let data = Event::LegEnded(LegEnded {
            by: EndedBy::Timer,
            reason: EndReason::NoAnswer,
            sip: None,
            q850: Some(19),
            ring_ms: 20_000,
            talk_ms: 0,
            hold_ms: 0,
            contacts: Vec::new(),
            answered_elsewhere: false,
        });
        let subject = Subject {
            call: Some(Id::new("c_77").unwrap()),
            leg: Some(Id::new("l_a1").unwrap()),
            ..Subject::default()
        };
        let envelope = Envelope {
            seq: 10_402,
            type_name: data.type_name(),
            epoch: "e7f3",
            ts: Timestamp(0),
            mono_us: 5,
            instance: &Name::from("main"),
            subject: &subject,
            group: None,
            cause: &Cause::By(CauseBy::Timer),
            tags: &Tags::default(),
            data: &data,
        };
        let expected = concat!(
            r#"{"jsonrpc":"2.0","method":"event","params":{"seq":10402,"type":"leg.ended","epoch":"e7f3","#,
            r#""ts":"1970-01-01T00:00:00.000000Z","mono_us":5,"instance":"main","call":"c_77","leg":"l_a1","#,
            r#""cause":{"by":"timer"},"tags":{},"data":{"by":"timer","reason":"no_answer","sip":null,"q850":19,"#,
            r#""ring_ms":20000,"talk_ms":0,"hold_ms":0}}}"#
        );
        assert_eq!(&*envelope.to_line().unwrap(), expected);
    }
}
