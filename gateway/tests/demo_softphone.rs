//! `media-gateway demo` as a person uses it: the call, then a softphone's call, then Ctrl-C.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helpers fail the test, which is what they are for"
)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gateway::phone::voice::Voice;
use gateway::phone::{Config, Phone, Span};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_softphone_is_greeted_hears_music_and_ctrl_c_ends_it_with_0() {
    let out = std::env::temp_dir().join(format!("gateway-demo-softphone-{}", std::process::id()));
    let mut demo = Demo(
        Command::new(env!("CARGO_BIN_EXE_media-gateway"))
            .args(["demo", "--out", out.to_str().unwrap()])
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut lines = BufReader::new(demo.0.stdout.take().unwrap());
    let (told, address) = until_call(&mut lines);
    let address = address.unwrap_or_else(|| panic!("no address to call:\n{told}"));
    // Nobody may fill the pipe while the phone talks.
    let rest = std::thread::spawn(move || {
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        rest
    });

    let softphone = Phone::start(Config::new("softphone", 604.5)).await.unwrap();
    softphone
        .call("+4930901820", address.parse().unwrap())
        .await
        .unwrap();
    softphone.wait_answered(PATIENCE).await.unwrap();
    assert!(
        hears(&softphone, &Voice::tone("greeting", 1709.9)).await,
        "no greeting"
    );
    assert!(hears(&softphone, &Voice::white_keys("music")).await, "no music");
    softphone.hang_up().await.unwrap();
    softphone.wait_ended(PATIENCE).await.unwrap();
    // The phone has its 200; the router hears of the hang-up a moment later.
    tokio::time::sleep(Duration::from_millis(500)).await;

    kill(Pid::from_raw(demo.0.id().cast_signed()), Signal::SIGINT).unwrap();
    let status = demo.0.wait().unwrap();
    let rest = rest.join().unwrap();
    assert_eq!(status.code(), Some(0), "{told}{rest}");
    assert!(
        rest.contains("greet the softphone") && rest.contains("the softphone is gone"),
        "{rest}"
    );
    std::fs::remove_dir_all(out).unwrap();
}

/// Reads up to the line that says where to call: all text, and the address.
fn until_call(lines: &mut impl BufRead) -> (String, Option<String>) {
    let mut told = String::new();
    loop {
        let start = told.len();
        if lines.read_line(&mut told).unwrap() == 0 {
            return (told, None);
        }
        if let Some((_, after)) = told[start..].split_once("Call sip:+4930901820@") {
            let address = after.split_whitespace().next().map(str::to_owned);
            return (told, address);
        }
    }
}

async fn hears(phone: &Phone, voice: &Voice) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let span = Span::before(Instant::now(), Duration::from_millis(450));
        if phone.hears(span, std::slice::from_ref(voice))[0].is_steady() {
            return true;
        }
    }
    false
}

/// The process, ended with the test whatever happens.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
