//! The small words of RFC 3261 §25: byte classes, quoting, and cutting at separators.
//!
//! Pure text functions shared by every header and URI of the guard. Knows no header by name.

/// A byte of `token` (RFC 3261 §25.1).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
        )
}

/// True for a non-empty `token`.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// A byte of `word`, what a Call-ID is made of (RFC 3261 §25.1).
pub(crate) fn is_word_byte(byte: u8) -> bool {
    is_token_byte(byte) || b"()<>:\\\"/[]?{}".contains(&byte)
}

/// Cuts linear white space (already unfolded) from both ends.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Whole number of digits only, so without sign, space or exponent.
pub(crate) fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// True when every `%` starts an escape and every other byte passes `plain`.
pub(crate) fn is_escaped_text(text: &str, plain: impl Fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let hex = [bytes.next(), bytes.next()];
            if !hex
                .iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit()))
            {
                return false;
            }
        } else if !plain(byte) {
            return false;
        }
    }
    true
}

/// `unreserved` of RFC 3261 §25.1.
pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte)
}

/// Resolves `%` escapes. Bytes that are no UTF-8 afterwards become U+FFFD.
pub fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        let pair = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => out.push(b'%'),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Content of a whole `quoted-string`, escapes resolved; `None` when it is not exactly one.
pub(crate) fn unquote(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => return chars.as_str().is_empty().then_some(out),
            '\\' => out.push(chars.next()?),
            other => out.push(other),
        }
    }
    None
}

/// Makes a `quoted-string`; control characters are left out.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for char in text.chars().filter(|char| !char.is_control()) {
        if matches!(char, '"' | '\\') {
            out.push('\\');
        }
        out.push(char);
    }
    out.push('"');
    out
}

/// Byte offset of the first `wanted` outside quoted strings and `<…>`.
pub(crate) fn find_outside(text: &str, wanted: u8) -> Option<usize> {
    let mut scanner = Scanner::default();
    text.bytes()
        .position(|byte| scanner.is_outside(byte) && byte == wanted)
}

/// The trimmed parts between `separator`s that stand outside quoted strings and `<…>`.
pub(crate) fn split_outside(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let cut = find_outside(text, separator);
        let (part, tail) = match cut.and_then(|at| text.split_at_checked(at)) {
            Some((part, tail)) => (part, tail.get(1..)),
            None => (text, None),
        };
        rest = tail;
        Some(trim(part))
    })
}

/// The parts of a comma list; empty elements are kept, so that the caller can refuse them.
pub(crate) fn split_list(text: &str) -> impl Iterator<Item = &str> {
    split_outside(text, b',')
}

/// True when the text has no control byte but HTAB, or one escaped inside a quoted string
/// (RFC 3261 §25.1 `quoted-pair` allows every one but CR and LF; RFC 4475 §3.1.1.2 uses them).
pub(crate) fn is_free_of_control(text: &str) -> bool {
    let mut quoted = false;
    let mut escaped = false;
    for byte in text.bytes() {
        let is_control = (byte < 0x20 && byte != b'\t') || byte == 0x7f;
        if is_control && !(escaped && byte != b'\r' && byte != b'\n') {
            return false;
        }
        if escaped {
            escaped = false;
        } else if byte == b'"' {
            quoted = !quoted;
        } else if quoted && byte == b'\\' {
            escaped = true;
        }
    }
    true
}

/// Tells apart bytes inside quotes or angle brackets from those outside.
#[derive(Default)]
struct Scanner {
    quoted: bool,
    escaped: bool,
    bracketed: bool,
}

impl Scanner {
    /// Takes the next byte; true when it stands outside both.
    fn is_outside(&mut self, byte: u8) -> bool {
        if self.quoted {
            if self.escaped {
                self.escaped = false;
            } else if byte == b'\\' {
                self.escaped = true;
            } else if byte == b'"' {
                self.quoted = false;
            }
            return false;
        }
        match byte {
            b'"' if !self.bracketed => self.quoted = true,
            b'<' => {
                let outside = !self.bracketed;
                self.bracketed = true;
                return outside;
            }
            b'>' => self.bracketed = false,
            _ => return !self.bracketed,
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_cuts_only_outside_quotes_and_brackets() {
        let parts: Vec<_> = split_list(r#""a, \", b" <sip:x,y@z> , <sip:q>;p="1,2""#).collect();
        assert_eq!(parts, [r#""a, \", b" <sip:x,y@z>"#, r#"<sip:q>;p="1,2""#]);
        assert_eq!(split_list("").collect::<Vec<_>>(), [""]);
        assert_eq!(split_list("a,,b,").collect::<Vec<_>>(), ["a", "", "b", ""]);
    }

    #[test]
    fn quoting_and_unquoting_are_inverse() {
        assert_eq!(unquote(r#""J \\\"""#).as_deref(), Some(r#"J \""#));
        assert_eq!(unquote(&quote("a\"b\\c")).as_deref(), Some("a\"b\\c"));
        assert_eq!(unquote("\"open"), None);
        assert_eq!(unquote("\"a\"b"), None);
        assert_eq!(quote("a\r\nb"), "\"ab\"");
    }

    #[test]
    fn control_bytes_pass_only_as_quoted_pairs() {
        assert!(is_free_of_control("\"BEL:\\\u{7}\" <sip:a@b>"));
        assert!(!is_free_of_control("BEL:\u{7}"));
        assert!(!is_free_of_control("\"\u{7}\""));
        assert!(!is_free_of_control("\"\\\r\n\""));
        assert!(!is_free_of_control("\\\u{0}"));
    }

    #[test]
    fn escapes_resolve() {
        assert_eq!(unescape("u%73er%"), "user%");
        assert!(is_escaped_text("a%00b", is_unreserved));
        assert!(!is_escaped_text("a%0", is_unreserved));
        assert!(!is_escaped_text("a%zz", is_unreserved));
    }

    #[test]
    fn digits_are_digits_only() {
        assert_eq!(digits::<u32>("0068"), Some(68));
        for bad in ["", "-1", "+5", "5 5", "1e3", "4294967296"] {
            assert_eq!(digits::<u32>(bad), None, "{bad}");
        }
    }
}
