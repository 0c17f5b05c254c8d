//! The conditions of a trust statement that are about claims of a token, and what a subject pattern leaves open.

use crate::policy::canonical::{CanonicalStatement, Choice, Operator, Principal, Quantifier};
use crate::policy::condition::{Condition, Says, conditions};
use crate::policy::pattern_cover::{covers, is_wild, variables};

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
    pub says: Says,
}

impl<'a> Claim<'a> {
    /// Every condition on a claim.
    pub(super) fn all(body: &'a CanonicalStatement) -> Vec<Self> {
        conditions(body).filter_map(Self::of).collect()
    }

    fn of(condition: Condition<'a>) -> Option<Self> {
        let Condition { operator, key, values } = condition;
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
            // whatever a variable holds is up to the token
            says: condition.says(&["?*"], |_| true),
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

    /// Whether it asks nothing but that the claim be there: compared with itself it always holds.
    pub(super) fn asks_nothing(&self) -> bool {
        !self.like() && matches!(self.says, Says::Nothing | Says::Presence) && self.operator.base != "null"
    }

    /// The patterns among its values, with `*` for variables.
    pub(super) fn patterns(&self) -> impl Iterator<Item = String> {
        let patterns = self.values.iter().filter(|_| self.like());
        patterns.map(|value| {
            variables(value).iter().fold(value.clone(), |text, name| text.replace(&format!("${{{name}}}"), "*"))
        })
    }

    /// Whether it holds for some values only, which it writes out to the end or to a `/` or `:`.
    pub(super) fn pins(&self) -> bool {
        let literal = |value: &String| {
            !self.like()
                || !is_wild(value)
                || value.split(['*', '?']).next().is_some_and(|text| text.contains(['/', ':']))
        };
        self.says == Says::Only && self.values.iter().all(|value| variables(value).is_empty() && literal(value))
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

/// Issuers that everyone may have tokens of: the subject begins with the tenant, as in `repo:ORG/…`, and of late
/// `repo:ORG@ID/…` (<https://docs.github.com/actions/reference/openid-connect-reference>), or `project_path:GROUP/…`
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_oidc_secure-by-default.html>).
const SHARED: [&str; 6] = [
    "agent.buildkite.com",
    "app.terraform.io",
    "gitlab.com",
    "oidc.vercel.com",
    "token.actions.githubusercontent.com",
    "vstoken.actions.githubusercontent.com",
];

/// Whether a pattern writes out which tenant of a shared issuer is meant: `KIND:TENANT/…`, `KIND:TENANT:…` or
/// `KIND:TENANT@ID…`; no tenant has any of the three in its name.
fn names_tenant(pattern: &str) -> bool {
    let literal = pattern.split(['*', '?']).next().unwrap_or_default();
    literal
        .split_once(':')
        .is_some_and(|(kind, rest)| !kind.is_empty() && rest.find([':', '/', '@']).is_some_and(|length| length > 0))
}

/// What a value of a `sub` condition with wildcards leaves open.
pub(super) fn open(issuer: &str, pattern: &str) -> Open {
    let wild = |text: &str| text.contains(['*', '?']);
    let free = |text: &str| !text.is_empty() && text.chars().all(|c| c == '*' || c == '?');
    if !wild(pattern) {
        return Open::Nothing;
    }
    if SHARED.contains(&issuer) {
        return if names_tenant(pattern) { Open::Nothing } else { Open::Everything };
    }
    let Some(rest) = pattern.strip_prefix(SUBJECT) else {
        let fixed = pattern.split(['*', '?']).next().unwrap_or_default();
        if covers(pattern, "?*:?*") {
            return Open::Everything;
        }
        if !SUBJECT.starts_with(fixed) {
            // of another kind of issuer
            return Open::Nothing;
        }
        let anyone = covers(pattern, "system:serviceaccount:?*:?*");
        return if anyone { Open::Everything } else { Open::Namespace };
    };
    // a `*` also stands for the colon, so without one the name is open too
    let (namespace, name) = rest.split_once(':').unwrap_or((rest, "*"));
    match (wild(namespace), wild(name)) {
        (true, _) if free(namespace) && free(name) || covers(pattern, "system:serviceaccount:?*:?*") => {
            Open::Everything
        }
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
            assert_eq!(open("oidc.example.com", pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn a_shared_issuer_has_tenants() {
        let github = "token.actions.githubusercontent.com";
        for (pattern, expected) in [
            ("repo:*", Open::Everything),
            ("repo:*/*", Open::Everything),
            ("repo:org*", Open::Everything),
            ("repo:org*/app:*", Open::Everything),
            ("repo:?rg/app:*", Open::Everything),
            ("*:ref:refs/heads/main", Open::Everything),
            ("*org/app*", Open::Everything),
            ("repo:org/*", Open::Nothing),
            ("repo:org/app:*", Open::Nothing),
            ("repo:org@123/app@456:*", Open::Nothing),
            ("repo:org@123/*", Open::Nothing),
            ("repo:org@*/app@*:*", Open::Nothing),
            ("repo:*@123/*", Open::Everything),
            ("repository_owner_id:123:*", Open::Nothing),
            ("repository_owner_id:12*", Open::Everything),
            ("repo:org/app:ref:refs/heads/main", Open::Nothing),
        ] {
            assert_eq!(open(github, pattern), expected, "{pattern}");
        }
        assert_eq!(open("gitlab.com", "project_path:*:ref:main"), Open::Everything);
        assert_eq!(open("gitlab.com", "project_path:group/*"), Open::Nothing);
        assert_eq!(open("app.terraform.io", "organization:*"), Open::Everything);
        assert_eq!(open("app.terraform.io", "organization:acme:*"), Open::Nothing);
    }
}
