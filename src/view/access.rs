//! Who gains and who loses access, in plain words: what a reader of a plan must not have to work out.
//!
//! A role is assumed by whom its trust policy names; a pod gets the role that its ServiceAccount names. Nothing is
//! left out for being strange: what is not understood is said to be so.

use super::document::{Body, differing, in_one_spelling, statements};
use super::entry::{Entry, Mark};
use super::value::shown;
use crate::model::marks::{DEFAULT_AUDIENCE, ROLE_ARN};
use crate::plan::ConfigKeys;
use crate::plan::file::FieldV2;
use serde_json::Value;
use std::collections::BTreeSet;

const WEB_IDENTITY: &str = "sts:AssumeRoleWithWebIdentity";
const ASSUME: &str = "sts:AssumeRole";

/// Who gains and who loses access by a changed trust policy. `account` is the id of the role's account, where it is known.
pub(crate) fn of_trust(fields: &[FieldV2], names: &ConfigKeys, account: Option<&str>) -> Vec<Entry> {
    let changed = fields.iter().filter(|field| field.path == "trust");
    changed.flat_map(|field| trust(&field.before, &field.after, names, account)).collect()
}

/// Which roles the pods of a ServiceAccount gain and lose.
pub(crate) fn of_pods(fields: &[FieldV2], names: &ConfigKeys) -> Vec<Entry> {
    let role = |value: &Value| if value.is_null() { Vec::new() } else { vec![role_name(value, names)] };
    let changed = fields.iter().filter(|field| field.path.strip_prefix("annotations.") == Some(ROLE_ARN));
    changed
        .flat_map(|field| both("its pods gain", &role(&field.after), "its pods lose", &role(&field.before)))
        .collect()
}

/// `role/KEY`, if the ARN is a declared role's.
pub(crate) fn declared_role(arn: &Value, names: &ConfigKeys) -> Option<String> {
    names.roles.get(arn.as_str()?).map(|key| format!("role/{key}"))
}

fn role_name(arn: &Value, names: &ConfigKeys) -> String {
    declared_role(arn, names).unwrap_or_else(|| format!("role {}", shown(arn)))
}

fn trust(before: &Value, after: &Value, names: &ConfigKeys, account: Option<&str>) -> Vec<Entry> {
    let (old, new) = (statements(before), statements(after));
    let spelled = match (&old, &new) {
        (Some(old), Some(new)) => Some(in_one_spelling(old, new)),
        _ => None,
    };
    let (old, new) = match &spelled {
        Some((old, new)) => (Some(old.iter().collect::<Vec<_>>()), Some(new.iter().collect::<Vec<_>>())),
        None => (old, new),
    };
    let (all_old, all_new) = (Subjects::of(old.as_deref()), Subjects::of(new.as_deref()));
    // who is only spelled differently gains and loses nothing; who is named twice loses nothing with one of the two
    let (gone, come) = match (&old, &new) {
        (Some(old), Some(new)) => {
            let (gone, come) = differing(old, new);
            (Subjects::of(Some(&gone)), Subjects::of(Some(&come)))
        }
        _ => (all_old.clone(), all_new.clone()),
    };
    // where the account is not known, that of every provider is said once they differ
    let providers: BTreeSet<&str> = [&all_old, &all_new].into_iter().flat_map(Subjects::provider_accounts).collect();
    let account = account.or_else(|| providers.first().copied().filter(|_| providers.len() == 1));
    let less = |one: &BTreeSet<Principal>, other: &BTreeSet<Principal>| {
        one.difference(other).map(|principal| principal.shown(names, account)).collect::<Vec<_>>()
    };
    let mut list = both(
        "gains access",
        &less(&come.allowed, &all_old.allowed),
        "loses access",
        &less(&gone.allowed, &all_new.allowed),
    );
    list.extend(both(
        "is no longer denied",
        &less(&gone.denied, &all_new.denied),
        "is denied from now on",
        &less(&come.denied, &all_old.denied),
    ));
    list
}

/// Those who gain, then those who lose.
fn both(gain: &str, gaining: &[String], lose: &str, losing: &[String]) -> Vec<Entry> {
    [(Mark::Added, gain, gaining), (Mark::Removed, lose, losing)]
        .into_iter()
        .filter(|(_, _, who)| !who.is_empty())
        .map(|(mark, words, who)| {
            Entry::heading(mark, words, who.iter().map(|subject| Entry::item(mark, subject)).collect())
        })
        .collect()
}

