//! What the call left behind, held against what was intended: tables, files, and the number of crosses.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::DemoError;
use super::cast::Party;
use super::recording::{self, Channel};
use super::router::text;
use super::story::{Silence, Told};
use super::table::{self, Phase};
use super::timeline::Timeline;
use super::waveform::{self, Label};

/// Longest silence in music on hold.
const SILENCE_MAX: Duration = Duration::from_millis(40);

/// The verdict's reasons.
pub struct Ledger {
    phases: Vec<Phase>,
    silences: Vec<Silence>,
    channels: Vec<Channel>,
    recording: PathBuf,
    record: PathBuf,
    picture: PathBuf,
}

impl Ledger {
    /// Fetches the recording, writes the record and the picture into `out`.
    pub fn new(told: Told, out: &Path) -> Result<Ledger, DemoError> {
        let stored = told
            .stored
            .get("data")
            .ok_or(DemoError::Missing("record.stored's data"))?;
        let uri = text(stored, "uri").ok_or(DemoError::Missing("the recording's URI"))?;
        let path = uri
            .strip_prefix("file://")
            .ok_or(DemoError::Missing("the recording's file"))?;
        let wav = fs::read(path).map_err(|source| DemoError::io(path, source))?;
        let channels = recording::channels(&wav, &parties(stored, &told.legs)?)?;
        let picture = waveform::svg("What each party said", &channels, &labels(&told));
        let ledger = Ledger {
            phases: told.phases,
            silences: told.silences,
            channels,
            recording: out.join("recording.wav"),
            record: out.join("call-record.json"),
            picture: out.join("waveforms.svg"),
        };
        write(&ledger.recording, &wav)?;
        write(&ledger.record, format!("{:#}\n", told.record).as_bytes())?;
        write(&ledger.picture, picture.as_bytes())?;
        Ok(ledger)
    }

    /// Things that are not as intended.
    pub fn crosses(&self) -> usize {
        let pairs: usize = self.phases.iter().map(Phase::crosses).sum();
        let silences = self
            .silences
            .iter()
            .filter(|silence| silence.longest > SILENCE_MAX)
            .count();
        let channels = self.channels.iter().filter(|channel| !channel.is_right()).count();
        pairs + silences + channels
    }

    /// All of it.
    pub fn print(&self, timeline: &mut Timeline<'_>) {
        timeline.heading("Who heard whom");
        for line in table::render(&self.phases) {
            timeline.plain(&line);
        }
        timeline.plain("    ✓ as intended · ✗ not · a level: heard, dBov · a dot: not heard");
        timeline.heading("Longest silence in the customer's music");
        for silence in &self.silences {
            let mark = mark(silence.longest <= SILENCE_MAX);
            let ms = silence.longest.as_secs_f64() * 1_000.0;
            timeline.plain(&format!("    {mark} {ms:5.1} ms  until {}", silence.until));
        }
        timeline.heading("What each channel of the recording holds");
        for (index, channel) in self.channels.iter().enumerate() {
            timeline.plain(&channel_line(index, channel));
        }
        timeline.heading("Where it lies");
        for (what, path) in [
            ("recording", &self.recording),
            ("call record", &self.record),
            ("picture", &self.picture),
        ] {
            timeline.plain(&format!("    {what:<12} {}", path.display()));
        }
        timeline.plain(&match self.crosses() {
            0 => "\n✓ Everything was as intended.".to_owned(),
            1 => "\n✗ One thing was not as intended.".to_owned(),
            crosses => format!("\n✗ {crosses} things were not as intended."),
        });
    }
}

fn channel_line(index: usize, channel: &Channel) -> String {
    let strangers: Vec<&str> = channel
        .strangers()
        .into_iter()
        .map(|speaker| speaker.name())
        .collect();
    let others = match strangers.as_slice() {
        [] => "nobody else".to_owned(),
        names => names.join(" and "),
    };
    format!(
        "    {} channel {}  {:<9} speaks {:3.0} % of the time, and {others}",
        mark(channel.is_right()),
        index + 1,
        channel.party.name(),
        channel.speaking() * 100.0
    )
}

/// Who the channels are, from the legs that `record.stored` names.
fn parties(stored: &Value, legs: &[(String, Party)]) -> Result<Vec<Party>, DemoError> {
    let channels = stored.get("channels").and_then(Value::as_array);
    let named = channels
        .ok_or(DemoError::Missing("the recording's channels"))?
        .iter();
    named
        .map(|channel| {
            let leg = legs
                .iter()
                .find(|(leg, _)| Some(leg.as_str()) == channel.as_str());
            leg.map(|(_, party)| *party)
                .ok_or(DemoError::Missing("a channel's leg"))
        })
        .collect()
}

/// The phases on the recording's time line.
fn labels(told: &Told) -> Vec<Label> {
    let second = |at: std::time::Instant| at.saturating_duration_since(told.recording_began).as_secs_f32();
    let labels = told.phases.iter().map(|phase| Label {
        title: phase.title.clone(),
        from_s: second(phase.span.from),
        to_s: second(phase.span.to),
    });
    labels.collect()
}

fn mark(is_right: bool) -> char {
    if is_right { '✓' } else { '✗' }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), DemoError> {
    fs::write(path, bytes).map_err(|source| DemoError::io(path.display(), source))
}
