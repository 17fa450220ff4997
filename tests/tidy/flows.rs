//! The page of call flows: all fifty are there, each with tests that exist.

use std::collections::BTreeSet;

/// Flows of the page.
const FLOWS: usize = 50;

/// Looks at the page; `has` says whether there is a function of this name.
pub fn check(page: &str, has: impl Fn(&str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| T")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [flow, _, _, tests, result] = cells[..] else {
            findings.push(format!("a row has {} cells: {row}", cells.len()));
            continue;
        };
        if !seen.insert(flow) {
            findings.push(format!("{flow} is there twice"));
        }
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        let missing = names.iter().filter(|name| !has(name));
        findings.extend(missing.map(|name| format!("{flow}: there is no test `{name}`")));
        if !result.starts_with("passes") || names.is_empty() {
            findings.push(format!("{flow}: nothing shows that it passes"));
        }
    }
    let all = (1..=FLOWS).map(|number| format!("T{number}"));
    findings.extend(
        all.filter(|flow| !seen.contains(flow.as_str()))
            .map(|flow| format!("{flow} is missing")),
    );
    findings
}

#[test]
fn a_page_that_is_wrong_is_found_out() {
    let rows: String = (1..=FLOWS)
        .map(|number| match number {
            1 => "| T1 | a | S | `there` `gone` | passes |\n".to_owned(),
            2 => String::new(),
            3 => "| T3 | a | S | | passes |\n| T3 | a | S | `there` | passes |\n".to_owned(),
            19 => "| T19 | a | S | `there` | open |\n".to_owned(),
            _ => format!("| T{number} | a | S | `there` | passes |\n"),
        })
        .collect();
    let findings = check(&rows, |name| name == "there");
    let about: Vec<&str> = findings
        .iter()
        .map(|finding| finding.split([':', ' ']).next().unwrap())
        .collect();
    assert_eq!(about, ["T1", "T3", "T3", "T19", "T2"], "{findings:?}");
}
