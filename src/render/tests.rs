//! Tests every renderer on the same plans and reports.

mod cut;
mod hostile;
mod schema;

use super::*;
use crate::view::tests::examples;

const ALL: [Format; 7] =
    [Format::Text, Format::Json, Format::Jsonl, Format::Markdown, Format::Github, Format::Html, Format::Sarif];

/// A plan in one format.
fn drawn(format: Format, style: &Style, file: &PlanV2) -> String {
    let mut out = Vec::new();
    match format {
        Format::Sarif => sarif::plan(file, &std::collections::BTreeMap::new(), "irsa.toml", false, &mut out),
        _ => plan(format, file, Detail::Full, &ConfigKeys::default(), style, &mut out),
    }
    .unwrap();
    String::from_utf8(out).unwrap()
}

/// A report in one format.
fn told(format: Format, style: &Style, result: &Report) -> String {
    let mut out = Vec::new();
    match format {
        Format::Sarif => sarif::document(&[], "irsa.toml", None, &mut out),
        _ => report(format, result, style, &mut out),
    }
    .unwrap();
    String::from_utf8(out).unwrap()
}

fn everything(format: Format) -> String {
    drawn(format, &Style::plain(), &examples::everything())
}

fn result(format: Format) -> String {
    told(format, &Style::plain(), &examples::report())
}

#[test]
fn text() {
    insta::assert_snapshot!("plan_text", everything(Format::Text));
    insta::assert_snapshot!("report_text", result(Format::Text));
}

#[test]
fn text_on_a_narrow_terminal() {
    let style = Style::plain().with_width(Some(72));
    insta::assert_snapshot!("plan_text_narrow", drawn(Format::Text, &style, &examples::everything()));
    insta::assert_snapshot!("report_text_narrow", told(Format::Text, &style, &examples::report()));
}

#[test]
fn text_in_colour_is_the_same_text() {
    for (plain, colored) in [
        (everything(Format::Text), drawn(Format::Text, &Style::colored(), &examples::everything())),
        (result(Format::Text), told(Format::Text, &Style::colored(), &examples::report())),
    ] {
        assert_ne!(plain, colored);
        assert_eq!(plain, without_color(&colored));
    }
    let one = examples::plan(vec![examples::taken_back_service_account()]);
    insta::assert_snapshot!("plan_text_color", drawn(Format::Text, &Style::colored(), &one).replace('\u{1b}', "^"));
}

/// The text without the sequences that `Style` writes.
fn without_color(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_once('m').unwrap();
        assert!(code.chars().all(|c| c.is_ascii_digit() || c == ';'), "{code:?}");
        plain.push_str(rest);
    }
    plain
}

#[test]
fn json_is_the_plan_file() {
    let file = examples::everything();
    assert_eq!(drawn(Format::Json, &Style::plain(), &file), file.to_text());
    insta::assert_snapshot!("report_json", result(Format::Json));
}

#[test]
fn jsonl() {
    insta::assert_snapshot!("plan_jsonl", everything(Format::Jsonl));
    insta::assert_snapshot!("report_jsonl", result(Format::Jsonl));
    for (text, version) in [(everything(Format::Jsonl), "2.0"), (result(Format::Jsonl), "1.0")] {
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value["type"].is_string() && value["format-version"] == version, "{line}");
        }
    }
}

#[test]
fn markdown() {
    insta::assert_snapshot!("plan_markdown", everything(Format::Markdown));
    insta::assert_snapshot!("report_markdown", result(Format::Markdown));
}

#[test]
fn github() {
    insta::assert_snapshot!("plan_github", everything(Format::Github));
    insta::assert_snapshot!("report_github", result(Format::Github));
}

#[test]
fn html() {
    insta::assert_snapshot!("plan_html", everything(Format::Html));
    insta::assert_snapshot!("report_html", result(Format::Html));
}

#[test]
fn an_empty_plan_is_short() {
    let file = examples::plan(Vec::new());
    assert_eq!(drawn(Format::Text, &Style::plain(), &file), "No changes. 39 objects match.\n");
    assert_eq!(
        drawn(Format::Github, &Style::plain(), &file),
        "::notice title=irsa plan::No changes. 39 objects match.\n"
    );
    assert_eq!(
        drawn(Format::Markdown, &Style::plain(), &file),
        "<!-- irsa:platform -->\n### irsa: No changes. 39 objects match.\n\n"
    );
    let nothing = Report::default();
    assert_eq!(told(Format::Text, &Style::plain(), &nothing), "Applied 0 of 0 changes. 0 failed, 0 skipped.\n");
}

#[test]
fn error_of_the_stream_is_returned() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for format in ALL {
        assert!(
            plan(format, &examples::everything(), Detail::Usual, &ConfigKeys::default(), &Style::plain(), &mut Full)
                .is_err(),
            "{format:?}"
        );
        assert!(report(format, &examples::report(), &Style::plain(), &mut Full).is_err(), "{format:?}");
    }
}

#[test]
fn plan_and_report_refuse_a_format_that_they_lack() {
    let mut out = Vec::new();
    for format in [Format::Sarif, Format::Junit] {
        let keys = ConfigKeys::default();
        assert!(plan(format, &examples::everything(), Detail::Full, &keys, &Style::plain(), &mut out).is_err());
    }
    assert!(out.is_empty());
}
