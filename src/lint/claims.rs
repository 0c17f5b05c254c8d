//! Conditions of trust statements on claims of a token, and how many subjects a subject pattern matches.

use super::has_word;
use crate::policy::canonical::{CanonicalStatement, Operator, Quantifier};
use crate::policy::condition::{Condition, Restriction, conditions, with_stars_for_variables};
use crate::policy::pattern::{covers, fixed_prefix, is_wild, variables};
use crate::policy::trust::SUBJECT_PREFIX;

/// A condition on a claim. Its key is `ISSUER:CLAIM`.
pub(super) struct ClaimCondition<'a> {
    pub condition: Condition<'a>,
    /// Host and path of the issuer, the host in lower case.
    pub issuer: String,
    /// The name of the claim, in lower case.
    pub claim: String,
    /// What is wrong with the form of the key.
    pub malformed: Option<&'static str>,
    pub restriction: Restriction,
}

impl<'a> ClaimCondition<'a> {
    /// All conditions of a statement on claims.
    pub(super) fn all(statement: &'a CanonicalStatement) -> Vec<Self> {
        conditions(statement).filter_map(Self::of).collect()
    }

    fn of(condition: Condition<'a>) -> Option<Self> {
        let (issuer, claim) = condition.key.rsplit_once(':')?;
        let (issuer, mut malformed) = if let Some((_, issuer)) = issuer.split_once(":oidc-provider/") {
            (issuer, Some("begins with an ARN"))
        } else if let Some((_, issuer)) = issuer.split_once("://") {
            (issuer, Some("begins with a scheme"))
        } else {
            (issuer, None)
        };
        let trimmed = issuer.trim_end_matches('/');
        if trimmed != issuer {
            malformed = malformed.or(Some("has a `/` at the end of the issuer"));
        }
        let host = trimmed.split('/').next().unwrap_or_default();
        // condition keys of AWS services have no dot before the colon
        let is_claim = host.contains('.') && !host.contains(':');
        is_claim.then(|| Self {
            condition,
            issuer: with_lower_case_host(trimmed),
            claim: claim.to_ascii_lowercase(),
            malformed,
            // a variable may have any value that the token sets
            restriction: condition.restriction(&["?*"], |_| true),
        })
    }

    pub(super) fn key(&self) -> &'a str {
        self.condition.key
    }

    pub(super) fn operator(&self) -> &'a Operator {
        self.condition.operator
    }

    pub(super) fn values(&self) -> &'a [String] {
        self.condition.values
    }

    pub(super) fn is_on_subject_or_audience(&self) -> bool {
        matches!(self.claim.as_str(), "sub" | "aud")
    }

    /// Whether wildcards have a meaning in the values.
    pub(super) fn takes_patterns(&self) -> bool {
        self.condition.takes_patterns()
    }

    /// Whether the claim may have any value, because it is compared with itself.
    pub(super) fn accepts_any_value(&self) -> bool {
        !self.takes_patterns()
            && matches!(self.restriction, Restriction::None | Restriction::Present)
            && self.operator().base != "null"
    }

    /// The patterns among the values, with `*` for variables.
    pub(super) fn patterns(&self) -> impl Iterator<Item = String> {
        let patterns = self.values().iter().filter(|_| self.takes_patterns());
        patterns.map(|value| with_stars_for_variables(value, |_| true))
    }

    /// Whether the condition names values that have no wildcard before the first `/` or `:`.
    pub(super) fn names_values(&self) -> bool {
        let is_fixed =
            |value: &String| !self.takes_patterns() || !is_wild(value) || fixed_prefix(value).contains(['/', ':']);
        self.restriction == Restriction::Names
            && self.values().iter().all(|value| variables(value).is_empty() && is_fixed(value))
    }
}

/// Whether an operator excludes values, or tests only whether the key exists.
pub(super) fn excludes(operator: &Operator) -> bool {
    operator.base == "null" || operator.base.contains("not")
}

/// Whether a condition with this operator holds only for the values that it names.
pub(super) fn includes(operator: &Operator) -> bool {
    !excludes(operator) && !operator.if_exists && operator.quantifier != Quantifier::ForAllValues
}

