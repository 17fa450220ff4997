//! What the engine counts: how calls came, went and failed, and how long things took.
//!
//! Counts only what has happened. How many calls are up is never counted here: it is the number of live
//! guards, given when the numbers are shown. Knows nothing of Prometheus, clocks or HTTP.

mod buckets;
mod heard;
mod sliding_max;
mod spread;
mod timing;

use std::collections::BTreeMap;
use std::time::Duration;

pub use buckets::Buckets;
pub use heard::{Heard, HeardWay};
pub use sliding_max::{PEAK_WINDOW, SlidingMax};
pub use spread::Spread;
pub use timing::Timing;

use crate::control::protocol::{Direction, ErrorKind, Event, FailedClass, MediaDirection, ThrottleReason};

/// The labels that most numbers carry. All come from the configuration, so there are few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place<'a> {
    /// The instance.
    pub instance: &'a str,
    /// The trunk.
    pub trunk: &'a str,
    /// Who began the leg.
    pub direction: Direction,
}

/// Numbers of one instance, trunk and direction.
///
/// offered = admitted + the sum of throttled + the sum of refused, at any moment.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// New INVITEs from a known source, and dials; a retransmission counts once.
    pub offered: u64,
    /// Those that passed limits, number map and policy.
    pub admitted: u64,
    /// Those turned away by a limit, by reason.
    pub throttled: BTreeMap<ThrottleReason, u64>,
    /// Those turned away for what they asked, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Dials refused by a limit against toll fraud, by limit; they are among the throttled or refused too.
    pub gated: BTreeMap<&'static str, u64>,
    /// Admitted ones that failed, by class.
    pub failed: BTreeMap<FailedClass, u64>,
    /// Legs that ended because something did not come in time, by what that was.
    pub timed_out: BTreeMap<&'static str, u64>,
    /// Dialled legs whose INVITE went out.
    pub seized: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those that the network carried to an end that the called party decided: answered, busy, no answer,
    /// rejected, or given up by the caller while it rang (ITU-T E.425).
    pub effective: u64,
    /// Answered legs, by codec.
    pub codecs: BTreeMap<&'static str, u64>,
    /// From the INVITE to the 2xx.
    pub setup: Timing,
    /// From our INVITE to the first 18x, or the final answer without one.
    pub post_dial_delay: Timing,
    /// From the answer to the end.
    pub talk: Timing,
    /// How well legs were heard.
    pub heard: Heard,
}

/// Everything the engine has counted since its start.
#[derive(Clone, Debug, Default)]
pub struct EngineMetrics {
    tallies: BTreeMap<String, BTreeMap<String, [Tally; 2]>>,
    sip_dropped: BTreeMap<&'static str, u64>,
    control_commands: u64,
    control_errors: BTreeMap<ErrorKind, u64>,
    control_overruns: u64,
    events: u64,
    recordings: BTreeMap<&'static str, u64>,
    transfers_cut: BTreeMap<&'static str, u64>,
    stir_fetches: BTreeMap<&'static str, u64>,
    stir_limits: BTreeMap<&'static str, u64>,
    call_panics: u64,
}

impl EngineMetrics {
    /// Nothing counted yet.
    pub fn new() -> Self {
        EngineMetrics::default()
    }

    /// Makes a trunk's numbers stand at zero from the start, so that a first call shows as a rise.
    pub fn know(&mut self, instance: &str, trunk: &str) {
        self.tally_mut(Place {
            instance,
            trunk,
            direction: Direction::In,
        });
    }

    /// A call or dial was offered; `admitted`, `throttled` or `refused` follows for each.
    pub fn offered(&mut self, place: Place<'_>) {
        self.tally_mut(place).offered += 1;
    }

    /// An offered one was let in.
    pub fn admitted(&mut self, place: Place<'_>) {
        self.tally_mut(place).admitted += 1;
    }

    /// An offered one met a limit.
    pub fn throttled(&mut self, place: Place<'_>, reason: ThrottleReason) {
        *self.tally_mut(place).throttled.entry(reason).or_default() += 1;
    }

    /// An offered one was refused for what it is: `no_number not_acceptable policy unclaimed …`.
    pub fn refused(&mut self, place: Place<'_>, reason: &'static str) {
        *self.tally_mut(place).refused.entry(reason).or_default() += 1;
    }

