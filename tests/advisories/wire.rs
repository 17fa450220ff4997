//! Attacks on sockets, against the running program: B1, B13, B14, B17, B23, B24, B27.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use house::wire::{AGENTS, Authority, CARRIER, GATEWAY_NAME, Secured, Settings, Site, dial, peer, until};
use rustls::version::TLS13;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::length::LENGTHS;
use crate::strangers::METHODS;

const STRANGER: &str = "127.0.0.66";
const PATIENCE: Duration = Duration::from_secs(20);

fn udp(ip: &str) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket
}

fn tcp(ip: &str, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(ip.parse().unwrap(), 0).into())?;
    socket.connect(&to.into())?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    Ok(socket.into())
}

fn request(
    method: &str,
    transport: &str,
    from: SocketAddr,
    branch: &str,
    length: &str,
    body: &str,
) -> String {
    format!(
        "{method} sip:+4930123456@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{transport} {from};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:+4930987654@{from}>;tag=t{branch}\r\nTo: <sip:+4930123456@127.0.0.1>\r\nCall-ID: c{branch}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:x@{from}>\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// The first line that comes, or nothing in two seconds or at the end.
fn answer(reading: &mut impl Read) -> String {
    let mut bytes = [0; 4_096];
    let count = reading.read(&mut bytes).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..count])
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Whether the other side closes within so long.
fn is_closed(stream: &mut TcpStream, within: Duration) -> bool {
    stream.set_read_timeout(Some(within)).unwrap();
    let mut bytes = [0; 4_096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }
}

/// OPTIONS of the carrier over UDP gets its 200, and how fast.
fn assert_alive(site: &Site) -> Duration {
    let socket = udp(CARRIER);
    let from = socket.local_addr().unwrap();
    let begun = Instant::now();
    let text = request("OPTIONS", "UDP", from, &format!("alive{}", from.port()), "0", "");
    socket.send_to(text.as_bytes(), site.gateway.udp()).unwrap();
    let mut bytes = [0; 4_096];
    let (count, _) = socket.recv_from(&mut bytes).expect("an answer after the attack");
    assert!(bytes[..count].starts_with(b"SIP/2.0 200"));
    begun.elapsed()
}

/// Kibibytes of memory of the gateway's process in use.
fn resident_kib(site: &Site) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.gateway.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn secured() -> (Settings, Authority) {
    let listener = "[sip.tls]\ncert = \"gw.pem\"\nkey = \"gw.key\"\n".to_owned();
    let tls = Secured {
        listener,
        ..Secured::default()
    };
    let settings = Settings {
        tls: Some(tls),
        ..Settings::default()
    };
    (settings, Authority::new("house"))
}

async fn open_secured(name: &str) -> (Site, Authority) {
    let (settings, authority) = secured();
    let site = Site::furnished(name, &settings, |folder| {
        authority.issue(&[GATEWAY_NAME]).write(folder.path(), "gw");
    })
    .await;
    (site, authority)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b1_over_udp_tcp_and_tls_a_length_that_is_none_gets_400_and_the_stream_its_end() {
    let (site, authority) = open_secured("b1").await;
    for (number, length) in LENGTHS.iter().enumerate() {
        let socket = udp(CARRIER);
        let from = socket.local_addr().unwrap();
        let text = |transport| request("OPTIONS", transport, from, &format!("b1x{number}"), length, "");
        socket
            .send_to(text("UDP").as_bytes(), site.gateway.udp())
            .unwrap();
        let mut bytes = [0; 4_096];
        let (count, _) = socket.recv_from(&mut bytes).unwrap();
        assert!(bytes[..count].starts_with(b"SIP/2.0 400"), "UDP {length:?}");

        let mut stream = tcp(CARRIER, site.gateway.tcp()).unwrap();
        stream.write_all(text("TCP").as_bytes()).unwrap();
        assert!(answer(&mut stream).starts_with("SIP/2.0 400"), "TCP {length:?}");
        assert!(is_closed(&mut stream, Duration::from_secs(2)), "TCP {length:?}");

        let mut stream = dial(CARRIER, site.gateway.tls(), authority.client(None, &TLS13))
            .await
            .unwrap();
        stream.write_all(text("TLS").as_bytes()).await.unwrap();
        let mut came = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut came)).await;
        assert!(read.is_ok() && came.starts_with(b"SIP/2.0 400"), "TLS {length:?}");
    }
    assert_alive(&site);
}

