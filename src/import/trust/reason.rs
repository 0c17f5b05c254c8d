//! Why no statement that irsa would generate lets a ServiceAccount in.

use super::{ServiceAccountId, Trusted, list};
use crate::ids::ProviderArn;
use crate::model::pattern::Pattern;
use crate::policy::PolicyDocument;
use crate::policy::trust::{SUBJECT_PREFIX, WITH_WEB_IDENTITY};
use serde_json::Value;
use std::collections::BTreeSet;

/// What is known of the OIDC provider of a cluster in the account of a role.
#[derive(Debug, Clone, Copy)]
pub(in crate::import) enum ProviderState<'a> {
    /// It accepts these audiences.
    Read(&'a BTreeSet<String>),
    Missing,
    Unread,
}

/// Why `trust` lets `subject` in by no statement that irsa would generate. None if nothing in it is in the way.
/// `provider` is that of the subject's cluster. `is_taken` says whether another role binds a ServiceAccount.
pub(in crate::import) fn reason(
    trust: &PolicyDocument,
    (provider, state): (&ProviderArn, ProviderState<'_>),
    subject: &ServiceAccountId,
    is_taken: impl Fn(&ServiceAccountId) -> bool,
) -> Option<String> {
    let (_, namespace, name) = subject;
    let text = format!("{SUBJECT_PREFIX}{namespace}:{name}");
    let all: Vec<Statement> = trust.statements().iter().map(|statement| Statement(statement.to_value())).collect();
    let of_provider: Vec<&Statement> = all.iter().filter(|statement| statement.names(provider)).collect();
    if of_provider.is_empty() {
        return Some(format!("it does not trust the OIDC provider `{provider}`"));
    }
    let Some(statement) = of_provider.iter().find(|statement| statement.subjects().contains(&text.as_str())) else {
        let is_wildcard = |value: &&str| value.contains(['*', '?']) && Pattern::new(*value).matches(&text);
        let mut wildcards = of_provider.iter().flat_map(|statement| statement.subjects()).filter(is_wildcard);
        return Some(match wildcards.next() {
            Some(wildcard) => format!("only the wildcard `{wildcard}` lets it in"),
            None if of_provider.iter().any(|statement| statement.subjects().is_empty()) => {
                "a statement has no condition on `sub`".to_owned()
            }
            None => "no statement names it".to_owned(),
        });
    };
    let accepted = match state {
        ProviderState::Unread => return Some(format!("the OIDC provider `{provider}` could not be read")),
        ProviderState::Missing => {
            return Some(format!("the OIDC provider `{provider}` does not exist, and irsa would create it"));
        }
        ProviderState::Read(audiences) => audiences,
    };
    let own = statement.form(provider).or_else(|| statement.audience(provider, accepted));
    own.or_else(|| statement.other_subjects(subject, is_taken)).or_else(|| {
        let audiences = statement.claim(provider, "aud");
        let same = of_provider.iter().filter(|other| other.claim(provider, "aud") == audiences);
        (same.count() > 1).then(|| "irsa would merge two statements for this provider and audience into one".to_owned())
    })
}

/// A statement as JSON.
struct Statement(Value);

impl Statement {
    /// The values of an element.
    fn strings(&self, element: &str) -> Vec<&str> {
        self.0.get(element).and_then(list).unwrap_or_default()
    }

    fn names(&self, provider: &ProviderArn) -> bool {
        let federated = self.0.get("Principal").and_then(|principal| principal.get("Federated"));
        federated.and_then(list).unwrap_or_default().contains(&provider.as_str())
    }

    /// Operator, key and values of each condition.
    fn conditions(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        let operators = self.0.get("Condition").and_then(Value::as_object).into_iter().flatten();
        operators.flat_map(|(operator, keys)| {
            let keys = keys.as_object().into_iter().flatten();
            keys.map(move |(key, value)| (operator.as_str(), key.as_str(), value))
        })
    }

    /// The values of the conditions on any `sub`.
    fn subjects(&self) -> Vec<&str> {
        let subjects = self.conditions().filter(|(_, key, _)| key.to_ascii_lowercase().ends_with(":sub"));
        subjects.flat_map(|(_, _, value)| list(value).unwrap_or_default()).collect()
    }

    /// The values of the conditions on a claim of the provider.
    fn claim(&self, provider: &ProviderArn, name: &str) -> Vec<&str> {
        let wanted = format!("{}:{name}", provider.host_path());
        let of_claim = self.conditions().filter(|(_, key, _)| key.eq_ignore_ascii_case(&wanted));
        of_claim.flat_map(|(_, _, value)| list(value).unwrap_or_default()).collect()
    }

    /// What differs from a generated statement, except for the values of its conditions.
    fn form(&self, provider: &ProviderArn) -> Option<String> {
        if self.0.get("Effect").and_then(Value::as_str) != Some("Allow") {
            return Some("its statement denies".to_owned());
        }
        let principal = self.0.get("Principal").and_then(Value::as_object)?;
        if principal.len() > 1 || principal.get("Federated").and_then(list).is_none_or(|all| all.len() != 1) {
            return Some("its statement names further principals".to_owned());
        }
        let actions = self.strings("Action");
        if actions.is_empty() {
            return Some("its statement has no `Action`".to_owned());
        }
        if let Some(other) = actions.iter().find(|action| !action.eq_ignore_ascii_case(WITH_WEB_IDENTITY)) {
            return Some(format!("its statement has the action `{other}`"));
        }
        let claims = ["aud", "sub"].map(|name| format!("{}:{name}", provider.host_path()));
        self.conditions().find_map(|(operator, key, _)| {
            let is_claim = claims.iter().any(|claim| key.eq_ignore_ascii_case(claim));
            let is_usual = is_claim && operator.eq_ignore_ascii_case("StringEquals");
            (!is_usual).then(|| format!("its statement has the condition `{operator}` on `{key}`"))
        })
    }

    fn audience(&self, provider: &ProviderArn, accepted: &BTreeSet<String>) -> Option<String> {
        match self.claim(provider, "aud")[..] {
            [] => Some("its statement has no condition on `aud`".to_owned()),
            [only] if accepted.contains(only) => None,
            [only] => Some(format!("the OIDC provider does not accept the audience `{only}`, and irsa would add it")),
            _ => Some("its statement accepts several audiences".to_owned()),
        }
    }

    /// What keeps the subjects beside this one from being bound.
    fn other_subjects(
        &self,
        subject: &ServiceAccountId,
        is_taken: impl Fn(&ServiceAccountId) -> bool,
    ) -> Option<String> {
        let mut seen = BTreeSet::new();
        self.subjects().into_iter().find_map(|text| {
            if !seen.insert(text) {
                return Some(format!("its statement names `{text}` twice"));
            }
            match Trusted::parse(&subject.0, text) {
                Some(Trusted::One(other)) if is_taken(&other) => {
                    let (_, namespace, name) = other;
                    Some(format!("its statement also lets in `{namespace}/{name}`, which has another role"))
                }
                Some(Trusted::One(_)) => None,
                Some(Trusted::Pattern(_)) => {
                    Some(format!("its statement takes the wildcard in `{text}` as plain text"))
                }
                None => Some(format!("its statement also names `{text}`, which is no ServiceAccount")),
            }
        })
    }
}
