//! Deadlines of the streams on the 20 ms grid, without allocation after the first use of a slot.
//!
//! A hashed wheel of doubly linked lists. A deadline is armed or not; arming again moves it. Knows
//! nothing of what is due: it gives back the timer's number.

use super::grid::Tick;

/// Buckets of the wheel: 512 × 20 ms = 10.24 s, longer than the longest deadline (RTCP, 7.5 s), so that
/// nearly every entry met is due.
const BUCKETS: usize = 512;

/// End of a list.
const NONE: u32 = u32::MAX;

/// What falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Send the next RTCP report.
    Rtcp,
    /// Look whether the stream fell silent.
    Silence,
    /// Look whether a digit being received was left without its end.
    Digit,
    /// Look how well the stream is.
    Look,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Rtcp, Kind::Silence, Kind::Digit, Kind::Look];

    fn index(self) -> usize {
        match self {
            Kind::Rtcp => 0,
            Kind::Silence => 1,
            Kind::Digit => 2,
            Kind::Look => 3,
        }
    }
}

/// Every deadline of one stream, while it moves to another shard's wheel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dues([Option<Tick>; Kind::ALL.len()]);

#[derive(Clone, Copy, Debug)]
struct Timer {
    due: Option<Tick>,
    previous: u32,
    next: u32,
}

/// All deadlines of a shard: one of each [`Kind`] per stream slot.
#[derive(Debug)]
pub struct Wheel {
    timers: Vec<Timer>,
    heads: Vec<u32>,
    done: Tick,
}

impl Wheel {
    /// Room for `slots` streams.
    pub fn new(slots: usize) -> Self {
        let idle = Timer {
            due: None,
            previous: NONE,
            next: NONE,
        };
        Self {
            timers: vec![idle; slots * Kind::ALL.len()],
            heads: vec![NONE; BUCKETS],
            done: Tick(0),
        }
    }

    /// Sets or moves one deadline; one already past falls due at the next tick.
    pub fn arm(&mut self, slot: u32, kind: Kind, due: Tick) {
        let id = id(slot, kind);
        self.unlink(id);
        let due = due.max(Tick(self.done.0 + 1));
        let bucket = bucket(due);
        let head = self.heads.get(bucket).copied().unwrap_or(NONE);
        if let Some(timer) = self.timers.get_mut(id as usize) {
            *timer = Timer {
                due: Some(due),
                previous: NONE,
                next: head,
            };
            if let Some(next) = self.timers.get_mut(head as usize) {
                next.previous = id;
            }
            if let Some(place) = self.heads.get_mut(bucket) {
                *place = id;
            }
        }
    }

    /// Ends all deadlines of a stream.
    pub fn disarm(&mut self, slot: u32) {
        for kind in Kind::ALL {
            self.unlink(id(slot, kind));
        }
    }

    /// Ends all deadlines of a stream and says when they would have fallen due.
    pub fn take(&mut self, slot: u32) -> Dues {
        let due = |kind| {
            self.timers
                .get(id(slot, kind) as usize)
                .and_then(|timer| timer.due)
        };
        let dues = Dues(Kind::ALL.map(due));
        self.disarm(slot);
        dues
    }

    /// Sets the deadlines another wheel had for a stream.
    pub fn arm_all(&mut self, slot: u32, dues: Dues) {
        for (kind, due) in Kind::ALL.into_iter().zip(dues.0) {
            if let Some(due) = due {
                self.arm(slot, kind, due);
            }
        }
    }

    /// Whether this deadline is set.
    pub fn is_armed(&self, slot: u32, kind: Kind) -> bool {
        self.timers
            .get(id(slot, kind) as usize)
            .is_some_and(|timer| timer.due.is_some())
    }

