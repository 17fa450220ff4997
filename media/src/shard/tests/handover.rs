//! Streams that move between two shards: nothing is heard of it.

use super::party::{World, level_db};
use crate::command::*;
use crate::event::{Event, PlayEnd};
use crate::recorder::TrackKey;
use crate::shard::sim_io::SimIo;
use crate::shard::{BlockReader, HELD_MAX, MetricsReader, Shard, ShardConfig, links};

/// The shard of the usual world, and a second one beside it.
struct Two {
    near: World,
    far: Shard,
    far_io: SimIo,
    far_blocks: BlockReader,
    far_metrics: MetricsReader,
    far_events: Vec<Event>,
}

impl Two {
    fn new(seed: u64) -> Two {
        Two::with_far_room(seed, 64)
    }

    fn with_far_room(seed: u64, streams_max: u32) -> Two {
        let mut near = World::new(seed);
        let config = ShardConfig {
            index: 1,
            port_first: 40_000,
            port_last: 40_999,
            streams_max,
            seed: seed + 1,
            ..ShardConfig::default()
        };
        let (mut far, far_metrics, far_blocks) = Shard::new(&config, near.start);
        let mut posts = links(2).into_iter();
        near.shard.join(posts.next().unwrap());
        far.join(posts.next().unwrap());
        let far_io = SimIo::new(near.network.clone(), streams_max as usize);
        Two {
            near,
            far,
            far_io,
            far_blocks,
            far_metrics,
            far_events: Vec::new(),
        }
    }

    /// Both threads turn every millisecond, in either order.
    fn run(&mut self, ms: u64, far_first: bool) {
        for _ in 0..ms {
            if far_first {
                let next = self.near.now + std::time::Duration::from_millis(1);
                self.near.network.set_now(next);
                self.far.turn(&mut self.far_io, next);
            }
            self.near.run(1);
            if !far_first {
                self.far.turn(&mut self.far_io, self.near.now);
            }
            while let Some(event) = self.far.poll_event() {
                self.far_events.push(event);
            }
        }
    }

    fn far_command(&mut self, changes: Command) {
        self.far.handle_command(changes, &mut self.far_io, self.near.now);
    }

    fn stream(&self, party: usize) -> StreamKey {
        self.near.parties[party].stream
    }

    /// Both halves of a move, the new shard first: it has to wait.
    fn move_away(&mut self, party: usize, then: Command) {
        let stream = self.stream(party);
        let mut changes = vec![Change::Adopt { stream }];
        changes.extend(then);
        self.far_command(changes);
        self.near.command(vec![Change::HandOver { stream, to: 1 }]);
    }

    fn in_use(&mut self) -> [(u64, u64); 2] {
        self.near.shard.publish();
        self.far.publish();
        [&self.near.metrics, &self.far_metrics].map(|metrics| {
            let counts = metrics.counts();
            (counts.streams, counts.ports_used)
        })
    }
}

fn play_tone(play: u64, listener: StreamKey, duration_ms: Option<u32>) -> Change {
    let tone = Tone {
        frequencies_hz: (700.0, 0.0),
        level_dbov: -10.0,
        cadence_ms: vec![],
        duration_ms,
    };
    Change::Play {
        play: PlayKey(play),
        listener,
        sources: vec![Source::Tone(tone)],
        from_ms: 0,
        repeat: false,
        gain_db: 0.0,
        layer: PlayLayer::Replace,
    }
}

