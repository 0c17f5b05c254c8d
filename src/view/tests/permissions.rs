//! Tests what a plan says that a role gains and loses, by action and resource.

use super::summary::{block, of_role, summary};
use super::*;
use crate::ids::Key;
use crate::plan::file::RefusedV2;

#[test]
fn an_update_shows_which_actions_the_role_gains_and_loses() {
    let inline = |name: &str, before: Value, after: Value| field(&format!("inline.{name}"), before, after);
    let text = |fields: Vec<FieldV2>| of_role("update", fields);
    let vpc = |mut statement: Value| {
        statement["Condition"] = json!({ "StringEquals": { "aws:SourceVpc": "vpc-1" } });
        document(&[statement])
    };
    let get = || allow("", &["s3:GetObject"], "arn:aws:s3:::b/*");
    let told = text(vec![inline("a", document(&[get()]), vpc(get()))]);
    assert!(
        told.contains(
            "- loses s3:GetObject on arn:aws:s3:::b/*, from now on only if StringEquals aws:SourceVpc = vpc-1\n"
        ),
        "{told}"
    );
    // what permissions are about comes first, and the rest is counted
    let many = ["one", "two", "three", "four", "five"].map(|name| allow("", &["sqs:SendMessage"], name));
    let many = [&many[..], &[allow("", &["iam:PassRole"], "*")]].concat();
    let told = text(vec![inline("a", document(&[get()]), document(&[&[get()], &many[..]].concat()))]);
    let lines: Vec<&str> = told.lines().skip(1).take(4).map(str::trim).collect();
    assert_eq!(
        lines,
        [
            "actions    + gains iam:PassRole on *",
            "+ gains sqs:SendMessage on one",
            "+ gains sqs:SendMessage on two",
            "+ and 3 more lines"
        ],
        "{told}"
    );
    // many actions on one resource are one line
    let actions: Vec<String> = (0..9).map(|number| format!("sqs:Action{number}")).collect();
    let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
    let told = text(vec![inline("a", Value::Null, document(&[allow("", &actions, "*")]))]);
    assert!(
        told.contains("+ gains sqs:Action0, sqs:Action1, sqs:Action2, sqs:Action3 and 5 more actions on *\n"),
        "{told}"
    );
    // the list of exceptions has a line of its own, as it is written
    let statements = json!([
        { "Effect": "Allow", "NotAction": ["iam:*", "s3:DeleteObject"], "Resource": "*" },
        allow("", &["iam:GetRole"], "*"),
    ]);
    let narrow = json!([{ "Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*" }]);
    let told = text(vec![inline("a", Value::Null, document(statements.as_array().unwrap()))]);
    assert!(told.contains("+ gains everything but iam:*, s3:DeleteObject on *\n"), "{told}");
    assert!(told.contains("+ gains iam:GetRole on *\n"), "{told}");
    let told = text(vec![inline("a", document(statements.as_array().unwrap()), document(narrow.as_array().unwrap()))]);
    assert!(told.contains("+ gains s3:DeleteObject on *\n"), "{told}");
    // what the role keeps
    let told =
        text(vec![inline("a", document(&[allow("", &["s3:*"], "*")]), document(&[allow("", &["s3:Get*"], "*")]))]);
    assert!(told.contains("- loses s3:* on *, from now on only s3:Get*\n"), "{told}");
    // another inline policy that stays the same in the role allows it already
    let mut change = change("role/cart", "update", &[], vec![inline("a", Value::Null, document(&[get()]))]);
    for side in [&mut change.before, &mut change.after] {
        side["inline"]["b"] = document(&[allow("", &["s3:*"], "*")]);
    }
    assert!(!block(change).contains("gains"));
}