    /// A limit against toll fraud refused a dial.
    pub fn gated(&mut self, place: Place<'_>, limit: &'static str) {
        *self.tally_mut(place).gated.entry(limit).or_default() += 1;
    }

    /// An admitted one failed.
    pub fn failed(&mut self, place: Place<'_>, class: FailedClass) {
        *self.tally_mut(place).failed.entry(class).or_default() += 1;
    }

    /// A leg ended because something did not come in time: see [`Overdue`](super::calls::ending::Overdue).
    pub fn timed_out(&mut self, place: Place<'_>, overdue: &'static str) {
        *self.tally_mut(place).timed_out.entry(overdue).or_default() += 1;
    }

    /// A dialled leg's first INVITE went out.
    pub fn seized(&mut self, place: Place<'_>) {
        self.tally_mut(place).seized += 1;
    }

    /// A dialled leg that went out ended for the called party's reasons.
    pub fn effective(&mut self, place: Place<'_>) {
        self.tally_mut(place).effective += 1;
    }

    /// A leg was answered with that codec.
    pub fn answered(&mut self, place: Place<'_>, codec: &'static str) {
        let tally = self.tally_mut(place);
        tally.answered += 1;
        tally.effective += 1;
        *tally.codecs.entry(codec).or_default() += 1;
    }

    /// What was counted of a trunk and direction.
    pub fn tally(&self, place: Place<'_>) -> Option<&Tally> {
        let [inbound, outbound] = self.tallies.get(place.instance)?.get(place.trunk)?;
        Some(match place.direction {
            Direction::In => inbound,
            Direction::Out => outbound,
        })
    }

    /// A leg was answered so long after its INVITE.
    pub fn setup(&mut self, place: Place<'_>, took: Duration) {
        self.tally_mut(place).setup.record(took);
    }

    /// The peer showed a first sign so long after our INVITE.
    pub fn post_dial_delay(&mut self, place: Place<'_>, took: Duration) {
        self.tally_mut(place).post_dial_delay.record(took);
    }

    /// An answered leg ended after so long.
    pub fn talked(&mut self, place: Place<'_>, time: Duration) {
        self.tally_mut(place).talk.record(time);
    }

    /// A period of a leg is over.
    pub fn listened(&mut self, place: Place<'_>, quality: &media::stream::Quality) {
        self.tally_mut(place).heard.record(quality);
    }

    /// Nothing came from a peer for a while.
    pub fn media_lost(&mut self, place: Place<'_>) {
        self.tally_mut(place).heard.media_lost += 1;
    }

    /// Audio passed one way only; none in this direction.
    pub fn one_way(&mut self, place: Place<'_>, direction: MediaDirection) {
        self.tally_mut(place).heard.way_mut(direction).one_way += 1;
    }

    /// A message was dropped before any state was made.
    pub fn sip_dropped(&mut self, why: &'static str) {
        *self.sip_dropped.entry(why).or_default() += 1;
    }

    /// A control command was answered; with its error's kind if it was refused.
    pub fn control_answered(&mut self, error_kind: Option<ErrorKind>) {
        self.control_commands += 1;
        if let Some(kind) = error_kind {
            *self.control_errors.entry(kind).or_default() += 1;
        }
    }

    /// A control connection was closed because its client was too slow.
    pub fn control_overrun(&mut self) {
        self.control_overruns += 1;
    }

    /// An event was written to the journal; those of recordings are counted by what they say, too.
    pub fn event(&mut self, event: &Event) {
        self.events += 1;
        let outcome = match event {
            Event::RecordStarted(_) => "started",
            Event::RecordStored(_) => "stored",
            Event::RecordFailed(_) => "failed",
            _ => return,
        };
        *self.recordings.entry(outcome).or_default() += 1;
    }

    /// Something a peer asked for in a transfer or redirect was left out for its size or number, by the limit:
    /// `contacts contact_bytes refer_to_bytes referred_by_bytes`.
    pub fn transfer_cut(&mut self, limit: &'static str, count: usize) {
        if count > 0 {
            *self.transfers_cut.entry(limit).or_default() += count as u64;
        }
    }

    /// A certificate was fetched, or was not: `fetched` or why.
    pub fn stir_fetch(&mut self, outcome: &'static str) {
        *self.stir_fetches.entry(outcome).or_default() += 1;
    }

