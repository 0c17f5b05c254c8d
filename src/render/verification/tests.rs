//! The forms of a verification: text is grouped, XML is escaped, JSON has no control characters.

use super::*;
use crate::render::Style;
use crate::verify::LinkKind;

fn chain(name: &str, status: Status, text: &str) -> ChainLinks {
    let link = |kind: LinkKind| match kind {
        LinkKind::Pods => Link { kind, status, text: text.to_owned(), hints: vec!["restart <it>".to_owned()] },
        _ => Link { kind, status: Status::Ok, text: String::new(), hints: Vec::new() },
    };
    ChainLinks {
        address: format!("service-account/prod/apps/{name}"),
        cluster: "prod".to_owned(),
        namespace: "apps".to_owned(),
        name: name.to_owned(),
        role: "role/app".to_owned(),
        links: LinkKind::ALL.into_iter().map(link).collect(),
    }
}

fn written(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).expect("a vector takes everything");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn text_names_a_shared_reason_once() {
    let chains = [chain("a", Status::Failed, "x"), chain("b", Status::Failed, "x"), chain("c", Status::Ok, "")];
    let text = written(|out| super::text(&chains, false, &Style::plain(), out));
    assert_eq!(text.matches("FAIL pods: x").count(), 1, "{text}");
    assert!(text.contains("    service-account/prod/apps/a\n    service-account/prod/apps/b\n    -> restart <it>\n"));
    assert!(text.ends_with("Verified 3 ServiceAccounts: 1 ok, 2 broken, 0 not fully seen.\n"), "{text}");
    let all = written(|out| super::text(&chains, true, &Style::plain(), out));
    assert!(all.contains("ok issuer:"), "{all}");
}

#[test]
fn hostile_text_stays_text() {
    let hostile = "a\u{1b}[31m\n::error::x <b> \"&' \u{202e}";
    let chains = [chain("a", Status::Failed, hostile)];
    let xml = written(|out| junit(&chains, out));
    assert!(
        xml.contains("&lt;b&gt; &quot;&amp;&apos;") && !xml.contains('\u{1b}') && !xml.contains('\u{202e}'),
        "{xml}"
    );
    assert!(xml.contains("<failure message=") && xml.contains("restart &lt;it&gt;</failure>"), "{xml}");
    let text = written(|out| super::text(&chains, false, &Style::plain(), out));
    assert!(!text.contains('\u{1b}') && !text.lines().any(|line| line.starts_with("::")), "{text}");
    let json = written(|out| super::json(&chains, out));
    assert!(!json.contains('\u{1b}') && !json.contains('\u{202e}'), "{json}");
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(value["summary"]["failed"], 1);
    assert_eq!(value["service-accounts"][0]["links"][7]["hint"], "restart <it>");
}

#[test]
fn junit_counts_each_kind() {
    let chains = [chain("a", Status::NotApplicable, "none"), chain("b", Status::Unknown, "closed")];
    let xml = written(|out| junit(&chains, out));
    assert!(xml.contains("tests=\"16\" failures=\"0\" errors=\"1\">"), "{xml}");
    assert!(xml.contains("<skipped message=\"none\"/>") && xml.contains("<error message=\"closed\""), "{xml}");
}
