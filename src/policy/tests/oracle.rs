//! Checks equality against the evaluator: equal documents give the same result for every request.
//!
//! Each case has a number and is the same in every run.

use super::dice::Dice;
use super::spelling::{anew, respelled};
use super::tables::tables;
use super::vocabulary::Words;
use super::{cases, read};
use serde_json::Value;

/// Makes two documents, which may mean the same.
type MakePair = fn(&mut Dice) -> (Value, Value);

/// Checks every case. Returns the number of equal pairs with different texts.
fn try_all(salt: u64, pair: MakePair) -> u32 {
    let mut equal = 0;
    let mut alike = 0;
    for case in 0..cases() {
        let mut dice = Dice::new(u64::from(case) | salt << 32);
        let (one, other) = pair(&mut dice);
        let (text, other_text) = (one.to_string(), other.to_string());
        let (read_one, read_other) = (read(&text), read(&other_text));
        let same = read_one == read_other;
        assert_eq!(same, read_other == read_one, "case {case}: {text} {other_text}");
        // spelling does not matter
        if case % 4 == 0 {
            assert_eq!(same, read_one == read(&anew(&other, &mut dice)), "case {case}: {text} {other_text}");
        }
        if same {
            equal += 1;
            let [table, other_table] = tables(&text, &other_text);
            assert!(table.0 == other_table.0, "case {case}: equal, but not in what they do:\n{text}\n{other_text}");
            alike += u32::from(text != other_text);
        }
    }
    println!("{} pairs of documents, {equal} of them equal, {alike} of these in other words", cases());
    alike
}

#[test]
fn equal_documents_after_replaced_words_mean_the_same() {
    let alike = try_all(0, |dice| {
        let words = Words::some(dice);
        let one = words.document(dice);
        let mut other = one.clone();
        for _ in 0..=dice.below(2) {
            other = words.exchanged(&other, dice);
        }
        (one, other)
    });
    assert!(cases() < 1_000 || alike > cases() / 50, "too few pairs are equal");
}

#[test]
fn equal_independent_documents_mean_the_same() {
    let alike = try_all(1, |dice| {
        let words = Words::few(dice);
        (words.document(dice), words.document(dice))
    });
    assert!(cases() < 1_000 || alike > cases() / 1_000, "too few pairs are equal");
}

#[test]
fn respelled_documents_mean_the_same() {
    let mut equal = 0;
    for case in 0..cases() / 4 {
        let mut dice = Dice::new(u64::from(case) | 2 << 32);
        let words = Words::some(&mut dice);
        let document = words.document(&mut dice);
        let text = document.to_string();
        let other = respelled(&document, &mut dice).to_string();
        assert_eq!(read(&text), read(&other), "case {case}");
        // checks the respelling too
        let [table, other_table] = tables(&text, &other);
        assert!(table.0 == other_table.0, "case {case}: respelled, and not the same:\n{text}\n{other}");
        equal += 1;
    }
    println!("{equal} documents spelled anew");
}
