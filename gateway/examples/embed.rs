//! A gateway inside another program: starts one, follows its events over an in-process control connection
//! and prints them until Ctrl-C.
//!
//! `cargo run -p gateway --example embed [CONFIG.toml]`; without a file the defaults hold, and a softphone on
//! this machine may call `sip:+15550100@127.0.0.1`.

use std::path::PathBuf;

use anyhow::Context;
use gateway::config::Config;
use gateway::control::client::Client;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let config = match std::env::args_os().nth(1) {
        Some(file) => Config::load(&PathBuf::from(file), None)?,
        None => Config::embedded(&gateway::shell::own_addresses()),
    };
    let gateway = gateway::Gateway::start(config)?;
    for listen in gateway.listeners() {
        println!("SIP on {listen}");
    }
    let stream = gateway.control().context("no room for a control client")?;
    let (client, mut events) = Client::over(stream);
    let hello = json!({ "app": "default", "client": "embed", "subscribe": {} });
    println!("{}", client.call("hello", hello).await?);
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => println!("{event}"),
                None => break,
            },
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    println!("stopping");
    anyhow::ensure!(gateway.shutdown().await, "a call or a disk took too long to end");
    Ok(())
}
