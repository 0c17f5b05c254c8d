//! Random documents of every shape that parses, with random texts.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A regular expression that is compiled once.
fn text(pattern: &str) -> impl Strategy<Value = String> + Clone + use<> {
    std::sync::Arc::new(prop::string::string_regex(pattern).unwrap())
}

fn texts(pattern: &'static str) -> impl Strategy<Value = Value> {
    let one = text(pattern);
    prop_oneof![one.clone().prop_map(Value::from), prop::collection::vec(one, 1..4).prop_map(Value::from)]
}

fn values() -> impl Strategy<Value = Value> {
    let one = prop_oneof![
        text("[a-zA-Z*?:/ ]{0,8}").prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
    ];
    prop_oneof![one.clone(), prop::collection::vec(one, 1..4).prop_map(Value::from)]
}

fn conditions() -> impl Strategy<Value = Value> {
    const OPERATORS: [&str; 8] = [
        "StringEquals",
        "StringLike",
        "StringNotEqualsIfExists",
        "ForAllValues:StringLike",
        "ForAnyValue:ArnLikeIfExists",
        "Bool",
        "Null",
        "NumericLessThan",
    ];
    const KEYS: [&str; 7] = [
        "aws:SourceVpc",
        "aws:RequestTag/Team",
        "aws:RequestTag/team",
        "oidc.example.com/id/ABC:sub",
        "oidc.example.com/id/abc:sub",
        "oidc.example.com:aud",
        "sts:ExternalId",
    ];
    let block = prop::collection::btree_map(prop::sample::select(&KEYS[..]), values(), 1..3);
    let block =
        block.prop_map(|map| Value::Object(map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()));
    let all = prop::collection::btree_map(prop::sample::select(&OPERATORS[..]), block, 0..3);
    all.prop_map(|map| Value::Object(map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()))
}

fn principals() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("*")),
        texts("[0-9]{12}|arn:aws:iam::[0-9]{12}:(root|role/[a-zA-Z]{1,4})|\\*").prop_map(|list| json!({"AWS": list})),
        (texts("[0-9]{12}"), texts("[a-z]{1,5}\\.amazonaws\\.com"))
            .prop_map(|(accounts, services)| json!({"AWS": accounts, "Service": services})),
        Just(json!({"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/ABC"})),
    ]
}

fn statement() -> impl Strategy<Value = Value> {
    let actions = texts("(s3|sts|iam):[A-Za-z*]{1,6}|\\*");
    let resources = texts("arn:aws:s3:::[a-zA-Z*/]{1,6}|\\*");
    (any::<bool>(), any::<bool>(), actions, any::<bool>(), resources, prop::option::of(principals()), conditions())
        .prop_map(|(deny, not_action, actions, not, resources, principals, conditions)| {
            let mut map = Map::new();
            map.insert("Effect".into(), json!(if deny { "Deny" } else { "Allow" }));
            map.insert(if not_action { "NotAction" } else { "Action" }.into(), actions);
            match principals {
                Some(principals) => map.insert(if not { "NotPrincipal" } else { "Principal" }.into(), principals),
                None => map.insert(if not { "NotResource" } else { "Resource" }.into(), resources),
            };
            if conditions.as_object().is_some_and(|map| !map.is_empty()) || deny {
                map.insert("Condition".into(), conditions);
            }
            Value::Object(map)
        })
}

pub(super) fn document() -> impl Strategy<Value = Value> {
    (prop::option::of(any::<bool>()), prop::collection::vec(statement(), 1..4)).prop_map(|(version, statements)| {
        let mut document = json!({"Statement": statements});
        if let Some(current) = version {
            document["Version"] = json!(if current { "2012-10-17" } else { "2008-10-17" });
        }
        document
    })
}
