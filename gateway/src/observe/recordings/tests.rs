//! The recordings writer as the engine and the shards meet it: orders and blocks in, files and reports out.

use std::path::Path;

use media::recorder::TrackKey;

use super::*;
use crate::observe::testing::{Scratch, block};
use manifest::{Manifest, State};

const PATIENCE: Duration = Duration::from_secs(20);

/// In place of a shard.
struct Queue {
    full: rtrb::Consumer<Block>,
    give: rtrb::Producer<Vec<i16>>,
}

impl BlockSource for Queue {
    fn pop(&mut self) -> Option<Block> {
        self.full.pop().ok()
    }

    fn give_back(&mut self, samples: Vec<i16>) {
        self.give.push(samples).unwrap();
    }
}

struct House {
    recordings: Recordings,
    blocks: rtrb::Producer<Block>,
    emptied: rtrb::Consumer<Vec<i16>>,
    reports: mpsc::Receiver<Input>,
    dir: Scratch,
}

fn house(name: &str) -> House {
    let dir = Scratch::new(name);
    let (blocks, full) = rtrb::RingBuffer::new(1024);
    let (give, emptied) = rtrb::RingBuffer::new(1024);
    let (report, reports) = mpsc::channel(1024);
    let setup = Setup {
        dir: dir.path().to_owned(),
        blocks: vec![Box::new(Queue { full, give })],
        report,
    };
    House {
        recordings: Recordings::spawn(setup).unwrap(),
        blocks,
        emptied,
        reports,
        dir,
    }
}

impl House {
    fn start(&mut self, recording: &str, track: u64, leg: &str) {
        let (recording, call) = (recording.to_owned(), "c".to_owned());
        let start = RecorderCommand::Start {
            recording: recording.clone(),
            call,
            wall_us: 7,
        };
        self.recordings.order(start).unwrap();
        let track = RecorderCommand::Track {
            recording,
            track: TrackKey(track),
            leg: leg.to_owned(),
        };
        self.recordings.order(track).unwrap();
    }

    fn block(&mut self, track: u64, position: u64, value: i16, is_last: bool) {
        self.blocks
            .push(block(track, 50, position, &[value; 1600], is_last))
            .unwrap();
    }

    fn stop(&mut self, recording: &str) {
        let stop = RecorderCommand::Stop {
            recording: recording.to_owned(),
            pauses: vec![(0, 20)],
        };
        self.recordings.order(stop).unwrap();
    }

