use super::*;
use serde_json::{Value, json};

fn policy(name: &str, statements: &Value) -> NamedPolicy {
    let text = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    NamedPolicy { name: name.to_owned(), document: Observed::Present(PolicyDocument::live(&text)) }
}

fn role(policies: Vec<NamedPolicy>, boundary: Option<NamedPolicy>) -> RolePermissions {
    RolePermissions {
        key: Key::parse("a").unwrap(),
        arn: "arn:aws:iam::111122223333:role/a".to_owned(),
        account: "111122223333".to_owned(),
        policies: Observed::Present(policies),
        boundary,
    }
}

fn allow(action: &str) -> Value {
    json!([{ "Effect": "Allow", "Action": action, "Resource": "*" }])
}

fn unread() -> NamedPolicy {
    NamedPolicy { name: "x".to_owned(), document: Observed::Unknown("AccessDenied".to_owned()) }
}

fn answer(role: &RolePermissions) -> Permitted {
    role.decide("s3:GetObject", "arn:aws:s3:::b/k").answer
}

#[test]
fn answer_counts_all_policies_and_the_boundary() {
    let get = || policy("get", &allow("s3:Get*"));
    let put = || policy("put", &allow("s3:Put*"));
    let deny = |conditions: Value| {
        let mut statement = json!([{ "Effect": "Deny", "Action": "s3:*", "Resource": "*" }]);
        if !conditions.is_null() {
            statement[0]["Condition"] = conditions;
        }
        policy("deny", &statement)
    };
    let vpc = || json!({ "StringNotEquals": { "aws:SourceVpc": "vpc-1" } });
    for (expected, policies, boundary) in [
        (Permitted::Yes, vec![get()], None),
        (Permitted::No, vec![put()], None),
        (Permitted::No, vec![], None),
        (Permitted::Yes, vec![put(), get()], None),
        (Permitted::No, vec![get(), deny(Value::Null)], None),
        (Permitted::If, vec![get(), deny(vpc())], None),
        (Permitted::Yes, vec![get()], Some(get())),
        (Permitted::No, vec![get()], Some(put())),
        (Permitted::No, vec![put()], Some(get())),
        (Permitted::May, vec![unread()], None),
        (Permitted::May, vec![get(), unread()], None),
        (Permitted::No, vec![unread(), deny(Value::Null)], None),
        (Permitted::May, vec![get()], Some(unread())),
        (Permitted::No, vec![put()], Some(unread())),
        (Permitted::No, vec![unread()], Some(put())),
    ] {
        let role = role(policies, boundary);
        assert_eq!(answer(&role), expected, "{role:?}");
    }
}

#[test]
fn own_arn_is_known_and_other_keys_are_not() {
    let with = |conditions: Value| {
        let mut statement = allow("s3:GetObject");
        statement[0]["Condition"] = conditions;
        answer(&role(vec![policy("p", &statement)], None))
    };
    assert_eq!(with(json!({ "ArnLike": { "aws:PrincipalArn": "arn:aws:iam::*:role/a" } })), Permitted::Yes);
    assert_eq!(with(json!({ "ArnLike": { "aws:PrincipalArn": "arn:aws:iam::*:role/b" } })), Permitted::No);
    assert_eq!(with(json!({ "StringEquals": { "aws:SourceVpc": "vpc-1" } })), Permitted::If);
}

#[test]
fn role_that_could_not_be_read_may_do_anything() {
    let unread = RolePermissions { policies: Observed::Unknown("no".to_owned()), ..role(Vec::new(), None) };
    assert_eq!(answer(&unread), Permitted::May);
    let absent = RolePermissions { policies: Observed::Absent, ..role(Vec::new(), None) };
    assert_eq!(answer(&absent), Permitted::No);
}
