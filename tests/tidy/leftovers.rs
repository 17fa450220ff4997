//! Nothing unfinished, nothing switched off, nothing that only holds on one machine.

use super::source::{Source, findings};

const UNFINISHED: [&str; 5] = ["todo!", "unimplemented!", "dbg!", "#[ignore", "#![allow(warnings"];
/// Folders of one person or one machine. `~` stands for the slash, so that this list does not find itself.
const MACHINES: [&str; 6] = ["~home~", "~root~", "~work~", "~Users~", "~mnt~", "C:\\Users"];

pub fn check(source: &Source) -> Vec<String> {
    findings(&source.path, &source.code, "unfinished", |line| {
        UNFINISHED.into_iter().any(|word| line.contains(word))
    })
}

/// Paths of one machine in any text of ours. The lock file and the licence texts are not ours.
pub fn check_paths(path: &str, text: &str) -> Vec<String> {
    if path == "Cargo.lock" || path.starts_with("LICENSE") || path == "tests/tidy/leftovers.rs" {
        return Vec::new();
    }
    findings(path, text, "a path of one machine", |line| {
        MACHINES.into_iter().any(|folder| {
            let folder = folder.replace('~', "/");
            line.match_indices(&folder).any(|(at, _)| {
                // `https://host/home/` and `src/work/` are no paths from the root.
                !line[..at]
                    .chars()
                    .next_back()
                    .is_some_and(|c| c.is_alphanumeric() || "_-.}".contains(c))
            })
        })
    })
}

#[test]
fn unfinished_code_is_found() {
    for line in [
        "fn a() { todo!() }",
        "dbg!(x);",
        "#[ignore]\nfn a() {}",
        "#[ignore = \"slow\"]\nfn a() {}",
    ] {
        assert_eq!(check(&Source::new("sip/src/a.rs", line)).len(), 1, "{line}");
        assert_eq!(check(&Source::new("tests/a.rs", line)).len(), 1, "{line}");
    }
    assert!(check(&Source::new("sip/src/a.rs", "// todo! is forbidden\n")).is_empty());
}

#[test]
fn a_path_of_one_machine_is_found() {
    for line in ["see /home/anna/notes", "cd /root/x", "path = \"/work/main\""] {
        assert_eq!(check_paths("README.md", line).len(), 1, "{line}");
    }
    for line in [
        "/var/lib/media-gateway",
        "https://example.com/home/x",
        "src/work/a.rs",
        "/etc/media-gateway",
    ] {
        assert!(check_paths("README.md", line).is_empty(), "{line}");
    }
}
