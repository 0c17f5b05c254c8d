use super::*;
use serde_json::{Value, json};

fn document(statements: &Value) -> PolicyDocument {
    let document = PolicyDocument::live(&json!({ "Version": "2012-10-17", "Statement": statements }).to_string());
    assert!(document.is_parsed(), "{statements}");
    document
}

fn asks(action: &str, resource: &str, keys: KnownKeys) -> Request {
    Request { caller: Caller::Itself, action: action.to_owned(), resource: resource.to_owned(), keys }
}

fn verdict(statements: &Value, action: &str, resource: &str) -> Truth {
    evaluate(&document(statements), &asks(action, resource, KnownKeys::none())).verdict()
}

#[test]
fn pattern_of_a_request_is_allowed_whole_in_part_or_not() {
    let allow = json!([{ "Effect": "Allow", "Action": ["s3:Get*", "s3:PutObject"], "Resource": "arn:aws:s3:::b/*" }]);
    for (action, resource, expected) in [
        ("s3:GetObject", "arn:aws:s3:::b/k", Truth::True),
        ("S3:getobject", "arn:aws:s3:::b/k", Truth::True),
        ("s3:GetObject", "arn:aws:s3:::c/k", Truth::False),
        ("s3:DeleteObject", "*", Truth::False),
        ("s3:GetObject", "*", Truth::Unknown),
        ("s3:*", "arn:aws:s3:::b/*", Truth::Unknown),
        ("s3:GetObject*", "arn:aws:s3:::b/x*", Truth::True),
    ] {
        assert_eq!(verdict(&allow, action, resource), expected, "{action} {resource}");
    }
}

#[test]
fn not_action_and_not_resource_cover_the_rest() {
    let allow = json!([{ "Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::secret*" }]);
    for (action, resource, expected) in [
        ("s3:GetObject", "arn:aws:s3:::b", Truth::True),
        ("iam:GetRole", "arn:aws:s3:::b", Truth::False),
        ("s3:GetObject", "arn:aws:s3:::secrets", Truth::False),
        ("i*:Get*", "arn:aws:s3:::b", Truth::Unknown),
        ("s3:GetObject", "*", Truth::Unknown),
    ] {
        assert_eq!(verdict(&allow, action, resource), expected, "{action} {resource}");
    }
}

#[test]
fn deny_overrides_and_an_open_deny_leaves_the_answer_open() {
    let allow = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
    let mut deny = json!({ "Effect": "Deny", "Action": "s3:*", "Resource": "*" });
    assert_eq!(verdict(&json!([allow, deny]), "s3:GetObject", "*"), Truth::False);
    assert_eq!(verdict(&json!([allow, deny]), "sqs:SendMessage", "*"), Truth::True);
    deny["Condition"] = json!({ "StringNotEquals": { "aws:SourceVpc": "vpc-1" } });
    assert_eq!(verdict(&json!([allow, deny]), "s3:GetObject", "*"), Truth::Unknown);
}

