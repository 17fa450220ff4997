//! Digits in the audio, sample by sample, on a network that loses some packets: flow T44.

use std::time::Duration;

use house::peer::{Call, Peer, media_of};
use house::tone;
use house::wire::{CARRIER, OUR_NUMBER, Settings, Site, free_port};
use serde_json::json;
use tokio::net::UdpSocket;

use crate::digits::{Caller, Network, told};
use crate::script::{ended, incoming};

/// By row and column of the pad (ITU-T Q.23).
const PAD: [&str; 4] = ["123A", "456B", "789C", "*0#D"];
const LOW_HZ: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH_HZ: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
const DIGITS: &str = "123A456B789C*0#D";
/// Packets of a press, and of the pause behind it.
const PRESS_PACKETS: u64 = 10;
const PAUSE_PACKETS: u64 = 4;
/// What each tone of a pair has at least where it sounds.
const AUDIBLE: f64 = 0.05;

impl Caller {
    /// Says what was made: a digit, then silence.
    async fn say(&mut self, digit: char, network: &mut Network, tick: &mut tokio::time::Interval) {
        let row = PAD.iter().position(|row| row.contains(digit)).unwrap();
        let column = PAD[row].find(digit).unwrap();
        for number in 0..PRESS_PACKETS + PAUSE_PACKETS {
            tick.tick().await;
            let (mut low, mut high) = ([0; 160], [0; 160]);
            if number < PRESS_PACKETS {
                tone::sine(LOW_HZ[row], 0.12, number * 160, &mut low);
                tone::sine(HIGH_HZ[column], 0.15, number * 160, &mut high);
            }
            let both = low.iter().zip(high).map(|(low, high)| tone::mulaw(low + high));
            let payload: Vec<u8> = both.collect();
            self.send(0, self.timestamp, &payload, network).await;
            self.timestamp += 160;
        }
    }

    /// Digits in what comes until nothing has been one for a while: each with its packets. A packet that is lost
    /// sounds as the one before.
    async fn digits(&self, wanted: usize, network: &mut Network) -> Vec<(char, u32)> {
        let mut digits: Vec<(char, u32)> = Vec::new();
        let (mut before, mut quiet) = (None::<u32>, u32::MAX / 2);
        let mut bytes = [0; 1_500];
        let end = tokio::time::Instant::now() + Duration::from_secs(8);
        while digits.len() < wanted || quiet < 10 {
            let received = tokio::time::timeout_at(end, self.socket.recv_from(&mut bytes)).await;
            let Ok(Ok((length, _))) = received else { break };
            assert_eq!(bytes[1] & 0x7f, 0, "nothing but audio comes");
            if network.loses() || length <= 12 {
                continue;
            }
            let timestamp = u32::from_be_bytes(bytes[4..8].try_into().unwrap());
            let steps = before
                .map_or(1, |before| timestamp.wrapping_sub(before) / 160)
                .clamp(1, 50);
            before = Some(timestamp);
            let samples: Vec<i16> = bytes[12..length]
                .iter()
                .map(|byte| tone::from_mulaw(*byte))
                .collect();
            match digit_of(&samples) {
                Some(digit) if quiet < 2 && digits.last().is_some_and(|(last, _)| *last == digit) => {
                    digits.last_mut().unwrap().1 += steps + quiet;
                    quiet = 0;
                }
                Some(digit) => {
                    digits.push((digit, 1));
                    quiet = 0;
                }
                None => quiet += steps,
            }
        }
        digits
    }
}

/// The digit that 20 ms are: the loudest tone of each group, where both are there.
fn digit_of(samples: &[i16]) -> Option<char> {
    let loudest = |group: &[f64; 4]| {
        let levels = group.map(|hz| tone::level(samples, hz));
        let place = (0..4).max_by(|one, other| levels[*one].total_cmp(&levels[*other]))?;
        (levels[place] > AUDIBLE).then_some(place)
    };
    PAD[loudest(&LOW_HZ)?].chars().nth(loudest(&HIGH_HZ)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t44_digits_in_the_audio_come_and_go_exactly_once_with_no_loss_and_with_five_percent() {
    for (loss_permille, formats, keys) in [
        (0, "0", ""),
        (50, "0", ""),
        (0, "0 101", "dtmf = \"inband\"\n"),
        (50, "0 101", "dtmf = \"inband\"\n"),
    ] {
        let settings = Settings {
            carrier_keys: keys.into(),
            ..Settings::default()
        };
        let site = Site::open("tones", &settings).await;
        let mut peer = Peer::open(CARRIER, site.gateway.udp()).await;
        let mut call = Call::to(&mut peer, OUR_NUMBER);
        let socket = UdpSocket::bind((CARRIER, free_port(CARRIER))).await.unwrap();
        let sdp = call.sdp_of(socket.local_addr().unwrap(), formats, "");
        let router = site.router.clone();
        let taking = async {
            let leg = incoming(&router).await.text("leg").to_owned();
            router.call("leg.answer", json!({ "leg": leg })).await;
            leg
        };
        let (answer, leg) = tokio::join!(call.up(&mut peer, &sdp), taking);
        let mut caller = Caller::new(socket, media_of(&answer));
        let mut network = Network::new(loss_permille);
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        for digit in DIGITS.chars() {
            caller.say(digit, &mut network, &mut tick).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let told = told(&site, "inband");
        println!("{loss_permille} per mille lost, {keys:?}: {told:?}");
        let digits: String = told.iter().map(|(digit, _)| digit.as_str()).collect();
        assert_eq!(digits, DIGITS, "{loss_permille} of a thousand lost");
        // What is hidden at either end of a press is not known to be it.
        let longest_error = if loss_permille == 0 { 10 } else { 60 };
        assert!(
            told.iter().all(|(_, ms)| ms.abs_diff(200) <= longest_error),
            "{told:?}"
        );

        // What came up to here is silence.
        let mut bytes = [0; 1_500];
        while caller.socket.try_recv_from(&mut bytes).is_ok() {}
        let params = json!({ "leg": leg, "digits": DIGITS, "duration_ms": 120 });
        let (_, sent) = tokio::join!(
            site.router.call("leg.send_dtmf", params),
            caller.digits(16, &mut network)
        );
        let digits: String = sent.iter().map(|(digit, _)| *digit).collect();
        assert_eq!(digits, DIGITS, "{sent:?}");
        if loss_permille == 0 {
            assert!(sent.iter().all(|(_, packets)| *packets == 6), "{sent:?}");
        }
        call.bye(&mut peer).await;
        assert_eq!(ended(&site.router, &leg).await["reason"], "completed");
    }
}
