use super::*;
use crate::control::protocol::{ErrorKind, Request, ResultBody, success_line};
use serde_json::Value;
use tokio::io::{DuplexStream, duplex};

type Peer = BufReader<DuplexStream>;

fn attach(connections: &Connections, buffer: usize) -> (Peer, ConnKey) {
    let (ours, theirs) = duplex(buffer);
    (BufReader::new(ours), connections.attach(theirs).unwrap())
}

async fn send(peer: &mut Peer, text: &str) {
    peer.get_mut().write_all(text.as_bytes()).await.unwrap();
}

async fn line(peer: &mut Peer) -> Option<Value> {
    let mut line = String::new();
    let count = tokio::time::timeout(Duration::from_secs(10), peer.read_line(&mut line))
        .await
        .unwrap()
        .unwrap();
    (count > 0).then(|| serde_json::from_str(&line).unwrap())
}

async fn opened(engine: &mut mpsc::Receiver<Input>, conn: ConnKey) {
    let Some(Input::ControlOpened { conn: opened }) = engine.recv().await else {
        panic!()
    };
    assert_eq!(opened, conn);
}

#[tokio::test]
async fn a_command_reaches_the_engine_and_its_reply_the_client() {
    let (input, mut engine) = mpsc::channel(8);
    let connections = Connections::new(input);
    let (mut peer, conn) = attach(&connections, 1024);
    opened(&mut engine, conn).await;
    send(
        &mut peer,
        "\n{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}\r\n",
    )
    .await;
    let Some(Input::Control {
        id: Some(id),
        request: Ok(request),
        ..
    }) = engine.recv().await
    else {
        panic!()
    };
    assert!(matches!(*request, Request::Ping(_)));
    connections.push(conn, success_line(&id, 3, &ResultBody::default(), false));
    assert_eq!(
        line(&mut peer).await.unwrap(),
        serde_json::json!({ "jsonrpc": "2.0", "id": 7, "result": { "seq": 3 } })
    );
    drop(peer);
    let Some(Input::ControlClosed { conn: closed }) = engine.recv().await else {
        panic!()
    };
    assert_eq!((closed, connections.count()), (conn, 0));
}

#[tokio::test]
async fn a_bad_frame_costs_that_frame_only() {
    let (input, mut engine) = mpsc::channel(8);
    let connections = Connections::new(input);
    let (mut peer, conn) = attach(&connections, 1024);
    opened(&mut engine, conn).await;
    peer.get_mut()
        .write_all(b"\xff\xfe\n{\"jsonrpc\":\n")
        .await
        .unwrap();
    for _ in 0..2 {
        let Some(Input::Control {
            id: Some(id),
            request: Err(failure),
            ..
        }) = engine.recv().await
        else {
            panic!()
        };
        assert_eq!((id.get(), failure.code), ("null", -32700));
    }
    send(&mut peer, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}\n").await;
    assert!(matches!(
        engine.recv().await,
        Some(Input::Control { request: Ok(_), .. })
    ));
}

#[tokio::test]
async fn a_frame_of_64_kib_passes_and_one_byte_more_closes() {
    let (input, mut engine) = mpsc::channel(8);
    let connections = Connections::new(input);
    let (mut peer, conn) = attach(&connections, 1024 * 1024);
    opened(&mut engine, conn).await;
    let mut frame = "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}".to_owned();
    frame.push_str(&" ".repeat(FRAME_BYTES_MAX - frame.len()));
    send(&mut peer, &format!("{frame}\n")).await;
    let Some(Input::Control {
        id: Some(id),
        request: Ok(_),
        ..
    }) = engine.recv().await
    else {
        panic!()
    };
    send(&mut peer, &format!("{frame} \n")).await;
    assert_eq!(line(&mut peer).await.unwrap()["error"]["code"], -32600);
    // What was asked before is still answered.
    connections.push(conn, success_line(&id, 3, &ResultBody::default(), false));
    assert_eq!(line(&mut peer).await.unwrap()["id"], 7);
    assert_eq!(line(&mut peer).await, None);
    assert!(matches!(engine.recv().await, Some(Input::ControlClosed { .. })));
}

