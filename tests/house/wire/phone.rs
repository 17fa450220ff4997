//! One baresip: a phone that speaks a WAV file, answers at once and records what it hears.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::Process;
use super::{Folder, binary, clock, ports};
use crate::tone;

const START_PATIENCE: Duration = Duration::from_secs(15);
/// Seconds of tone it has to say.
const TONE_S: usize = 30;

/// Whether a phone encrypts its media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// RTP/AVP.
    #[default]
    Off,
    /// RTP/SAVP with keys in SDP, or no call.
    Mandatory,
}

/// Ended when dropped.
pub struct Phone {
    process: Process,
    folder: PathBuf,
    user: &'static str,
    ip: &'static str,
    port: u16,
    tls: Option<PathBuf>,
    orders: SocketAddr,
}

impl Phone {
    /// A phone at `ip` that says `hz`; it dials `target` at once, if there is one.
    pub async fn start(
        folder: &Folder,
        user: &'static str,
        ip: &'static str,
        hz: f64,
        target: Option<&str>,
    ) -> Self {
        Self::start_with(folder, user, ip, (hz, target), Encryption::Off).await
    }

    /// One that registers there with this password.
    pub async fn register(
        folder: &Folder,
        user: &'static str,
        ip: &'static str,
        hz: f64,
        (registrar, password): (SocketAddr, &str),
    ) -> Self {
        let account = Account {
            registrar: Some((registrar, password.to_owned())),
            ..Account::default()
        };
        Self::start_as(folder, user, ip, (hz, None), account).await
    }

    /// The same, with SRTP or without.
    pub async fn start_with(
        folder: &Folder,
        user: &'static str,
        ip: &'static str,
        voice: (f64, Option<&str>),
        encryption: Encryption,
    ) -> Self {
        let account = Account {
            encryption,
            ..Account::default()
        };
        Self::start_as(folder, user, ip, voice, account).await
    }

    /// One that speaks only this codec, in baresip's words, for example `G722/16000/1`.
    pub async fn start_speaking(
        folder: &Folder,
        user: &'static str,
        ip: &'static str,
        voice: (f64, Option<&str>),
        codec: &'static str,
    ) -> Self {
        let account = Account {
            codec: Some(codec),
            ..Account::default()
        };
        Self::start_as(folder, user, ip, voice, account).await
    }

    /// The same with signalling under TLS, showing the certificate with its key of that file.
    pub async fn start_secure(
        folder: &Folder,
        user: &'static str,
        ip: &'static str,
        hz: f64,
        target: Option<&str>,
        identity: &Path,
    ) -> Self {
        let account = Account {
            tls: Some(identity.to_owned()),
            ..Account::default()
        };
        Self::start_as(folder, user, ip, (hz, target), account).await
    }

    async fn start_as(
        folder: &Folder,
        user: &'static str,
        ip: &'static str,
        (hz, target): (f64, Option<&str>),
        account: Account,
    ) -> Self {
        let folder = folder.join(user);
        std::fs::create_dir_all(folder.join("rec")).unwrap();
        // Its own way from 8 to 16 kHz passes little above 1 kHz, so G.722 gets a file of its rate.
        let factor = account.speed();
        let mut samples = vec![0; TONE_S * 8_000 * factor];
        tone::sine(hz / factor as f64, 0.3, 0, &mut samples);
        tone::write_wav_at(&folder.join("says.wav"), 8_000 * factor as u32, &samples);
        let port = ports::free_port(ip);
        let orders = SocketAddr::from(([127, 0, 0, 1], ports::free_port("127.0.0.1")));
        write_files(&folder, user, (ip, port), orders, &account);
        let mut command = binary::peer("baresip", "baresip-core");
        command.args(["-4", "-s", "-v", "-t", "60", "-f"]).arg(&folder);
        if let Some(target) = target {
            command.args(["-e", &format!("/dial {target}")]);
        }
        let log = File::create(folder.join("log")).unwrap();
        let mut phone = Phone {
            process: Process::start("baresip", command, log),
            folder,
            user,
            ip,
            port,
            tls: account.tls,
            orders,
        };
        clock::until("baresip to be ready", START_PATIENCE, || {
            assert!(phone.process.ended().is_none(), "baresip ended: {}", phone.log());
            phone.log().contains("baresip is ready").then_some(())
        })
        .await;
        phone
    }

    /// What a `leg.dial` calls it by.
    pub fn uri(&self) -> String {
        match self.tls {
            // It listens for TLS one port above.
            Some(_) => format!("sip:{}@{}:{};transport=tls", self.user, self.ip, self.port + 1),
            None => format!("sip:{}@{}:{}", self.user, self.ip, self.port),
        }
    }

