use super::*;
use serde_json::{Value, json};

fn document(statements: &Value) -> PolicyDocument {
    let document = PolicyDocument::live(&json!({ "Version": "2012-10-17", "Statement": statements }).to_string());
    assert!(document.is_parsed(), "{statements}");
    document
}

fn allow(actions: &[&str], resources: &[&str]) -> Value {
    json!({ "Effect": "Allow", "Action": actions, "Resource": resources })
}

fn deny(actions: &[&str], resources: &[&str]) -> Value {
    json!({ "Effect": "Deny", "Action": actions, "Resource": resources })
}

/// `ACTION on RESOURCE`, and `!` if the other side allows it under conditions.
fn texts(differences: Option<Vec<Difference<'_>>>) -> Vec<String> {
    let differences = differences.expect("few pairs");
    let text = |one: &Difference<'_>| {
        let otherwise = if one.otherwise.is_empty() { "" } else { " !" };
        format!("{} on {}{otherwise}", one.pair.action_text(), one.pair.resource_text())
    };
    differences.iter().map(text).collect()
}

/// What is gained and lost between two documents.
fn between(before: &Value, after: &Value) -> (Vec<String>, Vec<String>) {
    let (before, after) = (document(before), document(after));
    let side = |document| Permissions { policies: vec![document], boundary: None, unread: false };
    (texts(gained(&side(&before), &side(&after))), texts(gained(&side(&after), &side(&before))))
}

const BUCKET: &str = "arn:aws:s3:::b/*";

#[test]
fn change_of_a_document_gives_and_takes_actions_on_resources() {
    let vpc = |mut statement: Value| {
        statement["Condition"] = json!({ "StringEquals": { "aws:SourceVpc": "vpc-1" } });
        statement
    };
    let vpcs = |mut statement: Value, names: &[&str]| {
        statement["Condition"] = json!({ "StringEquals": { "aws:SourceVpc": names } });
        statement
    };
    let get = || allow(&["s3:GetObject"], &[BUCKET]);
    let all = || allow(&["s3:*"], &[BUCKET]);
    for (before, after, gains, loses) in [
        (json!([get()]), json!([get()]), vec![], vec![]),
        // another spelling
        (json!([get()]), json!([allow(&["S3:getObject"], &[BUCKET])]), vec![], vec![]),
        (
            json!([get()]),
            json!([allow(&["s3:GetObject", "s3:DeleteObject"], &[BUCKET])]),
            vec!["s3:DeleteObject on arn:aws:s3:::b/*"],
            vec![],
        ),
        (json!([get()]), json!([get(), allow(&["sqs:SendMessage"], &["*"])]), vec!["sqs:SendMessage on *"], vec![]),
        // the wider action says it all
        (
            json!([get()]),
            json!([allow(&["s3:*", "s3:DeleteObject"], &[BUCKET])]),
            vec!["s3:* on arn:aws:s3:::b/*"],
            vec![],
        ),
        // another statement allowed it before
        (json!([all()]), json!([all(), get()]), vec![], vec![]),
        (
            json!([get()]),
            json!([allow(&["s3:GetObject"], &["arn:aws:s3:::b/x"])]),
            vec![],
            vec!["s3:GetObject on arn:aws:s3:::b/*"],
        ),
        // a deny counts, also one that goes
        (
            json!([all(), deny(&["s3:DeleteObject"], &["*"])]),
            json!([all()]),
            vec!["s3:DeleteObject on arn:aws:s3:::b/*"],
            vec![],
        ),
        (json!([all()]), json!([all(), deny(&["s3:Delete*"], &["*"])]), vec![], vec!["s3:Delete* on arn:aws:s3:::b/*"]),
        (json!([deny(&["s3:*"], &["*"])]), json!([deny(&["s3:*"], &["*"]), get()]), vec![], vec![]),
        (json!([get(), deny(&["sqs:*"], &["*"])]), json!([get()]), vec![], vec![]),
        // a condition that comes or goes
        (json!([get()]), json!([vpc(get())]), vec![], vec!["s3:GetObject on arn:aws:s3:::b/* !"]),
        (json!([vpc(get())]), json!([get()]), vec!["s3:GetObject on arn:aws:s3:::b/* !"], vec![]),
        (
            json!([{ "Effect": "Allow", "NotAction": ["iam:*", "s3:*"], "Resource": "*" }]),
            json!([{ "Effect": "Allow", "NotAction": "iam:*", "Resource": "*" }]),
            vec!["s3:* on *"],
            vec![],
        ),
        (
            json!([{ "Effect": "Allow", "Action": "s3:*", "NotResource": ["arn:aws:s3:::mine/*", "arn:aws:s3:::yours/*"] }]),
            json!([{ "Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::mine/*" }]),
            vec!["s3:* on arn:aws:s3:::yours/*"],
            vec![],
        ),
        // a wider condition takes nothing, also one of a deny
        (
            json!([vpcs(get(), &["a"])]),
            json!([vpcs(get(), &["a", "b"])]),
            vec!["s3:GetObject on arn:aws:s3:::b/* !"],
            vec![],
        ),
        (
            json!([get(), vpcs(deny(&["s3:*"], &["*"]), &["a"])]),
            json!([get(), vpcs(deny(&["s3:*"], &["*"]), &["a", "b"])]),
            vec![],
            vec!["s3:GetObject on arn:aws:s3:::b/*"],
        ),
        // a deny under a condition that no allow has with it
        (
            json!([vpcs(get(), &["a"]), vpcs(deny(&["s3:*"], &["*"]), &["b"])]),
            json!([vpcs(get(), &["a"])]),
            vec![],
            vec![],
        ),
        // nothing is left of it
        (
            json!([get()]),
            json!([vpc(get()), deny(&["s3:*"], &["*"])]),
            vec![],
            vec!["s3:GetObject on arn:aws:s3:::b/*"],
        ),
    ] {
        assert_eq!(
            between(&before, &after),
            (gains.into_iter().map(str::to_owned).collect(), loses.into_iter().map(str::to_owned).collect()),
            "{before}\n{after}"
        );
    }
}