/// Whom a trust policy lets in, and whom it keeps out.
#[derive(Clone, Default)]
struct Subjects {
    allowed: BTreeSet<Principal>,
    denied: BTreeSet<Principal>,
}

/// Someone whom a statement is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Principal {
    /// The subject of an issuer's tokens; `None` is every subject.
    subject: Option<String>,
    /// Whether the subject is a pattern.
    is_pattern: bool,
    /// Host and path of the issuer, or else the principal as it is told.
    from: String,
    /// The account of the issuer's provider; empty for others.
    provider_account: String,
    /// Whether it is an issuer's.
    is_federated: bool,
    /// The audience, actions and conditions that are not the usual ones, with a comma before each.
    rest: String,
}

impl Principal {
    fn plain(text: String) -> Self {
        Self {
            subject: None,
            is_pattern: false,
            from: text,
            provider_account: String::new(),
            is_federated: false,
            rest: String::new(),
        }
    }

    /// `CLUSTER NAMESPACE/NAME` of a ServiceAccount of a declared cluster, else what the token says. A provider of another
    /// account than `account` is named: through it nobody of the cluster comes in.
    fn shown(&self, names: &ConfigKeys, account: Option<&str>) -> String {
        let Self { subject, is_pattern, from, provider_account, is_federated, rest } = self;
        if !is_federated {
            return from.clone();
        }
        let provider = if account == Some(provider_account) {
            String::new()
        } else {
            format!(", through the provider of account {provider_account}")
        };
        let (like, literally) = match subject {
            Some(_) if *is_pattern => ("every subject like ", ""),
            Some(subject) if subject.contains(['*', '?']) => ("", " (literally)"),
            _ => ("", ""),
        };
        let rest = format!("{literally}{provider}{rest}");
        match (names.clusters.get(from), subject) {
            (Some(cluster), Some(subject)) => match service_account(subject) {
                Some(name) if *is_pattern => format!("every ServiceAccount like {cluster} {name}{rest}"),
                Some(name) => format!("{cluster} {name}{rest}"),
                None => format!("{like}{subject} of cluster {cluster}{rest}"),
            },
            (Some(cluster), None) => format!("every subject of cluster {cluster}{rest}"),
            (None, Some(subject)) => format!("{like}{subject} from issuer https://{from}{rest}"),
            (None, None) => format!("every subject from issuer https://{from}{rest}"),
        }
    }
}

/// `NAMESPACE/NAME`, from a token's subject
/// (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens>).
fn service_account(subject: &str) -> Option<String> {
    let (namespace, name) = subject.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then(|| format!("{namespace}/{name}"))
}

impl Subjects {
    fn provider_accounts(&self) -> impl Iterator<Item = &str> {
        let all = self.allowed.iter().chain(&self.denied).filter(|principal| principal.is_federated);
        all.map(|principal| principal.provider_account.as_str())
    }

    /// Of these statements; `None` for a document that is not understood.
    fn of(statements: Option<&[&Body]>) -> Self {
        let mut subjects = Self::default();
        let Some(list) = statements else {
            let text = "whoever its trust policy names, which cannot be read";
            subjects.allowed.insert(Principal::plain(text.to_owned()));
            return subjects;
        };
        for statement in list {
            let denies = statement.get("Effect").is_some_and(|effect| effect == "Deny");
            let side = if denies { &mut subjects.denied } else { &mut subjects.allowed };
            side.extend(who(statement));
        }
        subjects
    }
}

/// Everyone whom a statement is about.
fn who(statement: &Body) -> Vec<Principal> {
    let conditions = conditions(statement.get("Condition"));
    let mut list = Vec::new();
    match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (Some(Value::Object(kinds)), _) => {
            for (kind, values) in kinds {
                for principal in texts(values) {
                    list.extend(principals(kind, &principal, statement, &conditions));
                }
            }
        }
        (Some(other), _) => {
            for principal in texts(other) {
                list.extend(principals("AWS", &principal, statement, &conditions));
            }
        }
        (None, Some(other)) => {
            let text = format!("everyone but {other}{}{}", by(statement, &[ASSUME]), provided(&conditions));
            list.push(Principal::plain(text));
        }
        (None, None) => {
            list.push(Principal::plain(format!("a principal that is not named{}", provided(&conditions))));
        }
    }
    list
}

/// One condition: operator, key, values.
type Condition = (String, String, Vec<String>);