/// Connections that say a byte now and then, or nothing: the cap per address holds, each message has five
/// seconds, and nobody else notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b13_slow_and_idle_connections_are_ended_and_cost_little() {
    let site = Site::open("b13", &Settings::default()).await;
    assert_alive(&site);
    let before = resident_kib(&site);
    let wanted = 300 * crate::rig::factor().min(16);
    let mut streams: Vec<TcpStream> = (0..wanted)
        .filter_map(|_| tcp(CARRIER, site.gateway.tcp()).ok())
        .collect();
    for (number, stream) in streams.iter_mut().enumerate() {
        // Half a head, a head that never ends, a body that does not come, nothing.
        let begin: &[u8] = match number % 4 {
            0 => b"OPTIONS sip:a SIP/2.0\r\nVia: ",
            1 => b"OPTIONS sip:a SIP/2.0\r\nX: y\r\nX: y\r\nX: y\r\n",
            2 => b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 60000\r\n\r\nv=0",
            _ => b"",
        };
        let _ = stream.write_all(begin);
    }
    let begun = Instant::now();
    let mut open = streams.len();
    until("slow connections to be ended", PATIENCE, || {
        streams.retain_mut(|stream| {
            // One byte a round keeps none of them alive.
            let _ = stream.write_all(b"x");
            stream.set_nonblocking(true).unwrap();
            let read = stream.read(&mut [0; 64]);
            stream.set_nonblocking(false).unwrap();
            matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
        });
        open = streams.len();
        (open == 0).then_some(())
    })
    .await;
    let grown = resident_kib(&site).saturating_sub(before);
    println!(
        "{wanted} slow connections gone after {:?}; {grown} KiB more",
        begun.elapsed()
    );
    assert!(grown < 100 * 1_024, "{grown} KiB");
    assert_alive(&site);
}

/// INVITE, REGISTER and OPTIONS as fast as loopback takes them, from a listed address and from a stranger.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b14_a_flood_over_udp_and_tcp_leaves_memory_flat_and_others_served() {
    let settings = Settings {
        carrier_keys: "messages_per_second = 500".to_owned(),
        ..Settings::default()
    };
    let site = Site::open("b14", &settings).await;
    let (to, over_tcp) = (site.gateway.udp(), site.gateway.tcp());
    let span = Duration::from_secs(3 * crate::rig::factor() as u64);
    let flood = |ip: &'static str| {
        std::thread::spawn(move || {
            let socket = udp(ip);
            let from = socket.local_addr().unwrap();
            let (begun, mut sent) = (Instant::now(), 0_u64);
            while begun.elapsed() < span {
                let method = ["INVITE", "REGISTER", "OPTIONS"][sent as usize % 3];
                let text = request(method, "UDP", from, &format!("f{ip}{sent}"), "0", "");
                let _ = socket.send_to(text.as_bytes(), to);
                sent += 1;
                if sent % 64 == 0 {
                    std::thread::yield_now();
                }
            }
            sent
        })
    };
    flood_over_tcp(over_tcp);
    let floods = [flood("127.0.0.11"), flood(STRANGER)];
    let half = span / 2;
    tokio::time::sleep(half).await;
    let early = resident_kib(&site);
    // The agents' address is not concerned.
    let mut slowest = Duration::ZERO;
    for number in 0..10 {
        let socket = udp(AGENTS);
        let from = socket.local_addr().unwrap();
        let begun = Instant::now();
        for attempt in 0..5 {
            let text = request("OPTIONS", "UDP", from, &format!("calm{number}"), "0", "");
            socket.send_to(text.as_bytes(), to).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_millis(500 << attempt)))
                .unwrap();
            if socket.recv_from(&mut [0; 4_096]).is_ok() {
                break;
            }
            assert!(attempt < 4, "no answer in the flood");
        }
        slowest = slowest.max(begun.elapsed());
    }
    let sent: u64 = floods.into_iter().map(|flood| flood.join().unwrap()).sum();
    let late = resident_kib(&site);
    let gated = site.gateway.metric("sip_dropped_total", "source_rate");
    let unlisted = site.gateway.metric("sip_dropped_total", "unlisted_source");
    println!(
        "{sent} sent; {gated} over the rate, {unlisted} unlisted; slowest other {slowest:?}; {early} to {late} KiB"
    );
    assert!(gated > 1_000 && unlisted > 1_000, "{gated} {unlisted}");
    assert!(slowest < Duration::from_secs(4), "{slowest:?}");
    assert!(late < early + 30 * 1_024, "{early} to {late} KiB");
    until("the calls of the flood to end", Duration::from_secs(60), || {
        (site.gateway.metric("calls_active", "") == 0).then_some(())
    })
    .await;
    assert_alive(&site);
}

