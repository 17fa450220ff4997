//! Time and chance come in as arguments; two files ask the machine for them.

use super::source::Source;

const WORDS: [&str; 15] = [
    "Instant::now",
    "SystemTime::now",
    "Utc::now",
    "Local::now",
    ".elapsed()",
    "thread::sleep",
    "thread::park_timeout",
    "time::sleep",
    "time::interval",
    "thread_rng",
    "rand::random",
    "rand::rng",
    "OsRng",
    "getrandom",
    "RandomState::new",
];
const CLOCK_FILES: [&str; 3] = [
    "gateway/src/shell/clock",
    "media/src/shard/thread",
    "tests/fuzz/targets",
];

pub fn check(source: &Source) -> Vec<String> {
    if CLOCK_FILES.into_iter().any(|file| source.is_in(file)) {
        return Vec::new();
    }
    source.lines_where("time and chance are arguments here", |line| {
        WORDS.into_iter().any(|word| line.contains(word))
    })
}

#[test]
fn a_clock_in_the_wrong_file_is_found() {
    for line in [
        "let now = Instant::now();",
        "tokio::time::sleep(d).await;",
        "let x = started.elapsed();",
        "rand::random()",
    ] {
        let text = format!("fn a() {{ {line} }}\n");
        assert_eq!(check(&Source::new("sip/src/a.rs", &text)).len(), 1, "{line}");
        assert_eq!(
            check(&Source::new("gateway/src/observe/a.rs", &text)).len(),
            1,
            "{line}"
        );
        assert!(check(&Source::new("gateway/src/shell/clock.rs", &text)).is_empty());
        assert!(check(&Source::new("media/src/shard/thread.rs", &text)).is_empty());
        assert!(check(&Source::new("tests/sim.rs", &text)).is_empty());
        assert!(
            check(&Source::new(
                "sip/src/a.rs",
                &format!("#[cfg(test)]\nmod tests {{ {text} }}\n")
            ))
            .is_empty()
        );
    }
}
