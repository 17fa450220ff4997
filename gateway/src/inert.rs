//! Text of strangers made harmless to look at: no control characters, nothing that turns the line around.
//!
//! A caller chooses its name and user part, and both are shown to people (docs/threats.md: B30). Knows
//! nothing of where the text came from.

use std::borrow::Cow;

/// Longest display name kept, characters: as many as a caller id of ours may have.
pub const NAME_CHARS_MAX: usize = 128;

/// Whether a character may change how others are shown, or what a terminal does: controls, the marks and
/// overrides of Unicode's bidirectional algorithm (UAX #9 §2), line separators, and invisible ones.
pub fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061C}'
                | '\u{200B}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{2069}'
                | '\u{FEFF}'
                | '\u{FFF9}'..='\u{FFFB}'
        )
}

/// A display name without harmful characters and without end; none where nothing is left.
pub fn name(text: &str) -> Option<String> {
    let kept: String = text
        .chars()
        .filter(|character| !is_harmful(*character))
        .take(NAME_CHARS_MAX)
        .collect();
    let kept = kept.trim();
    (!kept.is_empty()).then(|| kept.to_owned())
}

/// JSON text whose harmful characters are written `\uXXXX`: the same value for a program, one line without
/// surprises for a person. They can stand inside strings only, so the text stays JSON.
pub fn json(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_harmful(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_every_alphabet_and_lose_what_moves_the_line() {
        for (raw, kept) in [
            ("Анна Ågren 山田", Some("Анна Ågren 山田")),
            ("\u{1b}[31mred\r\nCall: x", Some("[31mredCall: x")),
            ("abc\u{202e}gpj.exe\u{2066}", Some("abcgpj.exe")),
            (" \u{200b}\u{0} ", None),
            ("=cmd|' /C calc'!A0", Some("=cmd|' /C calc'!A0")),
        ] {
            assert_eq!(name(raw).as_deref(), kept, "{raw:?}");
        }
        assert_eq!(
            name(&"x".repeat(500)).map(|name| name.len()),
            Some(NAME_CHARS_MAX)
        );
    }

    #[test]
    fn json_means_the_same_and_shows_nothing_harmful() {
        let value = serde_json::json!({ "name": "a\u{202e}b\u{9b}c\u{2028}" });
        let text = value.to_string();
        let shown = json(&text);
        assert_eq!(shown, "{\"name\":\"a\\u202eb\\u009bc\\u2028\"}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        assert!(matches!(json("{\"a\":1}"), Cow::Borrowed(_)));
    }
}
