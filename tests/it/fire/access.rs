//! Who may do what, worked out from the state itself and from nothing that irsa knows.
//!
//! Every role that a ServiceAccount may assume, with every action that its policies allow. Only what the stage's
//! documents use is understood; anything else ends the test.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A ServiceAccount (`issuer sub`), a role and an action.
pub(crate) type Triple = (String, String, String);

/// What is asked of every policy; all that the stage's documents name, and something that none may allow.
const ACTIONS: [&str; 12] = [
    "ec2:RunInstances",
    "iam:CreateUser",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:PutObject",
    "sqs:PurgeQueue",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
    "sts:AssumeRole",
    "secretsmanager:GetSecretValue",
    "dynamodb:GetItem",
];

/// All of them, in all accounts.
pub(crate) fn triples(accounts: &BTreeMap<&'static str, Value>) -> BTreeSet<Triple> {
    let mut all = BTreeSet::new();
    for (account, iam) in accounts {
        for (name, role) in iam["roles"].as_object().into_iter().flatten() {
            let who = subjects(&role["trust"], iam);
            if who.is_empty() {
                continue;
            }
            let can = allowed(role, iam);
            for who in &who {
                for action in &can {
                    all.insert((who.clone(), format!("{account}/{name}"), (*action).to_owned()));
                }
            }
        }
    }
    all
}

fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    }
}

fn texts(value: &Value) -> Vec<&str> {
    list(value).into_iter().map(|item| item.as_str().unwrap_or_else(|| panic!("no text: {item}"))).collect()
}

/// The ServiceAccounts that a trust policy lets in, of the providers that are there.
fn subjects(trust: &Value, iam: &Value) -> BTreeSet<String> {
    let mut who = BTreeSet::new();
    for statement in list(&trust["Statement"]) {
        assert_eq!(statement["Effect"], "Allow", "{statement}");
        if statement["Action"] != "sts:AssumeRoleWithWebIdentity" {
            continue;
        }
        for federated in texts(&statement["Principal"]["Federated"]) {
            let host = federated.split_once(":oidc-provider/").expect("a provider").1;
            let exists = iam["providers"].as_object().into_iter().flatten().any(|(url, _)| url.ends_with(host));
            let condition = statement["Condition"].as_object().expect("a condition");
            assert!(condition.keys().all(|operator| operator == "StringEquals"), "{statement}");
            if exists {
                let subjects = texts(&condition["StringEquals"][format!("{host}:sub")]);
                assert!(!subjects.is_empty(), "everyone is let in: {statement}");
                who.extend(subjects.into_iter().map(|subject| format!("{host} {subject}")));
            }
        }
    }
    who
}

fn document(value: &Value) -> Value {
    match value {
        Value::String(text) => serde_json::from_str(text).expect("a policy"),
        other => other.clone(),
    }
}

/// The document of a managed policy of this account by its ARN.
fn managed(iam: &Value, arn: &str) -> Value {
    let policies = iam["policies"].as_object().into_iter().flatten();
    let found = policies.map(|(_, policy)| policy).find(|policy| policy["arn"] == arn);
    let policy = found.unwrap_or_else(|| panic!("no policy {arn}"));
    document(&policy["versions"][policy["default"].as_str().expect("a default")])
}

/// The actions that a role may do.
fn allowed(role: &Value, iam: &Value) -> Vec<&'static str> {
    let inline = role["inline"].as_object().into_iter().flatten().map(|(_, text)| document(text));
    let attached = texts(&role["attached"]).into_iter().map(|arn| managed(iam, arn));
    let own: Vec<Value> = inline.chain(attached).collect();
    let bound = role["boundary"].as_str().map(|arn| managed(iam, arn));
    let says = |effect: &str, action: &str| own.iter().any(|document| matches(document, effect, action));
    let within = |action: &str| bound.as_ref().is_none_or(|document| matches(document, "Allow", action));
    let may = |action: &&str| within(action) && says("Allow", action) && !says("Deny", action);
    ACTIONS.into_iter().filter(may).collect()
}

fn matches(document: &Value, effect: &str, action: &str) -> bool {
    list(&document["Statement"]).into_iter().filter(|statement| statement["Effect"] == effect).any(|statement| {
        assert!(statement.get("NotAction").is_none() && statement.get("Condition").is_none(), "{statement}");
        texts(&statement["Action"]).into_iter().any(|pattern| like(pattern, action))
    })
}

/// `*` is any text.
fn like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text
            .strip_prefix(head)
            .is_some_and(|tail| (0..=tail.len()).any(|from| tail.is_char_boundary(from) && like(rest, &tail[from..]))),
    }
}