/// Moves at every place of the 20 ms grid, whichever thread is first.
#[test]
fn a_play_and_a_track_go_on_to_the_sample() {
    for offset in 0..20 {
        for far_first in [false, true] {
            let mut two = Two::new(21);
            let party = two.near.party(Codec::Pcmu);
            // The other shard is at work, on its own grid.
            let other = two.near.party(Codec::Pcmu);
            two.move_away(other, vec![]);
            let stream = two.stream(party);
            two.near.parties[party].tone_hz = 500.0;
            let track = TrackKey(1);
            two.run(100, far_first);
            let begin = Change::StartTrack {
                track,
                stream,
                gate: TrackGate::Open,
            };
            two.near.command(vec![begin, play_tone(7, stream, Some(1000))]);
            two.run(400 + offset, far_first);
            two.move_away(party, vec![]);
            two.run(1000 - 400 - offset, far_first);
            two.far_command(vec![Change::StopTrack { track }]);
            two.run(100, far_first);
            assert_eq!(two.in_use(), [(0, 2), (2, 0)]);

            two.near.parties[party].assert_unbroken();
            let heard = two.near.parties[party].samples_since(101);
            let (tone, after) = heard.split_at(8 * 1000);
            assert!(tone.chunks(160).all(|frame| level_db(frame, 700.0) > -12.0));
            assert!(after.chunks(160).all(|frame| level_db(frame, 700.0) < -50.0));
            assert!(
                (4..=5).contains(&(after.len() / 160)),
                "offset {offset}, far first: {far_first}"
            );
            let started = two
                .near
                .events_of(|event| matches!(event, Event::PlayStarted { .. }));
            assert_eq!(started, 1);
            let ended = two.far_events.iter().find_map(|event| match event {
                Event::PlayEnded { why, position_ms, .. } => Some((*why, *position_ms)),
                _ => None,
            });
            assert_eq!(ended, Some((PlayEnd::Completed, 1000)));

            let mut samples: Vec<i16> = Vec::new();
            let mut has_ended = false;
            for blocks in [&mut two.near.blocks, &mut two.far_blocks] {
                while let Some(block) = blocks.pop() {
                    assert_eq!(block.position, samples.len() as u64);
                    samples.extend(&block.samples);
                    assert!(!has_ended, "nothing follows the end");
                    has_ended = block.is_last;
                }
            }
            assert_eq!((samples.len(), has_ended), (8 * 1000, true));
            assert!(level_db(&samples[1600..], 500.0) > -13.0);
            assert!(
                samples[1600..]
                    .chunks(160)
                    .all(|frame| level_db(frame, 500.0) > -14.0)
            );
        }
    }
}

#[test]
fn a_party_that_moves_is_relayed_to_the_one_already_there() {
    let mut two = Two::new(22);
    let (a, b) = (two.near.party(Codec::Pcmu), two.near.party(Codec::Pcmu));
    (two.near.parties[a].tone_hz, two.near.parties[b].tone_hz) = (500.0, 1100.0);
    two.move_away(b, vec![]);
    two.run(500, false);
    let rows = vec![two.near.row(a, &[b]), two.near.row(b, &[a])];
    two.move_away(a, rows);
    two.run(1000, false);
    for (party, hz) in [(a, 1100.0), (b, 500.0)] {
        two.near.parties[party].assert_unbroken();
        assert!(level_db(&two.near.parties[party].samples_since(540), hz) > -13.0);
    }
    two.far.publish();
    let counts = two.far_metrics.counts();
    assert!(counts.relayed >= 96, "{counts:?}");

    let digits = Change::SendDtmf {
        dtmf: DtmfKey(1),
        stream: two.stream(a),
        digits: "5".into(),
        duration_ms: 100,
        inband: false,
    };
    two.far_command(vec![digits]);
    two.run(400, false);
    let sent = |event: &Event| matches!(event, Event::DtmfSent { dtmf: DtmfKey(1) });
    assert!(two.far_events.iter().any(sent));

    let close = [a, b].map(|party| Change::Close {
        stream: two.stream(party),
    });
    two.far_command(close.into());
    two.run(5, false);
    assert_eq!(two.in_use(), [(0, 0), (0, 0)]);
    assert!(two.near.shard.is_idle() && two.far.is_idle());
    assert_eq!(
        (two.near.shard.next_deadline(), two.far.next_deadline()),
        (None, None)
    );
}

