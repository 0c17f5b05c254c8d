//! Every rule with something that it finds and something that it does not, and what no rule may find.

mod binding;
mod corpus;
mod kit;
mod live;
mod ordinary;
mod pages;
mod permissions;
mod principals;
mod trust;

use super::RULES;
use crate::model::note::{Note, Severity};
use std::collections::BTreeSet;

/// Findings on something wrong, and on the same put right.
struct Case {
    rule: &'static str,
    severity: Severity,
    bad: Vec<Note>,
    good: Vec<Note>,
}

fn cases() -> Vec<Case> {
    [trust::cases(), permissions::cases(), binding::cases(), live::cases()].into_iter().flatten().collect()
}

#[test]
fn every_rule_finds_what_it_is_for_and_lets_the_rest_be() {
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
fn texts_are_one_plain_line() {
    for note in cases().into_iter().flat_map(|case| [case.bad, case.good]).flatten() {
        assert!(!note.text.contains('\n') && !note.text.ends_with('.'), "{note:?}");
        assert!(note.text.matches('`').count() % 2 == 0, "{note:?}");
        assert!(!note.address.is_empty(), "{note:?}");
    }
}
