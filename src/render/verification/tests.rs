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
        is_missing: false,
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
fn text_names_a_reason_of_several_links_once() {
    let chains = ["a", "b"].map(|name| {
        let mut chain = chain(name, Status::Unknown, "the API is closed");
        for link in &mut chain.links[3..7] {
            (link.status, link.text, link.hints) =
                (Status::Unknown, "the API is closed".to_owned(), vec!["restart <it>".to_owned()]);
        }
        chain
    });
    let text = written(|out| super::text(&chains, false, &Style::plain(), out));
    assert!(
        text.contains(
            "? annotation, webhook, token, assume, pods: the API is closed\n    service-account/prod/apps/a\n"
        )
    );
    assert_eq!(text.matches("the API is closed").count(), 1, "{text}");
    assert_eq!(text.matches("-> restart <it>").count(), 1, "{text}");
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
fn missing_service_account_is_not_ok() {
    let missing = |chain: ChainLinks| ChainLinks { is_missing: true, ..chain };
    let chains = [
        chain("a", Status::Ok, ""),
        missing(chain("b", Status::NotApplicable, "it waits")),
        missing(chain("c", Status::Failed, "x")),
    ];
    let text = written(|out| super::text(&chains, false, &Style::plain(), out));
    assert!(text.ends_with("Verified 3 ServiceAccounts: 1 ok, 1 broken, 0 not fully seen, 1 not there.\n"), "{text}");
    let json = written(|out| super::json(&chains, out));
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let summary = serde_json::json!({"service-accounts": 3, "ok": 1, "failed": 1, "unknown": 0, "missing": 1});
    assert_eq!(value["summary"], summary);
}

#[test]
fn text_wraps_at_the_width_and_keeps_commands_whole() {
    let mut broken = chain("a", Status::Failed, &"some words ".repeat(12));
    let command =
        "kubectl --context arn:aws:eks:eu-west-1:111122223333:cluster/main -n apps rollout restart deployment/a";
    broken.links[7].hints = vec![
        format!("{}: {command}", "restart ".repeat(10).trim_end()),
        "delete it: `aws eks delete-pod-identity-association --cluster-name main --association-id a-1`; then restart"
            .to_owned(),
    ];
    let chains = [broken];
    let text = written(|out| super::text(&chains, false, &Style::plain().with_width(Some(80)), out));
    let lines: Vec<&str> = text.lines().collect();
    let delete = "       `aws eks delete-pod-identity-association --cluster-name main --association-id a-1`;";
    let whole = |line: &&str| line.ends_with(command) || *line == delete;
    assert!(lines.iter().all(|line| line.len() <= 80 || whole(line)), "{text}");
    assert_eq!(lines.iter().filter(|line| whole(line)).count(), 2, "{text}");
    // further lines begin behind the name of the link
    let first = lines.iter().position(|line| line.starts_with("FAIL pods: some words ")).expect("the link");
    assert!(lines[first + 1].starts_with("           some words") || lines[first + 1].starts_with("           words"));
    // the links stand below the ServiceAccount, in their columns
    assert_eq!(lines[0], "SERVICE ACCOUNT  ROLE");
    assert_eq!(lines[1], "  issuer  provider  trust  annotation  webhook  token  assume  pods");
    assert_eq!(lines[2], "prod apps/a      app");
    assert_eq!(lines[3], "  ok      ok        ok     ok          ok       ok     ok      FAIL");
    let wide = written(|out| super::text(&chains, false, &Style::plain(), out));
    assert!(wide.starts_with("SERVICE ACCOUNT  ROLE  issuer  provider"), "{wide}");
}

#[test]
fn junit_counts_each_kind() {
    let chains = [chain("a", Status::NotApplicable, "none"), chain("b", Status::Unknown, "closed")];
    let xml = written(|out| junit(&chains, out));
    assert!(xml.contains("tests=\"16\" failures=\"0\" errors=\"1\">"), "{xml}");
    assert!(xml.contains("<skipped message=\"none\"/>") && xml.contains("<error message=\"closed\""), "{xml}");
}
