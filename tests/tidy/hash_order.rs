//! Pure code gives the same output for the same input, so it never walks in the order of a hash.

use super::source::{Source, has_word};

const WALKS: [&str; 10] = [
    ".iter()",
    ".iter_mut()",
    ".keys()",
    ".values()",
    ".values_mut()",
    ".into_iter()",
    ".into_keys()",
    ".into_values()",
    ".drain()",
    ".retain(",
];

pub fn check(source: &Source) -> Vec<String> {
    if !source.is_pure() {
        return Vec::new();
    }
    let maps = hash_names(&source.product);
    // A chain may break its lines before the dot.
    let joined = joined_chains(&source.product);
    let walks = |line: &str| maps.iter().any(|map| walks_through(line, map));
    super::source::findings(&source.path, &joined, "walks through a hash map", walks)
}

/// Names that are declared as, or made from, a hash map or set.
fn hash_names(code: &str) -> Vec<String> {
    let is_hash = |text: &str| {
        ["HashMap", "HashSet"]
            .into_iter()
            .any(|word| has_word(text, word))
    };
    let mut names = Vec::new();
    for line in code
        .lines()
        .filter(|line| is_hash(line) && !line.trim_start().starts_with("use "))
    {
        for (at, _) in line.match_indices("Hash") {
            let before = line[..at].trim_end_matches(|c: char| c.is_alphanumeric() || "_:&' <".contains(c));
            let declared = line[before.len()..at].trim_start();
            let separator = if declared.starts_with([':', '=']) || before.ends_with('=') {
                before
            } else {
                continue;
            };
            let separator = separator.trim_end_matches(['=', ' ']);
            let name: String = separator
                .chars()
                .rev()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            names.push(name.chars().rev().collect());
        }
        // `name: HashMap<…>`: the trimming above took the name along with the type's path.
        let mut parts = line.splitn(2, "Hash");
        let head = parts.next().unwrap_or_default();
        let name = head.rsplit([',', '(', '{', '|']).next().unwrap_or_default();
        let name = name
            .split([':', '='])
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .last()
            .unwrap_or_default();
        names.push(name.to_owned());
    }
    names.retain(|name| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_'));
    names.sort();
    names.dedup();
    names
}

fn walks_through(line: &str, map: &str) -> bool {
    let called = WALKS.into_iter().any(|walk| has_call(line, map, walk));
    let looped = line.split_once(" in ").is_some_and(|(head, tail)| {
        let tail = tail
            .trim_end()
            .trim_end_matches('{')
            .trim()
            .trim_start_matches("&mut ")
            .trim_start_matches('&');
        head.trim_start().starts_with("for ") && (tail == map || tail == format!("self.{map}"))
    });
    called || looped
}

fn has_call(line: &str, map: &str, walk: &str) -> bool {
    let call = format!("{map}{walk}");
    line.match_indices(&call).any(|(at, _)| {
        !line[..at]
            .chars()
            .next_back()
            .is_some_and(|before| before.is_alphanumeric() || before == '_')
    })
}

/// Puts a line that begins with `.` onto the one before it, line numbers kept.
fn joined_chains(code: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut head = 0;
    for line in code.lines() {
        if line.trim_start().starts_with('.') && !lines.is_empty() {
            let chained = line.trim().to_owned();
            lines[head].push_str(&chained);
            lines.push(String::new());
        } else {
            head = lines.len();
            lines.push(line.to_owned());
        }
    }
    lines.join("\n")
}

#[test]
fn a_walk_in_hash_order_is_found() {
    let field = "struct A { legs: HashMap<u32, Leg>, order: BTreeMap<u32, u32> }\n";
    for walk in [
        "for (k, v) in &self.legs {",
        "let x: Vec<_> = self.legs.values().collect();",
        "self.legs\n    .iter()\n    .max();",
        "a.legs.retain(|_, leg| leg.up);",
    ] {
        let text = format!("{field}fn f() {{\n{walk}\n}}\n");
        assert_eq!(check(&Source::new("sip/src/a.rs", &text)).len(), 1, "{walk}");
        assert!(check(&Source::new("gateway/src/shell/a.rs", &text)).is_empty());
    }
    for fine in [
        "self.order.values()",
        "self.legs.get(&1)",
        "self.legs.insert(1, leg)",
        "other_legs.iter()",
    ] {
        let text = format!("{field}fn f() {{\n{fine};\n}}\n");
        assert!(check(&Source::new("sip/src/a.rs", &text)).is_empty(), "{fine}");
    }
}

#[test]
fn local_maps_and_sets_are_known_too() {
    for text in [
        "let mut seen = HashSet::new();\nfor x in &seen {\n",
        "let seen: std::collections::HashMap<u8, u8> = a();\nseen.keys().count();\n",
        "fn f(seen: &HashMap<u8, u8>) {\nseen.iter().count();\n}\n",
    ] {
        assert_eq!(check(&Source::new("media/src/a.rs", text)).len(), 1, "{text}");
    }
}