    /// The next deadline due at or before `tick`, disarmed; call until `None`.
    pub fn pop(&mut self, tick: Tick) -> Option<(u32, Kind)> {
        // Far behind, every bucket is met once at most: later rounds hold nothing new.
        self.done = self.done.max(Tick(tick.0.saturating_sub(BUCKETS as u64)));
        while self.done < tick {
            let looked_at = Tick(self.done.0 + 1);
            let mut at = self.heads.get(bucket(looked_at)).copied().unwrap_or(NONE);
            while let Some(timer) = self.timers.get(at as usize).copied() {
                if timer.due.is_some_and(|due| due <= tick) {
                    self.unlink(at);
                    return name(at);
                }
                at = timer.next;
            }
            self.done = looked_at;
        }
        None
    }

    fn unlink(&mut self, id: u32) {
        let Some(timer) = self.timers.get(id as usize).copied() else {
            return;
        };
        let Some(due) = timer.due else { return };
        match self.timers.get_mut(timer.previous as usize) {
            Some(previous) => previous.next = timer.next,
            None => {
                if let Some(head) = self.heads.get_mut(bucket(due)) {
                    *head = timer.next;
                }
            }
        }
        if let Some(next) = self.timers.get_mut(timer.next as usize) {
            next.previous = timer.previous;
        }
        if let Some(timer) = self.timers.get_mut(id as usize) {
            *timer = Timer {
                due: None,
                previous: NONE,
                next: NONE,
            };
        }
    }
}

fn id(slot: u32, kind: Kind) -> u32 {
    slot * Kind::ALL.len() as u32 + kind.index() as u32
}

fn name(id: u32) -> Option<(u32, Kind)> {
    let kinds = Kind::ALL.len() as u32;
    Kind::ALL
        .get((id % kinds) as usize)
        .map(|kind| (id / kinds, *kind))
}

fn bucket(tick: Tick) -> usize {
    (tick.0 % BUCKETS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(wheel: &mut Wheel, tick: u64) -> Vec<(u32, Kind)> {
        let mut all: Vec<_> = std::iter::from_fn(|| wheel.pop(Tick(tick))).collect();
        all.sort_by_key(|(slot, kind)| (*slot, kind.index()));
        all
    }

    #[test]
    fn each_deadline_falls_due_once_at_its_tick() {
        let mut wheel = Wheel::new(4);
        wheel.arm(0, Kind::Rtcp, Tick(3));
        wheel.arm(3, Kind::Silence, Tick(3));
        wheel.arm(1, Kind::Rtcp, Tick(3 + BUCKETS as u64));
        assert_eq!(due(&mut wheel, 2), []);
        assert_eq!(due(&mut wheel, 3), [(0, Kind::Rtcp), (3, Kind::Silence)]);
        assert_eq!(due(&mut wheel, 3), []);
        assert_eq!(due(&mut wheel, 2 + BUCKETS as u64), []);
        assert_eq!(due(&mut wheel, 3 + BUCKETS as u64), [(1, Kind::Rtcp)]);
    }

    #[test]
    fn arming_again_moves_and_disarming_ends() {
        let mut wheel = Wheel::new(2);
        wheel.arm(0, Kind::Rtcp, Tick(5));
        wheel.arm(0, Kind::Rtcp, Tick(7));
        wheel.arm(1, Kind::Digit, Tick(5));
        wheel.disarm(1);
        assert_eq!(due(&mut wheel, 6), []);
        assert_eq!(due(&mut wheel, 7), [(0, Kind::Rtcp)]);
    }

    #[test]
    fn a_deadline_in_the_past_and_a_long_pause_lose_nothing() {
        let mut wheel = Wheel::new(3);
        assert_eq!(due(&mut wheel, 100), []);
        wheel.arm(0, Kind::Rtcp, Tick(1));
        wheel.arm(1, Kind::Rtcp, Tick(150));
        wheel.arm(2, Kind::Silence, Tick(9_000));
        assert_eq!(
            due(&mut wheel, 20_000),
            [(0, Kind::Rtcp), (1, Kind::Rtcp), (2, Kind::Silence)]
        );
    }
}