    /// Has it do something with its call, as somebody at its keys would; what it says of SIP's answer is in its log only.
    pub fn order(&self, command: &str, params: &str) {
        use std::io::{Read, Write};
        let order = serde_json::json!({ "command": command, "params": params, "token": "test" }).to_string();
        let mut stream = std::net::TcpStream::connect(self.orders).unwrap();
        // A netstring.
        write!(stream, "{}:{order},", order.len()).unwrap();
        let mut reply = [0; 4_096];
        let length = stream.read(&mut reply).unwrap();
        let reply = String::from_utf8_lossy(&reply[..length]).into_owned();
        assert!(reply.contains("\"ok\":true"), "{command} {params}: {reply}");
    }

    /// What it heard, once it has ended the file.
    pub async fn heard(mut self) -> Vec<i16> {
        self.process.end(START_PATIENCE).await;
        let files = std::fs::read_dir(self.folder.join("rec"))
            .unwrap()
            .filter_map(Result::ok);
        let heard = files
            .map(|entry| entry.path())
            .find(|path| path.to_string_lossy().ends_with("dec.wav"));
        let heard = heard.unwrap_or_else(|| panic!("baresip recorded nothing: {}", self.log()));
        tone::read_narrow_wav(&heard)
    }

    /// What it wrote on its screen.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.join("log")).unwrap_or_default()).into_owned()
    }
}

/// The folder of a list of installed files that `name` lies in.
fn folder_of(package: &str, name: &str) -> PathBuf {
    let list = Command::new("dpkg").args(["-L", package]).output();
    let list = list
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let found = list.lines().map(Path::new).find(|path| path.ends_with(name));
    found
        .and_then(Path::parent)
        .unwrap_or_else(|| panic!("{package} has no {name}; `make test` says what it needs"))
        .to_owned()
}

/// How a phone is set up beyond its name and voice.
#[derive(Default)]
struct Account {
    encryption: Encryption,
    tls: Option<PathBuf>,
    registrar: Option<(SocketAddr, String)>,
    codec: Option<&'static str>,
}

impl Account {
    /// Its sound's rate in units of 8000 Hz.
    fn speed(&self) -> usize {
        match self.codec {
            Some(codec) if codec.starts_with("G722") => 2,
            Some(_) | None => 1,
        }
    }
}

fn write_files(folder: &Path, user: &str, (ip, port): (&str, u16), orders: SocketAddr, account: &Account) {
    let modules = folder_of("baresip-core", "g711.so");
    let media = ports::free_port(ip);
    let (at, rate) = (folder.display(), 8_000 * account.speed());
    let mut config = format!(
        "sip_listen {ip}:{port}\ncall_max_calls 4\naudio_source aufile,{at}/says.wav\n\
         audio_player aubridge,null\naudio_alert aubridge,alert\nausrc_srate {rate}\nauplay_srate {rate}\n\
         ausrc_channels 1\nauplay_channels 1\nrtp_ports {media}-{}\nmodule_path {}\nsnd_path {at}/rec\n",
        media + 20,
        modules.display(),
    );
    let modules = [
        "stdio.so",
        "g711.so",
        "g722.so",
        "opus.so",
        "sndfile.so",
        "aufile.so",
        "aubridge.so",
    ];
    for module in modules {
        config.push_str(&format!("module {module}\n"));
    }
    let mut media = "";
    if account.encryption == Encryption::Mandatory {
        config.push_str("module srtp.so\n");
        media = ";mediaenc=srtp-mand";
    }
    config.push_str(&format!("ctrl_tcp_listen {orders}\nmodule_app ctrl_tcp.so\n"));
    config.push_str("module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\n");
    if let Some(identity) = &account.tls {
        config.push_str(&format!("sip_certificate {}\n", identity.display()));
    }
    std::fs::write(folder.join("config"), config).unwrap();
    let transport = account.tls.as_ref().map_or("", |_| ";transport=tls");
    let address = match &account.registrar {
        Some((registrar, password)) => {
            format!("<sip:{user}@{registrar}>;auth_user={user};auth_pass={password};regint=60")
        }
        None => format!("<sip:{user}@{ip}:{port}{transport}>;regint=0"),
    };
    let codec = account.codec.unwrap_or("PCMU/8000/1");
    let account = format!("{address};answermode=auto;audio_codecs={codec}{media}\n");
    std::fs::write(folder.join("accounts"), account).unwrap();
    std::fs::write(folder.join("contacts"), "").unwrap();
}
