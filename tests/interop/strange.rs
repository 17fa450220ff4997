//! Messages that no sane peer sends, and a call after them.

use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use house::wire::{CARRIER, Ear, Settings, Sipp, Site, free_port, now_us};
use serde_json::json;

/// From an address that is no trunk's.
const STRANGER: &str = "127.0.0.99";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_goes_as_ever_after_every_message_of_rfc_4475_and_rfc_5118_by_every_way_in() {
    let site = Site::open("strange", &Settings::default()).await;
    let messages = [torture("rfc4475", 49), torture("rfc5118", 12)].concat();
    for ip in [CARRIER, STRANGER] {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        for message in &messages {
            socket.send_to(message, site.gateway.udp()).unwrap();
            // What came before has its own connection: a broken frame ends it.
            send_over_tcp(ip, site.gateway.tcp(), message);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    let ear = Ear::open(CARRIER);
    let caller = Sipp::new("caller", CARRIER)
        .to(site.gateway.udp())
        .media(ear.address());
    let caller = caller.start(&site.folder).await;
    let router = &site.router;
    let call = router
        .wait(0, "the call", |heard| {
            heard.is("leg.incoming") && heard.event["data"]["from"]["number"] == "+4930987654"
        })
        .await;
    router
        .call("leg.answer", json!({ "leg": call.text("leg") }))
        .await;
    router.call("leg.hold", json!({ "leg": call.text("leg") })).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let level = ear.level(house::wire::MUSIC_HZ, now_us() - 1_000_000, now_us());
    let strange = router
        .heard()
        .iter()
        .filter(|heard| heard.is("leg.incoming"))
        .count()
        - 1;
    println!(
        "{} messages, 4 ways in: {strange} of them are calls; the call after them hears its music at {level:.3}",
        messages.len()
    );
    assert!(level > 0.2, "{level}");
    router
        .call("call.end", json!({ "call": call.text("call") }))
        .await;
    caller.finish().await;
    // Those that were calls are refused when nobody takes them.
    house::wire::until("every call to end", Duration::from_secs(40), || {
        (site.gateway.metric("calls_active", "") == 0).then_some(())
    })
    .await;
}

/// The messages of an RFC as they are sent.
fn torture(rfc: &str, count: usize) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(rfc);
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "dat"));
    paths.sort();
    assert_eq!(paths.len(), count);
    paths
        .into_iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

fn send_over_tcp(ip: &str, to: SocketAddr, message: &[u8]) {
    let from: SocketAddr = format!("{ip}:{}", free_port(ip)).parse().unwrap();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&from.into()).unwrap();
    // A stranger may be turned away before or while it sends.
    if socket.connect(&to.into()).is_ok() {
        let _ = TcpStream::from(socket).write_all(message);
    }
}
