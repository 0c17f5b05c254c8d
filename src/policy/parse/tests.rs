use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn refused(text: &str) -> (String, (usize, usize)) {
    let error = strict_json(text).expect_err(text);
    (error.message, error.position.expect("text has positions"))
}

fn value(node: &JsonNode<'_>) -> Value {
    serde_json::to_value(node).unwrap()
}

#[test]
fn json_parses_like_serde_json() {
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
fn byte_order_mark_is_skipped_and_not_counted() {
    assert_eq!(value(&strict_json("\u{feff}{}").unwrap()), json!({}));
    assert_eq!(refused("\u{feff}{?").1, (1, 2));
    assert_eq!(refused("\u{feff}\u{feff}{}").1, (1, 1));
}

#[test]
fn duplicate_key_is_refused_with_both_positions() {
    let text = "{\n  \"Action\": \"a\",\n  \"x\": {\"Action\": 1},\n    \"Action\": \"b\"\n}";
    assert_eq!(refused(text), ("duplicate key `Action`, first at line 2, column 3".into(), (4, 5)));
    // the same key with an escape
    assert_eq!(refused("{\"a\": 1, \"\\u0061\": 2}").1, (1, 10));
    // keys of JSON are case-sensitive
    assert!(strict_json("{\"a\": 1, \"A\": 2}").is_ok());
}

#[test]
fn depth_has_a_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(strict_json(&nested(32)).is_ok());
    assert_eq!(refused(&nested(33)), ("nested deeper than 32".into(), (1, 33)));
    assert_eq!(refused(&"[{\"a\":".repeat(100_000)).1, (1, 97));
    // siblings do not count
    assert!(strict_json(&format!("[{}]", vec![nested(31); 3].join(","))).is_ok());
}

#[test]
fn invalid_json_is_refused_with_position() {
    for (text, message, position) in [
        ("", "the document is empty", (1, 1)),
        ("{} x", "unexpected text after the document", (1, 4)),
        ("{}{}", "unexpected text after the document", (1, 3)),
        ("{\n \"é\": nul}", "expected a value, found `n`", (2, 7)),
        ("{\"a\" 1}", "expected `:`, found `1`", (1, 6)),
        ("{\"a\": 1 \"b\": 2}", "expected `,` or `}`, found `\"`", (1, 9)),
        ("{\"a\": 1,}", "expected a key in double quotes, found `}`", (1, 9)),
        ("[1,]", "expected a value, found `]`", (1, 4)),
        ("[1", "expected `,` or `]`, found the end", (1, 3)),
        ("{\"a\":", "unexpected end of the document", (1, 6)),
        ("{'a': 1}", "expected a key in double quotes, found `'`", (1, 2)),
        ("// x\n{}", "expected a value, found `/`", (1, 1)),
        ("[\"a", "the string does not end", (1, 2)),
        ("[\"a\\\"]", "the string does not end", (1, 2)),
        ("[\"\\x\"]", "the string has a control character or an escape that JSON does not know", (1, 2)),
        ("[\"\\ud800\"]", "the string has a control character or an escape that JSON does not know", (1, 2)),
        ("[\"a\nb\"]", "the string has a control character or an escape that JSON does not know", (1, 2)),
        ("[01]", "`01` is not a JSON number", (1, 2)),
        ("[-]", "`-` is not a JSON number", (1, 2)),
        ("[\u{a0}1]", "expected a value, found `\\u{a0}`", (1, 2)),
    ] {
        assert_eq!(refused(text), (message.to_owned(), position), "{text}");
    }
}

#[test]
fn number_that_would_be_written_differently_is_refused() {
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
    // text that is not encoded stays
    for plain in [r#"{"a":"%41"}"#, " \n{\"a\":\"%41\"}", "\u{feff}{\"a\":\"%41\"}"] {
        assert_eq!(percent_decode(plain), plain);
    }
    // invalid UTF-8 stays encoded
    assert_eq!(percent_decode("%FF"), "%FF");
}

proptest! {
    #[test]
    fn texts_do_not_panic(text in any::<String>()) {
        if let Err(error) = strict_json(&text) {
            prop_assert!(error.position.is_some());
        }
        percent_decode(&text);
    }

    #[test]
    fn almost_json_does_not_panic(text in "[\\[\\]{}:,\"\\\\ \n\te0-9.+\\-truefalsn\u{feff}é]{0,80}") {
        // serde_json reads the same
        if let Ok(node) = strict_json(&text) {
            let expected: Value = serde_json::from_str(without_mark(&text)).unwrap();
            prop_assert_eq!(serde_json::to_string(&node).unwrap(), expected.to_string());
            prop_assert_eq!(value(&node), expected);
        }
    }
}
