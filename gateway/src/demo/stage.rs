//! What stands before the curtain rises: the gateway with ports and files of its own, and three phones.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use media::frame::RATE_HZ;
use media::recorder::wav;
use tokio::runtime::Runtime;

use super::cast::{self, GREETING_HZ, Party};
use super::timeline::Timeline;
use super::{DemoError, Options};
use crate::config::Config;
use crate::phone::{self, Behaviour, Phone};
use crate::shell::gateway::Gateway;
use crate::shell::own_addresses;

/// The carrier's address.
const CARRIER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The agents' address.
const AGENTS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// How long an agent's phone rings.
const RING: Duration = Duration::from_millis(1_900);
/// Ports for RTP and RTCP: five legs of the story and a few softphones.
const PORTS: u16 = 64;
/// Where blocks of ports are looked for: below the ports that the kernel hands out.
const PORT_BLOCKS: std::ops::Range<u16> = 320..500;
/// Longest path that a Unix socket may have with some to spare (unix(7) allows 107 bytes).
const SOCKET_PATH_MAX: usize = 100;
/// Length of the greeting, seconds.
const GREETING_S: f32 = 2.0;

/// The gateway and the phones.
pub struct Stage {
    /// The gateway.
    pub gateway: Gateway,
    /// Its SIP address.
    pub sip: SocketAddr,
    customer: Phone,
    agent1: Phone,
    agent2: Phone,
}

impl Stage {
    /// Writes the files and starts everything.
    pub fn build(
        options: &Options,
        runtime: &Runtime,
        timeline: &mut Timeline<'_>,
    ) -> Result<Stage, DemoError> {
        let out = std::path::absolute(&options.out)
            .map_err(|source| DemoError::io(options.out.display(), source))?;
        let prompts = out.join("state/prompts");
        fs::create_dir_all(&prompts).map_err(|source| DemoError::io(prompts.display(), source))?;
        write(&prompts.join("greeting.wav"), &greeting())?;
        let file = out.join("gateway.toml");
        write(&file, configuration(&out)?.as_bytes())?;
        let gateway = Gateway::start(Config::load(&file, None)?)?;
        let sip = gateway
            .listeners()
            .first()
            .map(|listen| listen.addr)
            .ok_or(DemoError::Missing("the SIP listener"))?;
        timeline.tell(
            "gateway",
            "up",
            &format!("SIP at {sip}, configured by {}", file.display()),
        );
        let phone = |party: Party| {
            let started = runtime.block_on(Phone::start(phone_config(party)));
            started.map_err(|source| DemoError::io(format!("the phone of {}", party.name()), source))
        };
        let stage = Stage {
            gateway,
            sip,
            customer: phone(Party::Customer)?,
            agent1: phone(Party::Agent1)?,
            agent2: phone(Party::Agent2)?,
        };
        for party in Party::ALL {
            let phone = stage.phone(party);
            let words = format!("{} says a tone of {} Hz", phone.uri(), party.tone_hz());
            timeline.tell(party.name(), "phone", &words);
        }
        Ok(stage)
    }

    /// A party's phone.
    pub fn phone(&self, party: Party) -> &Phone {
        match party {
            Party::Customer => &self.customer,
            Party::Agent1 => &self.agent1,
            Party::Agent2 => &self.agent2,
        }
    }
}

fn phone_config(party: Party) -> phone::Config {
    let address = match party {
        Party::Customer => CARRIER,
        Party::Agent1 | Party::Agent2 => AGENTS,
    };
    // One agent speaks the other law, so that the gateway has to translate.
    let codec = match party {
        Party::Customer | Party::Agent1 => media::Codec::Pcma,
        Party::Agent2 => media::Codec::Pcmu,
    };
    phone::Config {
        address: IpAddr::V4(address),
        codec,
        behaviour: Behaviour::Answer { after: RING },
        ..phone::Config::new(party.user(), party.tone_hz())
    }
}