#[test]
fn unknown_key_leaves_a_condition_open_and_a_known_one_decides_it() {
    let allow = document(
        &json!([{ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/${aws:PrincipalTag/team}/*",
        "Condition": { "StringEquals": { "aws:SourceVpc": ["vpc-1", "vpc-2"] } } }]),
    );
    let answer = |keys: KnownKeys| evaluate(&allow, &asks("s3:GetObject", "arn:aws:s3:::b/a/k", keys)).verdict();
    assert_eq!(answer(KnownKeys::none()), Truth::Unknown);
    let vpc = |name: &str| KnownKeys::none().with("aws:sourceVpc", [name]);
    assert_eq!(answer(vpc("vpc-3")), Truth::False);
    assert_eq!(answer(vpc("vpc-2")), Truth::Unknown, "the tag is unknown");
    assert_eq!(answer(vpc("vpc-2").with("aws:PrincipalTag/team", ["a"])), Truth::True);
    assert_eq!(answer(vpc("vpc-2").with("aws:PrincipalTag/team", ["b"])), Truth::False);
    assert_eq!(answer(KnownKeys::complete()), Truth::False);
}

#[test]
fn document_that_cannot_be_parsed_may_allow_anything() {
    let request = asks("s3:GetObject", "*", KnownKeys::none());
    assert_eq!(evaluate(&PolicyDocument::live("{"), &request).verdict(), Truth::Unknown);
}

const HOST: &str = "oidc.eks.eu-west-1.amazonaws.com/id/ABC";
const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABC";

fn token(trust: &Value) -> (Truth, Option<Match>) {
    let request = Request {
        caller: Caller::Federated(PROVIDER.to_owned()),
        action: "sts:AssumeRoleWithWebIdentity".to_owned(),
        resource: "*".to_owned(),
        keys: KnownKeys::of_token(
            HOST,
            &["sts.amazonaws.com".to_owned()],
            "system:serviceaccount:apps:worker",
            PROVIDER,
        ),
    };
    let document = document(&json!([trust]));
    let evaluation = evaluate(&document, &request);
    (evaluation.verdict(), evaluation.nearest.map(|nearest| nearest.found))
}

fn trust(conditions: &Value) -> Value {
    json!({ "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": { "Federated": PROVIDER }, "Condition": conditions })
}

#[test]
fn token_is_let_in_by_its_claims_and_a_failure_names_the_condition() {
    let exact = json!({ "StringEquals": { format!("{HOST}:sub"): "system:serviceaccount:apps:worker", format!("{HOST}:aud"): "sts.amazonaws.com" } });
    assert_eq!(token(&trust(&exact)).0, Truth::True);
    for (conditions, key, given) in [
        (
            json!({ "StringEquals": { format!("{HOST}:sub"): "system:serviceaccount:apps:other" } }),
            format!("{HOST}:sub"),
            vec!["system:serviceaccount:apps:worker"],
        ),
        // a wildcard is plain text for this operator
        (
            json!({ "StringEquals": { format!("{HOST}:sub"): "system:serviceaccount:apps:*" } }),
            format!("{HOST}:sub"),
            vec!["system:serviceaccount:apps:worker"],
        ),
        (
            json!({ "StringEquals": { format!("{HOST}:aud"): "other" } }),
            format!("{HOST}:aud"),
            vec!["sts.amazonaws.com"],
        ),
        // the key of another issuer
        (json!({ "StringEquals": { "oidc.example.com/x:sub": "a" } }), "oidc.example.com/x:sub".to_owned(), vec![]),
    ] {
        let (verdict, nearest) = token(&trust(&conditions));
        assert_eq!(verdict, Truth::False, "{conditions}");
        let failed = nearest.expect("a statement").failed;
        assert_eq!(failed.len(), 1);
        assert_eq!(
            (failed[0].key.as_str(), failed[0].given.clone()),
            (key.as_str(), Some(given.into_iter().map(str::to_owned).collect()))
        );
    }
    // an issuer without a path
    let request = Request::with_token(
        "arn:aws:iam::111122223333:oidc-provider/oidc.example.com",
        "oidc.example.com",
        &["a".to_owned()],
        "s",
    );
    let mut other_key = trust(&json!({ "StringEquals": { "oidc.example.org:sub": "s" } }));
    other_key["Principal"]["Federated"] = json!("arn:aws:iam::111122223333:oidc-provider/oidc.example.com");
    assert_eq!(evaluate(&document(&json!([other_key])), &request).verdict(), Truth::False);
    let like = json!({ "StringLike": { format!("{HOST}:sub"): "system:serviceaccount:apps:*" } });
    assert_eq!(token(&trust(&like)).0, Truth::True);
    let address = json!({ "IpAddress": { "aws:SourceIp": "10.0.0.0/8" } });
    assert_eq!(token(&trust(&address)).0, Truth::Unknown);
    let mut other = trust(&exact);
    other["Principal"]["Federated"] = json!(format!("{PROVIDER}X"));
    let (verdict, nearest) = token(&other);
    assert_eq!((verdict, nearest.map(|found| found.caller)), (Truth::False, Some(false)));
}
