use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// Serves on a free port; the given engine answers.
async fn listening(engine: mpsc::Sender<ObserveRequest>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(
        listener,
        engine,
        "{\"openrpc\":\"x\"}".into(),
        std::future::pending(),
    ));
    address
}

/// An engine that is in one state.
fn engine_that_is(readiness: Readiness) -> mpsc::Sender<ObserveRequest> {
    let (sender, mut requests) = mpsc::channel(OBSERVE_REQUESTS_MAX);
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            match request {
                ObserveRequest::Metrics { reply } => drop(reply.send(Box::default())),
                ObserveRequest::Readiness { reply } => drop(reply.send(readiness)),
            }
        }
    });
    sender
}

/// Status, and what follows the headers.
async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn probes_tell_the_three_states_apart() {
    for (state, healthz, readyz, word) in [
        (Readiness::Starting, 200, 503, "starting\n"),
        (Readiness::Ready, 200, 200, "ready\n"),
        (Readiness::Draining, 200, 503, "draining\n"),
    ] {
        let address = listening(engine_that_is(state)).await;
        assert_eq!(get(address, "/healthz").await.0, healthz, "{state:?}");
        let (status, _, body) = get(address, "/readyz").await;
        assert_eq!((status, body.as_str()), (readyz, word), "{state:?}");
    }
}

#[tokio::test]
async fn metrics_and_schema_say_what_they_are() {
    let address = listening(engine_that_is(Readiness::Ready)).await;
    let (status, head, body) = get(address, "/metrics").await;
    assert_eq!(status, 200);
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{head}"
    );
    assert!(
        body.contains("media_gateway_draining 0\n") && body.ends_with("# EOF\n"),
        "{body}"
    );
    let (status, head, body) = get(address, "/v1/schema.json").await;
    assert_eq!((status, body.as_str()), (200, "{\"openrpc\":\"x\"}"));
    assert!(head.contains("content-type: application/json"), "{head}");
}

#[tokio::test]
async fn nothing_else_is_served() {
    let address = listening(engine_that_is(Readiness::Ready)).await;
    for path in ["/", "/v1/control", "/v1/rpc", "/v1/state", "/metrics/"] {
        assert_eq!(get(address, path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn an_engine_that_is_gone_busy_or_stuck_is_unhealthy() {
    let (gone, _) = mpsc::channel(1);
    let address = listening(gone).await;
    let (status, _, body) = get(address, "/healthz").await;
    assert_eq!((status, body.as_str()), (503, "engine stopped\n"));

    let (stuck, _kept_open) = mpsc::channel(1);
    let address = listening(stuck.clone()).await;
    let first = tokio::spawn(async move { get(address, "/healthz").await });
    while stuck.capacity() > 0 {
        tokio::task::yield_now().await;
    }
    let (status, _, body) = get(address, "/metrics").await;
    assert_eq!((status, body.as_str()), (503, "engine busy\n"));
    let (status, _, body) = first.await.unwrap();
    assert_eq!((status, body.as_str()), (503, "engine does not answer\n"));
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_for_a_place() {
    let address = listening(engine_that_is(Readiness::Ready)).await;
    let mut silent = Vec::new();
    for _ in 0..capped::CONNECTIONS_MAX {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    // One request on the last of them shows that all are accepted.
    let last = silent.last_mut().unwrap();
    last.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0];
    last.read_exact(&mut byte).await.unwrap();
    let waiting = get(address, "/healthz");
    tokio::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
    assert!(early.is_err(), "the 65th is not served");
    silent.clear();
    assert_eq!(waiting.await.0, 200);
}
