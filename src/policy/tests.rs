//! Properties of policies, checked with random documents and an independent evaluator.
//!
//! `IRSA_TEST_CASES` sets the number of cases of each property.

mod dice;
mod documents;
mod evaluate;
mod evaluator;
mod laws;
mod mutations;
mod oracle;
mod permission_changes;
mod permission_effects;
mod published;
mod spelling;
mod tables;
mod trust_effects;
mod vocabulary;

use super::PolicyDocument;

/// The number of cases of each property.
#[expect(clippy::disallowed_methods, reason = "tests read their own environment")]
fn cases() -> u32 {
    let wanted = std::env::var("IRSA_TEST_CASES").ok();
    wanted.map_or(10_000, |text| text.parse().expect("`IRSA_TEST_CASES` is a number"))
}

/// A live document, which must parse.
fn read(text: &str) -> PolicyDocument {
    let document = PolicyDocument::live(text);
    assert!(document.is_parsed(), "{text}: {:?}", document.problem());
    document
}
