//! What is left when the process is killed while it records.

use std::path::PathBuf;
use std::time::Duration;

use house::tone;
use house::wire::{AGENTS, CALLER_HZ, CARRIER, Ear, Gateway, Router, Settings, Sipp, Site};
use serde_json::{Value, json};

use crate::script::{connect, incoming, samples};

/// What a crash may cost of a recording.
const LACK_MS_MAX: i64 = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_costs_half_a_second_of_the_recording_and_the_call_is_recorded_once_as_lost() {
    let Site {
        router,
        gateway,
        folder,
        ..
    } = &mut Site::open("crash", &Settings::default()).await;
    let agent = Sipp::new("callee", AGENTS);
    let agent_uri = agent.uri();
    let _agent = agent.start(folder).await;
    let mut ear = Ear::open(CARRIER);
    let caller = Sipp::new("caller", CARRIER)
        .to(gateway.udp())
        .media(ear.address());
    let caller = caller.start(folder).await;
    let call = incoming(router).await;
    let talk = connect(router, &call, &agent_uri).await;
    ear.speak(CALLER_HZ, caller.gateway_media().await);
    tokio::time::sleep(Duration::from_millis(500)).await;
    router
        .call("record.start", json!({ "target": talk.call, "id": "tape" }))
        .await;
    let started = router
        .wait(0, "the recording", |heard| heard.is("record.started"))
        .await;
    tokio::time::sleep(Duration::from_millis(3_330)).await;

    let killed_us = gateway.kill();
    let recorded_ms = (killed_us - started.at_us) / 1_000;
    let tracks = tracks(gateway);
    assert_eq!(tracks.len(), 2, "{tracks:?}");
    for path in &tracks {
        let track = tone::read_wav(path).remove(0);
        let lack_ms = recorded_ms - track.len() as i64 / 8;
        let level = tone::level(&track[samples(500)..], CALLER_HZ);
        println!(
            "killed after {recorded_ms} ms: {} lacks {lack_ms} ms, tone at {level:.3}",
            name(path)
        );
        assert!((-100..=LACK_MS_MAX).contains(&lack_ms), "{lack_ms} ms");
        assert!(level > 0.2, "{level}");
    }

    for start in 1..=2 {
        *gateway = Gateway::start(folder, &Settings::default()).await;
        *router = Router::connect(gateway).await;
        let records = records(gateway, &talk.call);
        assert_eq!(records.len(), 1, "after start {start}: {records:?}");
        let record = &records[0];
        assert_eq!(record["lost"], true, "{record}");
        let files = record["recordings"][0]["files"].to_string();
        for path in &tracks {
            assert!(files.contains(name(path)), "{files}");
            assert_eq!(tone::read_wav(path).len(), 1);
        }
        gateway.kill();
    }
}

/// The parties' files of recordings that were not joined.
fn tracks(gateway: &Gateway) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(gateway.state().join("recordings/tracks")).unwrap();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wav"));
    paths
}

/// The records of a call, in every file of records.
fn records(gateway: &Gateway, call: &str) -> Vec<Value> {
    let files = std::fs::read_dir(gateway.state().join("records")).unwrap();
    let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let text: String = texts.collect();
    let records = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["call"] == call).collect()
}

fn name(path: &std::path::Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}
