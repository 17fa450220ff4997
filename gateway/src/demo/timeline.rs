//! What is printed while the call runs: one line a happening, at once.

use std::io::Write;
use std::time::Instant;

use crate::shell::clock;

/// Lines on their way out. A reader that is gone stops nothing.
pub struct Timeline<'a> {
    out: &'a mut dyn Write,
    started: Instant,
}

impl<'a> Timeline<'a> {
    /// Time begins now.
    pub fn new(out: &'a mut dyn Write) -> Timeline<'a> {
        Timeline {
            out,
            started: clock::mono(),
        }
    }

    /// A line over what follows.
    pub fn heading(&mut self, text: &str) {
        self.plain(&format!("\n{text}\n{}", "─".repeat(text.chars().count())));
    }

    /// Something happened: who, the protocol's word, plain words.
    pub fn tell(&mut self, who: &str, word: &str, words: &str) {
        let seconds = clock::mono().duration_since(self.started).as_secs_f64();
        self.plain(&format!("{seconds:7.3} s  {who:<8} {word:<16} {words}"));
    }

    /// Text as it is.
    pub fn plain(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
        let _ = self.out.flush();
    }
}