#[test]
fn attached_policy_gives_what_its_new_document_allows() {
    let arn = "arn:aws:iam::111122223333:policy/irsa/me/read";
    let read = |action: &str, side: fn(Value) -> (Value, Value), actions: &[&str]| {
        let (before, after) = side(document(&[allow("", actions, "*")]));
        let whole = |value: Value| if value.is_null() { (Value::Null, Value::Null) } else { (json!("read"), value) };
        let ((old_name, before), (new_name, after)) = (whole(before), whole(after));
        let path = |name: &Value| if name.is_null() { Value::Null } else { json!("/irsa/me/") };
        let fields = vec![
            field("path", path(&old_name), path(&new_name)),
            field("name", old_name, new_name),
            field("document", before, after),
        ];
        change("policy/main/read", action, &[], fields)
    };
    let created = || read("create", |document| (Value::Null, document), &["s3:GetObject"]);
    let attach = || change("role/cart", "update", &[], vec![field("attached", json!([]), json!([arn]))]);
    let told = summary(&plan(vec![created(), attach()]), None);
    assert!(told.contains("actions    + gains s3:GetObject on *\n    policies   + read\n"), "{told}");
    // a policy of which the plan has no document
    let told = summary(&plan(vec![attach()]), None);
    assert!(!told.contains("gains") && told.contains("policies   + read\n"), "{told}");
    // a refused policy is not created
    let mut refused = plan(vec![created(), attach()]);
    refused.refused.push(RefusedV2 {
        address: "policy/main/read".into(),
        why: "no".into(),
        hint: String::new(),
        word: None,
    });
    assert!(!summary(&refused, None).contains("gains"));
    // the roles of a policy that changes need no change
    let widened = read("update", |new| (document(&[allow("", &["s3:GetObject"], "*")]), new), &["s3:*"]);
    let told = summary(&plan(vec![widened]), None);
    assert!(told.contains("actions    + allows s3:* on *, until now only s3:GetObject\n"), "{told}");
}

#[test]
fn boundary_of_which_the_plan_has_the_document_limits_what_a_role_gains() {
    let with = |action: &str| document(&[allow("", &[action], "*")]);
    let limit = |before: Value, after: Value| {
        let fields = vec![
            field("name", json!("limit"), json!("limit")),
            field("path", json!("/"), json!("/")),
            field("document", before, after),
        ];
        change("policy/main/limit", "update", &[], fields)
    };
    let role = |before: Value| {
        let boundary = field("permissions-boundary", before, json!("arn:aws:iam::111122223333:policy/limit"));
        change("role/cart", "update", &[], vec![field("inline.a", with("s3:Get*"), with("s3:*")), boundary])
    };
    let unchanged = || role(json!("arn:aws:iam::111122223333:policy/limit"));
    let told = summary(&plan(vec![unchanged(), limit(with("sqs:*"), with("s3:Get*"))]), None);
    assert!(told.contains("+ gains s3:Get* on *"), "{told}");
    let told = summary(&plan(vec![unchanged(), limit(with("sqs:*"), with("s3:*"))]), None);
    assert!(told.contains("+ gains s3:* on *"), "{told}");
    // without a document on one side, the boundary is not compared
    let told = summary(&plan(vec![role(json!("arn:aws:iam::aws:policy/X")), limit(with("s3:*"), with("sqs:*"))]), None);
    assert!(
        told.contains("+ gains s3:* on *")
            && told.contains("~ what its boundary changes is not known")
            && told.contains("boundary   ~ aws:X -> limit"),
        "{told}"
    );
}

#[test]
fn document_that_is_too_large_to_compare_by_action_says_so() {
    let actions: Vec<String> = (0..60).map(|number| format!("sqs:Action{number}")).collect();
    let resources: Vec<String> = (0..60).map(|number| format!("arn:aws:sqs:::queue{number}")).collect();
    let large = json!({ "Effect": "Allow", "Action": actions, "Resource": resources });
    let fields = vec![field("inline.a", Value::Null, document(&[large]))];
    let told = of_role("update", fields);
    assert!(told.contains("+ gains more than can be compared; see its statements\n"), "{told}");
    // an ordinary large policy
    let statement = |service: usize| {
        let actions: Vec<String> = (0..20).map(|number| format!("s{service}:Action{number}")).collect();
        json!({ "Effect": "Allow", "Action": actions, "Resource": [format!("arn:a{service}"), format!("arn:b{service}")] })
    };
    let statements: Vec<Value> = (0..12).map(statement).collect();
    let told = of_role("update", vec![field("inline.a", Value::Null, document(&statements))]);
    assert!(
        told.contains("s0:Action11 and 16 more actions on arn:a0\n") && told.contains("+ and 21 more lines"),
        "{told}"
    );
}

