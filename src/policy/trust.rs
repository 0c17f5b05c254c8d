//! Builds trust policies from grants. Each provider and audience gets one statement for exact subjects and one for
//! subjects with wildcards.

use super::document::{PolicyDocument, Statement};
use super::parse::JsonNode;
use crate::ids::ProviderArn;
use std::collections::{BTreeMap, BTreeSet};

/// The action with which a token becomes a session of a role.
pub const WITH_WEB_IDENTITY: &str = "sts:AssumeRoleWithWebIdentity";

/// How the `sub` claim of a ServiceAccount's token begins; namespace and name follow, with a colon between them.
pub const SUBJECT_PREFIX: &str = "system:serviceaccount:";

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
        let aud = (format!("{host}:aud").into(), JsonNode::text(audience));
        let sub =
            (format!("{host}:sub").into(), JsonNode::one_or_all(subjects.into_iter().map(JsonNode::text).collect()));
        let condition = if wild {
            let (equals, like) = (JsonNode::entries([aud]), JsonNode::entries([sub]));
            JsonNode::entries([("StringEquals".into(), equals), ("StringLike".into(), like)])
        } else {
            JsonNode::entries([("StringEquals".into(), JsonNode::entries([aud, sub]))])
        };
        let statement = JsonNode::entries([
            ("Action".into(), JsonNode::text(WITH_WEB_IDENTITY)),
            ("Condition".into(), condition),
            ("Effect".into(), JsonNode::text("Allow")),
            ("Principal".into(), JsonNode::entries([("Federated".into(), JsonNode::text(provider.as_str()))])),
        ]);
        list.extend(Statement::read(&statement, None).ok());
    }
    list.extend(extra.iter().cloned());
    PolicyDocument::from_statements(&list)
}

#[cfg(test)]
mod tests;
