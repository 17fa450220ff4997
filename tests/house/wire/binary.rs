//! The programs that tests start.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The gateway's program, built for this run beside the test.
///
/// A test target of one package is not told where the program of another lies, and Cargo does not build it
/// for the test. So the first caller asks Cargo to: that takes no time when it is up to date, and a stale
/// program is never tested.
pub fn gateway() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        // <target>/<profile>/deps/<test>
        let profile = test.ancestors().nth(2).unwrap();
        let target = profile.parent().unwrap();
        let mut build = Command::new(env!("CARGO"));
        build
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args([
                "build",
                "--quiet",
                "--locked",
                "-p",
                "gateway",
                "--bin",
                "media-gateway",
            ])
            .arg("--target-dir")
            .arg(target);
        if profile.ends_with("release") {
            build.arg("--release");
        }
        // What Cargo tells this test of its own package; build scripts that watch it would run again each time.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                build.env_remove(&name);
            }
        }
        assert!(build.status().unwrap().success(), "the gateway does not build");
        profile.join("media-gateway")
    })
}

/// A peer that the operating system provides. A missing one fails the test: a promise was not checked.
pub fn peer(name: &str, package: &str) -> Command {
    let is_there = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()));
    assert!(
        is_there,
        "{name} is not installed (Debian: {package}); `make test` says what it needs"
    );
    Command::new(name)
}
