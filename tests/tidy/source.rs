//! One Rust file as the rules see it.

/// A file with its text, and its code with everything blanked that is not code.
pub struct Source {
    /// From the top of the house, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// Comments, strings and characters blanked; as many lines as `text`.
    pub code: String,
    /// `code` without test modules.
    pub product: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let code = blank_non_code(text);
        let product = if is_test_file(path) {
            String::new()
        } else {
            blank_test_modules(&code)
        };
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            product,
        }
    }

    /// Whether the file is `root` or lies under it: `sip/src/message` is both `message.rs` and `message/`.
    pub fn is_in(&self, root: &str) -> bool {
        self.path == format!("{root}.rs") || self.path.starts_with(&format!("{root}/"))
    }

    /// Code that computes on its inputs only.
    pub fn is_pure(&self) -> bool {
        self.is_in("sip/src")
            || self.is_in("gateway/src/engine")
            || (self.is_in("media/src") && !self.is_in("media/src/shard"))
    }

    /// Findings for the lines of the product's code that `breaks` says break a rule.
    pub fn lines_where(&self, what: &str, breaks: impl Fn(&str) -> bool) -> Vec<String> {
        findings(&self.path, &self.product, what, breaks)
    }
}

/// `path:line: what` for each line that breaks.
pub fn findings(path: &str, code: &str, what: &str, breaks: impl Fn(&str) -> bool) -> Vec<String> {
    let broken = code.lines().enumerate().filter(|(_, line)| breaks(line));
    broken
        .map(|(index, line)| format!("{path}:{}: {what}: {}", index + 1, line.trim()))
        .collect()
}

/// Whether `word` stands in `line` with no letter, digit or `_` next to it.
pub fn has_word(line: &str, word: &str) -> bool {
    let is_part = |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next())
    })
}

/// Tests beside the code in a file of their own, integration tests, benches and examples.
fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/")
        || path.starts_with("benches/")
        || path.contains("/examples/")
        || path.contains("/tests/")
        || path.ends_with("/tests.rs")
}

/// Replaces comments and the insides of literals by blanks, line ends kept.
fn blank_non_code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_or_comment_end(bytes, at);
        if end == at {
            code.push(bytes[at]);
            at += 1;
        } else {
            code.extend(
                bytes[at..end]
                    .iter()
                    .map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }),
            );
            at = end;
        }
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// The end of what begins at `at` and is no code; `at` itself where code goes on.
fn literal_or_comment_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let before = at.checked_sub(1).map(|before| bytes[before]);
    let follows_word = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if rest.starts_with(b"//") {
        return at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return at + block_comment_length(rest);
    }
    let raw_prefix = rest
        .iter()
        .take_while(|byte| matches!(byte, b'b' | b'r' | b'c'))
        .count();
    let hashes = rest[raw_prefix..]
        .iter()
        .take_while(|byte| **byte == b'#')
        .count();
    let opens = rest.get(raw_prefix + hashes) == Some(&b'"');
    let is_raw = raw_prefix > 0 && rest[raw_prefix - 1] == b'r';
    if opens && is_raw && !follows_word {
        let close: Vec<u8> = std::iter::once(b'"')
            .chain(std::iter::repeat_n(b'#', hashes))
            .collect();
        let body = raw_prefix + hashes + 1;
        let length = rest[body..]
            .windows(close.len())
            .position(|window| window == close);
        return at + length.map_or(rest.len(), |length| body + length + close.len());
    }
    if rest[0] == b'"' {
        return at + quoted_length(rest);
    }
    if rest[0] == b'\'' {
        return at + character_length(rest);
    }
    at
}

fn block_comment_length(rest: &[u8]) -> usize {
    let (mut depth, mut length) = (0, 0);
    while length < rest.len() {
        if rest[length..].starts_with(b"/*") {
            depth += 1;
            length += 2;
        } else if rest[length..].starts_with(b"*/") {
            depth -= 1;
            length += 2;
            if depth == 0 {
                break;
            }
        } else {
            length += 1;
        }
    }
    length
}

fn quoted_length(rest: &[u8]) -> usize {
    let mut length = 1;
    while length < rest.len() && rest[length] != b'"' {
        length += if rest[length] == b'\\' { 2 } else { 1 };
    }
    (length + 1).min(rest.len())
}

/// Zero for a lifetime.
fn character_length(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        return rest
            .iter()
            .skip(3)
            .position(|byte| *byte == b'\'')
            .map_or(0, |length| length + 4);
    }
    let longest = rest.len().min(6);
    let close = rest[..longest]
        .iter()
        .skip(2)
        .position(|byte| *byte == b'\'')
        .map(|at| at + 2);
    let one_character =
        |close: &usize| std::str::from_utf8(&rest[1..*close]).is_ok_and(|c| c.chars().count() == 1);
    close.filter(one_character).map_or(0, |close| close + 1)
}

/// Blanks the item behind each `#[cfg(test)]`.
fn blank_test_modules(code: &str) -> String {
    let mut product = code.to_owned();
    while let Some(start) = product.find("#[cfg(test)]") {
        let end = item_end(&product, start + "#[cfg(test)]".len());
        let blank: String = product[start..end]
            .chars()
            .map(|c| if c == '\n' { '\n' } else { ' ' })
            .collect();
        product.replace_range(start..end, &blank);
    }
    product
}

/// Behind the closing brace, or the semicolon, of the item that begins at or after `from`.
pub fn item_end(code: &str, from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && byte == b'}' {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = "let a = \"unsafe \\\" {\"; // unsafe\n/* a /* b */ unsafe */ let b = 'x'; let c: &'a str = r#\"un\"safe\"#;\nlet d = '\\'';";
    let code = Source::new("sip/src/a.rs", text).code;
    assert!(!code.contains("unsafe") && !code.contains("safe"));
    assert!(code.contains("let b =") && code.contains("&'a str =") && code.contains("let d ="));
    assert_eq!(code.lines().count(), text.lines().count());
}

#[test]
fn test_modules_are_no_product() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { if x {} }\n}\nfn c() {}\n#[cfg(test)]\nmod d;\nfn e() {}\n";
    let product = Source::new("sip/src/a.rs", text).product;
    assert!(product.contains("fn a") && product.contains("fn c") && product.contains("fn e"));
    assert!(!product.contains("fn b") && !product.contains("mod d"));
    assert!(Source::new("tests/sim.rs", text).product.is_empty());
}

#[test]
fn words_end_where_names_end() {
    assert!(has_word("use rsip::Uri;", "rsip"));
    assert!(!has_word("rsipstack rsip_x xrsip", "rsip"));
}
