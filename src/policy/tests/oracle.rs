//! Equality held against an evaluator: two documents that are equal say the same to every request.
//!
//! The documents are numbered: a case is the same in every run, and more cases are the same ones and others.

use super::dice::Dice;
use super::spelling::{anew, respelled};
use super::vocabulary::{Words, tables};
use super::{cases, read};
use serde_json::Value;

/// Two documents of a case; whether they mean the same is not known.
type Pair = fn(&mut Dice) -> (Value, Value);

/// Tries every case; gives how many of the pairs were equal.
fn try_all(salt: u64, pair: Pair) -> u32 {
    let mut equal = 0;
    let mut alike = 0;
    for case in 0..cases() {
        let mut dice = Dice::new(u64::from(case) | salt << 32);
        let (one, other) = pair(&mut dice);
        let (text, other_text) = (one.to_string(), other.to_string());
        let (read_one, read_other) = (read(&text), read(&other_text));
        let same = read_one == read_other;
        assert_eq!(same, read_other == read_one, "case {case}: {text} {other_text}");
        // the spelling takes no part in it, which `laws` tries on others
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
fn what_was_exchanged_for_an_equal_means_the_same() {
    let alike = try_all(0, |dice| {
        let words = Words::some(dice);
        let one = words.document(dice);
        let mut other = one.clone();
        for _ in 0..=dice.below(2) {
            other = words.exchanged(&other, dice);
        }
        (one, other)
    });
    assert!(cases() < 1_000 || alike > cases() / 50, "the words collide too seldom for the law to say anything");
}

#[test]
fn what_was_made_apart_and_is_equal_means_the_same() {
    let alike = try_all(1, |dice| {
        let words = Words::few(dice);
        (words.document(dice), words.document(dice))
    });
    assert!(cases() < 1_000 || alike > cases() / 1_000, "the words collide too seldom for the law to say anything");
}

#[test]
fn what_was_spelled_anew_means_the_same() {
    let mut equal = 0;
    for case in 0..cases() / 4 {
        let mut dice = Dice::new(u64::from(case) | 2 << 32);
        let words = Words::some(&mut dice);
        let document = words.document(&mut dice);
        let text = document.to_string();
        let other = respelled(&document, &mut dice).to_string();
        assert_eq!(read(&text), read(&other), "case {case}");
        // and the evaluator agrees, so that the spelling was right
        let [table, other_table] = tables(&text, &other);
        assert!(table.0 == other_table.0, "case {case}: respelled, and not the same:\n{text}\n{other}");
        equal += 1;
    }
    println!("{equal} documents spelled anew");
}
