//! Builds trust policies from grants. Each provider and audience gets one statement for exact subjects and one for
//! subjects with wildcards.

use super::document::{PolicyDocument, Statement};
use super::parse::Node;
use crate::ids::ProviderArn;
use std::collections::{BTreeMap, BTreeSet};

/// One token subject that may assume the role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The OIDC provider of the cluster's issuer, in the role's account.
    pub provider: ProviderArn,
    /// The `aud` claim.
    pub audience: String,
    /// The `sub` claim, or a pattern with `*` or `?`.
    pub subject: String,
}

/// The trust policy with `grants`, followed by the statements in `extra`.
pub fn build(grants: &BTreeSet<Grant>, extra: &[Statement]) -> PolicyDocument {
    let mut parts: BTreeMap<(&ProviderArn, &str, bool), Vec<&str>> = BTreeMap::new();
    for grant in grants {
        let wild = grant.subject.contains(['*', '?']);
        parts.entry((&grant.provider, &grant.audience, wild)).or_default().push(&grant.subject);
    }
    let mut list: Vec<Statement> = Vec::new();
    for ((provider, audience, wild), subjects) in parts {
        let host = provider.host_path();
        let aud = (format!("{host}:aud").into(), Node::text(audience));
        let sub = (format!("{host}:sub").into(), Node::one_or_all(subjects.into_iter().map(Node::text).collect()));
        let condition = if wild {
            let (equals, like) = (Node::entries([aud]), Node::entries([sub]));
            Node::entries([("StringEquals".into(), equals), ("StringLike".into(), like)])
        } else {
            Node::entries([("StringEquals".into(), Node::entries([aud, sub]))])
        };
        let statement = Node::entries([
            ("Action".into(), Node::text("sts:AssumeRoleWithWebIdentity")),
            ("Condition".into(), condition),
            ("Effect".into(), Node::text("Allow")),
            ("Principal".into(), Node::entries([("Federated".into(), Node::text(provider.as_str()))])),
        ]);
        list.extend(Statement::read(&statement, None).ok());
    }
    list.extend(extra.iter().cloned());
    PolicyDocument::from_statements(&list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn grant(provider: &str, audience: &str, subject: &str) -> Grant {
        Grant {
            provider: ProviderArn::parse(format!("arn:aws:iam::111122223333:oidc-provider/{provider}")).unwrap(),
            audience: audience.into(),
            subject: subject.into(),
        }
    }

    fn statement(provider: &str, condition: &Value) -> Value {
        let provider = format!("arn:aws:iam::111122223333:oidc-provider/{provider}");
        json!({"Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": condition})
    }

    #[test]
    fn exact_and_wildcard_subjects_get_separate_statements() {
        let grants = [
            grant("a.b/1", "x", "n:b"),
            grant("a.b/1", "x", "n:a"),
            grant("a.b/1", "x", "n:*"),
            grant("a.b/1", "x", "n:?"),
            grant("a.b/1", "y", "n:a"),
            grant("a.b/2", "x", "n:*"),
        ];
        let extra = Statement::parse(
            &json!({"Effect": "Deny", "Principal": "*", "Action": "sts:*", "Condition": {"Null": {"a.b/1:sub": true}}}),
            None,
        );
        let built = build(&grants.into(), &[extra.unwrap()]);
        let expected = json!({"Version": "2012-10-17", "Statement": [
            statement("a.b/1", &json!({"StringEquals": {"a.b/1:aud": "x", "a.b/1:sub": ["n:a", "n:b"]}})),
            statement("a.b/1", &json!({"StringEquals": {"a.b/1:aud": "x"}, "StringLike": {"a.b/1:sub": ["n:*", "n:?"]}})),
            statement("a.b/1", &json!({"StringEquals": {"a.b/1:aud": "y", "a.b/1:sub": "n:a"}})),
            statement("a.b/2", &json!({"StringEquals": {"a.b/2:aud": "x"}, "StringLike": {"a.b/2:sub": "n:*"}})),
            {"Effect": "Deny", "Principal": "*", "Action": "sts:*", "Condition": {"Null": {"a.b/1:sub": true}}},
        ]});
        assert_eq!(built.to_value(), expected);
        assert_eq!(built.text(), expected.to_string());
    }
}
