//! Every queue has an end.

use super::source::Source;

/// `std`'s `mpsc::channel` takes no capacity; tokio's takes one, so the empty brackets tell them apart.
const WORDS: [&str; 6] = [
    "unbounded",
    "UnboundedSender",
    "UnboundedReceiver",
    "mpsc::channel()",
    "mpsc::channel::<",
    "SegQueue",
];

pub fn check(source: &Source) -> Vec<String> {
    let breaks = |line: &str| {
        // `mpsc::channel::<T>(64)` is bounded, `mpsc::channel::<T>()` is not.
        WORDS.into_iter().any(|word| match word {
            "mpsc::channel::<" => line.contains(word) && line.contains(">()"),
            word => line.contains(word),
        })
    };
    source.lines_where("a queue without a limit", breaks)
}

#[test]
fn an_unbounded_queue_is_found() {
    for line in [
        "let (tx, rx) = mpsc::unbounded_channel();",
        "let (tx, rx) = std::sync::mpsc::channel();",
        "let (tx, rx) = mpsc::channel::<Job>();",
        "let q = crossbeam::queue::SegQueue::new();",
    ] {
        assert_eq!(
            check(&Source::new("gateway/src/shell/a.rs", line)).len(),
            1,
            "{line}"
        );
    }
    for line in [
        "mpsc::channel(QUEUE_MAX)",
        "mpsc::channel::<Job>(64)",
        "sync_channel(8)",
    ] {
        assert!(
            check(&Source::new("gateway/src/shell/a.rs", line)).is_empty(),
            "{line}"
        );
    }
}
