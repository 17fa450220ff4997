//! One Kamailio: a stateful proxy and registrar that routes calls as the test's text says.

use std::net::SocketAddr;
use std::time::Duration;

use super::process::Process;
use super::{Folder, binary, clock, ports};

const START_PATIENCE: Duration = Duration::from_secs(15);

/// Ended when dropped, with its workers.
pub struct Kamailio {
    process: Process,
    address: SocketAddr,
}

impl Kamailio {
    /// A proxy at `ip` that puts itself in every dialog's route, answers OPTIONS itself, takes REGISTER with the password
    /// `secret`, and does `calls` with each new INVITE, in its own language; by then it has added Record-Route.
    pub async fn start(folder: &Folder, ip: &str, calls: &str) -> Self {
        let address = SocketAddr::new(ip.parse().unwrap(), ports::free_port(ip));
        let text = CONFIG
            .replace("[listen]", &address.to_string())
            .replace("[calls]", calls);
        let name = format!("kamailio-{}", address.port());
        let config = folder.join(&format!("{name}.cfg"));
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::create(folder.join(&format!("{name}.log"))).unwrap();
        let mut command = binary::peer("kamailio", "kamailio");
        command
            .arg("-f")
            .arg(&config)
            .args(["-DD", "-E", "-m", "64", "-M", "8"]);
        let mut kamailio = Kamailio {
            process: Process::start("Kamailio", command, log),
            address,
        };
        // What fails at its start it says in its log; that its configuration is well-formed means nothing.
        let wanted = format!(":{:04X} ", address.port());
        clock::until("Kamailio to listen", START_PATIENCE, || {
            let ended = kamailio.process.ended();
            assert!(ended.is_none(), "Kamailio ended: {name}.log");
            let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
            table.contains(&wanted).then_some(())
        })
        .await;
        kamailio
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its main process; the workers are its children.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// It is there and says nothing, until it is dropped.
    pub fn pause(&mut self) {
        self.process.pause();
    }
}

const CONFIG: &str = r#"
debug=0
log_stderror=yes
fork=yes
children=1
auto_aliases=no
disable_tcp=yes
listen=udp:[listen]
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "corex.so"

request_route {
	if (!mf_process_maxfwd_header("70")) {
		sl_send_reply("483", "Too Many Hops");
		exit;
	}
	if (has_totag()) {
		if (loose_route()) {
			t_relay();
		}
		exit;
	}
	if (is_method("CANCEL|ACK")) {
		if (t_check_trans()) {
			t_relay();
		}
		exit;
	}
	if (is_method("OPTIONS")) {
		sl_send_reply("200", "OK");
		exit;
	}
	if (is_method("REGISTER")) {
		if (!pv_www_authenticate("kamailio.test", "secret", "0")) {
			www_challenge("kamailio.test", "1");
			exit;
		}
		save("location");
		exit;
	}
	t_check_trans();
	record_route();
	[calls]
}
"#;
