//! For every rule, an object with a finding and one without.

mod corpus;
mod fixture;
mod live;
mod ordinary;
mod pages;
mod permissions;
mod principals;
mod role;
mod trust;

use super::RULES;
use crate::model::note::{Note, Severity};
use std::collections::BTreeSet;

/// The findings on a bad object and on a good one.
struct Case {
    rule: &'static str,
    severity: Severity,
    bad: Vec<Note>,
    good: Vec<Note>,
}

fn cases() -> Vec<Case> {
    [trust::cases(), permissions::cases(), role::cases(), live::cases()].into_iter().flatten().collect()
}

#[test]
fn every_rule_finds_its_bad_case_and_not_its_good_one() {
    for Case { rule, severity, bad, good } in cases() {
        let found: Vec<&Note> = bad.iter().filter(|note| note.rule == rule).collect();
        assert!(!found.is_empty(), "{rule} finds nothing: {bad:#?}");
        for note in found {
            assert_eq!(note.severity, severity, "{note:?}");
        }
        assert!(good.iter().all(|note| note.rule != rule), "{rule} finds what is right: {good:#?}");
    }
}

#[test]
fn every_rule_has_a_case() {
    let tested: BTreeSet<&str> = cases().iter().map(|case| case.rule).collect();
    let rules: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(tested, rules);
}

#[test]
fn the_table_is_in_order_and_well_formed() {
    assert!(RULES.is_sorted_by(|a, b| a.id < b.id));
    for rule in RULES {
        assert!(rule.id.strip_prefix("IRSA").is_some_and(|number| number.len() == 3 && number.parse::<u16>().is_ok()));
        assert_eq!(rule.url, format!("docs/lint-rules.md#{}", rule.id.to_lowercase()));
    }
}

#[test]
fn finding_texts_are_one_line() {
    for note in cases().into_iter().flat_map(|case| [case.bad, case.good]).flatten() {
        assert!(!note.text.contains('\n') && !note.text.ends_with('.'), "{note:?}");
        assert!(note.text.matches('`').count() % 2 == 0, "{note:?}");
        assert!(!note.address.is_empty(), "{note:?}");
    }
}
