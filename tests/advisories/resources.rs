//! What attacks use up: ports, and the memory of a prompt that lies about its length.

use std::time::Duration;

use house::sim::{Answer, Town};
use media::sound::{Sound, SoundLimits};

use super::scene::MS;

/// Calls that come to nothing; the long form is `tests/sim/leaks.rs`.
const ABANDONED: usize = 300;

#[test]
fn a15_calls_that_come_to_nothing_leave_no_port_behind() {
    let mut town = Town::with(3, |text| text.replace("calls = 100\n", "calls = 1000\n"));
    let router = town.router();
    let customers: Vec<usize> = (0..20).map(|_| town.customer(500.0)).collect();
    for round in 0..ABANDONED {
        let customer = customers[round % customers.len()];
        town.parties[customer].answer = Answer::Never;
        town.call(customer, "+498001234567");
        town.run_for((round as u32 % 7) * 10 * MS);
        if round.is_multiple_of(3)
            && let Some(incoming) = town.routers[router].of("leg.incoming").last()
        {
            let leg = incoming["leg"].clone();
            town.request(router, "leg.answer", serde_json::json!({ "leg": leg }));
        }
        town.hang_up(customer);
    }
    town.run_for(Duration::from_secs(80));
    assert!(town.core.engine().is_empty());
    let in_use = town.media_in_use();
    assert!(in_use.iter().all(|in_use| *in_use == (0, 0)), "{in_use:?}");
}

#[test]
fn a17_a_prompt_that_says_it_is_longer_than_it_is_costs_no_memory_and_no_panic() {
    let head = |data_bytes: u32, riff_bytes: u32, format_bytes: u32| {
        let mut wav = b"RIFF".to_vec();
        wav.extend(riff_bytes.to_le_bytes());
        wav.extend(b"WAVEfmt ");
        wav.extend(format_bytes.to_le_bytes());
        wav.extend([1, 0, 1, 0, 0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0, 2, 0, 16, 0]);
        wav.extend(b"data");
        wav.extend(data_bytes.to_le_bytes());
        wav.extend([0x11; 320]);
        wav
    };
    for length in [0, 1, 319, 321, 1 << 31, u32::MAX - 7, u32::MAX] {
        for format in [0, 15, 16, 17, 1 << 31, u32::MAX] {
            if let Ok(sound) = Sound::from_wav(&head(length, length, format), SoundLimits::default()) {
                assert!(
                    sound.pcm().len() <= 170,
                    "{length} {format}: {}",
                    sound.pcm().len()
                );
            }
        }
    }
}