#[test]
fn another_way_to_write_the_same_access_gives_and_takes_nothing() {
    let with = |operator: &str, key: &str, value: Value| {
        let mut statement = allow(&["s3:GetObject"], &["*"]);
        statement["Condition"] = json!({ operator: { key: value } });
        json!([statement])
    };
    let vpc = |operator: &str, value: Value| with(operator, "aws:SourceVpc", value);
    let all_but = |actions: &[&str]| json!([{ "Effect": "Allow", "NotAction": actions, "Resource": "*" }]);
    let all_and_deny = |actions: &[&str]| json!([allow(&["*"], &["*"]), deny(actions, &["*"])]);
    for (one, other) in [
        (vpc("StringEquals", json!("a")), vpc("StringLike", json!("a"))),
        (all_and_deny(&["iam:*"]), all_but(&["iam:*"])),
        (all_and_deny(&["iam:*", "account:*"]), all_but(&["account:*", "iam:*"])),
    ] {
        assert_eq!(between(&one, &other), (vec![], vec![]), "{one}\n{other}");
        assert_eq!(between(&other, &one), (vec![], vec![]), "{one}\n{other}");
    }
    // only narrower
    for (wide, narrow) in [
        (vpc("StringLike", json!("a*")), vpc("StringLike", json!("ab*"))),
        (vpc("StringLike", json!(["a*", "b"])), vpc("StringEquals", json!("ax"))),
        (vpc("StringNotEquals", json!("a")), vpc("StringNotEquals", json!(["a", "b"]))),
        (vpc("StringEqualsIfExists", json!("a")), vpc("StringEquals", json!("a"))),
        (
            with("IpAddress", "aws:SourceIp", json!("10.0.0.0/8")),
            with("IpAddress", "aws:SourceIp", json!("10.1.0.0/16")),
        ),
        (
            with("ArnLike", "aws:SourceArn", json!("arn:aws:sns:*:*:*")),
            with("ArnEquals", "aws:SourceArn", json!("arn:aws:sns:eu-west-1:*:a")),
        ),
    ] {
        let (gains, loses) = between(&wide, &narrow);
        assert_eq!((gains.len(), loses.len()), (0, 1), "{wide}\n{narrow}: {gains:?} {loses:?}");
    }
}

