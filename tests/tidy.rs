//! The house rules a machine can check (ARCHITECTURE.md, invariants).
//!
//! Each rule is a function from text to findings, so that its own tests can feed it a text that breaks it.
//! Rules look at code with comments, strings and test modules blanked out; they go by words, not by types,
//! and a false alarm is answered by a better rule or plainer code. `sizes.txt` and `debts.txt` list what is known.

#[path = "tidy/clocks.rs"]
mod clocks;
#[path = "tidy/debts.rs"]
mod debts;
#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/flows.rs"]
mod flows;
#[path = "tidy/hash_order.rs"]
mod hash_order;
#[path = "tidy/leftovers.rs"]
mod leftovers;
#[path = "tidy/names.rs"]
mod names;
#[path = "tidy/queues.rs"]
mod queues;
#[path = "tidy/sizes.rs"]
mod sizes;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/unsafety.rs"]
mod unsafety;

use source::Source;

/// Runs a rule over every Rust file and fails with all findings that are no known debt.
fn every_file_obeys(name: &str, rule: impl Fn(&Source) -> Vec<String>) {
    let files = tree::rust_files();
    assert!(files.len() > 20, "the tree was not found: {} files", files.len());
    let findings = files.iter().flat_map(rule).collect();
    let findings = debts::settle(name, findings, &tree::text("tests/tidy/debts.txt"));
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn crates_depend_one_way_and_pure_ones_on_no_io() {
    let findings = dependencies::check(&tree::manifests(), &tree::text("Cargo.lock"));
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
    every_file_obeys("dependencies", dependencies::check_source);
}

#[test]
fn clocks_sleeps_and_random_sources_live_in_two_files() {
    every_file_obeys("clocks", clocks::check);
}

#[test]
fn foreign_names_stay_behind_their_walls() {
    every_file_obeys("names", names::check);
}

#[test]
fn no_queue_is_unbounded() {
    every_file_obeys("queues", queues::check);
}

#[test]
fn pure_code_never_walks_through_a_hash_map() {
    every_file_obeys("hash_order", hash_order::check);
}

#[test]
fn unsafe_code_stays_in_its_files_and_says_why_it_is_safe() {
    every_file_obeys("unsafety", unsafety::check);
    let findings = unsafety::check_forbidden(&tree::rust_files());
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn files_and_functions_keep_their_size() {
    let findings = sizes::check(&tree::rust_files(), &tree::text("tests/tidy/sizes.txt"));
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn every_call_flow_has_its_tests_or_is_said_to_be_open() {
    let files = tree::text_files();
    let rust: Vec<&String> = files
        .iter()
        .filter(|(path, _)| path.ends_with(".rs"))
        .map(|(_, text)| text)
        .collect();
    let has = |name: &str| rust.iter().any(|text| text.contains(&format!("fn {name}(")));
    let findings = flows::check(&tree::text("docs/call-flows.md"), has);
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn nothing_is_left_unfinished_or_bound_to_one_machine() {
    every_file_obeys("leftovers", leftovers::check);
    let findings: Vec<String> = tree::text_files()
        .iter()
        .flat_map(|(path, text)| leftovers::check_paths(path, text))
        .collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}
