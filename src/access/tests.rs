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
        placeholders: Vec::new(),
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
fn deny_or_boundary_that_takes_each_part_takes_all() {
    let on = |effect: &str, action: &str, buckets: &[&str]| {
        let resources: Vec<String> = buckets.iter().map(|name| format!("arn:aws:s3:::{name}/*")).collect();
        json!({ "Effect": effect, "Action": action, "Resource": resources })
    };
    let allow = || on("Allow", "s3:Get*", &["a", "b"]);
    let of = |statements: &[Value], boundary: Option<&Value>| {
        let boundary = boundary.map(|statement| policy("limit", &json!([statement])));
        role(vec![policy("p", &json!(statements))], boundary).decide("s3:GetObject", "*").answer
    };
    assert_eq!(of(&[allow()], None), Permitted::If);
    assert_eq!(of(&[allow(), on("Deny", "s3:*", &["a"])], None), Permitted::If);
    assert_eq!(of(&[allow(), on("Deny", "s3:*", &["a"]), on("Deny", "s3:*", &["b"])], None), Permitted::No);
    assert_eq!(of(&[allow(), on("Deny", "s3:Put*", &["a", "b"])], None), Permitted::If);
    let mut conditional = on("Deny", "s3:*", &["a", "b"]);
    conditional["Condition"] = json!({ "StringEquals": { "aws:SourceVpc": "vpc-1" } });
    assert_eq!(of(&[allow(), conditional], None), Permitted::If);
    assert_eq!(of(&[allow()], Some(&on("Allow", "s3:*", &["b"]))), Permitted::If);
    assert_eq!(of(&[allow()], Some(&on("Allow", "s3:*", &["c"]))), Permitted::No);
    let variable =
        json!({ "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::${aws:PrincipalTag/team}/*" });
    assert_eq!(of(&[variable, on("Deny", "s3:*", &["a"])], None), Permitted::If);
}

#[test]
fn placeholder_that_decides_makes_the_answer_unknown() {
    use super::readings::Placeholder;
    let of = |statements: Value, resource: &str| {
        let id = Placeholder { text: "000000000000", pattern: "????????????", why: "the id is not known" };
        let role = RolePermissions { placeholders: vec![id], ..role(vec![policy("p", &statements)], None) };
        role.decide("s3:GetObject", resource)
    };
    let on = |effect: &str, key: &str, resources: &[&str]| {
        let mut statement = json!({ "Effect": effect, "Action": "s3:*" });
        statement[key] = json!(resources);
        statement
    };
    let own = "arn:aws:s3:::d-000000000000/*";
    let (real, other) = ("arn:aws:s3:::d-111122223333/k", "arn:aws:s3:::x/k");
    for (expected, statements, resource) in [
        (Permitted::May, json!([on("Allow", "Resource", &[own])]), real),
        (Permitted::No, json!([on("Allow", "Resource", &[own])]), other),
        (Permitted::Yes, json!([on("Allow", "Resource", &[own, "*"])]), real),
        (Permitted::May, json!([on("Allow", "NotResource", &[own])]), real),
        (Permitted::Yes, json!([on("Allow", "NotResource", &[own])]), other),
        (Permitted::May, json!([on("Allow", "Resource", &["*"]), on("Deny", "Resource", &[own])]), real),
        (Permitted::Yes, json!([on("Allow", "Resource", &["*"]), on("Deny", "Resource", &[own])]), other),
        // a deny alone allows nothing
        (Permitted::No, json!([on("Deny", "Resource", &[own])]), real),
    ] {
        let decision = of(statements.clone(), resource);
        assert_eq!(decision.answer, expected, "{statements} {resource}");
        if expected == Permitted::May {
            assert_eq!(decision.unread.len(), 1, "{statements} {resource}");
        }
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
