//! Who gains and who loses access by a change: the principals of a trust policy, and the pods of a ServiceAccount.
//!
//! Every principal is printed, also one that irsa does not understand.

use super::diff_node::{DiffNode, Sign};
use super::document_diff::DocumentDiff;
use super::statement::{RawCondition, RawStatement, any_of, conditions, conditions_text, is_deny, statements, texts};
use super::value_diff::display;
use crate::model::marks::{DEFAULT_AUDIENCE, ROLE_ARN};
use crate::plan::ConfigKeys;
use crate::plan::file::FieldV2;
use crate::policy::pattern;
use crate::policy::trust::{SUBJECT_PREFIX, WITH_WEB_IDENTITY};
use serde_json::Value;
use std::collections::BTreeSet;

const ASSUME_ROLE: &str = "sts:AssumeRole";

/// Who gains and who loses access by a changed trust policy. `account` is the id of the role's account, if known.
pub(crate) fn of_trust(
    field: &FieldV2,
    diff: Option<&DocumentDiff<'_>>,
    keys: &ConfigKeys,
    account: Option<&str>,
) -> Vec<DiffNode> {
    // `lost` and `gained`: the principals of the statements that are not the same on both sides
    let (old, new, lost, gained) = if let Some(DocumentDiff { same, changed, added, removed, elements: _ }) = diff {
        let removed = removed.iter().map(|(_, statement)| *statement);
        let added = added.iter().map(|(_, statement)| *statement);
        let lost = Principals::of(changed.iter().map(|change| &change.before).chain(removed));
        let gained = Principals::of(changed.iter().map(|change| &change.after).chain(added));
        let old = lost.clone().with(same.iter().map(|(before, _)| before));
        let new = gained.clone().with(same.iter().map(|(_, after)| after));
        (old, new, lost, gained)
    } else {
        let (old, new) = (Principals::of_document(&field.before), Principals::of_document(&field.after));
        (old.clone(), new.clone(), old, new)
    };
    // if the role's account is not known, the account of every provider is printed unless it is the same for all
    let providers: BTreeSet<&str> = [&old, &new].into_iter().flat_map(Principals::provider_accounts).collect();
    let account = account.or_else(|| providers.first().copied().filter(|_| providers.len() == 1));
    let only_in = |one: &BTreeSet<Principal>, other: &BTreeSet<Principal>| {
        let only = one.difference(other).filter(|principal| !other.iter().any(|wide| wide.covers(principal)));
        let text = |principal: &Principal| {
            let kept = other.iter().filter(|other| principal.covers(other)).map(|kept| kept.text(keys, account));
            let kept: Vec<String> = kept.collect();
            let except = if kept.is_empty() { String::new() } else { format!(", except {}", kept.join(", ")) };
            principal.text(keys, account) + &except
        };
        only.map(text).collect::<Vec<_>>()
    };
    [
        (Sign::Added, "gains access", only_in(&gained.allowed, &old.allowed)),
        (Sign::Removed, "loses access", only_in(&lost.allowed, &new.allowed)),
        (Sign::Added, "is no longer denied", only_in(&lost.denied, &new.denied)),
        (Sign::Removed, "is denied from now on", only_in(&gained.denied, &old.denied)),
    ]
    .into_iter()
    .filter_map(|(sign, words, who)| heading(sign, words, &who))
    .collect()
}

/// The roles that the pods of a ServiceAccount gain and lose.
pub(crate) fn of_pods(fields: &[FieldV2], keys: &ConfigKeys) -> Vec<DiffNode> {
    let role = |arn: &Value| -> Vec<String> {
        let name = || declared_role(arn, keys).unwrap_or_else(|| format!("role {}", display(arn)));
        (!arn.is_null()).then(name).into_iter().collect()
    };
    let changed = fields.iter().filter(|field| field.path.strip_prefix("annotations.") == Some(ROLE_ARN));
    let lines = changed.flat_map(|field| {
        [
            heading(Sign::Added, "its pods gain", &role(&field.after)),
            heading(Sign::Removed, "its pods lose", &role(&field.before)),
        ]
    });
    lines.flatten().collect()
}

/// `role/KEY`. None if the ARN is not that of a declared role.
pub(crate) fn declared_role(arn: &Value, keys: &ConfigKeys) -> Option<String> {
    keys.roles.get(arn.as_str()?).map(|key| format!("role/{key}"))
}