/// Host and path of an issuer with the host in lower case, because case is ignored there.
fn with_lower_case_host(host_path: &str) -> String {
    match host_path.split_once('/') {
        Some((host, path)) => format!("{}/{path}", host.to_ascii_lowercase()),
        None => host_path.to_ascii_lowercase(),
    }
}

/// The ARNs of the OIDC providers that the statement trusts.
pub(super) fn providers(statement: &CanonicalStatement) -> Vec<&str> {
    statement.federated().filter(|arn| arn.contains(":oidc-provider/")).collect()
}

/// Host and path of the issuer in the ARN of a provider.
pub(super) fn issuer_of(arn: &str) -> String {
    arn.split_once(":oidc-provider/").map_or_else(String::new, |(_, issuer)| with_lower_case_host(issuer))
}

/// Which ServiceAccounts, or tenants of a shared issuer, a subject pattern may match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SubjectScope {
    /// One, or some of one tenant.
    Fixed,
    /// Any name in one namespace.
    AnyName,
    /// Any namespace.
    AnyNamespace,
    /// Any name in any namespace, or any tenant.
    Any,
}

/// Issuers whose tokens everyone can get. Their subjects begin with the tenant: `repo:ORG/…` or `repo:ORG@ID/…`
/// (<https://docs.github.com/actions/reference/openid-connect-reference>), or `project_path:GROUP/…`
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_oidc_secure-by-default.html>).
const SHARED_ISSUERS: &str = "
    agent.buildkite.com app.terraform.io gitlab.com oidc.vercel.com token.actions.githubusercontent.com
    vstoken.actions.githubusercontent.com
";

/// Whether a pattern names the tenant of a shared issuer: `KIND:TENANT/…`, `KIND:TENANT:…` or `KIND:TENANT@ID…`. No
/// tenant has `/`, `:` or `@` in its name.
fn pattern_names_tenant(pattern: &str) -> bool {
    fixed_prefix(pattern)
        .split_once(':')
        .is_some_and(|(kind, rest)| !kind.is_empty() && rest.find([':', '/', '@']).is_some_and(|length| length > 0))
}

/// The scope of a value of a `sub` condition.
pub(super) fn subject_scope(issuer: &str, pattern: &str) -> SubjectScope {
    let wild = |text: &str| text.contains(['*', '?']);
    let only_wild = |text: &str| !text.is_empty() && text.chars().all(|c| c == '*' || c == '?');
    if !wild(pattern) {
        return SubjectScope::Fixed;
    }
    if has_word(SHARED_ISSUERS, issuer) {
        return if pattern_names_tenant(pattern) { SubjectScope::Fixed } else { SubjectScope::Any };
    }
    let covers_all = covers(pattern, "system:serviceaccount:?*:?*");
    let Some(rest) = pattern.strip_prefix(SUBJECT_PREFIX) else {
        return if covers(pattern, "?*:?*") {
            SubjectScope::Any
        } else if !SUBJECT_PREFIX.starts_with(fixed_prefix(pattern)) {
            // a subject of another kind of issuer
            SubjectScope::Fixed
        } else if covers_all {
            SubjectScope::Any
        } else {
            SubjectScope::AnyNamespace
        };
    };
    // a `*` also matches the colon, so without a colon the name is open too
    let (namespace, name) = rest.split_once(':').unwrap_or((rest, "*"));
    match (wild(namespace), wild(name)) {
        (true, _) if only_wild(namespace) && only_wild(name) || covers_all => SubjectScope::Any,
        (true, _) => SubjectScope::AnyNamespace,
        (false, true) => SubjectScope::AnyName,
        (false, false) => SubjectScope::Fixed,
    }
}

/// Namespace and name in the subject of a ServiceAccount.
pub(super) fn service_account(subject: &str) -> Option<(&str, &str)> {
    subject.strip_prefix(SUBJECT_PREFIX)?.split_once(':')
}

#[cfg(test)]
mod tests;
