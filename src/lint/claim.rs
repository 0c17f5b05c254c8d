//! The conditions of a trust statement that are about claims of a token, and what a subject pattern leaves open.

use crate::model::pattern::Pattern;
use crate::policy::canonical::{CanonicalStatement, Choice, Operator, Principal, Quantifier};

/// How the subject of every `ServiceAccount` begins.
const SUBJECT: &str = "system:serviceaccount:";

/// A condition on a claim: its key is `ISSUER:CLAIM`.
pub(super) struct Claim<'a> {
    pub operator: &'a Operator,
    pub key: &'a str,
    /// Host and path of the issuer, however it is dressed up in the key.
    pub issuer: String,
    pub name: String,
    pub values: &'a [String],
    /// What is wrong with the form of the key.
    pub dress: Option<&'static str>,
}

impl<'a> Claim<'a> {
    /// Every condition on a claim.
    pub(super) fn all(body: &'a CanonicalStatement) -> Vec<Self> {
        let blocks = body.conditions.iter();
        blocks
            .flat_map(|(operator, block)| block.iter().filter_map(move |(key, values)| Self::of(operator, key, values)))
            .collect()
    }

    fn of(operator: &'a Operator, key: &'a str, values: &'a [String]) -> Option<Self> {
        let (dressed, name) = key.rsplit_once(':')?;
        let (issuer, mut dress) = if let Some((_, issuer)) = dressed.split_once(":oidc-provider/") {
            (issuer, Some("begins with an ARN"))
        } else if let Some((_, issuer)) = dressed.split_once("://") {
            (issuer, Some("begins with a scheme"))
        } else {
            (dressed, None)
        };
        let trimmed = issuer.trim_end_matches('/');
        if trimmed != issuer {
            dress = dress.or(Some("has a `/` at the end of the issuer"));
        }
        let host = trimmed.split('/').next().unwrap_or_default();
        // keys of services have no dot before their colon
        let foreign = !host.contains('.') || host.contains(':');
        (!foreign).then(|| Self {
            operator,
            key,
            issuer: folded(trimmed),
            name: name.to_ascii_lowercase(),
            values,
            dress,
        })
    }

    /// Whether it asks for the subject or the audience.
    pub(super) fn decides(&self) -> bool {
        matches!(self.name.as_str(), "sub" | "aud")
    }

    /// Whether its values are patterns.
    pub(super) fn like(&self) -> bool {
        matches!(self.operator.base.as_str(), "stringlike" | "arnlike" | "arnequals")
    }
}

/// Whether a condition of this operator holds for whoever is not named, or says nothing of the value.
pub(super) fn excludes(operator: &Operator) -> bool {
    operator.base == "null" || operator.base.contains("not")
}

/// Whether a condition of this operator holds only for those who are named.
pub(super) fn names(operator: &Operator) -> bool {
    !excludes(operator) && !operator.if_exists && operator.quantifier != Quantifier::ForAllValues
}

/// Host and path of an issuer: the case of the host does not count.
pub(super) fn folded(host_path: &str) -> String {
    match host_path.split_once('/') {
        Some((host, path)) => format!("{}/{path}", host.to_ascii_lowercase()),
        None => host_path.to_ascii_lowercase(),
    }
}

/// The ARNs of the IAM OIDC providers that the statement trusts.
pub(super) fn providers(body: &CanonicalStatement) -> Vec<&str> {
    principals(body)
        .filter_map(|principal| match principal {
            Principal::Federated(arn) if arn.contains(":oidc-provider/") => Some(arn.as_str()),
            _ => None,
        })
        .collect()
}

/// Host and path in the ARN of a provider.
pub(super) fn issuer_of(arn: &str) -> String {
    arn.split_once(":oidc-provider/").map_or_else(String::new, |(_, issuer)| folded(issuer))
}

/// Everyone that the statement names.
pub(super) fn principals(body: &CanonicalStatement) -> impl Iterator<Item = &Principal> {
    match &body.principals {
        Some(Choice::Only(set)) => Some(set.iter()),
        Some(Choice::AllBut(_)) | None => None,
    }
    .into_iter()
    .flatten()
}

/// How much of a subject a pattern leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// Nothing, or it is no subject of a `ServiceAccount`.
    Nothing,
    /// The name alone.
    Name,
    /// The namespace.
    Namespace,
    /// Both.
    Everything,
}

/// What a value of a `sub` condition with wildcards leaves open.
pub(super) fn open(pattern: &str) -> Open {
    let wild = |text: &str| text.contains(['*', '?']);
    let free = |text: &str| !text.is_empty() && text.chars().all(|c| c == '*' || c == '?');
    if !wild(pattern) {
        return Open::Nothing;
    }
    let Some(rest) = pattern.strip_prefix(SUBJECT) else {
        let fixed = pattern.split(['*', '?']).next().unwrap_or_default();
        if !SUBJECT.starts_with(fixed) {
            // of another kind of issuer
            return Open::Nothing;
        }
        let anyone = Pattern::new(pattern).matches("system:serviceaccount:q7x-anywhere:z9k-anyone");
        return if anyone { Open::Everything } else { Open::Namespace };
    };
    // a `*` also stands for the colon, so without one the name is open too
    let (namespace, name) = rest.split_once(':').unwrap_or((rest, "*"));
    match (wild(namespace), wild(name)) {
        (true, _) if free(namespace) && free(name) => Open::Everything,
        (true, _) => Open::Namespace,
        (false, true) => Open::Name,
        (false, false) => Open::Nothing,
    }
}

/// Namespace and name of the subject of a `ServiceAccount`.
pub(super) fn subject(value: &str) -> Option<(&str, &str)> {
    value.strip_prefix(SUBJECT)?.split_once(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_leave_open_what_they_leave_open() {
        for (pattern, expected) in [
            ("system:serviceaccount:apps:web", Open::Nothing),
            ("system:serviceaccount:apps:*", Open::Name),
            ("system:serviceaccount:apps:web-*", Open::Name),
            ("system:serviceaccount:apps:web-?", Open::Name),
            ("system:serviceaccount:team-*:web", Open::Namespace),
            ("system:serviceaccount:team-*", Open::Namespace),
            ("system:serviceaccount:*:web", Open::Namespace),
            ("system:serviceaccount:*-a:*", Open::Namespace),
            ("system:serviceaccount:*:*", Open::Everything),
            ("system:serviceaccount:?*:*", Open::Everything),
            ("system:serviceaccount:*", Open::Everything),
            ("system:serviceaccount*", Open::Everything),
            ("system:*", Open::Everything),
            ("*", Open::Everything),
            ("*:*:*:*", Open::Everything),
            ("*:apps:web", Open::Namespace),
            ("repo:org/name:*", Open::Nothing),
        ] {
            assert_eq!(open(pattern), expected, "{pattern}");
        }
    }
}