fn heading(sign: Sign, words: &str, who: &[String]) -> Option<DiffNode> {
    let items = who.iter().map(|name| DiffNode::item(sign, name)).collect();
    (!who.is_empty()).then(|| DiffNode::heading(sign, words, items))
}

/// The principals that a trust policy allows and denies.
#[derive(Clone, Default)]
struct Principals {
    allowed: BTreeSet<Principal>,
    denied: BTreeSet<Principal>,
}

impl Principals {
    fn of<'a>(statements: impl IntoIterator<Item = &'a RawStatement>) -> Self {
        Self::default().with(statements)
    }

    /// Also of a document that irsa cannot parse.
    fn of_document(document: &Value) -> Self {
        statements(document).map_or_else(
            || Self {
                allowed: [Principal::Other("whoever its trust policy names, which cannot be read".to_owned())].into(),
                denied: BTreeSet::new(),
            },
            Self::of,
        )
    }

    fn with<'a>(mut self, statements: impl IntoIterator<Item = &'a RawStatement>) -> Self {
        for statement in statements {
            let side = if is_deny(statement) { &mut self.denied } else { &mut self.allowed };
            side.extend(principals(statement));
        }
        self
    }

    fn provider_accounts(&self) -> impl Iterator<Item = &str> {
        self.allowed.iter().chain(&self.denied).filter_map(|principal| match principal {
            Principal::Token { provider_account, .. } => Some(provider_account.as_str()),
            Principal::Other(_) => None,
        })
    }
}

/// A principal of a statement, with the conditions under which the statement applies to it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Principal {
    /// As it is printed: every principal that is not an OIDC issuer's.
    Other(String),
    /// Tokens of an OIDC issuer.
    Token {
        /// None for every subject.
        subject: Option<String>,
        is_pattern: bool,
        /// Host and path.
        issuer: String,
        /// The account of the OIDC provider.
        provider_account: String,
        /// The unusual audience, actions and conditions, each after a comma.
        rest: String,
    },
}

impl Principal {
    /// Whether this is a pattern of subjects, or every subject, and includes another principal. False if in doubt.
    fn covers(&self, other: &Self) -> bool {
        let (Self::Token { subject: wide, is_pattern, .. }, Self::Token { subject: narrow, is_pattern: is_range, .. }) =
            (self, other)
        else {
            return false;
        };
        let subjects = match (wide, narrow) {
            (None, Some(_)) => true,
            (Some(wide), Some(narrow)) if *is_pattern && wide != narrow => {
                if *is_range {
                    pattern::covers(wide, narrow)
                } else {
                    pattern::matches(wide, narrow)
                }
            }
            _ => false,
        };
        let without_subject = |principal: &Self| match principal.clone() {
            Self::Token { issuer, provider_account, rest, .. } => Some((issuer, provider_account, rest)),
            Self::Other(_) => None,
        };
        subjects && without_subject(self) == without_subject(other)
    }

    /// `CLUSTER NAMESPACE/NAME` of a ServiceAccount of a declared cluster, else the token's subject and issuer. Names the
    /// provider's account if it is not `account`: such a provider gives the cluster's pods no access.
    fn text(&self, keys: &ConfigKeys, account: Option<&str>) -> String {
        let (subject, is_pattern, issuer, provider_account, rest) = match self {
            Self::Other(text) => return text.clone(),
            Self::Token { subject, is_pattern, issuer, provider_account, rest } => {
                (subject, *is_pattern, issuer, provider_account, rest)
            }
        };
        let provider = if account == Some(provider_account) {
            String::new()
        } else {
            format!(", through the provider of account {provider_account}")
        };
        let (like, literally) = match subject {
            Some(_) if is_pattern => ("every subject like ", ""),
            Some(subject) if subject.contains(['*', '?']) => ("", " (literally)"),
            _ => ("", ""),
        };
        let rest = format!("{literally}{provider}{rest}");
        match (keys.clusters.get(issuer), subject) {
            (Some(cluster), Some(subject)) => match service_account(subject) {
                Some(name) if is_pattern => format!("every ServiceAccount like {cluster} {name}{rest}"),
                Some(name) => format!("{cluster} {name}{rest}"),
                None => format!("{like}{subject} of cluster {cluster}{rest}"),
            },
            (Some(cluster), None) => format!("every subject of cluster {cluster}{rest}"),
            (None, Some(subject)) => format!("{like}{subject} from issuer https://{issuer}{rest}"),
            (None, None) => format!("every subject from issuer https://{issuer}{rest}"),
        }
    }
}

