//! Malicious texts and values in a plan.

use super::*;
use crate::model::sanitize::is_invisible;
use crate::plan::file::{ChangeV2, FieldV2, IgnoredV2, NoteV2, RefusedV2, UnknownV2};
use proptest::prelude::*;
use serde_json::{Value, json};

const NASTY: &str = "</code></summary><script>alert(1)</script> --> ``` `x` @admin #1 ::error::x %0A [a](b) \u{1b}[2J\u{202e}\n```\n::stop-commands::x";

/// A plan in which every text is `text`.
fn of(text: &str) -> PlanV2 {
    let mut file = examples::everything();
    let texts = || text.to_owned();
    file.owner = texts();
    for change in &mut file.changes {
        change.address = texts();
        change.reasons = vec![texts()];
        change.fields = vec![
            FieldV2 { path: format!("tags.{text}"), before: Value::Null, after: json!(text) },
            FieldV2 { path: "trust".into(), before: json!(text), after: json!({ "Statement": [{ text: text }] }) },
        ];
    }
    file.refused = vec![RefusedV2 { address: texts(), why: texts(), hint: texts(), word: None }];
    file.unknown = vec![UnknownV2 { address: texts(), why: texts() }];
    for note in &mut file.notes {
        *note =
            NoteV2 { address: texts(), severity: note.severity.clone(), rule: texts(), origin: texts(), text: texts() };
    }
    // the forms for people leave out an ignored finding that is not severe
    file.ignored = vec![IgnoredV2 {
        address: texts(),
        severity: "critical".into(),
        rule: texts(),
        origin: texts(),
        text: texts(),
        reason: texts(),
    }];
    file
}

