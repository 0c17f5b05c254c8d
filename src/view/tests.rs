//! Tests what a plan's view says, as plain text with all fields. The tests of `render` test the formats.

pub(crate) mod examples;
mod permissions;
mod risk;
mod summary;

use self::examples::{EAST, change, created_role, field, plan, trust, updated_role, web_identity};
use super::*;
use crate::plan::ConfigKeys;
use crate::plan::file::{ChangeV2, FieldV2, PlanV2};
use crate::render::{Style, terminal};
use serde_json::{Value, json};

/// The plan as text.
fn text(plan: &PlanV2) -> String {
    let mut out = Vec::new();
    terminal::plan(&PlanView::of(plan, Detail::Full, &ConfigKeys::default()), &Style::plain(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The lines of the only change, without its head.
fn lines(change: ChangeV2) -> String {
    let text = text(&plan(vec![change]));
    let body: Vec<&str> = text.lines().skip(3).take_while(|line| !line.is_empty()).collect();
    body.join("\n")
}

fn update(path: &str, before: Value, after: Value) -> String {
    lines(change("role/x", "update", &[], vec![field(path, before, after)]))
}

fn allow(sid: &str, actions: &[&str], resource: &str) -> Value {
    json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource })
}

fn document(statements: &[Value]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

#[test]
fn summary_line_counts_changes_and_unchanged_objects() {
    let mut empty = plan(Vec::new());
    empty.summary.unchanged = 42;
    assert_eq!(text(&empty), "No changes. 42 objects match.\n");
    empty.summary.unchanged = 1;
    assert_eq!(text(&empty), "No changes. 1 object matches.\n");
    empty.summary.refused = 1;
    assert!(text(&empty).starts_with("No changes except what is refused. 1 object matches.\n"));
    empty.complete = false;
    assert!(text(&empty).starts_with("No changes in what could be read. 1 object matches.\n"));
    let all = [("create", 2), ("update", 1)];
    let changes = all.iter().flat_map(|(action, number)| {
        (0..*number).map(move |index| change(&format!("role/{action}-{index}"), action, &[], Vec::new()))
    });
    let mut three = plan(changes.collect());
    assert!(text(&three).ends_with("\n\nPlan: 2 to create, 1 to update, 0 to delete.\n"));
    three.changes.push(change("role/a", "adopt", &[], Vec::new()));
    three.summary.adopt = 1;
    assert!(text(&three).ends_with("\n\nPlan: 2 to create, 1 to update, 1 to adopt, 0 to delete.\n"));
    three.summary.refused = 2;
    three.options.skip_refused = true;
    three.summary.waiting = 3;
    three.complete = false;
    assert!(
        text(&three).ends_with("2 refused and skipped.\nNot everything could be read.\n3 objects wait for others.\n")
    );
}

#[test]
fn changes_are_grouped_by_kind_in_apply_order() {
    let some = |address: &str, action: &str| change(address, action, &[], Vec::new());
    let plan = plan(vec![
        some("orphan/a/oidc-provider/oidc.example.com/id/x", "delete"),
        some("service-account/c/n/b", "create"),
        some("role/b", "update"),
        some("orphan/a/role/old", "delete"),
        some("oidc-provider/a/c", "create"),
        some("role/a", "create"),
        some("policy/a/p", "delete"),
        some("policy/a/q", "update"),
        some("service-account/c/n/a", "delete"),
    ]);
    let view = PlanView::of(&plan, Detail::Usual, &ConfigKeys::default());
    let order: Vec<&str> = view.changes.iter().map(|change| change.address.as_str()).collect();
    assert_eq!(
        order,
        [
            "oidc-provider/a/c",
            "policy/a/q",
            "role/b",
            "role/a",
            "service-account/c/n/b",
            "service-account/c/n/a",
            "orphan/a/role/old",
            "policy/a/p",
            "orphan/a/oidc-provider/oidc.example.com/id/x",
        ]
    );
}

#[test]
fn fields_are_before_and_after_sets_by_item_maps_by_key() {
    assert_eq!(update("description", json!("old"), json!("new")), "  ~ description: old -> new");
    assert_eq!(update("description", json!("old"), json!("")), "  ~ description: old -> \"\"");
    assert_eq!(update("description", json!("a "), json!("a")), "  ~ description: \"a \" -> a");
    assert_eq!(update("max-session-duration", json!(3600), json!(43200)), "  ~ max-session-duration: 1h -> 12h");
    assert_eq!(
        update("permissions-boundary", Value::Null, json!("arn:aws:iam::aws:policy/B")),
        "  ~ what its boundary changes is not known: irsa has not read its document\n  \
         + permissions-boundary: arn:aws:iam::aws:policy/B"
    );
    assert_eq!(update("tags.team", json!("a"), Value::Null), "  - tags.team: a");
    assert_eq!(update("tags.flag", Value::Null, json!("")), "  + tags.flag: \"\"");
    assert_eq!(
        update("attached", json!(["arn:a", "arn:b", "arn:c"]), json!(["arn:c", "arn:b", "arn:d"])),
        "  ~ attached\n    + arn:d\n    - arn:a\n      2 unchanged"
    );
    assert_eq!(update("audiences", json!([]), json!(["a"])), "  ~ audiences\n    + a");
    assert_eq!(
        update("future", json!({"a": 1, "b": {"c": true}}), json!({"a": 1, "b": {"c": false, "d": [1, 2]}})),
        "  ~ future.b\n    ~ c: true -> false\n    + d\n      + 1\n      + 2"
    );
}

#[test]
fn statements_are_matched_by_sid() {
    let before = document(&[
        allow("Read", &["s3:GetObject"], "arn:aws:s3:::a/*"),
        allow("Write", &["s3:PutObject"], "arn:aws:s3:::a/*"),
    ]);
    let after = document(&[
        allow("Write", &["s3:PutObject", "s3:DeleteObject"], "arn:aws:s3:::a/*"),
        allow("Read", &["s3:GetObject"], "arn:aws:s3:::a/*"),
        allow("List", &["s3:ListBucket"], "arn:aws:s3:::a"),
    ]);
    insta::assert_snapshot!(update("inline.bucket", before, after), @r"
      + gains
        + s3:DeleteObject on arn:aws:s3:::a/*
        + s3:ListBucket on arn:aws:s3:::a
      ~ inline.bucket
        ~ statement `Write` (Allow)
          ~ Action
            + s3:DeleteObject
              1 unchanged
        + statement `List` (Allow)
          + Action: s3:ListBucket
          + Resource: arn:aws:s3:::a
          1 statement unchanged
    ");
}

#[test]
fn statements_without_a_sid_are_matched_to_the_most_similar() {
    let plain =
        |actions: &[&str], resource: &str| json!({ "Effect": "Allow", "Action": actions, "Resource": resource });
    let before = document(&[
        plain(&["sqs:SendMessage", "sqs:GetQueueUrl"], "arn:aws:sqs:::one"),
        plain(&["sqs:SendMessage", "sqs:GetQueueUrl"], "arn:aws:sqs:::two"),
        plain(&["iam:PassRole"], "*"),
    ]);
    let after = document(&[
        plain(&["sqs:SendMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"], "arn:aws:sqs:::two"),
        plain(&["sqs:SendMessage", "sqs:GetQueueUrl"], "arn:aws:sqs:::one"),
        json!({ "Effect": "Deny", "Action": ["iam:PassRole"], "Resource": "*" }),
    ]);
    insta::assert_snapshot!(update("document", before, after), @r"
      + allows
        + sqs:ReceiveMessage on arn:aws:sqs:::two
      - no longer allows
        - iam:PassRole on *
      ~ document
        ~ statement 1 (Allow)
          ~ Action
            + sqs:ReceiveMessage
              2 unchanged
        + statement 3 (Deny)
          + Action: iam:PassRole
          + Resource: *
        - statement 3 (Allow)
          - Action: iam:PassRole
          - Resource: *
          1 statement unchanged
    ");
}

#[test]
fn equal_statements_are_counted_not_shown() {
    let before = json!({ "Version": "2008-10-17", "Statement": allow("", &["s3:GetObject"], "*") });
    let after = document(&[allow("", &["s3:GetObject"], "*")]);
    insta::assert_snapshot!(update("document", before, after), @r"
      ~ document
        ~ Version: 2008-10-17 -> 2012-10-17
          1 statement unchanged
    ");
}

#[test]
fn a_document_that_is_not_understood_is_compared_by_lines() {
    let before = json!("{\"Statement\": \"odd\", \"Version\": \"2012-10-17\"}");
    insta::assert_snapshot!(update("document", before, document(&[])), @r#"
      ~ its actions are not compared: a document cannot be parsed
      ~ document
          1 line unchanged
        -   "Statement": "odd",
        +   "Statement": [],
          2 lines unchanged
    "#);
    assert_eq!(
        update("document", json!("no json"), json!("nor this")),
        "  ~ its actions are not compared: a document cannot be parsed\n  ~ document\n    - no json\n    + nor this"
    );
}

/// Only the lines about access.
fn access(before: Value, after: Value) -> Vec<String> {
    let list = update("trust", before, after);
    list.lines().take_while(|line| !line.ends_with(" trust")).map(str::to_owned).collect()
}

#[test]
fn changed_subjects_gain_and_lose_access() {
    let before = trust(EAST, &["system:serviceaccount:a:one", "system:serviceaccount:a:two"]);
    let after = trust(EAST, &["system:serviceaccount:a:two", "system:serviceaccount:b:three"]);
    assert_eq!(
        access(before, after),
        [
            "  + gains access",
            "    + system:serviceaccount:b:three from issuer https://oidc.eks.eu-west-1.amazonaws.com/id/EAST",
            "  - loses access",
            "    - system:serviceaccount:a:one from issuer https://oidc.eks.eu-west-1.amazonaws.com/id/EAST",
        ]
    );
}

/// The principals that gain access by one statement.
fn gains(statement: Value) -> Vec<String> {
    let lines = access(Value::Null, document(&[statement]));
    lines.iter().skip(1).map(|line| line.trim_start_matches([' ', '+']).to_owned()).collect()
}

#[test]
fn every_kind_of_principal_is_listed() {
    let host = "oidc.eks.eu-west-1.amazonaws.com/id/EAST";
    let with = |change: fn(&mut Value)| {
        let mut statement = web_identity(EAST, &["system:serviceaccount:a:b"]);
        change(&mut statement);
        gains(statement)
    };
    let from = format!("from issuer https://{host}");
    assert_eq!(with(|_| {}), [format!("system:serviceaccount:a:b {from}")]);
    assert_eq!(
        with(|statement| statement["Condition"] = Value::Null),
        [format!("every subject {from}, for any audience")]
    );
    assert_eq!(
        with(|statement| {
            statement["Condition"] = json!({
                "StringLike": { "oidc.eks.eu-west-1.amazonaws.com/id/EAST:sub": "system:serviceaccount:a:*" },
                "StringEquals": { "oidc.eks.eu-west-1.amazonaws.com/id/EAST:aud": ["x", "y"] },
            });
        }),
        [format!("every subject like system:serviceaccount:a:* {from}, for audience x or y")]
    );
    assert_eq!(
        with(|statement| {
            statement["Condition"]["ForAnyValue:StringLike"] = json!({ "aws:RequestTag/x": "y" });
            statement["Action"] = json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]);
        }),
        [format!(
            "system:serviceaccount:a:b {from}, by sts:AssumeRoleWithWebIdentity, sts:TagSession, \
             if ForAnyValue:StringLike aws:RequestTag/x = y"
        )]
    );
    let assume = |principal: Value| json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
    assert_eq!(gains(assume(json!("*"))), ["anyone at all"]);
    assert_eq!(gains(assume(json!({ "AWS": ["*", "111122223333"] }))), ["111122223333", "anyone at all"]);
    assert_eq!(gains(assume(json!({ "Service": "ec2.amazonaws.com" }))), ["service ec2.amazonaws.com"]);
    assert_eq!(
        gains(json!({ "Effect": "Allow", "NotPrincipal": { "AWS": "1" }, "NotAction": "sts:TagSession" })),
        ["everyone but {\"AWS\":\"1\"}, by everything but sts:TagSession"]
    );
    assert_eq!(gains(json!({ "Effect": "Allow" })), ["a principal that is not named"]);
    assert_eq!(
        access(Value::Null, json!("{ no policy")),
        ["  + gains access", "    + whoever its trust policy names, which cannot be read"]
    );
}

#[test]
fn principal_in_two_statements_keeps_access_when_one_is_removed() {
    let one = web_identity(EAST, &["system:serviceaccount:a:x"]);
    let both = web_identity(EAST, &["system:serviceaccount:a:x", "system:serviceaccount:a:y"]);
    let lost = access(document(&[one.clone(), both]), document(std::slice::from_ref(&one)));
    let issuer = "https://oidc.eks.eu-west-1.amazonaws.com/id/EAST";
    assert_eq!(lost, ["  - loses access", &format!("    - system:serviceaccount:a:y from issuer {issuer}")]);
}

#[test]
fn added_deny_is_a_loss_and_removed_deny_is_a_gain() {
    let deny = json!({ "Effect": "Deny", "Principal": { "AWS": "arn:aws:iam::1:root" }, "Action": "sts:AssumeRole" });
    let (without, with) = (document(&[]), document(&[deny]));
    let denied = ["  - is denied from now on", "    - arn:aws:iam::1:root"];
    assert_eq!(access(without.clone(), with.clone()), denied);
    assert_eq!(access(with, without), ["  + is no longer denied", "    + arn:aws:iam::1:root"]);
}

#[test]
fn pods_gain_and_lose_roles() {
    let role_arn = "annotations.eks.amazonaws.com/role-arn";
    let released = change(
        "service-account/c/n/a",
        "update",
        &["no longer declared: irsa removes its labels and annotations"],
        vec![field(role_arn, json!("arn:aws:iam::1:role/x"), Value::Null)],
    );
    insta::assert_snapshot!(lines(released), @r"
        no longer declared: irsa removes its labels and annotations
      - its pods lose
        - role arn:aws:iam::1:role/x
      - annotations.eks.amazonaws.com/role-arn: arn:aws:iam::1:role/x
    ");
}

#[test]
fn a_changed_statement_shows_only_what_differs_by_meaning() {
    let statement = |action: Value, resource: Value, principal: Value, condition: Value| {
        document(&[json!({ "Sid": "One", "Effect": "Allow", "Action": action, "Resource": resource,
            "Principal": principal, "Condition": condition })])
    };
    let old = statement(
        json!(["S3:putobject", "s3:GetObject", "s3:getobject"]),
        json!("arn:aws:s3:::a"),
        json!({ "AWS": ["arn:aws:iam::111122223333:root", "444455556666"] }),
        json!({ "bool": { "AWS:SecureTransport": [true] }, "StringEquals": { "aws:SourceVpc": ["b", "a"] } }),
    );
    let new = statement(
        json!(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]),
        json!(["arn:aws:s3:::a"]),
        json!({ "AWS": ["arn:aws:iam::444455556666:root", "111122223333"] }),
        json!({ "Bool": { "aws:SecureTransport": "true" }, "StringEquals": { "aws:sourcevpc": ["a", "b", "c"] } }),
    );
    insta::assert_snapshot!(update("document", old.clone(), new.clone()), @"
    + allows
      + s3:DeleteObject, s3:GetObject, s3:PutObject on arn:aws:s3:::a, if Bool aws:SecureTransport = true and StringEquals aws:sourcevpc = a or b or c
    ~ document
      ~ statement `One` (Allow)
        ~ Action
          + s3:DeleteObject
            2 unchanged
        ~ Condition.StringEquals.aws:sourcevpc
          + c
            2 unchanged
    ");
    // the other way round, the other document decides the spelling
    insta::assert_snapshot!(update("document", new, old), @"
    - no longer allows
      - s3:DeleteObject, s3:GetObject, s3:PutObject on arn:aws:s3:::a, if Bool aws:SecureTransport = true and StringEquals aws:sourcevpc = a or b or c
    ~ document
      ~ statement `One` (Allow)
        ~ Action
          - s3:DeleteObject
            2 unchanged
        ~ Condition.StringEquals.aws:SourceVpc
          - c
            2 unchanged
    ");
}

#[test]
fn principal_with_another_spelling_gains_and_loses_nothing() {
    let statement = |who: &[&str], key: &str| {
        document(&[json!({ "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": { "AWS": who },
            "Condition": { "Bool": { key: "true" } } })])
    };
    let before = statement(&["arn:aws:iam::111122223333:root"], "AWS:MultiFactorAuthPresent");
    let after = statement(&["111122223333", "444455556666"], "aws:MultiFactorAuthPresent");
    assert_eq!(
        access(before, after),
        ["  + gains access", "    + 444455556666, if Bool aws:MultiFactorAuthPresent = true"]
    );
}

#[test]
fn missing_version_is_2008_and_star_is_every_aws_principal() {
    let old = json!({ "Statement": { "Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole" } });
    let new = json!({ "Version": "2008-10-17", "Statement": [
        { "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": ["STS:AssumeRole", "sts:TagSession"] }] });
    insta::assert_snapshot!(update("document", old, new), @"
    + allows
      + sts:TagSession on *
    ~ document
      ~ statement 1 (Allow)
        ~ Action
          + sts:TagSession
            1 unchanged
    ");
}

#[test]
fn everything_in_the_text_is_in_the_plan_file() {
    for change in [created_role(), updated_role()] {
        let file = plan(vec![change.clone()]).to_text();
        let text = lines(change);
        for word in text.split_whitespace().filter(|word| word.contains([':', '/']) && !word.ends_with(':')) {
            let word = word.trim_end_matches([',', ':']).rsplit(".amazonaws.com").next().unwrap_or(word);
            // the short name of an AWS managed policy
            let word = word.strip_prefix("aws:").filter(|_| !file.contains(word)).unwrap_or(word);
            assert!(file.contains(word), "{word}");
        }
    }
}
