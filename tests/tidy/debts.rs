//! Breaches that are known, each to be paid by whoever works on its file next.
//!
//! `debts.txt` has one a line: `RULE PATH FINDINGS`. A debt may not grow, and one that is paid, wholly or in
//! part, fails until its line says so. Sizes have a list of their own.

use std::collections::BTreeMap;

/// What remains of a rule's findings once its known breaches are taken off.
pub fn settle(rule: &str, findings: Vec<String>, debts: &str) -> Vec<String> {
    let mut by_path: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for finding in findings {
        let path = finding.split(':').next().unwrap_or_default().to_owned();
        by_path.entry(path).or_default().push(finding);
    }
    let mut remaining = Vec::new();
    for (path, known) in known(rule, debts) {
        let found = by_path.remove(&path).unwrap_or_default();
        if found.len() > known {
            remaining.extend(found);
        } else if found.len() < known {
            remaining.push(format!(
                "debts.txt: `{rule} {path}` has {} findings left of {known}; write that",
                found.len()
            ));
        }
    }
    remaining.extend(by_path.into_values().flatten());
    remaining
}

fn known(rule: &str, debts: &str) -> Vec<(String, usize)> {
    let lines = debts
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entry = |line: &str| match *line.split_whitespace().collect::<Vec<_>>() {
        [its_rule, path, findings] => {
            let findings = findings.parse().unwrap_or_else(|_| panic!("debts.txt: {line}"));
            (its_rule == rule).then(|| (path.to_owned(), findings))
        }
        _ => panic!("debts.txt: {line}"),
    };
    lines.filter_map(entry).collect()
}

#[test]
fn a_debt_may_neither_grow_nor_be_forgotten() {
    let found = |count: usize| {
        (0..count)
            .map(|line| format!("a/b.rs:{line}: broken"))
            .collect::<Vec<_>>()
    };
    let debts = "# why\nclocks a/b.rs 2\n";
    assert_eq!(settle("clocks", found(2), debts), Vec::<String>::new());
    assert_eq!(settle("clocks", found(3), debts).len(), 3, "grown");
    assert_eq!(settle("clocks", found(1), debts).len(), 1, "partly paid");
    assert_eq!(settle("clocks", found(0), debts).len(), 1, "paid");
    assert_eq!(settle("queues", found(2), debts).len(), 2, "another rule");
    assert_eq!(settle("clocks", found(1), "").len(), 1, "no debt at all");
}
