use super::*;
use tokio::io::duplex;

/// The gateway's end of a connection, played by the test.
struct Gateway(BufReader<tokio::io::DuplexStream>);

impl Gateway {
    async fn read(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    async fn write(&mut self, message: Value) {
        self.0
            .get_mut()
            .write_all(format!("{message}\n").as_bytes())
            .await
            .unwrap();
    }
}

fn connect() -> (Client, Events, Gateway) {
    let (ours, theirs) = duplex(1024 * 1024);
    let (client, events) = Client::over(ours);
    (client, events, Gateway(BufReader::new(theirs)))
}

#[tokio::test]
async fn replies_find_their_calls_in_any_order_and_events_keep_theirs() {
    let (client, mut events, mut gateway) = connect();
    let play = async {
        let (first, second) = (gateway.read().await, gateway.read().await);
        assert_eq!(first["method"], "a");
        for seq in [1, 2] {
            gateway
                .write(json!({ "jsonrpc": "2.0", "method": "event", "params": { "seq": seq } }))
                .await;
        }
        gateway
            .write(json!({ "jsonrpc": "2.0", "id": second["id"], "result": { "seq": 2 } }))
            .await;
        gateway
            .write(json!({ "jsonrpc": "2.0", "id": first["id"], "result": { "seq": 1 } }))
            .await;
    };
    let (a, b, ()) = tokio::join!(client.call("a", json!({})), client.call("b", json!({})), play);
    assert_eq!(
        (a.unwrap()["seq"].as_u64(), b.unwrap()["seq"].as_u64()),
        (Some(1), Some(2))
    );
    assert_eq!(events.next().await.unwrap()["seq"], 1);
    assert_eq!(events.try_next().unwrap()["seq"], 2);
}

#[tokio::test]
async fn a_call_on_a_lost_connection_says_so() {
    let (client, mut events, mut gateway) = connect();
    let lost = async {
        gateway.read().await;
        drop(gateway);
    };
    let (answer, ()) = tokio::join!(client.call("a", json!({})), lost);
    assert_eq!(answer, Err(ClientError::Disconnected));
    assert_eq!(client.call("a", json!({})).await, Err(ClientError::Disconnected));
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_refusal_without_an_id_reaches_whoever_waits() {
    let (client, _events, mut gateway) = connect();
    let refuse = async {
        gateway.read().await;
        gateway
            .write(json!({ "jsonrpc": "2.0", "id": null, "error": Failure::forbidden("no").to_value() }))
            .await;
    };
    let (answer, ()) = tokio::join!(client.call("a", json!({})), refuse);
    assert_eq!(answer.unwrap_err().refusal(), Some(&Failure::forbidden("no")));
}

#[tokio::test]
async fn events_that_nobody_reads_end_the_connection_instead_of_being_lost() {
    let (client, mut events, mut gateway) = connect();
    for seq in 0..=EVENTS_MAX {
        gateway
            .write(json!({ "method": "event", "params": { "seq": seq } }))
            .await;
    }
    assert_eq!(client.call("a", json!({})).await, Err(ClientError::Disconnected));
    let mut count = 0;
    while events.next().await.is_some() {
        count += 1;
    }
    assert_eq!(count, EVENTS_MAX);
}

#[tokio::test]
async fn dropping_the_client_closes_the_connection() {
    let (client, _events, mut gateway) = connect();
    drop(client);
    let mut line = String::new();
    assert_eq!(gateway.0.read_line(&mut line).await.unwrap(), 0);
}