/// `NAMESPACE/NAME`, from a token's subject
/// (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens>).
fn service_account(subject: &str) -> Option<String> {
    let (namespace, name) = subject.strip_prefix(SUBJECT_PREFIX)?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then(|| format!("{namespace}/{name}"))
}

/// All principals of a statement.
fn principals(statement: &RawStatement) -> Vec<Principal> {
    let conditions = conditions(statement);
    match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (Some(Value::Object(types)), _) => {
            let all = types.iter().flat_map(|(kind, values)| texts(values).into_iter().map(move |name| (kind, name)));
            all.flat_map(|(kind, name)| of_type(kind, &name, statement, &conditions)).collect()
        }
        (Some(other), _) => texts(other).iter().flat_map(|name| of_type("AWS", name, statement, &conditions)).collect(),
        (None, Some(other)) => {
            let actions = unusual_actions(statement, ASSUME_ROLE);
            vec![Principal::Other(format!("everyone but {other}{actions}{}", if_conditions(&conditions)))]
        }
        (None, None) => {
            vec![Principal::Other(format!("a principal that is not named{}", if_conditions(&conditions)))]
        }
    }
}

/// The principals that one value below `Principal.TYPE` stands for.
fn of_type(kind: &str, name: &str, statement: &RawStatement, conditions: &[RawCondition]) -> Vec<Principal> {
    let (who, usual) = match kind {
        "Federated" => match name.split_once(":oidc-provider/") {
            Some((provider, host)) => return tokens((provider, host), statement, conditions),
            None => (format!("federated {name}"), WITH_WEB_IDENTITY),
        },
        "AWS" if name == "*" => ("anyone at all".to_owned(), ASSUME_ROLE),
        "AWS" => (name.to_owned(), ASSUME_ROLE),
        "Service" => (format!("service {name}"), ASSUME_ROLE),
        other => (format!("{other} {name}"), ASSUME_ROLE),
    };
    vec![Principal::Other(format!("{who}{}{}", unusual_actions(statement, usual), if_conditions(conditions)))]
}

/// The subjects that a statement accepts from one OIDC issuer.
fn tokens((provider, host): (&str, &str), statement: &RawStatement, conditions: &[RawCondition]) -> Vec<Principal> {
    let claim = |name: &str, operator: &str| {
        let key = format!("{host}:{name}");
        conditions.iter().position(|(found, found_key, _)| {
            found.eq_ignore_ascii_case(operator) && found_key.eq_ignore_ascii_case(&key)
        })
    };
    let exact = claim("sub", "StringEquals");
    let subject = exact.or_else(|| claim("sub", "StringLike"));
    let audience = claim("aud", "StringEquals");
    let rest = conditions.iter().enumerate().filter(|(at, _)| Some(*at) != audience && Some(*at) != subject);
    let rest: Vec<RawCondition> = rest.map(|(_, condition)| condition.clone()).collect();
    let audience = match audience.map(|at| conditions[at].2.as_slice()) {
        None => ", for any audience".to_owned(),
        Some([only]) if only == DEFAULT_AUDIENCE => String::new(),
        Some(several) => format!(", for audience {}", any_of(several)),
    };
    let rest = format!("{audience}{}{}", unusual_actions(statement, WITH_WEB_IDENTITY), if_conditions(&rest));
    let token = |subject: Option<&String>| Principal::Token {
        is_pattern: exact.is_none() && subject.is_some_and(|subject| subject.contains(['*', '?'])),
        subject: subject.cloned(),
        issuer: host.to_owned(),
        provider_account: provider.rsplit(':').next().unwrap_or_default().to_owned(),
        rest: rest.clone(),
    };
    match subject {
        None => vec![token(None)],
        Some(at) => conditions[at].2.iter().map(|subject| token(Some(subject))).collect(),
    }
}

/// `, by ACTIONS`. Empty if the statement allows only the `usual` action.
fn unusual_actions(statement: &RawStatement, usual: &str) -> String {
    let actions = statement.get("Action").map(texts).unwrap_or_default();
    if matches!(&actions[..], [only] if only.eq_ignore_ascii_case(usual)) {
        return String::new();
    }
    match statement.get("NotAction") {
        Some(except) => format!(", by everything but {}", texts(except).join(", ")),
        None if actions.is_empty() => String::new(),
        None => format!(", by {}", actions.join(", ")),
    }
}

/// `, if CONDITIONS`. Empty without conditions.
fn if_conditions(conditions: &[RawCondition]) -> String {
    let text = conditions_text(conditions);
    if text.is_empty() { text } else { format!(", if {text}") }
}
