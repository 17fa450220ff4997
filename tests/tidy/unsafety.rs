//! Unsafe code is in few files, and each piece says why it is sound.

use super::source::{Source, has_word, item_end};

/// Where it may be: the socket batches of a shard, codec bindings, and the counting allocator of a test.
const ALLOWED: [&str; 3] = ["media/src/shard/io", "media/src/codec/opus", "tests/hotpath"];
/// How far above its code a `SAFETY:` comment may begin, lines.
const COMMENT_LINES_MAX: usize = 6;
/// Crate roots that must forbid it.
const FORBIDDING: [&str; 2] = ["sip/src/lib.rs", "gateway/src/lib.rs"];

pub fn check(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let allowed = ALLOWED.into_iter().any(|file| source.is_in(file));
    let mut findings = Vec::new();
    let mut explained_until = 0;
    for (index, line) in source
        .code
        .lines()
        .enumerate()
        .filter(|(_, line)| has_word(line, "unsafe"))
    {
        if !allowed {
            findings.push(format!(
                "{}:{}: unsafe code is not for this file",
                source.path,
                index + 1
            ));
        }
        let above = &lines[index.saturating_sub(COMMENT_LINES_MAX)..=index];
        let is_explained = above
            .iter()
            .any(|line| line.contains("SAFETY:") || line.contains("# Safety"));
        // What is said of an `unsafe impl` holds for the methods it must have.
        if is_explained && has_word(line, "impl") {
            explained_until = explained_until.max(index + item_lines(&source.code, index));
        }
        if !is_explained && index >= explained_until {
            findings.push(format!(
                "{}:{}: unsafe code without `SAFETY:`",
                source.path,
                index + 1
            ));
        }
    }
    findings
}

/// Lines of the item that begins on line `index`.
fn item_lines(code: &str, index: usize) -> usize {
    let start = code.split_inclusive('\n').take(index).map(str::len).sum();
    code[start..item_end(code, start)].lines().count()
}

/// Crate roots that do not forbid unsafe code.
pub fn check_forbidden(files: &[Source]) -> Vec<String> {
    let forbids = |root: &&str| {
        files
            .iter()
            .any(|file| file.path == **root && file.code.contains("#![forbid(unsafe_code)]"))
    };
    let missing = FORBIDDING.iter().filter(|root| !forbids(root));
    missing
        .map(|root| format!("{root}: #![forbid(unsafe_code)] is missing"))
        .collect()
}

#[test]
fn unsafe_code_in_the_wrong_file_or_without_a_reason_is_found() {
    let explained = "// SAFETY: the buffer outlives the call.\nunsafe { a() }\n";
    let bare = "unsafe { a() }\n";
    assert_eq!(check(&Source::new("media/src/shard/io.rs", explained)).len(), 0);
    assert_eq!(check(&Source::new("media/src/shard/io.rs", bare)).len(), 1);
    assert_eq!(check(&Source::new("media/src/rtp.rs", explained)).len(), 1);
    assert_eq!(
        check(&Source::new(
            "media/src/rtp.rs",
            "// unsafe\nlet a = \"unsafe\";\n"
        ))
        .len(),
        0
    );
    assert_eq!(
        check(&Source::new("sip/src/lib.rs", "#![forbid(unsafe_code)]\n")).len(),
        0
    );
}

#[test]
fn a_reason_for_an_unsafe_impl_covers_it_and_nothing_behind_it() {
    let body = "    a();\n".repeat(10);
    let text = format!("// SAFETY: it counts.\nunsafe impl A for B {{\n{body}    unsafe fn a() {{}}\n}}\n");
    assert_eq!(check(&Source::new("tests/hotpath.rs", &text)).len(), 0);
    let behind = format!("{text}{}unsafe {{ a() }}\n", "fn f() {}\n".repeat(10));
    assert_eq!(check(&Source::new("tests/hotpath.rs", &behind)).len(), 1);
    let bare = text.replace("SAFETY", "");
    assert_eq!(check(&Source::new("tests/hotpath.rs", &bare)).len(), 2);
}

#[test]
fn a_root_that_does_not_forbid_it_is_found() {
    let root = |path: &str, text: &str| Source::new(path, text);
    let all = [
        root("sip/src/lib.rs", "#![forbid(unsafe_code)]\n"),
        root("gateway/src/lib.rs", "// #![forbid(unsafe_code)]\n"),
    ];
    assert_eq!(check_forbidden(&all).len(), 1);
}