#[test]
fn sarif_messages_are_one_line_without_links() {
    let document: Value = serde_json::from_str(&drawn(Format::Sarif, &Style::plain(), &of(NASTY))).unwrap();
    let results = document["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 3 + examples::everything().notes.len());
    for result in results {
        let texts = [&result["message"]["text"], &result["suppressions"][0]["justification"]];
        for text in texts.into_iter().filter_map(Value::as_str) {
            assert!(!text.chars().any(is_invisible) && text.contains("<U+001B>"), "{text}");
            assert!(!text.contains("[a](b)") && text.contains("\\[a\\](b)"), "{text}");
        }
    }
    assert!(results.iter().any(|result| result.get("suppressions").is_some()));
}

#[test]
fn html_has_no_script() {
    let text = drawn(Format::Html, &Style::plain(), &of(NASTY));
    assert!(!text.contains("<script") && !text.contains("-->"), "{text}");
}

#[test]
fn markdown_has_no_markup_from_outside() {
    let text = drawn(Format::Markdown, &Style::plain(), &of(NASTY));
    let (marker, rest) = text.split_once('\n').unwrap();
    assert_eq!(marker.matches("-->").count(), 1, "{marker}");
    // the fence of a block is longer than any run of backticks in it
    let mut open: Option<String> = None;
    for line in rest.lines() {
        let fence: String = line.chars().take_while(|c| *c == '`').collect();
        match &open {
            Some(end) if line == end => open = None,
            Some(_) => assert!(line.starts_with(['+', '-', '!', ' ']), "{line}"),
            None if line.ends_with("diff") && fence.len() >= 3 => open = Some(fence),
            None => {
                let bare = without_code(&without_code_elements(line));
                assert!(!bare.contains("<script") && !bare.contains("@admin") && !bare.contains("[a]"), "{bare}");
            }
        }
    }
    assert_eq!(open, None);
}

/// A line of Markdown without its `<code>` elements.
fn without_code_elements(line: &str) -> String {
    let mut parts = line.split("<code>");
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.filter_map(|part| part.split_once("</code>")).map(|(_, behind)| behind).collect::<String>()
}

/// A line of Markdown without its code spans.
fn without_code(line: &str) -> String {
    let mut bare = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('`') {
        if rest[..at].ends_with('\\') {
            bare.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            continue;
        }
        bare.push_str(&rest[..at]);
        let fence: String = rest[at..].chars().take_while(|c| *c == '`').collect();
        let inside = &rest[at + fence.len()..];
        let Some(end) = inside.find(&fence) else {
            return bare + inside;
        };
        rest = &inside[end + fence.len()..];
    }
    bare + rest
}

#[test]
fn no_line_is_a_command_of_a_ci_log() {
    for style in [Style::plain(), Style::plain().with_width(Some(60))] {
        let file = of(&format!("{} ::error::x ##[error]y", "long ".repeat(14)));
        for line in drawn(Format::Text, &style, &file).lines() {
            assert!(!line.trim_start().starts_with("::") && !line.trim_start().starts_with("##["), "{line}");
        }
    }
    for line in drawn(Format::Github, &Style::plain(), &of(NASTY)).lines() {
        assert!(["::error ", "::warning ", "::notice "].iter().any(|command| line.starts_with(command)), "{line}");
    }
}

#[test]
fn github_escapes_properties_and_messages() {
    let mut file = examples::plan(Vec::new());
    file.notes = vec![NoteV2 {
        address: "role/x".into(),
        severity: "medium".into(),
        rule: "A:B,C".into(),
        origin: "C:\\a,b\\irsa.toml:7".into(),
        text: "100% of a\r\nb: c, d".into(),
    }];
    let text = drawn(Format::Github, &Style::plain(), &file);
    let line =
        "::warning file=C%3A\\a%2Cb\\irsa.toml,line=7,title=A%3AB%2CC::role/x: 100%25 of a<U+000D><U+000A>b: c, d";
    assert_eq!(text.lines().next(), Some(line));
}

fn any_value() -> impl Strategy<Value = Value> {
    let keys = proptest::sample::select(vec![
        "Statement",
        "Version",
        "Sid",
        "Effect",
        "Principal",
        "Federated",
        "AWS",
        "NotPrincipal",
        "Action",
        "Resource",
        "Condition",
        "StringEquals",
        "StringLike",
        "h:sub",
        "h:aud",
        "other",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("arn:aws:iam::1:oidc-provider/h")),
        Just(json!("Allow")),
        Just(json!("*")),
    ];
    leaf.prop_recursive(6, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(
                prop_oneof![keys.clone().prop_map(str::to_owned), any::<String>()],
                inner,
                0..5
            )
            .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_document() -> impl Strategy<Value = Value> {
    prop_oneof![any_value(), proptest::collection::vec(any_value(), 0..4).prop_map(|list| json!({ "Statement": list }))]
}

fn any_change() -> impl Strategy<Value = ChangeV2> {
    let path = prop_oneof![
        Just("trust".to_owned()),
        Just("document".to_owned()),
        Just("inline.x".to_owned()),
        Just("attached".to_owned()),
        Just("max-session-duration".to_owned()),
        Just("annotations.eks.amazonaws.com/role-arn".to_owned()),
        any::<String>(),
    ];
    let fields =
        (path, any_document(), any_document()).prop_map(|(path, before, after)| FieldV2 { path, before, after });
    let action = proptest::sample::select(vec!["create", "update", "delete", "adopt"]).prop_map(str::to_owned);
    (any::<String>(), action, proptest::collection::vec(any::<String>(), 0..2), proptest::collection::vec(fields, 0..4))
        .prop_map(|(address, action, reasons, fields)| ChangeV2 {
            address,
            action,
            reasons,
            before: Value::Null,
            after: Value::Null,
            fields,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_output_has_a_control_character(
        changes in proptest::collection::vec(any_change(), 0..3),
        text in any::<String>(),
        width in proptest::option::of(0usize..200),
    ) {
        let mut file = of(&text);
        file.changes = changes;
        for format in ALL {
            for style in [Style::plain().with_width(width), Style::colored().with_width(width)] {
                let drawn = drawn(format, &style, &file);
                let plain = without_color(&drawn);
                prop_assert!(!plain.chars().any(|c| c != '\n' && is_invisible(c)), "{:?}", plain);
                prop_assert!(format != Format::Markdown || plain.len() <= 60_000);
            }
        }
        let json = drawn(Format::Json, &Style::plain(), &file);
        prop_assert_eq!(serde_json::from_str::<PlanV2>(&json).unwrap(), file);
    }
}