#[test]
fn documents_that_irsa_read_for_the_plan_count() {
    let in_account = |id: &str, name: &str| format!("arn:aws:iam::{id}:policy/{name}");
    let of = |action: &str| document(&[allow("", &[action], "*")]);
    let names = ConfigKeys {
        accounts: [("1".to_owned(), Key::parse("main").unwrap()), ("2".to_owned(), Key::parse("us").unwrap())].into(),
        documents: [("q", "s3:*"), ("limit", "sqs:*")]
            .map(|(name, action)| (in_account("1", name), crate::policy::PolicyDocument::live(&of(action).to_string())))
            .into(),
        ..ConfigKeys::default()
    };
    let told = |changes: Vec<ChangeV2>| {
        let mut out = Vec::new();
        terminal::plan(&PlanView::of(&plan(changes), Detail::Usual, &names), &Style::plain(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let attached = |before: &[&str], after: &[&str]| {
        let arns = |names: &[&str]| json!(names.iter().map(|name| in_account("1", name)).collect::<Vec<_>>());
        field("attached", arns(before), arns(after))
    };
    let role = |fields: Vec<FieldV2>| change("role/cart", "update", &[], fields);
    // an unchanged policy is attached; the same moves there from an inline policy
    assert!(told(vec![role(vec![attached(&[], &["q"])])]).contains("+ gains s3:* on *"));
    let moved = role(vec![attached(&[], &["q"]), field("inline.a", of("s3:Get*"), Value::Null)]);
    assert!(!told(vec![moved]).contains("- loses"));
    // a boundary that the plan does not change is removed
    let mut bounded = role(vec![field("permissions-boundary", json!(in_account("1", "limit")), Value::Null)]);
    for side in [&mut bounded.before, &mut bounded.after] {
        side["inline"]["a"] = of("s3:*");
    }
    assert!(told(vec![bounded]).contains("+ gains s3:* on *"));
    // a deny goes beside a policy whose document is not known
    let denied = document(&[json!({ "Effect": "Deny", "Action": "iam:*", "Resource": "*" })]);
    let mut freed = role(vec![field("inline.d", denied, Value::Null)]);
    for side in [&mut freed.before, &mut freed.after] {
        side["attached"] = json!(["arn:aws:iam::aws:policy/AdministratorAccess"]);
    }
    assert!(told(vec![freed]).contains("+ gains iam:* on *, as far as another policy allows it"));
    // one name in two accounts, with other documents
    let created = |account: &str, action: &str| {
        let name = ["name", "path"].map(|path| field(path, Value::Null, json!(if path == "name" { "n" } else { "/" })));
        let fields = [&name[..], &[field("document", Value::Null, of(action))]].concat();
        change(&format!("policy/{account}/n"), "create", &[], fields)
    };
    let both = told(vec![created("main", "sqs:A"), created("us", "sqs:B"), role(vec![attached(&[], &["n"])])]);
    assert!(both.contains("+ gains sqs:A on *"), "{both}");
    // a policy of AWS is none of these
    let of_aws = role(vec![field("attached", json!([]), json!(["arn:aws:iam::aws:policy/n"]))]);
    assert!(!told(vec![created("main", "sqs:A"), of_aws]).contains("gains"));
    // the action that matters is named first
    let many = ["a:A", "b:B", "c:C", "d:D", "iam:PassRole"];
    let more = told(vec![role(vec![field("inline.a", Value::Null, document(&[allow("", &many, "*")]))])]);
    assert!(more.contains("+ gains iam:PassRole, a:A, b:B, c:C and 1 more action on *"), "{more}");
}