fn flood_over_tcp(to: SocketAddr) {
    let mut stream = tcp(CARRIER, to).unwrap();
    let from = stream.local_addr().unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    for number in 0..3_000 {
        let text = request("REGISTER", "TCP", from, &format!("tcp{number}"), "0", "");
        if stream.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b17_b24_a_stranger_gets_not_a_byte_by_any_method_or_transport() {
    let (site, _) = open_secured("b17").await;
    let socket = udp(STRANGER);
    socket.set_read_timeout(Some(Duration::from_millis(800))).unwrap();
    let from = socket.local_addr().unwrap();
    for method in METHODS {
        let text = request(method, "UDP", from, &format!("s{method}"), "0", "");
        socket.send_to(text.as_bytes(), site.gateway.udp()).unwrap();
    }
    socket.send_to(b"\r\n\r\n", site.gateway.udp()).unwrap();
    assert!(
        socket.recv_from(&mut [0; 4_096]).is_err(),
        "a stranger was answered"
    );
    for to in [site.gateway.tcp(), site.gateway.tls()] {
        let mut stream = tcp(STRANGER, to).unwrap();
        let _ = stream.write_all(request("INVITE", "TCP", from, "stcp", "0", "").as_bytes());
        assert_eq!(answer(&mut stream), "", "{to}");
        assert!(is_closed(&mut stream, Duration::from_secs(2)), "{to}");
    }
    assert!(site.router.heard().iter().all(|heard| !heard.is("leg.incoming")));
    assert_alive(&site);
}

/// SIPVicious, from an address of no trunk: it finds no host, no extension, no password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b23_sipvicious_finds_nothing() {
    let site = Site::open("b23", &Settings::default()).await;
    let to = site.gateway.udp();
    let words = site.folder.join("words.txt");
    std::fs::write(&words, "secret\n1234\n100\n").unwrap();
    let (port, host) = (to.port().to_string(), to.ip().to_string());
    let scans: [(&str, Vec<&str>); 4] = [
        ("svmap", vec!["-p", &port, "--bindingip", STRANGER, &host]),
        (
            "svwar",
            vec![
                "-p",
                &port,
                "--bindingip",
                STRANGER,
                "-e",
                "100-105",
                "-m",
                "INVITE",
                &host,
            ],
        ),
        (
            "svwar",
            vec![
                "-p",
                &port,
                "--bindingip",
                STRANGER,
                "-e",
                "100-105",
                "-m",
                "REGISTER",
                &host,
            ],
        ),
        (
            "svcrack",
            vec![
                "-p",
                &port,
                "--bindingip",
                STRANGER,
                "-u",
                "100",
                "-d",
                words.to_str().unwrap(),
                &host,
            ],
        ),
    ];
    for (tool, arguments) in scans {
        let mut command = peer(tool, "sipvicious");
        command
            .args(&arguments)
            .env("HOME", site.folder.path())
            .current_dir(site.folder.path());
        let run = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = tokio::time::timeout(Duration::from_secs(60), run)
            .await
            .expect("the scan ends")
            .unwrap();
        let told = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let found = told
            .lines()
            .filter(|line| line.starts_with('|') && line.contains("127.0.0.1") || line.contains("reqauth"));
        assert_eq!(found.count(), 0, "{tool}: {told}");
    }
    assert!(
        site.gateway.metric("sip_dropped_total", "unlisted_source") >= 3,
        "the scans came through"
    );
    assert!(site.router.heard().iter().all(|heard| !heard.is("leg.incoming")));
    assert_alive(&site);
}

/// Hellos a byte at a time, handshakes that stop half-way, and goodbyes in the middle of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b27_handshakes_that_do_not_end_are_ended_and_a_good_one_passes() {
    let (site, authority) = open_secured("b27").await;
    let hello = hello();
    let mut halves: Vec<TcpStream> = (0..40 * crate::rig::factor().min(20))
        .filter_map(|_| tcp(CARRIER, site.gateway.tls()).ok())
        .collect();
    for (number, stream) in halves.iter_mut().enumerate() {
        let cut = hello.len() * (number % 5) / 5;
        let _ = stream.write_all(&hello[..cut]);
        if number % 5 == 4 {
            // close_notify in clear, before there are keys (RUSTSEC-2024-0336).
            let _ = stream.write_all(&[21, 3, 3, 0, 2, 1, 0]);
        }
    }
    // A hello in pieces of one byte is a hello (RUSTSEC-2024-0399).
    let mut slow = tcp(CARRIER, site.gateway.tls()).unwrap();
    slow.set_nodelay(true).unwrap();
    for byte in &hello {
        slow.write_all(&[*byte]).unwrap();
    }
    let mut came = [0; 5];
    slow.read_exact(&mut came).unwrap();
    assert_eq!(came[0], 22, "a ServerHello");
    let good = dial(CARRIER, site.gateway.tls(), authority.client(None, &TLS13)).await;
    let mut good = good.expect("a good handshake beside them");
    let begun = Instant::now();
    for stream in &mut halves {
        assert!(is_closed(stream, Duration::from_secs(10)));
    }
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    let text = request(
        "OPTIONS",
        "TLS",
        SocketAddr::from(([127, 0, 0, 11], 9)),
        "tls",
        "0",
        "",
    );
    good.write_all(text.as_bytes()).await.unwrap();
    let mut bytes = [0; 4_096];
    let count = good.read(&mut bytes).await.unwrap();
    assert!(bytes[..count].starts_with(b"SIP/2.0 200"));
    assert_alive(&site);
}

/// A ClientHello as our own client writes it.
fn hello() -> Vec<u8> {
    let config = Authority::new("any").client(None, &TLS13);
    let name = rustls::pki_types::ServerName::try_from(GATEWAY_NAME).unwrap();
    let mut client = rustls::ClientConnection::new(config, name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}
