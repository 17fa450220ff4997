//! Files and functions stay small; the few that are not may only shrink.
//!
//! `sizes.txt` lists what stands beyond a wall, one a line: `file PATH LINES` or `function PATH NAME LINES`.

use std::collections::BTreeMap;

use super::source::{Source, item_end};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
/// A test that is one table, or one story told in order, stays whole.
const TEST_LINES_MAX: usize = 180;
/// No exception goes beyond this.
const FILE_LINES_END: usize = 1000;

pub fn check(files: &[Source], exceptions: &str) -> Vec<String> {
    let mut listed = listed(exceptions);
    let mut findings = Vec::new();
    let (mut lines_sum, mut lines_large) = (0, 0);
    let (mut functions_sum, mut functions_large) = (0, 0);
    for file in files {
        let lines = file.text.lines().count();
        lines_sum += lines;
        lines_large += if lines > FILE_LINES_MAX { lines } else { 0 };
        if lines > FILE_LINES_END {
            findings.push(format!(
                "{}: {lines} lines, never over {FILE_LINES_END}",
                file.path
            ));
        }
        findings.extend(judge(
            &mut listed,
            format!("file {}", file.path),
            lines,
            FILE_LINES_MAX,
        ));
        let mut longest: BTreeMap<String, usize> = BTreeMap::new();
        for (name, lines) in functions(&file.code) {
            functions_sum += 1;
            functions_large += usize::from(lines > function_lines_max(&file.path));
            let known = longest
                .entry(format!("function {} {name}", file.path))
                .or_default();
            *known = lines.max(*known);
        }
        for (key, lines) in longest {
            findings.extend(judge(&mut listed, key, lines, function_lines_max(&file.path)));
        }
    }
    findings.extend(
        listed
            .into_keys()
            .map(|key| format!("sizes.txt: `{key}` is no more; take it out")),
    );
    if lines_large * 10 > lines_sum {
        findings.push(format!(
            "{lines_large} of {lines_sum} lines are in files over {FILE_LINES_MAX}: over a tenth"
        ));
    }
    if functions_large * 50 > functions_sum {
        findings.push(format!(
            "{functions_large} of {functions_sum} functions are over {FUNCTION_LINES_MAX}: over 2 %"
        ));
    }
    findings
}

fn function_lines_max(path: &str) -> usize {
    let is_test = path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("tests.rs");
    if is_test {
        TEST_LINES_MAX
    } else {
        FUNCTION_LINES_MAX
    }
}

/// Over the wall without being listed, grown beyond what is listed, or listed with more than it has.
fn judge(
    listed: &mut BTreeMap<String, usize>,
    key: String,
    lines: usize,
    lines_max: usize,
) -> Option<String> {
    match listed.remove(&key) {
        None if lines > lines_max => Some(format!("{key}: {lines} lines, over {lines_max}")),
        Some(_) if lines <= lines_max => Some(format!("sizes.txt: `{key}` has {lines} lines; take it out")),
        Some(before) if lines > before => Some(format!(
            "{key}: {lines} lines, {before} before; it may only shrink"
        )),
        Some(before) if lines < before => {
            Some(format!("sizes.txt: `{key}` has {lines} lines now; write that"))
        }
        None | Some(_) => None,
    }
}

fn listed(exceptions: &str) -> BTreeMap<String, usize> {
    let lines = exceptions
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (key, lines) = line
                .rsplit_once(' ')
                .unwrap_or_else(|| panic!("sizes.txt: {line}"));
            (
                key.to_owned(),
                lines.parse().unwrap_or_else(|_| panic!("sizes.txt: {line}")),
            )
        })
        .collect()
}

/// Every function with its lines, from `fn` to its closing brace.
fn functions(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let starts_word = code[..at]
            .chars()
            .next_back()
            .is_none_or(|c| !(c.is_alphanumeric() || c == '_'));
        let name: String = code[at + 3..]
            .trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        if !starts_word || name.is_empty() {
            continue;
        }
        let end = item_end(code, at);
        if code[..end].ends_with('}') {
            found.push((name, code[at..end].lines().count()));
        }
    }
    found
}

#[test]
fn lines_of_functions_are_counted_from_fn_to_brace() {
    let code = "fn a() {}\ntrait T { fn none(&self); }\nfn b<T>(x: [u8; 3]) -> T\nwhere T: X,\n{\n    if x { y }\n}\n";
    assert_eq!(functions(code), [("a".to_owned(), 1), ("b".to_owned(), 5)]);
}

#[test]
fn growth_is_found_and_so_is_a_stale_entry() {
    // Enough small neighbours to stay under the shares.
    let mut files: Vec<Source> = (0..100)
        .map(|n| Source::new(&format!("sip/src/f{n}.rs"), &"fn a() {}\n".repeat(100)))
        .collect();
    assert_eq!(check(&files, ""), Vec::<String>::new());

    files.push(Source::new("sip/src/long.rs", &"// x\n".repeat(601)));
    assert_eq!(check(&files, "").len(), 1);
    assert_eq!(check(&files, "# known\nfile sip/src/long.rs 601\n").len(), 0);
    assert_eq!(check(&files, "file sip/src/long.rs 600\n").len(), 1, "grown");
    assert_eq!(check(&files, "file sip/src/long.rs 700\n").len(), 1, "shrunk");
    assert_eq!(
        check(&files, "file sip/src/long.rs 601\nfile sip/src/gone.rs 700\n").len(),
        1,
        "gone"
    );

    files.pop();
    files.push(Source::new(
        "sip/src/deep.rs",
        &format!("fn big() {{\n{}}}\n", "    x();\n".repeat(69)),
    ));
    assert_eq!(check(&files, "").len(), 1, "71 lines");
    assert_eq!(check(&files, "function sip/src/deep.rs big 71\n").len(), 0);
    files.push(Source::new("sip/src/huge.rs", &"// x\n".repeat(1001)));
    let excused = "function sip/src/deep.rs big 71\nfile sip/src/huge.rs 1001\n";
    assert_eq!(check(&files, excused).len(), 1, "nothing excuses 1,001 lines");
}

#[test]
fn too_large_a_share_is_found_even_when_each_is_listed() {
    let files = [
        Source::new("sip/src/long.rs", &"// x\n".repeat(700)),
        Source::new(
            "sip/src/deep.rs",
            &format!("fn big() {{\n{}}}\n", "    x();\n".repeat(80)),
        ),
    ];
    let excused = "file sip/src/long.rs 700\nfunction sip/src/deep.rs big 82\n";
    assert_eq!(check(&files, excused).len(), 2);
}
