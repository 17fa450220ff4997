//! What the shards report: ports, first packets, silence, digits, ends.

use std::time::Duration;

use media::dtmf::Told;
use media::{Event as MediaEvent, StreamKey};

use super::audio::collecting;
use super::audio::info_digits;
use super::audio::listening;
use super::audio::playing;
use super::calls::answering;
use super::calls::attempts;
use super::calls::ending::{End, end_leg, finish_if_ready};
use super::keys::LegKey;
use super::leg::{Origin, Stage};
use super::tx::Tx;
use crate::control::protocol::{
    Cause, CauseBy, DtmfMethod, EndReason, EndedBy, Event, LegDtmf, Nothing, OpOutcome,
};

/// The stream that a report is about; none where it is about an order.
pub fn stream_of(event: &MediaEvent) -> Option<StreamKey> {
    match event {
        MediaEvent::Opened { stream, .. }
        | MediaEvent::OpenFailed { stream }
        | MediaEvent::Receiving { stream }
        | MediaEvent::Sending { stream }
        | MediaEvent::Silent { stream }
        | MediaEvent::Heard { stream }
        | MediaEvent::Deaf { stream }
        | MediaEvent::Hearing { stream }
        | MediaEvent::Quality { stream, .. }
        | MediaEvent::Dtmf { stream, .. }
        | MediaEvent::DigitFor { stream, .. }
        | MediaEvent::Stats { stream, .. }
        | MediaEvent::Closed { stream, .. } => Some(*stream),
        MediaEvent::DtmfSent { .. } | MediaEvent::PlayStarted { .. } | MediaEvent::PlayEnded { .. } => None,
    }
}

/// One report of a shard.
pub fn handle(tx: &mut Tx, event: MediaEvent) {
    match event {
        MediaEvent::Opened { stream, local } => opened(tx, stream, local),
        MediaEvent::OpenFailed { stream } => open_failed(tx, stream),
        MediaEvent::Receiving { stream } => receiving(tx, LegKey::of_stream(stream)),
        MediaEvent::Sending { stream } => sending(tx, LegKey::of_stream(stream)),
        MediaEvent::Silent { stream } => silent(tx, LegKey::of_stream(stream)),
        MediaEvent::Heard { stream } => heard(tx, LegKey::of_stream(stream)),
        MediaEvent::Deaf { stream } => listening::deaf(tx, LegKey::of_stream(stream)),
        MediaEvent::Hearing { stream } => listening::hearing(tx, LegKey::of_stream(stream)),
        MediaEvent::Quality { stream, quality } => listening::judged(tx, LegKey::of_stream(stream), &quality),
        MediaEvent::Dtmf {
            stream,
            digit,
            duration_ms,
            told,
        } => digit_pressed(tx, stream, digit, duration_ms, method_of(told)),
        MediaEvent::DigitFor {
            stream,
            digit,
            duration_ms,
        } => info_digits::pass(tx, LegKey::of_stream(stream), digit, duration_ms),
        MediaEvent::DtmfSent { dtmf } => {
            let ended = |tx: &mut Tx| playing::end_digits(tx, dtmf, OpOutcome::Ok, None);
            tx.because(Cause::By(CauseBy::Timer), ended);
        }
        MediaEvent::PlayStarted { play } => playing::started(tx, play),
        MediaEvent::PlayEnded { play, why, .. } => {
            tx.because(Cause::By(CauseBy::Timer), |tx| playing::ended(tx, play, why));
        }
        MediaEvent::Stats { stream, stats, .. } => measured(tx, LegKey::of_stream(stream), stats),
        MediaEvent::Closed { stream, stats } => closed(tx, LegKey::of_stream(stream), stats),
    }
}

fn opened(tx: &mut Tx, stream: StreamKey, local: std::net::SocketAddr) {
    let key = LegKey::of_stream(stream);
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    leg.media.local = Some(local);
    if leg.is_ended() {
        return answering::say_goodbye(tx, key);
    }
    match leg.origin {
        Origin::In(_) => answering::port_opened(tx, key),
        Origin::Out(_) => attempts::port_opened(tx, key),
    }
}

