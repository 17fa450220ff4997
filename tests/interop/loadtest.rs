//! `media-gateway loadtest` against the running gateway: its report and its exit code.

use std::process::{Command, Stdio};

use house::wire::{self, AGENTS, CARRIER, Settings, Site};
use serde_json::Value;

const OUR_NUMBER: &str = "+4930123456";

/// Exit code and report.
async fn loadtest(site: &Site, more: &[&str]) -> (i32, Value) {
    command(site, &["loadtest"], more).await
}

async fn command(site: &Site, words: &[&str], more: &[&str]) -> (i32, Value) {
    let socket = site.gateway.control();
    let target = format!("sip:{}", site.gateway.udp());
    let (caller, answerer) = (format!("{CARRIER}:0"), format!("{AGENTS}:0"));
    let mut run = Command::new(wire::gateway_program());
    run.args(words)
        .args(["--target", &target, "--socket"])
        .arg(socket)
        .args(["--trunk", "agents", "--to", OUR_NUMBER])
        .args(["--caller", &caller, "--answerer", &answerer])
        // A debug build on a busy machine; what a release build keeps is measured, not tested.
        .args(["--setup-p99-max", "5000", "--gap-max", "2000", "--loss-max", "5"])
        .args(more)
        .stderr(Stdio::inherit());
    let run = tokio::task::block_in_place(|| run.output()).unwrap();
    let report = serde_json::from_slice(&run.stdout).unwrap();
    (run.status.code().unwrap(), report)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_calls_of_a_load_test_are_heard_both_ways() {
    let site = Site::open("loadtest", &Settings::default()).await;
    let (code, report) = loadtest(&site, &["--calls", "20", "--rate", "10", "--hold", "3"]).await;
    let calls = &report["calls"];
    assert_eq!(calls["good"], 20, "{report:#}");
    assert_eq!(calls["answered"], 20, "{report:#}");
    let frames = &report["frames"];
    // Two sides of 20 calls of three seconds, less their beginnings.
    assert!(frames["good"].as_u64().unwrap() > 20 * 2 * 100, "{report:#}");
    assert_eq!(frames["foreign"], 0, "{report:#}");
    assert!(
        report["latency"]["p50_ms"].as_f64().unwrap() < 200.0,
        "{report:#}"
    );
    assert_eq!(
        (code, report["verdict"].as_str()),
        (0, Some("good")),
        "{report:#}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_over_the_limit_are_reported_as_refused_with_the_rule() {
    let settings = Settings {
        calls: 5,
        ..Settings::default()
    };
    let site = Site::open("loadtest-limit", &settings).await;
    let (code, report) = loadtest(&site, &["--calls", "8", "--rate", "20", "--hold", "3"]).await;
    let calls = &report["calls"];
    assert_eq!(calls["good"], 5, "{report:#}");
    assert_eq!(calls["refused_by_status"]["503"], 3, "{report:#}");
    assert_eq!(calls["refused_by_rule"]["instance.calls"], 3, "{report:#}");
    assert_eq!(code, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_side_that_is_never_heard_fails_the_load_test() {
    let site = Site::open("loadtest-mute", &Settings::default()).await;
    let args = ["--calls", "3", "--rate", "10", "--hold", "1", "--mute"];
    let (code, report) = loadtest(&site, &args).await;
    assert_eq!(report["calls"]["silent"], 3, "{report:#}");
    assert!(
        report["faults"].as_array().unwrap().contains(&"silent".into()),
        "{report:#}"
    );
    assert_eq!(code, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_most_calls_at_once_are_found_with_the_rule_that_ends_them() {
    let settings = Settings {
        calls: 6,
        ..Settings::default()
    };
    let site = Site::open("loadtest-find", &settings).await;
    let page = site.folder.join("report.html");
    let args = [
        "--what",
        "calls",
        "--calls-start",
        "4",
        "--rate",
        "20",
        "--hold",
        "1",
        "--html",
        page.to_str().unwrap(),
    ];
    let (code, report) = command(&site, &["loadtest", "find-limit"], &args).await;
    let search = &report["searches"][0];
    assert_eq!(search["limit"], 6, "{report:#}");
    assert_eq!(search["not_kept"], 7, "{report:#}");
    assert_eq!(search["bottleneck"], "limit rule instance.calls", "{report:#}");
    let target = &search["trials"][0]["target"];
    assert!(target["rss_bytes"].as_u64().unwrap() > 1_000_000, "{report:#}");
    assert_eq!(code, 0);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("6 calls at once") && page.contains("<svg"));
}