pub(crate) fn conditions(value: Option<&Value>) -> Vec<Condition> {
    let Some(Value::Object(operators)) = value else {
        return value
            .filter(|value| !value.is_null())
            .map(|value| ("?".into(), value.to_string(), Vec::new()))
            .into_iter()
            .collect();
    };
    let mut list = Vec::new();
    for (operator, keys) in operators {
        match keys {
            Value::Object(keys) => {
                list.extend(keys.iter().map(|(key, values)| (operator.clone(), key.clone(), texts(values))));
            }
            other => list.push((operator.clone(), other.to_string(), Vec::new())),
        }
    }
    list
}

pub(crate) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().map(shown).collect(),
        other => vec![shown(other)],
    }
}

fn principals(kind: &str, principal: &str, statement: &Body, conditions: &[Condition]) -> Vec<Principal> {
    let (who, usual) = match kind {
        "Federated" => match principal.split_once(":oidc-provider/") {
            Some((provider, host)) => return federated((provider, host), statement, conditions),
            None => (format!("federated {principal}"), WEB_IDENTITY),
        },
        "AWS" if principal == "*" => ("anyone at all".to_owned(), ASSUME),
        "AWS" => (principal.to_owned(), ASSUME),
        "Service" => (format!("service {principal}"), ASSUME),
        other => (format!("{other} {principal}"), ASSUME),
    };
    vec![Principal::plain(format!("{who}{}{}", by(statement, &[usual]), provided(conditions)))]
}

/// The subjects of an issuer's tokens.
fn federated((provider, host): (&str, &str), statement: &Body, conditions: &[Condition]) -> Vec<Principal> {
    let claim = |name: &str, operator: &str| {
        let key = format!("{host}:{name}");
        conditions.iter().position(|(found, found_key, _)| {
            found.eq_ignore_ascii_case(operator) && found_key.eq_ignore_ascii_case(&key)
        })
    };
    let subject =
        claim("sub", "StringEquals").map(|at| (at, false)).or(claim("sub", "StringLike").map(|at| (at, true)));
    let audience = claim("aud", "StringEquals");
    let rest: Vec<Condition> = conditions
        .iter()
        .enumerate()
        .filter(|(at, _)| Some(*at) != audience && Some(*at) != subject.map(|(at, _)| at))
        .map(|(_, condition)| condition.clone())
        .collect();
    let audience = match audience.map(|at| conditions[at].2.as_slice()) {
        None => ", for any audience".to_owned(),
        Some([only]) if only == DEFAULT_AUDIENCE => String::new(),
        Some(several) => format!(", for audience {}", either(several)),
    };
    let rest = format!("{audience}{}{}", by(statement, &[WEB_IDENTITY]), provided(&rest));
    let of = |subject: Option<String>, is_pattern: bool| Principal {
        is_pattern: is_pattern && subject.as_ref().is_some_and(|subject| subject.contains(['*', '?'])),
        subject,
        from: host.to_owned(),
        provider_account: provider.rsplit(':').next().unwrap_or_default().to_owned(),
        is_federated: true,
        rest: rest.clone(),
    };
    match subject {
        None => vec![of(None, false)],
        Some((at, is_pattern)) => {
            conditions[at].2.iter().map(|subject| of(Some(subject.clone()), is_pattern)).collect()
        }
    }
}

/// The actions, where they are not the usual one.
fn by(statement: &Body, usual: &[&str]) -> String {
    let actions = statement.get("Action").map(texts).unwrap_or_default();
    if actions.len() == usual.len() && actions.iter().zip(usual).all(|(one, other)| one.eq_ignore_ascii_case(other)) {
        return String::new();
    }
    match statement.get("NotAction") {
        Some(except) => format!(", by everything but {}", texts(except).join(", ")),
        None if actions.is_empty() => String::new(),
        None => format!(", by {}", actions.join(", ")),
    }
}

/// `a or b`; a value that would be taken for two is quoted.
fn either(values: &[String]) -> String {
    let quoted = |value: &String| if value.contains(" or ") { format!("{value:?}") } else { value.clone() };
    values.iter().map(quoted).collect::<Vec<_>>().join(" or ")
}

/// The conditions that were not told otherwise.
fn provided(conditions: &[Condition]) -> String {
    let told = spelled(conditions);
    if told.is_empty() { String::new() } else { format!(", if {told}") }
}

/// `OPERATOR KEY = VALUE and …`
pub(crate) fn spelled(conditions: &[Condition]) -> String {
    let told: Vec<String> = conditions
        .iter()
        .map(|(operator, key, values)| match values.as_slice() {
            [] => format!("{operator} {key}"),
            values => format!("{operator} {key} = {}", either(values)),
        })
        .collect();
    told.join(" and ")
}