#[test]
fn what_names_a_stream_on_its_way_happens_in_order_when_it_comes() {
    let mut two = Two::new(23);
    let party = two.near.party(Codec::Pcmu);
    let stream = two.stream(party);
    two.run(100, false);
    two.near.command(vec![play_tone(1, stream, None)]);
    two.run(100, false);
    two.far_command(vec![
        Change::Adopt { stream },
        Change::StopPlay { play: PlayKey(1) },
        play_tone(2, stream, None),
        Change::StopPlay { play: PlayKey(2) },
        Change::Close { stream },
    ]);
    two.run(40, false);
    assert!(two.far_events.is_empty(), "{:?}", two.far_events);
    two.near.command(vec![Change::HandOver { stream, to: 1 }]);
    two.run(5, false);
    let told: Vec<_> = two.far_events.iter().map(name).collect();
    assert_eq!(told, ["stopped 1 at 140", "stopped 2 at 0", "closed"]);
    assert_eq!(two.in_use(), [(0, 0), (0, 0)]);
}

fn name(event: &Event) -> String {
    match event {
        Event::PlayEnded {
            play,
            why: PlayEnd::Stopped,
            position_ms,
        } => format!("stopped {} at {position_ms}", play.0),
        Event::Closed { .. } => "closed".into(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_row_with_a_speaker_on_its_way_is_whole_once_it_came_and_the_newest_row_counts() {
    let mut two = Two::new(24);
    let all = [(); 3].map(|()| two.near.party(Codec::Pcmu));
    let [a, b, c] = all;
    (two.near.parties[b].tone_hz, two.near.parties[c].tone_hz) = (500.0, 1100.0);
    two.move_away(a, vec![]);
    two.move_away(b, vec![]);
    two.run(100, false);
    let stream = two.stream(c);
    let both = two.near.row(a, &[b, c]);
    two.far_command(vec![Change::Adopt { stream }, both.clone()]);
    two.run(300, false);
    let heard = two.near.parties[a].samples_since(150);
    assert!(level_db(&heard, 500.0) > -13.0 && level_db(&heard, 1100.0) < -50.0);
    two.near.command(vec![Change::HandOver { stream, to: 1 }]);
    two.run(300, false);
    let heard = two.near.parties[a].samples_since(500);
    assert!(level_db(&heard, 500.0) > -14.0 && level_db(&heard, 1100.0) > -14.0);

    // The same again, but the row is emptied while the stream is on its way back.
    two.far_command(vec![
        Change::HandOver { stream, to: 0 },
        Change::Adopt { stream },
        both,
    ]);
    let nobody = two.near.row(a, &[]);
    two.far_command(vec![nobody]);
    two.near
        .command(vec![Change::Adopt { stream }, Change::HandOver { stream, to: 1 }]);
    two.run(5, false);
    let since = two.near.now_ms() + 40;
    two.run(300, false);
    let heard = two.near.parties[a].samples_since(since);
    assert!(level_db(&heard, 500.0) < -50.0 && level_db(&heard, 1100.0) < -50.0);
    assert_eq!(two.in_use(), [(0, 3), (3, 0)]);
    two.near.parties.iter().for_each(|party| party.assert_unbroken());
}

#[test]
fn a_stream_that_closed_before_it_was_sent_leaves_nobody_waiting() {
    let mut two = Two::new(25);
    let party = two.near.party(Codec::Pcmu);
    let stream = two.stream(party);
    two.near.command(vec![Change::Close { stream }]);
    two.move_away(party, vec![play_tone(1, stream, None)]);
    two.run(5, false);
    let told = &two.far_events[..];
    assert!(matches!(
        told,
        [Event::PlayEnded {
            why: PlayEnd::ListenerClosed,
            ..
        }]
    ));
    assert_eq!(two.far.next_deadline(), None);
}

#[test]
fn a_full_shard_closes_what_comes_and_its_ports_go_home() {
    let mut two = Two::with_far_room(26, 1);
    let (a, b) = (two.near.party(Codec::Pcmu), two.near.party(Codec::Pcmu));
    let stream = two.stream(b);
    let begin = Change::StartTrack {
        track: TrackKey(3),
        stream,
        gate: TrackGate::Open,
    };
    two.near.command(vec![begin, play_tone(4, stream, None)]);
    two.move_away(a, vec![]);
    two.run(20, false);
    two.move_away(b, vec![]);
    two.run(20, false);
    assert_eq!(two.in_use(), [(0, 1), (1, 0)]);
    two.far_events
        .retain(|event| !matches!(event, Event::Sending { .. }));
    let [Event::PlayEnded { why, .. }, Event::Closed { stream: closed, .. }] = &two.far_events[..] else {
        panic!("{:?}", two.far_events)
    };
    assert_eq!((*why, *closed), (PlayEnd::ListenerClosed, stream));
    let last = std::iter::from_fn(|| two.far_blocks.pop()).last();
    assert!(last.unwrap().is_last);
    let gateway = two.near.parties[b].gateway;
    assert!(two.near.network.bind(gateway), "the sockets are closed");
}

#[test]
fn beyond_the_limit_what_is_answered_is_refused_at_once() {
    let mut two = Two::new(27);
    let party = two.near.party(Codec::Pcmu);
    let stream = two.stream(party);
    two.far_command(vec![Change::Adopt { stream }]);
    let plays = (0..=HELD_MAX as u64).map(|play| play_tone(play, stream, None));
    two.far_command(plays.collect());
    let Some(Event::PlayEnded { play, why, .. }) = two.far.poll_event() else {
        panic!("nothing was refused");
    };
    assert_eq!((play, why), (PlayKey(HELD_MAX as u64), PlayEnd::ListenerClosed));
    // The end of the stream is never refused.
    two.far_command(vec![Change::Close { stream }]);
    two.near.command(vec![Change::HandOver { stream, to: 1 }]);
    two.run(5, false);
    assert_eq!(two.in_use(), [(0, 0), (0, 0)]);
}

/// Keys, rollover counters and windows go with a stream.
#[test]
fn a_secure_stream_goes_on_without_a_packet_lost() {
    use crate::srtp::{MasterKey, SrtpKeys, SrtpSuite};
    let key = |seed| MasterKey::new(SrtpSuite::AesCm128Sha1_80, &[seed; 16], &[seed; 14]).unwrap();
    let keys = |send, receive| SrtpKeys {
        send: key(send),
        receive: key(receive),
    };
    let mut two = Two::new(23);
    let a = two
        .near
        .party_with(Codec::Pcmu, |config| config.srtp = Some(keys(1, 2)));
    let b = two
        .near
        .party_with(Codec::Pcmu, |config| config.srtp = Some(keys(3, 4)));
    let rows = vec![two.near.row(a, &[b]), two.near.row(b, &[a])];
    two.near.command(rows);
    (two.near.parties[a].tone_hz, two.near.parties[b].tone_hz) = (500.0, 800.0);
    two.run(1_000, false);
    let rows = vec![two.near.row(a, &[b]), two.near.row(b, &[a])];
    two.move_away(a, vec![]);
    two.move_away(b, rows);
    two.run(1_000, false);
    two.far.publish();
    two.near.shard.publish();
    let dropped = [&two.near.metrics, &two.far_metrics]
        .map(|metrics| metrics.counts())
        .map(|counts| counts.dropped_tag + counts.dropped_replay + counts.dropped_clear);
    assert_eq!(dropped, [0, 0]);
    for party in [a, b] {
        two.near.parties[party].assert_unbroken();
        assert!(two.near.parties[party].heard.len() >= 98, "{party}");
    }
}