#[tokio::test]
async fn the_257th_unanswered_command_is_refused_at_once() {
    let (input, mut engine) = mpsc::channel(1024);
    let connections = Connections::new(input);
    let (mut peer, conn) = attach(&connections, 1024 * 1024);
    opened(&mut engine, conn).await;
    for id in 0..=INFLIGHT_MAX {
        send(
            &mut peer,
            &format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}\n"),
        )
        .await;
    }
    let refusal = line(&mut peer).await.unwrap();
    assert_eq!(refusal["id"], INFLIGHT_MAX);
    assert_eq!(
        refusal["error"]["data"]["kind"],
        ErrorKind::TooManyInflight.as_str()
    );
    assert_eq!(engine.len(), INFLIGHT_MAX);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_overrun_and_never_blocks() {
    let (input, mut engine) = mpsc::channel(8);
    let connections = Connections::new(input);
    let (_stuck, conn) = attach(&connections, 64);
    let (mut healthy, other) = attach(&connections, 1024);
    opened(&mut engine, conn).await;
    opened(&mut engine, other).await;
    let event: Arc<str> = format!("{{\"x\":\"{}\"}}", "x".repeat(1024 * 1024)).into();
    for _ in 0..9 {
        connections.push(conn, event.clone());
    }
    let Some(Input::ControlClosed { conn: closed }) = engine.recv().await else {
        panic!()
    };
    assert_eq!((closed, connections.overruns_total()), (conn, 1));
    connections.push(other, "{\"y\":1}".into());
    assert_eq!(line(&mut healthy).await.unwrap()["y"], 1);
}

#[tokio::test]
async fn drained_is_reported_once_everything_is_written() {
    let (input, mut engine) = mpsc::channel(8);
    let connections = Connections::new(input);
    let (mut peer, conn) = attach(&connections, 16);
    opened(&mut engine, conn).await;
    connections.push(conn, "{\"a\":\"0123456789\"}".into());
    connections.more(conn);
    tokio::task::yield_now().await;
    assert!(engine.is_empty());
    assert_eq!(line(&mut peer).await.unwrap()["a"], "0123456789");
    let Some(Input::ControlDrained { conn: drained }) = engine.recv().await else {
        panic!()
    };
    assert_eq!(drained, conn);
}

#[tokio::test]
async fn close_comes_after_what_is_queued() {
    let (input, mut engine) = mpsc::channel(8);
    let connections = Connections::new(input);
    let (mut peer, conn) = attach(&connections, 16);
    opened(&mut engine, conn).await;
    connections.push(conn, "{\"a\":\"0123456789\"}".into());
    connections.close(conn);
    assert_eq!(line(&mut peer).await.unwrap()["a"], "0123456789");
    assert_eq!(line(&mut peer).await, None);
}

#[tokio::test]
async fn the_65th_connection_is_refused_until_one_closes() {
    let (input, mut engine) = mpsc::channel(256);
    let connections = Connections::new(input);
    let mut peers: Vec<_> = (0..CONNECTIONS_MAX).map(|_| attach(&connections, 64)).collect();
    let refusal = connections.attach(duplex(64).1).unwrap_err();
    assert_eq!(
        (refusal.kind, &refusal.data["rule"]),
        (ErrorKind::Forbidden, &"control.connections".into())
    );
    drop(peers.pop());
    loop {
        if let Some(Input::ControlClosed { .. }) = engine.recv().await {
            break;
        }
    }
    assert!(connections.attach(duplex(64).1).is_ok());
}

#[tokio::test]
async fn a_client_that_never_takes_the_rest_is_given_up() {
    let (input, mut engine) = mpsc::channel(8);
    let connections = Connections::with_linger(input, Duration::from_millis(1));
    let (_stuck, conn) = attach(&connections, 16);
    opened(&mut engine, conn).await;
    connections.push(conn, "{\"a\":\"0123456789\"}".into());
    connections.close(conn);
    assert!(matches!(engine.recv().await, Some(Input::ControlClosed { .. })));
}
