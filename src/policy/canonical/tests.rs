//! Which documents are equal, and which differ.

use super::super::document::{PolicyDocument, PolicyKind, Statement};
use serde_json::{Value, json};

/// A permission statement with some elements replaced. `null` removes one.
fn permit(changes: Value) -> Value {
    with(json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}), changes)
}

/// A trust statement with some elements replaced.
fn trust(changes: Value) -> Value {
    with(json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111122223333"}}), changes)
}

fn with(mut statement: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    let map = statement.as_object_mut().unwrap();
    for (key, value) in changes {
        if value.is_null() {
            map.remove(&key)
        } else {
            map.insert(key, value)
        };
    }
    statement
}

fn policy(statements: &Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// Parses a document as declared and as live.
fn read(document: &Value) -> PolicyDocument {
    let text = document.to_string();
    let kind = if text.contains("Principal\":") { PolicyKind::Trust } else { PolicyKind::Permissions };
    let read = PolicyDocument::parse(&text, kind).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(read, PolicyDocument::live(&text), "{text}");
    read
}

fn same(one: &Value, other: &Value) {
    assert_eq!(read(one), read(other));
}

fn differ(one: &Value, other: &Value) {
    assert_ne!(read(one), read(other), "{one}");
}

fn refused(kind: PolicyKind, text: &str) -> Vec<(String, (usize, usize))> {
    let problems = PolicyDocument::problems(text, kind);
    assert_eq!(PolicyDocument::parse(text, kind).err().as_ref(), problems.first(), "{text}");
    problems.into_iter().map(|problem| (problem.message, problem.position.expect("text has positions"))).collect()
}

/// Each pair of changes gives equal permission statements.
fn same_permissions(pairs: &[(Value, Value)]) {
    for (one, other) in pairs {
        same(&policy(&permit(one.clone())), &policy(&permit(other.clone())));
    }
}

fn different_permissions(pairs: &[(Value, Value)]) {
    for (one, other) in pairs {
        differ(&policy(&permit(one.clone())), &policy(&permit(other.clone())));
    }
}

fn same_trust(pairs: &[(Value, Value)]) {
    for (one, other) in pairs {
        same(&policy(&trust(one.clone())), &policy(&trust(other.clone())));
    }
}

fn different_trust(pairs: &[(Value, Value)]) {
    for (one, other) in pairs {
        differ(&policy(&trust(one.clone())), &policy(&trust(other.clone())));
    }
}

#[test]
fn documents_are_percent_decoded_once_and_plus_is_kept() {
    let plain = policy(&permit(json!({"Resource": "arn:aws:s3:::b/a+b c%20"})));
    let text = plain.to_string();
    let encoded = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string();
    assert_eq!(PolicyDocument::live(&encoded), read(&plain));
    let space = policy(&permit(json!({"Resource": "arn:aws:s3:::b/a b c%20"})));
    assert_ne!(PolicyDocument::live(&encoded), read(&space));
}

#[test]
fn unparsed_document_equals_only_its_own_text() {
    let twice =
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Action":"s3:Get*","Resource":"*"}}"#;
    let live = PolicyDocument::live(twice);
    assert!(!live.is_parsed() && live.statements().is_empty());
    assert_eq!(live.problem().unwrap().message, "duplicate key `Action`, first at line 1, column 55");
    assert_eq!(live, PolicyDocument::live(twice));
    assert_ne!(live, PolicyDocument::live(&twice.replace(',', ", ")));
    assert_ne!(live, read(&policy(&permit(json!({"Action": "s3:Get*", "Resource": "*"})))));
    assert_ne!(PolicyDocument::live("%FE"), PolicyDocument::live("%FF"));
}

#[test]
fn provider_in_an_unparsed_policy_is_found() {
    let text = r#"{"Statement":[{"Effect":"Allow","New":1,"Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider\/oidc.example.com\/id/A"}}]}"#;
    let issuers = PolicyDocument::live(text).federated_issuers();
    assert_eq!(issuers.into_iter().collect::<Vec<_>>(), ["oidc.example.com/id/A"]);
    // with any characters around it
    let arn = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/b";
    for text in [format!("'{arn}'"), format!("{arn} {arn}"), format!("x\n{arn}\t\"y\"")] {
        let providers = PolicyDocument::live(&text).federated_providers();
        assert_eq!(providers.into_iter().collect::<Vec<_>>(), [arn], "{text:?}");
    }
}

#[test]
fn version() {
    let statement = permit(json!({}));
    let none = json!({"Statement": statement});
    same(&none, &json!({"Version": "2008-10-17", "Statement": statement}));
    differ(&none, &policy(&statement));
    differ(&json!({"Version": "2008-10-17", "Statement": statement}), &policy(&statement));
}

#[test]
fn statements_are_a_set() {
    let (one, other) = (permit(json!({})), permit(json!({"Effect": "Deny"})));
    same(&policy(&one), &policy(&json!([one])));
    same(&policy(&json!([one, other])), &policy(&json!([other, one])));
    same(&policy(&json!([one, other])), &policy(&json!([other, one, other])));
    differ(&policy(&json!([one, other])), &policy(&one));
    // statements are not merged
    let put = permit(json!({"Action": "s3:PutObject"}));
    differ(&policy(&json!([one, put])), &policy(&permit(json!({"Action": ["s3:GetObject", "s3:PutObject"]}))));
}

#[test]
fn sid_and_id_are_ignored() {
    let (mut one, mut other) = (policy(&permit(json!({"Sid": "A"}))), policy(&permit(json!({"Sid": ""}))));
    same(&one, &other);
    one["Id"] = json!("x");
    other["Id"] = json!("y");
    same(&one, &other);
    same(&one, &policy(&permit(json!({}))));
}

#[test]
fn effect() {
    different_permissions(&[(json!({}), json!({"Effect": "Deny"}))]);
}

#[test]
fn actions_are_a_set_and_ignore_case() {
    same_permissions(&[
        (json!({"Action": "s3:GetObject"}), json!({"Action": ["s3:GetObject"]})),
        (
            json!({"Action": ["s3:GetObject", "s3:Put*"]}),
            json!({"Action": ["S3:put*", "s3:getobject", "s3:GETOBJECT"]}),
        ),
        (json!({"Action": null, "NotAction": "iam:*"}), json!({"Action": null, "NotAction": ["IAM:*"]})),
    ]);
    different_permissions(&[
        (json!({"Action": "s3:GetObject"}), json!({"Action": "s3:GetObjectAcl"})),
        (json!({"Action": "s3:*"}), json!({"Action": null, "NotAction": "s3:*"})),
        // wildcards are not interpreted
        (json!({"Action": ["s3:*", "s3:GetObject"]}), json!({"Action": "s3:*"})),
        (json!({"Action": "*"}), json!({"Action": "*:*"})),
    ]);
}

#[test]
fn resources_are_a_case_sensitive_set() {
    let (a, b) = ("arn:aws:s3:::a", "arn:aws:s3:::b");
    same_permissions(&[
        (json!({"Resource": a}), json!({"Resource": [a]})),
        (json!({"Resource": [a, b]}), json!({"Resource": [b, a, a]})),
        (json!({"Resource": null, "NotResource": a}), json!({"Resource": null, "NotResource": [a, a]})),
    ]);
    different_permissions(&[
        (json!({"Resource": a}), json!({"Resource": "arn:aws:s3:::A"})),
        (json!({"Resource": a}), json!({"Resource": [a, b]})),
        (json!({"Resource": a}), json!({"Resource": null, "NotResource": a})),
        (json!({"Resource": "*"}), json!({"Resource": ["*", a]})),
    ]);
}

#[test]
fn principals_are_a_set_and_an_account_equals_its_root() {
    let root = "arn:aws:iam::111122223333:root";
    let role = "arn:aws:iam::111122223333:role/a";
    same_trust(&[
        (json!({"Principal": "*"}), json!({"Principal": {"AWS": "*"}})),
        (json!({"Principal": "*"}), json!({"Principal": {"AWS": ["*"]}})),
        (json!({"Principal": {"AWS": "111122223333"}}), json!({"Principal": {"AWS": root}})),
        (json!({"Principal": {"AWS": "111122223333"}}), json!({"Principal": {"AWS": [root, "111122223333"]}})),
        (
            json!({"Principal": {"AWS": "111122223333"}}),
            json!({"Principal": {"AWS": "arn:aws-cn:iam::111122223333:root"}}),
        ),
        (json!({"Principal": {"AWS": [role, root]}}), json!({"Principal": {"AWS": [root, role]}})),
        (
            json!({"Principal": {"AWS": role, "Service": ["ec2.amazonaws.com"]}}),
            json!({"Principal": {"Service": "ec2.amazonaws.com", "AWS": [role]}}),
        ),
        (
            json!({"Effect": "Deny", "Principal": null, "NotPrincipal": {"AWS": root}}),
            json!({"Effect": "Deny", "Principal": null, "NotPrincipal": {"AWS": ["111122223333"]}}),
        ),
    ]);
    different_trust(&[
        (json!({"Principal": {"AWS": root}}), json!({"Principal": {"AWS": "arn:aws:iam::111122223334:root"}})),
        (json!({"Principal": {"AWS": root}}), json!({"Principal": {"AWS": role}})),
        (json!({"Principal": {"AWS": role}}), json!({"Principal": {"AWS": "arn:aws-cn:iam::111122223333:role/a"}})),
        (json!({"Principal": {"AWS": role}}), json!({"Principal": {"AWS": "arn:aws:iam::111122223333:role/A"}})),
        (json!({"Principal": {"AWS": "111122223333"}}), json!({"Principal": {"CanonicalUser": "111122223333"}})),
        (json!({"Principal": {"Federated": "a.b"}}), json!({"Principal": {"Service": "a.b"}})),
        (json!({"Principal": {"Service": "ec2.b"}}), json!({"Principal": {"Service": "EC2.b"}})),
        (json!({"Principal": "*"}), json!({"Principal": {"Federated": "*"}})),
        (json!({"Principal": "*"}), json!({"Principal": {"AWS": ["*", role]}})),
        (
            json!({"Effect": "Deny"}),
            json!({"Effect": "Deny", "Principal": null, "NotPrincipal": {"AWS": "111122223333"}}),
        ),
    ]);
    // similar to a root ARN
    let statement = |aws: &str| Statement::parse(&trust(json!({"Principal": {"AWS": aws}})), None).unwrap();
    assert_ne!(statement("11112222333"), statement("arn:aws:iam::11112222333:root"));
    for other in ["arn:awsx:iam::111122223333:root", "arn:aws:sts::111122223333:root", "arn:aws:iam::11112222333:root"]
    {
        assert_ne!(statement("111122223333"), statement(other), "{other}");
    }
}

#[test]
fn missing_principal_differs_from_everyone() {
    let live = |changes: Value| PolicyDocument::live(&policy(&trust(changes)).to_string());
    let (missing, everyone) = (live(json!({"Principal": null})), live(json!({"Principal": "*"})));
    assert!(missing.is_parsed() && everyone.is_parsed());
    assert_ne!(missing, everyone);
}

#[test]
fn condition_operators_ignore_case() {
    let under = |operator: &str| json!({"Condition": {operator: {"aws:PrincipalTag/a": "x"}}});
    same_permissions(&[
        (under("StringEquals"), under("stringequals")),
        (under("StringEqualsIfExists"), under("STRINGEQUALSIFEXISTS")),
        (under("ForAnyValue:StringLike"), under("foranyvalue:stringLIKE")),
        (under("ForAllValues:ArnLikeIfExists"), under("forallvalues:arnlikeifexists")),
    ]);
    different_permissions(&[
        (under("StringEquals"), under("StringLike")),
        (under("StringEquals"), under("StringEqualsIfExists")),
        (under("StringEquals"), under("StringEqualsIgnoreCase")),
        (under("StringEquals"), under("ForAnyValue:StringEquals")),
        (under("ForAllValues:StringEquals"), under("ForAnyValue:StringEquals")),
        (under("StringEquals"), json!({})),
    ]);
    // an unknown operator is kept as written
    let live = |operator: &str| PolicyDocument::live(&policy(&permit(under(operator))).to_string());
    assert!(live("StringMatches").is_parsed());
    assert_eq!(live("StringMatches"), live("StringMatches"));
    assert_ne!(live("StringMatches"), live("stringmatches"));
}

#[test]
fn condition_keys_ignore_case_except_for_tag_keys_and_issuer_paths() {
    let key = |key: &str| json!({"Condition": {"StringEquals": {key: "x"}}});
    same_permissions(&[
        (key("aws:SourceVpc"), key("AWS:sourcevpc")),
        (key("aws:RequestTag/Team"), key("AWS:requestTAG/Team")),
        (key("oidc.example.com:sub"), key("OIDC.Example.com:SUB")),
        (key("oidc.example.com/id/ABC:sub"), key("OIDC.example.com/id/ABC:Sub")),
        (key("kms:EncryptionContext:App"), key("kms:encryptioncontext:app")),
    ]);
    different_permissions(&[
        (key("aws:RequestTag/Team"), key("aws:RequestTag/team")),
        (key("aws:PrincipalTag/a:B"), key("aws:PrincipalTag/a:b")),
        (key("aws:ResourceTag/Team"), key("aws:ResourceTag/team")),
        (key("aws:ResourceTag/Team"), key("aws:RequestTag/Team")),
        (key("oidc.example.com/id/ABC:sub"), key("oidc.example.com/id/abc:sub")),
        (key("oidc.example.com/id/ABC:sub"), key("oidc.example.com/id/ABC:aud")),
        (key("oidc.example.com/id/ABC:tags/Team"), key("oidc.example.com/id/ABC:tags/team")),
        (key("https://oidc.example.com/id/A:sub"), key("oidc.example.com/id/A:sub")),
    ]);
}

#[test]
fn condition_values_are_a_set_of_texts() {
    let condition = |operator: &str, value: Value| json!({"Condition": {operator: {"aws:x": value}}});
    same_permissions(&[
        (condition("StringEquals", json!("a")), condition("StringEquals", json!(["a"]))),
        (condition("StringEquals", json!(["a", "b"])), condition("StringEquals", json!(["b", "a", "b"]))),
        (condition("Bool", json!(true)), condition("Bool", json!("true"))),
        (condition("Bool", json!("TRUE")), condition("bool", json!(true))),
        (condition("BoolIfExists", json!("False")), condition("BoolIfExists", json!([false]))),
        (condition("Null", json!(false)), condition("Null", json!("false"))),
        (condition("NumericLessThan", json!(10)), condition("NumericLessThan", json!("10"))),
        (condition("NumericLessThan", json!([1, 2])), condition("NumericLessThan", json!(["2", "1"]))),
        (json!({"Condition": {}}), json!({})),
    ]);
    different_permissions(&[
        (condition("StringEquals", json!("a")), condition("StringEquals", json!("A"))),
        (condition("StringEquals", json!("a")), condition("StringEquals", json!(["a", "b"]))),
        (condition("StringEquals", json!("true")), condition("StringEquals", json!("True"))),
        (condition("Bool", json!(true)), condition("Bool", json!(false))),
        (condition("Bool", json!("${aws:PrincipalTag/A}")), condition("Bool", json!("${aws:PrincipalTag/a}"))),
        (condition("NumericLessThan", json!(10)), condition("NumericLessThan", json!("10.0"))),
        (condition("StringEquals", json!("a")), condition("StringEquals", json!("a "))),
    ]);
}

mod refusals;

#[test]
fn minified_document_has_sorted_elements() {
    let text = r#"{"Version": "2012-10-17", "Statement": [{"Resource": "*", "Effect": "Allow", "Action": "s3:*"}], "Id": "x"}"#;
    let sent = PolicyDocument::parse(text, PolicyKind::Permissions).unwrap().minified();
    let at = |element: &str| sent.find(element).unwrap();
    assert!(at("\"Id\"") < at("\"Statement\"") && at("\"Statement\"") < at("\"Version\""), "{sent}");
}

#[test]
fn all_providers_of_a_list_are_found() {
    let arns = ["one", "two"].map(|name| format!("arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/{name}"));
    let statement = trust(json!({"Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": arns}}));
    let document = PolicyDocument::live(&policy(&json!([statement])).to_string());
    let issuers: Vec<String> = document.federated_issuers().into_iter().collect();
    assert_eq!(issuers, ["oidc.example.com/id/one", "oidc.example.com/id/two"]);
    assert_eq!(document.statements()[0].canonical().federated().collect::<Vec<_>>(), arns);
}