fn open_failed(tx: &mut Tx, stream: StreamKey) {
    let key = LegKey::of_stream(stream);
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    leg.media.closed = Some(Box::default());
    let call = leg.call;
    tx.world.guards.ports.remove(key);
    tx.out.log.push((true, "no RTP port could be opened".into()));
    let end = End {
        sip: Some(503),
        ..End::ours(EndedBy::Fault, EndReason::Limit)
    };
    tx.because(Cause::By(CauseBy::Fault), |tx| end_leg(tx, key, end));
    finish_if_ready(tx, call);
}

fn receiving(tx: &mut Tx, key: LegKey) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    leg.media.rx = true;
    leg.media.silent_since = None;
    leg.media.timeout_at = None;
    tell_media_up(tx, key);
}

fn sending(tx: &mut Tx, key: LegKey) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    leg.media.tx = true;
    tell_media_up(tx, key);
}

/// Audio both ways, told once.
pub fn tell_media_up(tx: &mut Tx, key: LegKey) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    let is_up = leg.stage == Stage::Answered && leg.media.rx && leg.media.tx;
    if is_up && !leg.media.up_told {
        leg.media.up_told = true;
        tx.because(Cause::By(CauseBy::Peer), |tx| {
            tx.tell_leg(key, Event::LegMediaUp(Nothing {}))
        });
    }
}

fn silent(tx: &mut Tx, key: LegKey) {
    let now = tx.now.mono;
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    if leg.is_ended() || leg.stage != Stage::Answered {
        return;
    }
    leg.media.rx = false;
    leg.media.silent_since = Some(now);
    let longest = tx.setup.trunk(leg.trunk).and_then(|trunk| trunk.media_timeout);
    leg.media.timeout_at = longest.map(|longest| now + longest.saturating_sub(SILENCE_TOLD_AFTER));
    listening::silent(tx, key);
}

fn heard(tx: &mut Tx, key: LegKey) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    if leg.is_ended() || leg.media.silent_since.take().is_none() {
        return;
    }
    leg.media.rx = true;
    leg.media.timeout_at = None;
    listening::restored(tx, key);
}

fn method_of(told: Told) -> DtmfMethod {
    match told {
        Told::Events => DtmfMethod::Rfc4733,
        Told::Signalling => DtmfMethod::Info,
        Told::Tones => DtmfMethod::Inband,
    }
}

/// Told at the digit's end, unless the digits collected now are card digits.
fn digit_pressed(tx: &mut Tx, stream: StreamKey, digit: char, duration_ms: u32, method: DtmfMethod) {
    let key = LegKey::of_stream(stream);
    let Some(leg) = tx.world.legs.get(&key) else {
        return;
    };
    if leg.is_ended() {
        return;
    }
    let collect = leg.collect;
    if !collect.is_some_and(|op| collecting::is_pci(tx, op)) {
        tx.tell_leg(
            key,
            Event::LegDtmf(LegDtmf {
                digit,
                method,
                duration_ms: duration_ms.into(),
            }),
        );
    }
    playing::barge_in(tx, key);
    if let Some(op) = collect {
        collecting::digit(tx, op, digit);
    }
}

fn measured(tx: &mut Tx, key: LegKey, stats: Box<media::stream::Stats>) {
    if let Some(leg) = tx.world.legs.get_mut(&key) {
        leg.media.measured = Some(stats);
    }
}

fn closed(tx: &mut Tx, key: LegKey, stats: Box<media::stream::Stats>) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    leg.media.closed = Some(stats);
    let (call, is_ended) = (leg.call, leg.is_ended());
    tx.world.guards.ports.remove(key);
    tx.gates.rest_port(tx.now.mono);
    if !is_ended {
        // It was on its way to a shard that had no room for it.
        tx.out
            .log
            .push((true, "a stream was lost between two media threads".into()));
        let end = End::ours(EndedBy::Fault, EndReason::Limit);
        tx.because(Cause::By(CauseBy::Fault), |tx| end_leg(tx, key, end));
    }
    finish_if_ready(tx, call);
}

/// How much of `media_timeout_s` is over when the shard first tells of silence.
pub const SILENCE_TOLD_AFTER: Duration = Duration::from_secs(2);
