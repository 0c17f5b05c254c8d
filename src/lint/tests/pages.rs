//! Checks the documentation of the rules against the table, and its examples.

use super::RULES;
use super::fixture::{on_permissions, on_trust};
use crate::model::note::Note;
use serde_json::Value;

const PAGE: &str = include_str!("../../../docs/lint-rules.md");

/// The id and text of each section about a rule.
fn sections() -> Vec<(&'static str, &'static str)> {
    let parts = PAGE.split("\n## ").skip(1);
    parts.filter_map(|part| part.split_once('\n')).filter(|(heading, _)| heading.starts_with("IRSA")).collect()
}

/// The examples after a label: kind and text.
fn examples(section: &'static str, label: &str) -> Vec<(&'static str, &'static str)> {
    let mut rest = section;
    let mut found = Vec::new();
    let mut current = "";
    while let Some(start) = rest.find("```") {
        let (before, fenced) = rest.split_at(start);
        let label = before.lines().map(str::trim).rfind(|line| matches!(*line, "Bad:" | "Good:"));
        current = label.unwrap_or(current);
        let (kind, body) = fenced[3..].split_once('\n').unwrap();
        let end = body.find("```").unwrap();
        found.push((current, (kind.trim(), &body[..end])));
        rest = &body[end + 3..];
    }
    found.into_iter().filter(|(current, _)| *current == label).map(|(_, example)| example).collect()
}

#[test]
fn every_rule_has_its_section_and_every_section_its_rule() {
    let headings: Vec<&str> = sections().iter().map(|(heading, _)| *heading).collect();
    let rules: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(headings, rules);
}

#[test]
fn every_section_has_severity_title_reason_and_examples() {
    for (rule, (_, section)) in RULES.iter().zip(sections()) {
        let title = format!("**{}: {}.**", rule.severity.as_str(), rule.title);
        assert!(section.trim_start().starts_with(&title), "{} begins with {title}", rule.id);
        assert!(section.contains("\nWhy: "), "{} says why", rule.id);
        for label in ["Bad:", "Good:"] {
            assert!(!examples(section, label).is_empty(), "{} has an example `{label}`", rule.id);
        }
    }
}

#[test]
fn bad_examples_are_found_and_good_ones_are_not() {
    let mut checked = 0;
    for (id, section) in sections() {
        let run = |(kind, text): (&str, &str)| -> Option<Vec<Note>> {
            let value = || serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{id}: {error}: {text}"));
            match kind {
                "json trust" => Some(on_trust(&value())),
                "json permissions" => Some(on_permissions(&value())),
                "toml" | "toml fragment" | "text" | "json" => None,
                other => panic!("{id}: an example of kind `{other}`"),
            }
        };
        for notes in examples(section, "Bad:").into_iter().filter_map(run) {
            assert!(notes.iter().any(|note| note.rule == id), "{id}: {notes:#?}");
            checked += 1;
        }
        for notes in examples(section, "Good:").into_iter().filter_map(run) {
            assert!(notes.iter().all(|note| note.rule != id), "{id}: {notes:#?}");
            checked += 1;
        }
    }
    assert!(checked > 40, "{checked} examples were run");
}
