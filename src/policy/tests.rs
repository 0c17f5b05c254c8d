//! What holds for any two policies, and an evaluator of policies as the judge of it.
//!
//! `IRSA_TEST_CASES` says how many cases each law is tried on.

mod change;
mod dice;
mod documents;
mod evaluator;
mod laws;
mod oracle;
mod published;
mod spelling;
mod trusting;
mod vocabulary;

use super::PolicyDocument;

/// How many cases a law is tried on.
#[expect(clippy::disallowed_methods, reason = "tests read their own environment")]
fn cases() -> u32 {
    let wanted = std::env::var("IRSA_TEST_CASES").ok();
    wanted.map_or(10_000, |text| text.parse().expect("`IRSA_TEST_CASES` is a number"))
}

/// A live document that is understood.
fn read(text: &str) -> PolicyDocument {
    let document = PolicyDocument::live(text);
    assert!(document.is_parsed(), "{text}: {:?}", document.problem());
    document
}