#[test]
fn what_the_other_side_allows_of_a_difference_is_named() {
    let (all, part) = (document(&json!([allow(&["s3:*"], &["*"])])), document(&json!([allow(&["s3:Get*"], &["*"])])));
    let in_bucket = document(&json!([allow(&["s3:Get*"], &[BUCKET]), deny(&["s3:GetObject"], &["*"])]));
    let side = |document| Permissions { policies: vec![document], boundary: None, unread: false };
    let parts = |before, after| {
        let found = gained(&side(before), &side(after)).expect("few pairs");
        let text = |part: &Pair<'_>| format!("{} on {}", part.action_text(), part.resource_text());
        found.iter().flat_map(|one| one.parts.iter().map(text)).collect::<Vec<_>>()
    };
    assert_eq!(parts(&part, &all), ["s3:Get* on *"]);
    // what is denied there in part is not named
    assert!(parts(&in_bucket, &all).is_empty());
}

#[test]
fn boundary_that_changes_gives_and_takes_what_the_policies_allow() {
    let policy = document(&json!([allow(&["s3:*"], &[BUCKET])]));
    let (narrow, wide) = (document(&json!([allow(&["s3:Get*"], &["*"])])), document(&json!([allow(&["*"], &["*"])])));
    let with = |boundary| Permissions { policies: vec![&policy], boundary, unread: false };
    let (narrow, wide, none) = (with(Some(&narrow)), with(Some(&wide)), with(None));
    assert_eq!(texts(gained(&narrow, &wide)), ["s3:* on arn:aws:s3:::b/*"]);
    assert_eq!(texts(gained(&narrow, &none)), ["s3:* on arn:aws:s3:::b/*"]);
    assert_eq!(texts(gained(&none, &narrow)), Vec::<String>::new());
    // what the boundary does not allow is not gained
    let more = document(&json!([allow(&["s3:*", "sqs:*"], &["*"])]));
    let more = Permissions { policies: vec![&more], boundary: narrow.boundary, unread: false };
    assert_eq!(texts(gained(&narrow, &more)), ["s3:Get* on *"]);
    assert_eq!(texts(gained(&wide, &none)), Vec::<String>::new());
}

#[test]
fn too_many_pairs_are_not_compared() {
    let names = |count: usize, text: &str| (0..count).map(|n| text.replace('#', &n.to_string())).collect::<Vec<_>>();
    let statement = |effect: &str, actions: usize, resources: usize| {
        let (actions, resources) = (names(actions, "s3:*a#x*"), names(resources, "arn:aws:s3:::*b#x*"));
        json!([{ "Effect": effect, "Action": actions, "Resource": resources }])
    };
    for (actions, resources, expected) in [(15, 15, Some(225)), (300, 300, None)] {
        let (allow, deny) = (statement("Allow", actions, resources), statement("Deny", actions, resources));
        let (allow, deny) = (document(&allow), document(&deny));
        let none = Permissions::default();
        let one = |policies: Vec<_>| Permissions { policies, boundary: None, unread: false };
        let found = gained(&none, &one(vec![&allow]));
        assert_eq!(found.map(|found| found.len()), expected);
        // every deny meets every allow
        assert!(gained(&one(vec![&allow, &deny]), &one(vec![&allow])).is_none());
    }
}

#[test]
fn deny_that_goes_gives_what_a_policy_that_was_not_read_allows() {
    let deny = document(&json!([deny(&["iam:*"], &["*"])]));
    let with = |policies, unread| Permissions { policies, boundary: None, unread };
    let found = gained(&with(vec![&deny], true), &with(vec![], true)).expect("few pairs");
    assert!(found.len() == 1 && found[0].by_unread && found[0].pair.action_text() == "iam:*", "{found:?}");
    assert!(gained(&with(vec![&deny], false), &with(vec![], false)).expect("few pairs").is_empty());
}
