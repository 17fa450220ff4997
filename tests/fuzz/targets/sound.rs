//! A prompt file: one that is taken is no longer than allowed, whatever its header says (docs/threats.md: A17).

#![no_main]

use libfuzzer_sys::fuzz_target;
use media::sound::{Sound, SoundLimits};

const LIMITS: SoundLimits = SoundLimits {
    bytes_max: 4_096,
    length_ms_max: 500,
};

fuzz_target!(|data: &[u8]| {
    if let Ok(sound) = Sound::from_wav(data, LIMITS) {
        assert!(data.len() <= LIMITS.bytes_max);
        assert!(sound.len_ms() <= LIMITS.length_ms_max, "{}", sound.len_ms());
        assert!(sound.pcm().len() as u64 <= 8 * LIMITS.length_ms_max + 8);
    }
});
