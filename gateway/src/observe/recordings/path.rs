//! Where the files of a recording lie: pure functions of its id and its start.
//!
//! ```text
//! <recordings.dir>/2026-11-21/20261121T030947.123456Z-<recording>.wav    joined, a channel per leg
//!                            /20261121T030947.123456Z-<recording>.json   its manifest
//!                 /tracks/20261121T030947.123456Z-<recording>/manifest.json
//!                                                            /0-<leg>.wav  one party, while it grows
//! ```
//! The start is part of the name because ids are free again once their call is over. Touches no file.

use std::path::{Path, PathBuf};

use crate::utc::{Utc, date};

/// Longest id that becomes part of a file name.
pub const ID_CHARS_MAX: usize = 64;

/// Name of the manifest inside a folder of tracks.
pub const MANIFEST: &str = "manifest.json";

/// The folder below `recordings.dir` that holds recordings while they grow, and what a crash left.
pub const TRACKS: &str = "tracks";

/// True for what may become part of a file name: 1 to 64 of `[A-Za-z0-9_-]`.
pub fn is_id(id: &str) -> bool {
    (1..=ID_CHARS_MAX).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// The joined file of `recording` that began at `wall_us`; `recording` has passed [`is_id`].
pub fn final_path(dir: &Path, recording: &str, wall_us: i64) -> PathBuf {
    dir.join(date(wall_us))
        .join(format!("{}.wav", stem(recording, wall_us)))
}

/// The manifest beside the joined file.
pub fn final_manifest_path(dir: &Path, recording: &str, wall_us: i64) -> PathBuf {
    final_path(dir, recording, wall_us).with_extension("json")
}

/// The folder of the recording's tracks while it grows.
pub fn tracks_dir(dir: &Path, recording: &str, wall_us: i64) -> PathBuf {
    dir.join(TRACKS).join(stem(recording, wall_us))
}

/// The file of one party's track; tracks are numbered in their order of appearance.
pub fn track_file(number: usize, leg: &str) -> String {
    format!("{number}-{leg}.wav")
}

/// A `file://` URI of an absolute path (RFC 8089); bytes outside the unreserved set are escaped.
pub fn file_uri(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file://");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

/// The name of a file of ours without its ending: when, then the id.
pub fn stem(recording: &str, wall_us: i64) -> String {
    let Utc {
        year,
        month,
        day,
        hour,
        minute,
        second,
        micro,
    } = Utc::from_micros(wall_us);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{micro:06}Z-{recording}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_has_one_place() {
        let dir = Path::new("/var/rec");
        assert_eq!(
            final_path(dir, "r_1", 1_795_230_587_123_456),
            Path::new("/var/rec/2026-11-21/20261121T030947.123456Z-r_1.wav")
        );
        assert_eq!(
            final_manifest_path(dir, "r_1", 1_795_230_587_123_456),
            Path::new("/var/rec/2026-11-21/20261121T030947.123456Z-r_1.json")
        );
        assert_eq!(
            tracks_dir(dir, "r_1", 1_795_230_587_123_456),
            Path::new("/var/rec/tracks/20261121T030947.123456Z-r_1")
        );
    }

    #[test]
    fn what_could_leave_the_folder_is_no_id() {
        assert!(is_id("rec-1_A"));
        for bad in ["", "..", "a/b", "a.b", "a\0", "é", &"x".repeat(65)] {
            assert!(!is_id(bad), "{bad:?}");
        }
    }

    #[test]
    fn uris_escape_what_is_reserved() {
        assert_eq!(file_uri(Path::new("/a b/c#%.wav")), "file:///a%20b/c%23%25.wav");
    }
}
