//! Formats with a size limit: each change keeps its action, the access and the permissions that it gives.

use super::*;
use crate::plan::file::{ChangeV2, NoteV2, RefusedV2};
use crate::view::tests::examples::{EAST, change, field, trust};
use serde_json::{Value, json};

fn plan_of(changes: Vec<ChangeV2>) -> String {
    let text = drawn(Format::Markdown, &Style::plain(), &examples::plan(changes));
    assert!(text.len() <= 60_000, "{}", text.len());
    text
}

/// A harmless role with this many statements.
fn large(address: &str, statements: usize) -> ChangeV2 {
    let one = |index: usize| json!({ "Sid": format!("S{index}"), "Effect": "Allow", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{index}") });
    let document = json!({ "Version": "2012-10-17", "Statement": (0..statements).map(one).collect::<Vec<_>>() });
    change(address, "create", &["declared"], vec![field("inline.data", Value::Null, document)])
}

/// A role that gives dangerous permissions, with this many harmless statements.
fn grave(address: &str, filler: usize) -> ChangeV2 {
    let mut role = large(address, filler);
    let document = json!({ "Statement": [{ "Effect": "Allow", "Action": ["iam:PutRolePolicy", "s3:PutObject"], "Resource": "*" }] });
    role.fields.push(field("inline.more", Value::Null, document));
    role.fields.push(field("trust", Value::Null, trust(EAST, &["system:serviceaccount:evil:evil"])));
    role
}

/// The line about an object.
fn line<'a>(text: &'a str, address: &str) -> &'a str {
    let code = [format!("`{address}`"), format!("<code>{address}</code>")];
    let mut lines = text.lines();
    lines.find(|line| code.iter().any(|code| line.contains(code))).unwrap_or_else(|| panic!("no {address}: {text}"))
}

#[test]
fn access_is_outside_of_the_folded_part() {
    let text = plan_of(vec![grave("role/evil", 1)]);
    let summary = line(&text, "role/evil");
    assert!(summary.starts_with("<details><summary>") && summary.ends_with("</summary>"), "{summary}");
    for part in ["will be created", "gains access", "system:serviceaccount:evil:evil", "iam:PutRolePolicy"] {
        assert!(summary.contains(part), "{part}: {summary}");
    }
}

#[test]
fn change_with_too_many_fields_keeps_its_access_and_permissions() {
    for changes in [
        vec![large("role/harmless", 10), grave("role/evil", 3_000)],
        vec![large("role/harmless", 700), grave("role/evil", 700)],
        vec![grave("role/evil", 3_000), large("role/harmless", 3_000)],
    ] {
        let text = plan_of(changes);
        let evil = line(&text, "role/evil");
        for part in ["will be created", "gains access", "system:serviceaccount:evil:evil", "iam:PutRolePolicy"] {
            assert!(evil.contains(part), "{part}: {evil}");
        }
        assert!(line(&text, "role/harmless").contains("will be created"));
        assert!(text.contains("<i>its fields are left out</i>"), "{text}");
    }
}

