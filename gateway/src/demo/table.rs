//! Who heard whom: what was measured beside what was intended, and its rendering.
//!
//! Pure. A cell is right when an intended speaker was heard all the time, or any other not at all.

use super::cast::{Party, Speaker};
use crate::phone::{Heard, Span};

/// One speaker at one listener's ear.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Who might be heard.
    pub speaker: Speaker,
    /// What was measured.
    pub heard: Heard,
    /// Whether it should be heard.
    pub is_intended: bool,
}

/// One listener.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Who listens.
    pub listener: Party,
    /// Every speaker.
    pub cells: Vec<Cell>,
}

/// One part of the call.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// For people.
    pub title: String,
    /// When it was listened to.
    pub span: Span,
    /// Everybody who was in the call.
    pub rows: Vec<Row>,
}

impl Cell {
    /// Measured is what was intended.
    pub fn is_right(&self) -> bool {
        if self.is_intended {
            self.heard.is_steady()
        } else {
            self.heard.is_absent()
        }
    }

    /// `✓ −16 dB`, or `✓   ·` for rightly nothing.
    fn text(&self) -> String {
        let mark = if self.is_right() { '✓' } else { '✗' };
        if self.heard.is_absent() {
            return format!("{mark}    ·  ");
        }
        let level = format!("{:.0} dB", self.heard.level_dbov).replace('-', "−");
        format!("{mark} {level:>6}")
    }
}

impl Phase {
    /// Cells that are not as intended.
    pub fn crosses(&self) -> usize {
        let cells = self.rows.iter().flat_map(|row| &row.cells);
        cells.filter(|cell| !cell.is_right()).count()
    }

    /// What was heard, in words.
    pub fn sentence(&self) -> String {
        let rows: Vec<String> = self.rows.iter().map(Row::sentence).collect();
        format!("{}: {}", self.title, rows.join("; "))
    }
}

impl Row {
    fn sentence(&self) -> String {
        let heard = self.cells.iter().filter(|cell| !cell.heard.is_absent());
        let names: Vec<&str> = heard.map(|cell| cell.speaker.name()).collect();
        let speakers = match names.as_slice() {
            [] => "nothing".to_owned(),
            names => names.join(" and "),
        };
        format!("{} hears {speakers}", self.listener.name())
    }
}

/// The whole table, a line each.
pub fn render(phases: &[Phase]) -> Vec<String> {
    let title_width = phases
        .iter()
        .map(|phase| phase.title.chars().count())
        .max()
        .unwrap_or(0)
        + 6;
    let mut head = format!("{:title_width$}{:<10}", "", "listener");
    for speaker in Speaker::ALL {
        head.push_str(&format!("  {:<8}", speaker.name()));
    }
    let mut lines = vec![head.trim_end().to_owned()];
    for (index, phase) in phases.iter().enumerate() {
        let mut title = format!("{:>2}  {}", index + 1, phase.title);
        for row in &phase.rows {
            let mut line = format!("{title:title_width$}{:<10}", row.listener.name());
            for cell in &row.cells {
                line.push_str(&format!("  {:<8}", cell.text()));
            }
            lines.push(line.trim_end().to_owned());
            title.clear();
        }
    }
    lines
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Instant;

    use super::*;

    fn cell(speaker: Speaker, present: usize, is_intended: bool) -> Cell {
        Cell {
            speaker,
            heard: Heard {
                slices: 5,
                present,
                level_dbov: if present > 2 { -16.2 } else { -71.0 },
            },
            is_intended,
        }
    }

    fn phase(title: &str, cells: Vec<Cell>) -> Phase {
        let now = Instant::now();
        Phase {
            title: title.to_owned(),
            span: Span { from: now, to: now },
            rows: vec![Row {
                listener: Party::Customer,
                cells,
            }],
        }
    }

    #[test]
    fn a_cell_is_right_only_all_the_time_or_never() {
        for (present, is_intended, is_right) in [
            (5, true, true),
            (4, true, false),
            (0, true, false),
            (0, false, true),
            (1, false, false),
            (5, false, false),
        ] {
            let cell = cell(Speaker::Music, present, is_intended);
            assert_eq!(cell.is_right(), is_right, "{present} {is_intended}");
        }
    }

    #[test]
    fn an_intended_speaker_is_wrong_where_nothing_was_measured() {
        let mut cell = cell(Speaker::Music, 0, true);
        cell.heard.slices = 0;
        assert!(!cell.is_right());
    }

    #[test]
    fn the_table_is_as_written_here() {
        let phases = [
            phase(
                "greeting",
                vec![
                    cell(Speaker::Party(Party::Customer), 0, false),
                    cell(Speaker::Greeting, 5, true),
                ],
            ),
            phase(
                "talking",
                vec![
                    cell(Speaker::Party(Party::Customer), 5, false),
                    cell(Speaker::Greeting, 0, true),
                ],
            ),
        ];
        let lines = render(&phases);
        assert_eq!(
            lines[0],
            "              listener    customer  agent 1   agent 2   music     greeting"
        );
        assert_eq!(
            lines[1],
            " 1  greeting  ".to_owned() + "customer    ✓    ·    ✓ −16 dB"
        );
        assert_eq!(
            lines[2],
            " 2  talking   ".to_owned() + "customer    ✗ −16 dB  ✗    ·"
        );
        assert_eq!(phases.iter().map(Phase::crosses).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(phases[0].sentence(), "greeting: customer hears greeting");
    }
}