    fn report(&mut self) -> RecorderEvent {
        loop {
            match self.reports.blocking_recv().unwrap() {
                Input::Recorder(event) => return event,
                Input::DiskFree { mb } => assert!(mb > 0),
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    fn tracks(&self, recording: &str) -> PathBuf {
        path::tracks_dir(self.dir.path(), recording, 7)
    }
}

/// Waits until `path` is at least `bytes` long.
fn grows_to(path: &Path, bytes: u64) {
    let give_up_at = crate::shell::clock::mono() + PATIENCE;
    while std::fs::metadata(path).map_or(0, |meta| meta.len()) < bytes {
        assert!(
            crate::shell::clock::mono() < give_up_at,
            "{} does not grow",
            path.display()
        );
        std::thread::yield_now();
    }
}

#[test]
fn a_folder_that_takes_no_file_is_told_at_the_start() {
    let house = house("probe");
    assert!(!house.dir.path().join(PROBE).exists());
    let occupied = Scratch::new("probe-occupied");
    std::fs::create_dir(occupied.path().join(PROBE)).unwrap();
    let setup = Setup {
        dir: occupied.path().to_owned(),
        blocks: Vec::new(),
        report: mpsc::channel(1).0,
    };
    assert!(Recordings::spawn(setup).is_err());
}

#[test]
fn blocks_are_in_the_file_while_it_grows_and_joined_at_stop() {
    let mut house = house("writer");
    // The block comes before the order that names its track.
    house.block(1, 0, 5, false);
    house.start("r", 1, "a");
    let file = house.tracks("r").join("0-a.wav");
    grows_to(&file, 44 + 3200);
    house.block(1, 1600, 6, true);
    house.stop("r");
    let RecorderEvent::Stored {
        recording,
        uri,
        channels,
        duration_ms,
        ..
    } = house.report()
    else {
        panic!("not stored")
    };
    assert_eq!((recording.as_str(), duration_ms), ("r", 400));
    assert_eq!(channels, ["a"]);
    let final_path = final_path(house.dir.path(), "r", 7);
    assert_eq!(uri, path::file_uri(&final_path));
    assert_eq!(std::fs::metadata(final_path).unwrap().len(), 44 + 6400);
    assert!(!file.exists());
    assert_eq!(house.emptied.slots(), 2, "the blocks' memory comes back");
    assert!(house.recordings.close(PATIENCE));
}

#[test]
fn a_lost_last_block_delays_the_join_but_does_not_prevent_it() {
    let mut house = house("writer-last");
    house.start("r", 1, "a");
    house.block(1, 0, 5, false);
    house.stop("r");
    assert!(matches!(
        house.report(),
        RecorderEvent::Stored { duration_ms: 200, .. }
    ));
}

#[test]
fn closing_joins_what_is_open() {
    let mut house = house("writer-close");
    house.start("r", 1, "a");
    house.block(1, 0, 5, false);
    assert!(house.recordings.close(PATIENCE));
    let manifest = Manifest::read(&path::final_manifest_path(house.dir.path(), "r", 7)).unwrap();
    assert_eq!(manifest.stored.unwrap().duration_ms, 200);
}

#[test]
fn what_cannot_be_a_file_name_fails_alone() {
    let mut house = house("writer-bad");
    house.start("../r", 1, "a");
    let RecorderEvent::Failed { recording, .. } = house.report() else {
        panic!("kept")
    };
    assert_eq!(recording, "../r");
    house.start("good", 2, "b");
    house.block(2, 0, 1, true);
    house.stop("good");
    assert!(matches!(house.report(), RecorderEvent::Stored { .. }));
}

#[test]
fn a_recording_that_lost_an_order_keeps_its_tracks() {
    let (orders, order_queue) = sync_channel(2);
    let mut recordings = Recordings {
        orders,
        abandoned: BTreeSet::new(),
        thread: std::thread::spawn(|| {}),
    };
    let start = |id: &str| RecorderCommand::Start {
        recording: id.to_owned(),
        call: "c".to_owned(),
        wall_us: 7,
    };
    let stop = |id: &str| RecorderCommand::Stop {
        recording: id.to_owned(),
        pauses: Vec::new(),
    };
    recordings.order(start("r")).unwrap();
    recordings.order(start("s")).unwrap();
    assert_eq!(recordings.order(stop("r")).unwrap_err().recording, "r");
    assert_eq!(order_queue.try_iter().count(), 2);
    recordings.order(stop("s")).unwrap();
    assert!(matches!(order_queue.try_recv().unwrap(), Order::Abandon(id) if id == "r"));
    assert!(matches!(
        order_queue.try_recv().unwrap(),
        Order::Command(RecorderCommand::Stop { .. })
    ));
}

#[test]
fn an_abandoned_recording_says_so_in_its_manifest() {
    let mut house = house("writer-abandoned");
    house.start("r", 1, "a");
    house.block(1, 0, 1, false);
    grows_to(&house.tracks("r").join("0-a.wav"), 44 + 3200);
    house.recordings.abandoned.insert("r".to_owned());
    house.start("other", 2, "b");
    let tracks = house.tracks("r");
    assert!(house.recordings.close(PATIENCE));
    assert_eq!(
        Manifest::read(&tracks.join(path::MANIFEST)).unwrap().state,
        State::Failed
    );
}

#[test]
fn a_folder_that_is_gone_is_told_before_the_next_recording_and_so_is_its_return() {
    let mut house = house("writer-gone");
    let mut next =
        |wanted: fn(&Input) -> bool| std::iter::from_fn(|| house.reports.blocking_recv()).find(wanted);
    let is_room = |input: &Input| matches!(input, Input::DiskFree { .. });
    assert!(next(is_room).is_some());
    std::fs::remove_dir_all(house.dir.path()).unwrap();
    let fault = next(|input| matches!(input, Input::DiskFault { .. }));
    assert!(
        matches!(&fault, Some(Input::DiskFault { why }) if why.starts_with("No such file")),
        "{fault:?}"
    );
    std::fs::create_dir(house.dir.path()).unwrap();
    assert!(next(is_room).is_some());
}