#[test]
fn each_of_100_changes_has_its_address_action_and_access() {
    let role = examples::updated_role();
    let changes: Vec<ChangeV2> =
        (0..100).map(|index| ChangeV2 { address: format!("role/r{index}"), ..role.clone() }).collect();
    let text = plan_of(changes);
    for index in 0..100 {
        let told = line(&text, &format!("role/r{index}"));
        for part in ["will be updated", "role/break-glass", "system:serviceaccount:ci:old", "sqs:DeleteMessage"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    assert!(!text.contains("Left out"), "{text}");
}

#[test]
fn riskiest_of_thousands_of_changes_are_shown_and_listed_first() {
    let mut changes: Vec<ChangeV2> = (0..5_000).map(|index| large(&format!("role/r{index}"), 1)).collect();
    changes.push(grave("role/evil", 2));
    let text = plan_of(changes);
    assert!(line(&text, "role/evil").contains("system:serviceaccount:evil:evil"));
    let listed = text.split("the riskiest first").nth(1).expect("the list");
    assert!(listed.contains("gives `s3:GetObject`"), "{listed}");
    assert!(text.contains("Left out, because a comment has a size limit: 4"), "{text}");
    // of equally risky changes, as many as fit
    let text = plan_of((0..2_000).map(|index| grave(&format!("role/r{index}"), 1)).collect());
    assert!(line(&text, "role/r0").contains("system:serviceaccount:evil:evil"));
    let listed = text.split("the riskiest first").nth(1).expect("the list");
    assert!(listed.contains("gives `iam:PutRolePolicy`, `s3:GetObject`, `s3:PutObject`; gains access: 1"), "{listed}");
}

#[test]
fn long_line_about_access_is_cut_before_it_is_left_out() {
    let long = format!("system:serviceaccount:evil:{}", "x".repeat(9_000));
    let with = |index: usize| {
        change(
            &format!("role/r{index}"),
            "update",
            &[],
            vec![field("trust", trust(EAST, &["a:b"]), trust(EAST, &["a:b", &long]))],
        )
    };
    let text = plan_of((0..60).map(with).collect());
    for index in 0..60 {
        let told = line(&text, &format!("role/r{index}"));
        assert!(told.contains("gains access") && told.contains("system:serviceaccount:evil:xxx"), "{told}");
        assert!(told.len() > 9_000 || told.contains("more characters)"), "{told}");
    }
}

#[test]
fn refusals_and_severe_findings_are_never_left_out() {
    let mut file = examples::everything();
    file.changes = (0..3_000).map(|index| grave(&format!("role/r{index}"), 30)).collect();
    let [address, severity, rule, text] = ["role/ci", "critical", "IRSA001", "anyone may"].map(str::to_owned);
    file.notes.push(NoteV2 { address, severity, rule, origin: String::new(), text });
    file.refused.push(RefusedV2 {
        address: "role/big".into(),
        why: "x".repeat(70_000),
        hint: String::new(),
        word: None,
    });
    let text = drawn(Format::Markdown, &Style::plain(), &file);
    assert!(text.len() <= 60_000, "{}", text.len());
    for part in [
        "`role/billing` is refused: role `billing`",
        "`role/big` is refused\n",
        "`cluster/metal` could not be read: ",
        "critical: `role/ci`: anyone may",
        "high: `role/ci`: every ServiceAccount",
    ] {
        assert!(text.contains(part), "{part}");
    }
}

#[test]
fn report_keeps_every_step() {
    let mut report = examples::report();
    let failed = report.outcomes[1].clone();
    report.outcomes.extend((0..200).map(|_| failed.clone()));
    let text = told(Format::Markdown, &Style::plain(), &report);
    assert!(text.len() <= 60_000, "{}", text.len());
    assert_eq!(text.matches("`role/reports` failed at iam:PutRolePolicy").count(), 201);
    assert!(text.contains("`role/legacy` adopted"));
}

#[test]
fn github_shows_ten_of_a_level_and_lists_the_rest() {
    let mut file = examples::everything();
    file.refused =
        (0..25).map(|index| RefusedV2 { address: format!("role/r{index}"), ..file.refused[0].clone() }).collect();
    let text = drawn(Format::Github, &Style::plain(), &file);
    assert_eq!(text.lines().filter(|line| line.starts_with("::error ")).count(), 10);
    // 25 refusals, one unread object, one severe finding
    let last = text.lines().find(|line| line.starts_with("::error title=irsa::")).expect("the tenth");
    assert!(last.starts_with("::error title=irsa::18 more, not shown as annotations:%0Arefused: role/r9: "), "{last}");
    assert!(last.contains("%0AIRSA010: role/ci: every ServiceAccount"), "{last}");
    assert!(text.starts_with("::error "));
}

#[test]
fn github_shows_what_a_change_gives_the_riskiest_first() {
    let mut changes: Vec<ChangeV2> = (0..40).map(|index| large(&format!("role/r{index}"), 1)).collect();
    changes.push(grave("role/evil", 1));
    let text = drawn(Format::Github, &Style::plain(), &examples::plan(changes));
    let evil = text.lines().find(|line| line.contains("role/evil")).expect("it is shown");
    assert!(evil.starts_with("::notice title=create::role/evil will be created%0Agives `iam:PutRolePolicy`"), "{evil}");
    assert!(evil.contains("%0A+ gains access: system:serviceaccount:evil:evil"), "{evil}");
    for index in 0..40 {
        assert!(text.contains(&format!("role/r{index} will be created")), "{index}: {text}");
    }
    // a list that is too long ends with a count
    let text = drawn(
        Format::Github,
        &Style::plain(),
        &examples::plan((0..5_000).map(|index| large(&format!("role/r{index}"), 1)).collect()),
    );
    assert!(
        text.len() < 60_000 && text.contains(" more, which `irsa show` and the other formats have\n"),
        "{}",
        text.len()
    );
}
