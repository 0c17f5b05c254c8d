//! Splits a live trust policy into statements that irsa generates from bindings, and statements to declare as they are.

mod reason;

pub(super) use reason::{ProviderState, reason};

use crate::ids::{Key, Namespace, ProviderArn, ServiceAccountName};
use crate::policy::trust::{self, Grant, SUBJECT_PREFIX};
use crate::policy::{PolicyDocument, Statement};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A ServiceAccount of a cluster.
pub(super) type ServiceAccountId = (Key, Namespace, ServiceAccountName);

/// A pattern of ServiceAccounts of a cluster: namespace and name, at least one of them with a wildcard.
pub(super) type SubjectPattern = (Key, String, String);

/// The OIDC providers of an account for which bindings are possible: the cluster of each, and its audiences.
pub(super) type Providers<'a> = BTreeMap<&'a ProviderArn, (&'a Key, &'a BTreeSet<String>)>;

/// The parts of a trust policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// The ServiceAccounts to bind, with the audience of their tokens.
    pub bindings: BTreeMap<ServiceAccountId, String>,
    /// The patterns to trust, with the audience.
    pub patterns: BTreeMap<SubjectPattern, String>,
    /// The statements to declare as they are.
    pub verbatim: Vec<Statement>,
}

/// Splits `live`. A subject is bound only if `is_free` says that no other role binds it.
///
/// The parts give a policy that is equal to `live` if its version is 2012-10-17. A missing provider or audience would
/// be created for a binding, so those statements are declared as they are.
pub(super) fn split(
    live: &PolicyDocument,
    providers: &Providers<'_>,
    is_free: impl Fn(&ServiceAccountId) -> bool,
) -> Parts {
    let mut parts = Parts::default();
    let mut grants = BTreeSet::new();
    // irsa writes one statement for the exact subjects of a provider and audience, and one for the patterns
    let mut used: BTreeSet<(ProviderArn, String, bool)> = BTreeSet::new();
    for statement in live.statements() {
        let bound = generated(statement, providers).filter(|found| {
            let is_free = found.iter().all(|(_, trusted)| match trusted {
                Trusted::One(subject) => is_free(subject) && !parts.bindings.contains_key(subject),
                Trusted::Pattern(pattern) => !parts.patterns.contains_key(pattern),
            });
            is_free
                && found.first().is_some_and(|(grant, trusted)| {
                    let is_pattern = matches!(trusted, Trusted::Pattern(_));
                    used.insert((grant.provider.clone(), grant.audience.clone(), is_pattern))
                })
        });
        let Some(found) = bound else {
            parts.verbatim.push(statement.clone());
            continue;
        };
        for (grant, trusted) in found {
            match trusted {
                Trusted::One(subject) => drop(parts.bindings.insert(subject, grant.audience.clone())),
                Trusted::Pattern(pattern) => drop(parts.patterns.insert(pattern, grant.audience.clone())),
            }
            grants.insert(grant);
        }
    }
    if trust::build(&grants, &parts.verbatim) == *live {
        return parts;
    }
    Parts { verbatim: live.statements().to_vec(), ..Parts::default() }
}

/// What a statement trusts.
enum Trusted {
    One(ServiceAccountId),
    Pattern(SubjectPattern),
}

impl Trusted {
    /// The value of a `sub` condition. None if irsa cannot declare it.
    fn parse(cluster: &Key, text: &str) -> Option<Self> {
        let (namespace, name) = text.strip_prefix(SUBJECT_PREFIX)?.split_once(':')?;
        if !text.contains(['*', '?']) {
            let subject = (cluster.clone(), Namespace::parse(namespace).ok()?, ServiceAccountName::parse(name).ok()?);
            return Some(Self::One(subject));
        }
        // a pattern in which each wildcard stands for a letter must be a name
        let plain = |text: &str| text.replace(['*', '?'], "x");
        (Namespace::parse(plain(namespace)).is_ok() && ServiceAccountName::parse(plain(name)).is_ok())
            .then(|| Self::Pattern((cluster.clone(), namespace.to_owned(), name.to_owned())))
    }
}

/// The grants of a statement that is exactly what irsa would generate for them.
fn generated(statement: &Statement, providers: &Providers<'_>) -> Option<Vec<(Grant, Trusted)>> {
    let value = statement.to_value();
    let provider = one(value.get("Principal")?.get("Federated")?)?;
    let provider = ProviderArn::parse(provider).ok()?;
    let (cluster, audiences) = providers.get(&provider)?;
    let conditions = value.get("Condition")?.as_object()?;
    let claim = |name: &str| {
        let mut keys = conditions.values().filter_map(Value::as_object).flatten();
        keys.find(|(key, _)| key.rsplit(':').next().is_some_and(|end| end.eq_ignore_ascii_case(name)))
            .map(|(_, value)| value)
    };
    let audience = one(claim("aud")?)?;
    if !audiences.contains(audience) {
        return None;
    }
    let found: Option<Vec<(Grant, Trusted)>> = list(claim("sub")?)?
        .into_iter()
        .map(|text| {
            let grant = Grant { provider: provider.clone(), audience: audience.to_owned(), subject: text.to_owned() };
            Some((grant, Trusted::parse(cluster, text)?))
        })
        .collect();
    let found = found?;
    let built = trust::build(&found.iter().map(|(grant, _)| grant.clone()).collect(), &[]);
    (built.statements() == [statement.clone()]).then_some(found)
}

fn one(value: &Value) -> Option<&str> {
    match list(value)?[..] {
        [only] => Some(only),
        _ => None,
    }
}

fn list(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(list) => list.iter().map(Value::as_str).collect(),
        _ => None,
    }
}
