use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn refused(text: &str) -> (String, (usize, usize)) {
    let error = strict_json(text).expect_err(text);
    (error.message, error.position.expect("text has positions"))
}

fn value(node: &Node<'_>) -> Value {
    serde_json::to_value(node).unwrap()
}

#[test]
fn json_reads_as_serde_json_reads_it() {
    for text in [
        r#"{"a": [1, -2, 1.5, true, false, null, "x\né\u0041\\\""], "b": {}, "c": []}"#,
        " \t\r\n[ ] ",
        "\"\\ud83d\\ude00\"",
        "0",
        "18446744073709551615",
    ] {
        let expected: Value = serde_json::from_str(text).unwrap();
        assert_eq!(value(&strict_json(text).unwrap()), expected, "{text}");
    }
}

#[test]
fn a_byte_order_mark_falls_away_and_does_not_count() {
    assert_eq!(value(&strict_json("\u{feff}{}").unwrap()), json!({}));
    assert_eq!(refused("\u{feff}{?").1, (1, 2));
    assert_eq!(refused("\u{feff}\u{feff}{}").1, (1, 1));
}

#[test]
fn a_duplicate_key_is_refused_with_both_places() {
    let text = "{\n  \"Action\": \"a\",\n  \"x\": {\"Action\": 1},\n    \"Action\": \"b\"\n}";
    assert_eq!(refused(text), ("duplicate key `Action`, first at line 2, column 3".into(), (4, 5)));
    // the same key in other spelling
    assert_eq!(refused("{\"a\": 1, \"\\u0061\": 2}").1, (1, 10));
    // keys are case-sensitive at this level
    assert!(strict_json("{\"a\": 1, \"A\": 2}").is_ok());
}

#[test]
fn depth_has_a_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(strict_json(&nested(32)).is_ok());
    assert_eq!(refused(&nested(33)), ("nested deeper than 32".into(), (1, 33)));
    assert_eq!(refused(&"[{\"a\":".repeat(100_000)).1, (1, 97));
    // siblings do not add up
    assert!(strict_json(&format!("[{}]", vec![nested(31); 3].join(","))).is_ok());
}

#[test]
fn what_json_does_not_allow_is_refused_in_its_place() {
    for (text, message, position) in [
        ("", "the document is empty", (1, 1)),
        ("{} x", "there is text behind the document", (1, 4)),
        ("{}{}", "there is text behind the document", (1, 3)),
        ("{\n \"é\": nul}", "expected a value, found `n`", (2, 7)),
        ("{\"a\" 1}", "expected `:`, found `1`", (1, 6)),
        ("{\"a\": 1 \"b\": 2}", "expected `,` or `}`, found `\"`", (1, 9)),
        ("{\"a\": 1,}", "expected a key in double quotes, found `}`", (1, 9)),
        ("[1,]", "expected a value, found `]`", (1, 4)),
        ("[1", "expected `,` or `]`, found the end", (1, 3)),
        ("{\"a\":", "the document ends too early", (1, 6)),
        ("{'a': 1}", "expected a key in double quotes, found `'`", (1, 2)),
        ("// x\n{}", "expected a value, found `/`", (1, 1)),
        ("[\"a", "the string does not end", (1, 2)),
        ("[\"a\\\"]", "the string does not end", (1, 2)),
        ("[\"\\x\"]", "the string has a control character or an escape that JSON does not know", (1, 2)),
        ("[\"\\ud800\"]", "the string has a control character or an escape that JSON does not know", (1, 2)),
        ("[\"a\nb\"]", "the string has a control character or an escape that JSON does not know", (1, 2)),
        ("[01]", "`01` is no JSON number", (1, 2)),
        ("[-]", "`-` is no JSON number", (1, 2)),
        ("[\u{a0}1]", "expected a value, found `\\u{a0}`", (1, 2)),
    ] {
        assert_eq!(refused(text), (message.to_owned(), position), "{text}");
    }
}

#[test]
fn a_number_that_would_be_written_otherwise_is_refused() {
    for number in ["1e3", "1.50", "-0", "123456789012345678901234567890", "0.1e1"] {
        assert_eq!(refused(number).0, format!("number `{number}` cannot be kept exactly: write it in double quotes"));
    }
    for number in ["0", "-1", "1.5", "123456789012"] {
        assert_eq!(value(&strict_json(number).unwrap()).to_string(), number);
    }
}

#[test]
fn documents_are_percent_decoded_once() {
    assert_eq!(percent_decode("%7B%22a%22%3A%22b+c%2Bd%20e%2520%22%7D"), r#"{"a":"b+c+d e%20"}"#);
    // what is not encoded stays, whatever it has inside
    for plain in [r#"{"a":"%41"}"#, " \n{\"a\":\"%41\"}", "\u{feff}{\"a\":\"%41\"}"] {
        assert_eq!(percent_decode(plain), plain);
    }
    // bytes that are no text must not all become the same
    assert_eq!(percent_decode("%FF"), "%FF");
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        if let Err(error) = strict_json(&text) {
            prop_assert!(error.position.is_some());
        }
        percent_decode(&text);
    }

    #[test]
    fn no_almost_json_panics(text in "[\\[\\]{}:,\"\\\\ \n\te0-9.+\\-truefalsn\u{feff}é]{0,80}") {
        // what is accepted is what serde_json accepts
        if let Ok(node) = strict_json(&text) {
            let expected: Value = serde_json::from_str(without_mark(&text)).unwrap();
            prop_assert_eq!(serde_json::to_string(&node).unwrap(), expected.to_string());
            prop_assert_eq!(value(&node), expected);
        }
    }
}
