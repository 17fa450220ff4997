use super::*;
use crate::control::client::{Client, ClientError, Followed, Follower};
use crate::control::protocol::{ErrorKind, Request, ResultBody, failure_line, success_line};
use crate::engine::io::Input;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A folder of its own for each test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ctl-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A gateway that answers `ping` and `hello`, refuses the rest, and numbers events of one journal.
struct FakeGateway(Vec<JoinHandle<()>>);

const EVENTS_TOTAL: u64 = 40;

impl FakeGateway {
    fn start(socket: ControlSocket) -> Self {
        let (input, mut engine) = mpsc::channel(64);
        let connections = Connections::new(input);
        let accepting = connections.clone();
        let accept = tokio::spawn(async move { socket.run(&accepting).await });
        let answer = tokio::spawn(async move {
            let mut connections_cut = 0;
            while let Some(event) = engine.recv().await {
                let Input::Control {
                    conn,
                    id: Some(id),
                    request,
                } = event
                else {
                    continue;
                };
                let request = match request {
                    Ok(request) => *request,
                    Err(failure) => {
                        connections.push(conn, failure_line(Some(&id), &failure));
                        continue;
                    }
                };
                match request {
                    Request::Ping(_) => {
                        connections.push(conn, success_line(&id, 0, &ResultBody::default(), false))
                    }
                    Request::Hello(hello) => {
                        let seq = hello.resume.map_or(0, |cursor| cursor.seq);
                        let body = json!({ "epoch": "e1", "resumed": true, "from": seq + 1 });
                        connections.push(
                            conn,
                            success_line(&id, EVENTS_TOTAL, &ResultBody::of(&body), false),
                        );
                        // Three times the connection is lost after a few events.
                        let last = if connections_cut < 3 {
                            seq + 7
                        } else {
                            EVENTS_TOTAL
                        };
                        for seq in seq + 1..=last {
                            let event = json!({ "jsonrpc": "2.0", "method": "event",
                                "params": { "seq": seq, "type": "leg.ended", "epoch": "e1" } });
                            connections.push(conn, event.to_string().into());
                        }
                        if connections_cut < 3 {
                            connections_cut += 1;
                            connections.close(conn);
                        }
                    }
                    _ => {
                        let failure = crate::control::protocol::Failure::invalid_state("say hello first");
                        connections.push(conn, failure_line(Some(&id), &failure));
                    }
                }
            }
        });
        Self(vec![accept, answer])
    }
}

impl Drop for FakeGateway {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

#[tokio::test]
async fn the_socket_is_private_and_goes_with_its_owner() {
    let folder = Folder::new("private");
    let socket = ControlSocket::bind(&folder.socket(), &[]).unwrap();
    assert_eq!(
        fs::metadata(folder.socket()).unwrap().permissions().mode() & 0o777,
        0o600
    );
    drop(socket);
    assert!(!folder.socket().exists());
}

#[tokio::test]
async fn a_stale_file_is_replaced_a_live_one_is_not() {
    let folder = Folder::new("stale");
    // A std listener leaves its file behind, as a crash does.
    drop(std::os::unix::net::UnixListener::bind(folder.socket()).unwrap());
    let socket = ControlSocket::bind(&folder.socket(), &[]).unwrap();
    assert_eq!(
        ControlSocket::bind(&folder.socket(), &[]).unwrap_err().kind(),
        io::ErrorKind::AddrInUse
    );
    drop(socket);
    fs::write(folder.socket(), "a file").unwrap();
    assert_eq!(
        ControlSocket::bind(&folder.socket(), &[]).unwrap_err().kind(),
        io::ErrorKind::AlreadyExists
    );
    assert_eq!(fs::read(folder.socket()).unwrap(), b"a file");
}

#[tokio::test]
async fn a_successors_file_is_left_alone() {
    let folder = Folder::new("successor");
    let old = ControlSocket::bind(&folder.socket(), &[]).unwrap();
    fs::remove_file(folder.socket()).unwrap();
    let _new = ControlSocket::bind(&folder.socket(), &[]).unwrap();
    drop(old);
    assert!(folder.socket().exists());
}

#[tokio::test]
async fn a_client_calls_and_is_refused_by_kind() {
    let folder = Folder::new("calls");
    let _gateway = FakeGateway::start(ControlSocket::bind(&folder.socket(), &[]).unwrap());
    let (client, _events) = Client::connect(&folder.socket()).await.unwrap();
    assert_eq!(client.call("ping", json!({})).await.unwrap(), json!({ "seq": 0 }));
    let (first, second) = tokio::join!(
        client.call("leg.hold", json!({ "leg": "l" })),
        client.call("leg.hold", json!({ "leg": "l", "musik": 1 })),
    );
    let kind = |result: Result<Value, ClientError>| result.unwrap_err().refusal().unwrap().kind;
    assert_eq!(
        (kind(first), kind(second)),
        (ErrorKind::InvalidState, ErrorKind::InvalidParams)
    );
}

#[tokio::test]
async fn the_65th_client_is_told_why() {
    let folder = Folder::new("many");
    let _gateway = FakeGateway::start(ControlSocket::bind(&folder.socket(), &[]).unwrap());
    let mut clients = Vec::new();
    for _ in 0..64 {
        let (client, events) = Client::connect(&folder.socket()).await.unwrap();
        client.call("ping", json!({})).await.unwrap();
        clients.push((client, events));
    }
    let (client, _events) = Client::connect(&folder.socket()).await.unwrap();
    match client.call("ping", json!({})).await.unwrap_err() {
        ClientError::Refused(failure) => assert_eq!(failure.data["rule"], "control.connections"),
        // The refusal may be read before the call is made.
        ClientError::Disconnected => {}
    }
}

#[tokio::test]
async fn a_follower_sees_every_event_once_over_lost_connections() {
    let folder = Folder::new("follow");
    let _gateway = FakeGateway::start(ControlSocket::bind(&folder.socket(), &[]).unwrap());
    let mut follower = Follower::new(&folder.socket(), "default", json!({}));
    let mut seen = Vec::new();
    while seen.len() < EVENTS_TOTAL as usize {
        let Followed::Event(event) = follower.next().await.unwrap() else {
            panic!()
        };
        seen.push(event["seq"].as_u64().unwrap());
    }
    assert_eq!(seen, (1..=EVENTS_TOTAL).collect::<Vec<_>>());
    assert_eq!(follower.cursor(), Some(("e1", EVENTS_TOTAL)));
}
