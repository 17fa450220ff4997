//! The ladder of a trace: a column for each address, an arrow for each message.
//!
//! Plain ASCII, so that it survives a mail to a carrier. Touches no file and reads no message but its first
//! line, CSeq and type.

use std::net::SocketAddr;

/// Addresses that get a column; messages of further ones are written as a line.
pub const COLUMNS_MAX: usize = 6;

/// Characters from one column to the next.
const WIDTH: usize = 38;

/// One message of the ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Microseconds since the Unix epoch.
    pub wall_us: i64,
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// What stands on the arrow.
    pub label: String,
}

/// What stands on a message's arrow: `INVITE (SDP)`, `200 OK (INVITE, SDP)`.
pub fn label(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let mut lines = text.split(['\r', '\n']);
    let first = lines.next().unwrap_or_default();
    let value = |names: [&str; 2]| {
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(name, _)| names.iter().any(|one| one.eq_ignore_ascii_case(name.trim())));
        found.map(|(_, value)| value.trim().to_owned())
    };
    let has_sdp = value(["content-type", "c"]).is_some_and(|kind| kind.to_ascii_lowercase().contains("sdp"));
    let mut notes = Vec::new();
    let what = match first.strip_prefix("SIP/2.0 ") {
        Some(status) => {
            let cseq = value(["cseq", "cseq"]);
            notes.extend(cseq.and_then(|cseq| cseq.split_whitespace().nth(1).map(str::to_owned)));
            status.to_owned()
        }
        None => first.split(' ').next().unwrap_or_default().to_owned(),
    };
    if has_sdp {
        notes.push("SDP".to_owned());
    }
    let notes = match notes.is_empty() {
        true => String::new(),
        false => format!(" ({})", notes.join(", ")),
    };
    let plain = |character: char| {
        if character.is_ascii_graphic() || character == ' ' {
            character
        } else {
            '?'
        }
    };
    format!("{what}{notes}")
        .chars()
        .map(plain)
        .take(WIDTH - 6)
        .collect()
}

/// The whole ladder.
pub fn draw(steps: &[Step]) -> String {
    let Some(first) = steps.first() else {
        return "no message\n".to_owned();
    };
    let mut columns: Vec<SocketAddr> = Vec::new();
    for address in steps.iter().flat_map(|step| [step.from, step.to]) {
        if columns.len() < COLUMNS_MAX && !columns.contains(&address) {
            columns.push(address);
        }
    }
    let mut text = format!("{:>10} {:>5}  ", "seconds", "#");
    for column in &columns {
        text.push_str(&format!("{:<WIDTH$}", column.to_string()));
    }
    text = format!("{}\n", text.trim_end());
    for (number, step) in steps.iter().enumerate() {
        let at = (step.wall_us - first.wall_us) as f64 / 1_000_000.0;
        let row = row(&columns, step);
        text.push_str(&format!("{at:>10.3} {:>5}  {row}\n", number + 1));
    }
    text
}

fn row(columns: &[SocketAddr], step: &Step) -> String {
    let place = |address| columns.iter().position(|column| *column == address);
    let (Some(from), Some(to)) = (place(step.from), place(step.to)) else {
        return format!("{} -> {}  {}", step.from, step.to, step.label);
    };
    let rail = |column: usize| if column < columns.len() { "|" } else { "" };
    let (left, right) = (from.min(to), from.max(to));
    let mut row = String::new();
    for column in 0..left {
        row.push_str(&format!("{:<WIDTH$}", rail(column)));
    }
    if left == right {
        return format!("{row}| {}", step.label);
    }
    let length = (right - left) * WIDTH - 1;
    let arrow = format!("{:-^1$}", format!(" {} ", step.label), length - 2);
    row.push_str(&match from < to {
        true => format!("|-{arrow}>"),
        false => format!("|<{arrow}-"),
    });
    for column in right..columns.len() {
        row.push_str(&format!("{:<WIDTH$}", rail(column)));
    }
    row.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_say_what_a_message_is() {
        for (message, expected) in [
            (
                "INVITE sip:a@b SIP/2.0\r\nc: application/sdp\r\nCSeq: 1 INVITE\r\n\r\nv=0",
                "INVITE (SDP)",
            ),
            ("BYE sip:a@b SIP/2.0\r\n\r\n", "BYE"),
            (
                "SIP/2.0 180 Ringing\r\nCSeq: 1 INVITE\r\n\r\n",
                "180 Ringing (INVITE)",
            ),
            (
                "SIP/2.0 200 OK\r\nCSEQ: 7 UPDATE\r\nContent-Type: application/sdp\r\n\r\n",
                "200 OK (UPDATE, SDP)",
            ),
            ("SIP/2.0 486 \u{1b}[31mBusy\r\n\r\n", "486 ?[31mBusy"),
            ("", ""),
        ] {
            assert_eq!(label(message.as_bytes()), expected);
        }
    }

    #[test]
    fn arrows_go_from_column_to_column() {
        let step = |ms: i64, from: &str, to: &str, label: &str| Step {
            wall_us: 1_000_000 + ms * 1_000,
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            label: label.to_owned(),
        };
        let (a, gateway, b) = ("10.0.1.1:5060", "10.0.0.1:5060", "10.0.2.1:5070");
        let drawn = draw(&[
            step(0, a, gateway, "INVITE (SDP)"),
            step(20, gateway, b, "INVITE (SDP)"),
            step(1500, b, gateway, "200 OK (INVITE, SDP)"),
            step(1501, b, a, "BYE"),
        ]);
        let expected = "   seconds     #  10.0.1.1:5060                         10.0.0.1:5060                         10.0.2.1:5070\n\
     \u{20}    0.000     1  |----------- INVITE (SDP) ----------->|                                     |\n\
     \u{20}    0.020     2  |                                     |----------- INVITE (SDP) ----------->|\n\
     \u{20}    1.500     3  |                                     |<------ 200 OK (INVITE, SDP) --------|\n\
     \u{20}    1.501     4  |<---------------------------------- BYE -----------------------------------|\n";
        assert_eq!(drawn, expected, "\n{drawn}");
        assert_eq!(draw(&[]), "no message\n");
    }

    #[test]
    fn more_addresses_than_columns_are_written_as_lines() {
        let steps: Vec<Step> = (0..20)
            .map(|port| Step {
                wall_us: 0,
                from: ([10, 0, 0, 1], 5000 + port).into(),
                to: ([10, 0, 0, 2], 5060).into(),
                label: "OPTIONS".into(),
            })
            .collect();
        let drawn = draw(&steps);
        assert!(
            drawn.contains("10.0.0.1:5019 -> 10.0.0.2:5060  OPTIONS"),
            "{drawn}"
        );
        assert!(drawn.lines().all(|line| line.len() < 300));
    }
}