/// The gateway's configuration file, for reading as much as for running.
fn configuration(out: &Path) -> Result<String, DemoError> {
    let first = free_ports()?;
    let last = first + PORTS - 1;
    let socket = control_socket(out);
    let service = cast::SERVICE_NUMBER;
    // Softphones often write the first real address of the machine into their SDP.
    let own: Vec<String> = own_addresses()
        .iter()
        .map(|address| format!("\"{address}\""))
        .collect();
    let own = [&["\"127.0.0.0/8\"".to_owned()], own.as_slice()]
        .concat()
        .join(", ");
    Ok(format!(
        r#"# Written by `media-gateway demo`.
instance = "demo"
state_dir = "state"

[sip]
listen = ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"]   # a free port each

[media]
address = "127.0.0.1"
ports = "{first}-{last}"
shards = 1

[control]
unix = {socket:?}

[[trunk]]                  # where the customer comes from
name = "carrier"
allow = ["{CARRIER}/32"]
codecs = ["PCMA", "PCMU"]

[[trunk]]                  # the agents' phones
name = "agents"
allow = ["{AGENTS}/32"]
agents = true
caller_ids = ["*"]
codecs = ["PCMA", "PCMU"]

[[trunk]]                  # a softphone on this machine
name = "softphone"
allow = [{own}]
media_source = "nat"

[[number]]
match = "{service}"
app = "demo"

[[number]]                 # softphones may call anything
match = "*"
app = "demo"

[recordings]
min_free_mb = 16
"#,
        socket = socket.display().to_string(),
    ))
}

/// In the state folder, unless its path is too long for the kernel.
fn control_socket(out: &Path) -> PathBuf {
    let usual = out.join("state/control.sock");
    if usual.as_os_str().len() <= SOCKET_PATH_MAX {
        return usual;
    }
    std::env::temp_dir().join(format!("media-gateway-demo-{}.sock", std::process::id()))
}

/// The first port of a block that nobody uses. Begins at another place in every process, so that
/// demonstrations side by side seldom meet.
fn free_ports() -> Result<u16, DemoError> {
    let blocks = PORT_BLOCKS.len();
    let start = std::process::id() as usize % blocks;
    PORT_BLOCKS
        .cycle()
        .skip(start)
        .take(blocks)
        .map(|block| block * PORTS)
        .find(|first| {
            let bound = (*first..first + PORTS).map(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)));
            // All at once: each socket lives until the last is tried.
            bound.collect::<Result<Vec<_>, _>>().is_ok()
        })
        .ok_or(DemoError::Ports(PORTS))
}

/// A trembling chime.
fn greeting() -> Vec<u8> {
    let count = (GREETING_S * RATE_HZ as f32) as usize;
    let samples = (0..count).flat_map(|at| {
        let seconds = at as f32 / RATE_HZ as f32;
        let ends = (seconds.min(GREETING_S - seconds) / 0.02).min(1.0);
        let tremor = 0.75 + 0.25 * (std::f32::consts::TAU * 6.0 * seconds).sin();
        let sample = 7_000.0 * ends * tremor * (std::f32::consts::TAU * GREETING_HZ * seconds).sin();
        (sample as i16).to_le_bytes()
    });
    let samples: Vec<u8> = samples.collect();
    let mut file = wav::header(1, samples.len() as u64).to_vec();
    file.extend(samples);
    file
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), DemoError> {
    fs::write(path, bytes).map_err(|source| DemoError::io(path.display(), source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_accepted() {
        let text = configuration(Path::new("/srv/demo")).unwrap();
        let config = Config::parse(&text, Path::new("/srv/demo/gateway.toml"), None).unwrap();
        let trunk = |address: &str| {
            config
                .trunk_by_source(address.parse().unwrap())
                .map(|trunk| trunk.name.clone())
        };
        assert_eq!(trunk("127.0.0.2").as_deref(), Some("carrier"));
        assert_eq!(trunk("127.0.0.3").as_deref(), Some("agents"));
        assert_eq!(trunk("127.0.0.1").as_deref(), Some("softphone"));
        assert_eq!(config.control.unix, Path::new("/srv/demo/state/control.sock"));
    }

    #[test]
    fn a_long_path_takes_its_socket_elsewhere() {
        let long = PathBuf::from("/srv").join("x".repeat(120));
        assert!(control_socket(&long).as_os_str().len() <= SOCKET_PATH_MAX);
    }

    #[test]
    fn the_greeting_is_a_wav_that_sounds_all_along() {
        let file = greeting();
        assert_eq!(file.len(), wav::HEADER_BYTES as usize + 2 * 16_000);
        let samples: Vec<i16> = file[wav::HEADER_BYTES as usize..]
            .chunks_exact(2)
            .map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]]))
            .collect();
        assert!(phone::voice::listen(&samples, &cast::Speaker::Greeting.voice()).is_steady());
    }
}