    /// A limit of fetching was reached: `fetches waiting certificates`.
    pub fn stir_limit(&mut self, limit: &'static str) {
        *self.stir_limits.entry(limit).or_default() += 1;
    }

    /// A call was ended because its handling panicked.
    pub fn call_panicked(&mut self) {
        self.call_panics += 1;
    }

    /// Every tally with its labels, in their order.
    pub fn tallies(&self) -> impl Iterator<Item = (Place<'_>, &Tally)> {
        self.tallies.iter().flat_map(|(instance, trunks)| {
            trunks.iter().flat_map(move |(trunk, [inbound, outbound])| {
                let both = [(Direction::In, inbound), (Direction::Out, outbound)];
                both.map(|(direction, tally)| {
                    (
                        Place {
                            instance,
                            trunk,
                            direction,
                        },
                        tally,
                    )
                })
            })
        })
    }

    /// Messages dropped, by reason.
    pub fn sip_drops(&self) -> &BTreeMap<&'static str, u64> {
        &self.sip_dropped
    }

    /// Commands answered, and those refused by kind.
    pub fn control(&self) -> (u64, &BTreeMap<ErrorKind, u64>) {
        (self.control_commands, &self.control_errors)
    }

    /// Connections closed for their slowness.
    pub fn overruns(&self) -> u64 {
        self.control_overruns
    }

    /// Events written.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Recordings, by outcome.
    pub fn recordings(&self) -> &BTreeMap<&'static str, u64> {
        &self.recordings
    }

    /// What transfers left out, by limit.
    pub fn transfers_cut(&self) -> &BTreeMap<&'static str, u64> {
        &self.transfers_cut
    }

    /// Certificates fetched, by outcome.
    pub fn stir_fetches(&self) -> &BTreeMap<&'static str, u64> {
        &self.stir_fetches
    }

    /// Limits of fetching that were reached.
    pub fn stir_limits(&self) -> &BTreeMap<&'static str, u64> {
        &self.stir_limits
    }

    /// Calls ended by a panic.
    pub fn panics(&self) -> u64 {
        self.call_panics
    }

    /// The tally of a place, made at its first call.
    fn tally_mut(&mut self, place: Place<'_>) -> &mut Tally {
        let trunks = self.tallies.entry(place.instance.to_owned()).or_default();
        let [inbound, outbound] = trunks.entry(place.trunk.to_owned()).or_default();
        match place.direction {
            Direction::In => inbound,
            Direction::Out => outbound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN: Place<'_> = Place {
        instance: "main",
        trunk: "carrier",
        direction: Direction::In,
    };
    const OUT: Place<'_> = Place {
        instance: "main",
        trunk: "carrier",
        direction: Direction::Out,
    };

    #[test]
    fn places_are_counted_apart_and_sums_hold() {
        let mut metrics = EngineMetrics::new();
        for _ in 0..5 {
            metrics.offered(IN);
        }
        metrics.admitted(IN);
        metrics.throttled(IN, ThrottleReason::LimitCps);
        metrics.throttled(IN, ThrottleReason::LimitCps);
        metrics.throttled(IN, ThrottleReason::LimitCalls);
        metrics.refused(IN, "no_number");
        metrics.offered(OUT);
        metrics.setup(OUT, Duration::from_millis(7));
        let tallies = metrics.tallies().collect::<Vec<_>>();
        assert_eq!(
            tallies.iter().map(|(place, _)| *place).collect::<Vec<_>>(),
            [IN, OUT]
        );
        let inbound = tallies[0].1;
        let turned_away = inbound
            .throttled
            .values()
            .chain(inbound.refused.values())
            .sum::<u64>();
        assert_eq!(inbound.offered, inbound.admitted + turned_away);
        assert_eq!(
            inbound.throttled,
            BTreeMap::from([(ThrottleReason::LimitCalls, 1), (ThrottleReason::LimitCps, 2)])
        );
        assert_eq!((tallies[1].1.offered, tallies[1].1.setup.count()), (1, 1));
    }

    #[test]
    fn refused_commands_count_as_commands_too() {
        let mut metrics = EngineMetrics::new();
        metrics.control_answered(None);
        metrics.control_answered(Some(ErrorKind::NotFound));
        assert_eq!(
            metrics.control(),
            (2, &BTreeMap::from([(ErrorKind::NotFound, 1)]))
        );
    }
}
