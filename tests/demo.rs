//! The demonstration, run whole: its verdict, and what it leaves behind.

use std::path::PathBuf;

use gateway::demo::{self, Options, Verdict};
use gateway::phone::voice::{Voice, listen};
use serde_json::Value;

/// What each phone says, hertz.
const CUSTOMER: f32 = 807.0;
const AGENT_1: f32 = 1281.0;
const AGENT_2: f32 = 2154.3;

#[test]
fn everybody_hears_whom_they_should_and_the_files_tell_the_same() {
    let folder = Folder::new("demo");
    let mut told = Vec::new();
    let options = Options {
        out: folder.0.clone(),
        exit: true,
    };
    let verdict = demo::run(&options, &mut told);
    let told = String::from_utf8(told).unwrap();
    assert!(matches!(verdict, Ok(Verdict::AsIntended)), "{verdict:?}\n{told}");
    assert!(told.contains("Who heard whom") && told.contains("Everything was as intended"));

    let picture = folder.read("waveforms.svg");
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    assert_eq!(picture.matches("<path ").count(), 4, "a lane for each leg");

    let record: Value = serde_json::from_str(&folder.read("call-record.json")).unwrap();
    assert_eq!(record["legs"].as_array().unwrap().len(), 4);
    assert_eq!(record["legs"][0]["holds"], 4);
    assert_eq!(record["recordings"].as_array().unwrap().len(), 1);
    assert_eq!(record["from"]["number"], "+4930227310");

    let channels = folder.channels("recording.wav");
    for (channel, own) in channels.iter().zip([CUSTOMER, AGENT_1, AGENT_2, AGENT_2]) {
        for tone in [CUSTOMER, AGENT_1, AGENT_2] {
            let heard = listen(channel, &Voice::tone("", tone));
            assert_eq!(
                heard.present > 5,
                tone == own,
                "{tone} in the channel of {own}: {heard:?}"
            );
            assert_eq!(
                heard.is_absent(),
                tone != own,
                "{tone} in the channel of {own}: {heard:?}"
            );
        }
    }
    assert_eq!(channels.len(), 4);
}

/// A folder that is gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("gateway-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }

    /// A WAV's channels, as a reader that is not ours sees them.
    fn channels(&self, name: &str) -> Vec<Vec<i16>> {
        let mut wav = hound::WavReader::open(self.0.join(name)).unwrap();
        let count = usize::from(wav.spec().channels);
        assert_eq!((wav.spec().sample_rate, wav.spec().bits_per_sample), (8_000, 16));
        let mut channels = vec![Vec::new(); count];
        for (at, sample) in wav.samples::<i16>().enumerate() {
            channels[at % count].push(sample.unwrap());
        }
        channels
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
