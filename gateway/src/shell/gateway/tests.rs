//! A whole gateway on loopback: started, asked, stopped.

use std::io::ErrorKind;
use std::path::Path;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::*;
use crate::observe::testing::Scratch;

const PATIENCE: Duration = Duration::from_secs(30);

fn config(dir: &Path, listen: &str, ports: &str) -> Config {
    let text = format!(
        "state_dir = \"{}\"\n[sip]\nlisten = [{listen}]\n[media]\nports = \"{ports}\"\nshards = 1\n\
         [http]\nlisten = \"127.0.0.1:0\"\n",
        dir.display()
    );
    let file = dir.join("gateway.toml");
    std::fs::write(&file, text).unwrap();
    crate::config::Config::load(&file, None).unwrap()
}

async fn ask(gateway: &Gateway, line: &str) -> serde_json::Value {
    let mut client = BufReader::new(gateway.control().unwrap());
    client.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, client.read_line(&mut answer))
        .await
        .unwrap()
        .unwrap();
    serde_json::from_str(&answer).unwrap()
}

#[tokio::test]
async fn a_gateway_starts_answers_and_stops_inside_another_runtime() {
    let dir = Scratch::new("gateway");
    let listen = "\"udp://127.0.0.1:0\", \"tcp://127.0.0.1:0\"";
    let gateway = Gateway::start(config(dir.path(), listen, "42000-42039")).unwrap();
    assert!(gateway.listeners().iter().all(|listen| listen.addr.port() != 0));
    let state = ask(
        &gateway,
        r#"{"jsonrpc":"2.0","id":1,"method":"state.get","params":{}}"#,
    )
    .await;
    assert_eq!(state["result"]["calls"], serde_json::json!([]));
    assert!(gateway.control_socket().exists());
    let http = gateway.http().unwrap();
    let mut probe = tokio::net::TcpStream::connect(http).await.unwrap();
    probe.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await.unwrap();
    let mut line = String::new();
    BufReader::new(probe).read_line(&mut line).await.unwrap();
    assert!(line.contains("200"), "{line}");

    // A second one on the same folder is told why not; on the same port likewise.
    let error = Gateway::start(config(dir.path(), listen, "42000-42039"))
        .err()
        .unwrap();
    assert!(matches!(error, StartError::Lock(_)), "{error}");
    let other = Scratch::new("gateway-other");
    let taken = format!("\"udp://{}\"", gateway.listeners()[0].addr);
    let error = Gateway::start(config(other.path(), &taken, "42040-42079"))
        .err()
        .unwrap();
    let StartError::Listen { source, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!((source.kind(), error.exit_code()), (ErrorKind::AddrInUse, 1));
    assert!(error.to_string().contains("another process has it"), "{error}");

    let socket = gateway.control_socket().to_owned();
    assert!(tokio::time::timeout(PATIENCE, gateway.shutdown()).await.unwrap());
    assert!(!socket.exists());
    StateLock::acquire(dir.path()).unwrap();
}

#[tokio::test]
async fn a_drain_without_calls_is_over_at_once() {
    let dir = Scratch::new("gateway-drain");
    let gateway = Gateway::start(config(dir.path(), "\"udp://127.0.0.1:0\"", "42080-42119")).unwrap();
    tokio::time::timeout(PATIENCE, gateway.drain(None)).await.unwrap();
    assert!(tokio::time::timeout(PATIENCE, gateway.shutdown()).await.unwrap());
}

#[test]
fn an_address_that_is_not_ours_is_a_fault_of_the_configuration() {
    let dir = Scratch::new("gateway-address");
    // TEST-NET-1 (RFC 5737) is nobody's.
    let error = Gateway::start(config(dir.path(), "\"udp://192.0.2.1:0\"", "42120-42159"))
        .err()
        .unwrap();
    assert_eq!(error.exit_code(), 2);
    assert!(
        error.to_string().starts_with("sip.listen udp://192.0.2.1:0: "),
        "{error}"
    );
}
