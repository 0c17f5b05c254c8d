//! Builds trust policies: one statement for each (provider, audience), exact and wildcard subjects apart.

use super::document::{PolicyDocument, Statement};
use crate::ids::ProviderArn;
use std::collections::BTreeSet;

/// One subject that may assume the role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The provider of the cluster's issuer in the role's account.
    pub provider: ProviderArn,
    /// The audience of the token.
    pub audience: String,
    /// The `sub` claim, perhaps with `*`.
    pub subject: String,
}

/// The trust policy for all of `grants`, and `extra` behind it.
pub fn build(grants: &BTreeSet<Grant>, extra: &[Statement]) -> PolicyDocument {
    let mut parts: std::collections::BTreeMap<(&ProviderArn, &str, bool), Vec<&str>> =
        std::collections::BTreeMap::new();
    for grant in grants {
        let wild = grant.subject.contains(['*', '?']);
        parts.entry((&grant.provider, &grant.audience, wild)).or_default().push(&grant.subject);
    }
    let mut list: Vec<Statement> = Vec::new();
    for ((provider, audience, wild), subjects) in parts {
        let host = provider.host_path();
        let sub = if subjects.len() == 1 { serde_json::json!(subjects[0]) } else { serde_json::json!(subjects) };
        let condition = if wild {
            serde_json::json!({"StringEquals": {format!("{host}:aud"): audience}, "StringLike": {format!("{host}:sub"): sub}})
        } else {
            serde_json::json!({"StringEquals": {format!("{host}:aud"): audience, format!("{host}:sub"): sub}})
        };
        let value = serde_json::json!({"Effect": "Allow", "Principal": {"Federated": provider.as_str()},
            "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition});
        list.extend(Statement::parse(value, None).ok());
    }
    list.extend(extra.iter().cloned());
    PolicyDocument::from_statements(&list)
}
