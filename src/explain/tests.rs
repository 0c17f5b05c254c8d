use super::*;
use crate::lint::RULES as LINT_RULES;
use crate::model::refusal::RefusalKind;
use std::collections::BTreeSet;

#[test]
fn every_rule_has_a_page_with_its_title_and_severity() {
    let pages: Vec<_> = pages().iter().filter(|page| page.topic == Topic::Rule).collect();
    assert_eq!(pages.len(), LINT_RULES.len());
    for rule in LINT_RULES {
        let page = page(rule.id).unwrap_or_else(|| panic!("{} has no section", rule.id));
        assert_eq!((page.title.as_str(), page.severity.as_str()), (rule.title, rule.severity.as_str()), "{}", rule.id);
        assert!(page.text.contains("Why: "), "{}", rule.id);
        assert!(rule.url.eq_ignore_ascii_case(&page.url), "{}", page.url);
    }
}

#[test]
fn words_are_unique_and_each_page_has_a_text() {
    let words: BTreeSet<String> = pages().iter().map(|page| page.word.to_lowercase()).collect();
    assert_eq!(words.len(), pages().len());
    for page in pages() {
        assert!(page.text.len() > 10 && !page.title.is_empty(), "{page:?}");
        // no code or link is cut
        let is_cut = page.title.matches('`').count() % 2 == 1 || page.title.contains("](");
        assert!(page.topic == Topic::Rule || !is_cut, "{}: {}", page.word, page.title);
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '-';
        assert!(page.word.chars().all(letters), "{}", page.word);
    }
}

#[test]
fn every_exit_code_has_a_page() {
    use crate::error::ExitStatus as Status;
    let (interrupt, terminate) =
        (crate::apply::report::Interrupt::Interrupt, crate::apply::report::Interrupt::Terminate);
    let codes: BTreeSet<String> = [
        Status::Success,
        Status::Changes,
        Status::Failure,
        Status::Refused,
        Status::Partial,
        Status::Broken,
        Status::Stale,
        Status::Invalid,
        Status::Usage,
        Status::Interrupted(interrupt),
        Status::Interrupted(terminate),
    ]
    .map(|status| format!("exit-{}", status.code()))
    .into();
    let pages = pages().iter().filter(|page| page.topic == Topic::ExitCode).map(|page| page.word.clone());
    assert_eq!(pages.collect::<BTreeSet<_>>(), codes);
}

#[test]
fn word_is_found_in_any_case() {
    assert_eq!(page("irsa004").unwrap().word, "IRSA004");
    assert_eq!(page("Foreign-Trust").unwrap().topic, Topic::Note);
    assert_eq!(page("exit-143").unwrap().title, "interrupted");
    assert_eq!(page("nothing"), None);
}

#[test]
fn every_refusal_has_a_page() {
    let pages = pages().iter().filter(|page| page.topic == Topic::Refusal).map(|page| page.word.as_str());
    let words = RefusalKind::ALL.iter().map(|kind| kind.word());
    assert_eq!(pages.collect::<BTreeSet<_>>(), words.collect());
}

#[test]
fn links_become_text() {
    for (markdown, text) in [
        ("Read [the rule](lint-rules.md).", "Read the rule (docs/lint-rules.md)."),
        ("[a](#b) and [c](https://d.example/e)", "a and c (https://d.example/e)"),
        ("`x[0](y` stays", "`x[0](y` stays"),
        ("or change [`[guard]`](configuration.md#guard).", "or change `[guard]` (docs/configuration.md#guard)."),
        ("no link", "no link"),
    ] {
        assert_eq!(without_links(markdown), text);
    }
}
