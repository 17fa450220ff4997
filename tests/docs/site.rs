//! A gateway in a folder of its own, and the program that pages tell people to type.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::blocks::Kind;

/// What a page without a configuration of its own runs with.
const CONFIG: &str = "[[trunk]]\nname = \"local\"\nallow = [\"127.0.0.0/8\"]\ncaller_ids = [\"*\"]\n";
/// Free ports in the place of a page's own: several tests may run at once.
const PORTS: [(&str, &str); 2] = [
    ("sip", "listen = [\"udp://127.0.0.1:0\", \"tcp://127.0.0.1:0\"]"),
    ("http", "listen = \"127.0.0.1:0\""),
];

/// Killed and removed when dropped.
pub struct Site {
    child: Child,
    folder: PathBuf,
}

impl Site {
    /// Starts a gateway with a page's configuration, as `gateway.toml` in its folder.
    pub fn start(config: Option<&str>) -> Site {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("gateway-docs-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let config = config.unwrap_or(CONFIG);
        std::fs::write(folder.join("gateway.toml"), config).unwrap();
        std::fs::write(folder.join("test.toml"), with_free_ports(config)).unwrap();
        let mut child = command(&folder)
            .args(["serve", "--config", "test.toml"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = String::new();
        // The socket is the last thing that opens.
        let is_up = log.by_ref().map_while(Result::ok).any(|line| {
            seen.push_str(&line);
            line.contains("control socket at")
        });
        let site = Site { child, folder };
        assert!(is_up, "the gateway did not start: {seen}");
        // A full pipe would stop it.
        std::thread::spawn(move || log.count());
        site
    }

    /// Runs a line; says what is wrong with how it went.
    pub fn run(&self, words: &[String], kind: Kind) -> Option<String> {
        let output = command(&self.folder).args(words).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_right = match kind {
            Kind::Run => output.status.success(),
            Kind::Call => output.status.code() == Some(1) && told.contains("\"kind\":\"not_found\""),
            Kind::Config | Kind::Frames => false,
        };
        (!is_right).then(|| format!("{}: {told}", output.status))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(program());
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .env("NO_COLOR", "1")
        .env_remove("RUST_LOG");
    command
}

fn with_free_ports(config: &str) -> String {
    let mut config: toml::Table = config.parse().unwrap();
    for (name, listen) in PORTS {
        let listen: toml::Table = listen.parse().unwrap();
        let table = config.entry(name).or_insert_with(|| toml::Table::new().into());
        table.as_table_mut().unwrap().extend(listen);
    }
    config.to_string()
}

/// The program, built for this run: Cargo does not build another package's program for a test by itself.
fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        // <target>/<profile>/deps/<test>
        let profile = test.ancestors().nth(2).unwrap();
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
                "--target-dir",
            ])
            .arg(profile.parent().unwrap());
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the program does not build");
        profile.join("media-gateway")
    })
}

#[test]
fn a_command_that_fails_is_told() {
    let site = Site::start(None);
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(site.run(&words("ctl ping"), Kind::Run), None);
    assert!(
        site.run(&words("ctl fly"), Kind::Run)
            .unwrap()
            .contains("not_found")
    );
    assert!(site.run(&words("fly"), Kind::Run).is_some());
    assert_eq!(
        site.run(&words("ctl leg.answer {\"leg\":\"x\"}"), Kind::Call),
        None
    );
    assert!(
        site.run(&words("ctl leg.answer {\"lag\":\"x\"}"), Kind::Call)
            .is_some()
    );
    assert!(site.run(&words("ctl ping"), Kind::Call).is_some());
}
