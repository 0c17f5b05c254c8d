//! Evaluates policies: whether a document allows or denies a request, and what decides it.
//!
//! Three-valued. A condition whose key is unknown may hold or not, and an answer that depends on it says so. Sources: the
//! order of evaluation
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>), the elements
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html>) and the operators
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>).

mod conditions;

use super::canonical::{CanonicalStatement, Choice, Principal, condition_key};
use super::condition::conditions as conditions_of;
use super::pattern::{Syntax, arn_covers, covers_as, overlap_as};
use super::trust::WITH_WEB_IDENTITY;
use super::{PolicyDocument, Statement};
use std::collections::BTreeMap;

pub use conditions::DecidingCondition;
use conditions::Filled;

/// The truth of a statement about a request of which not everything is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    /// It does not hold.
    False,
    /// It depends on something unknown.
    Unknown,
    /// It holds.
    True,
}

impl Truth {
    pub(crate) fn and(self, other: Self) -> Self {
        self.min(other)
    }

    pub(crate) fn or(self, other: Self) -> Self {
        self.max(other)
    }

    pub(crate) fn not(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
            Self::True => Self::False,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// What is known of the condition keys of a request.
#[derive(Debug, Clone, Default)]
pub struct KnownKeys {
    values: BTreeMap<String, Vec<String>>,
    /// Whether the request has no other keys with the name of an issuer.
    claims_known: bool,
    /// Whether the request has no other keys.
    all_others_absent: bool,
}

impl KnownKeys {
    /// Nothing is known.
    pub fn none() -> Self {
        Self::default()
    }

    /// Every key without a value is absent.
    pub fn complete() -> Self {
        Self { all_others_absent: true, ..Self::default() }
    }

    /// The request has the key with these values.
    #[must_use]
    pub fn with(mut self, key: &str, values: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.values.insert(condition_key(key), values.into_iter().map(Into::into).collect());
        self
    }

    /// The claims of a web identity token, as `ISSUER:aud` and `ISSUER:sub`. Other keys with the name of an issuer are
    /// absent: STS sets only those of the token's own
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif>).
    pub fn of_token(issuer_host_path: &str, audience: &[String], subject: &str, provider_arn: &str) -> Self {
        Self { claims_known: true, ..Self::default() }
            .with(&format!("{issuer_host_path}:aud"), audience.iter().cloned())
            .with(&format!("{issuer_host_path}:sub"), [subject])
            .with("aws:FederatedProvider", [provider_arn])
    }

    fn value(&self, key: &str) -> KeyValue<'_> {
        if let Some(values) = self.values.get(key) {
            return KeyValue::Known(values);
        }
        // every other key of such a request has the name of an issuer
        let of_service = ["aws:", "sts:", "saml:"].iter().any(|prefix| key.starts_with(prefix));
        let is_absent = self.all_others_absent || self.claims_known && !of_service;
        if is_absent { KeyValue::Absent } else { KeyValue::Unknown }
    }
}

/// What is known of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyValue<'a> {
    Known(&'a [String]),
    Absent,
    Unknown,
}

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A token of this OIDC provider.
    Federated(String),
    /// A role or user: its account and its ARN.
    Aws(String, String),
    /// An AWS service.
    Service(String),
    /// A canonical user of S3.
    CanonicalUser(String),
    /// The role that has the policy: for permissions, which have no principals.
    Itself,
}

/// A request. Action and resource may be patterns, which stand for all that they match.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who makes it.
    pub caller: Caller,
    /// For example `s3:GetObject`, in any case.
    pub action: String,
    /// An ARN or `*`. Trust policies have no resources, so it does not matter there.
    pub resource: String,
    /// The condition keys.
    pub keys: KnownKeys,
}

impl Request {
    /// A token of this provider that asks for a role. The issuer is given as host and path.
    pub fn with_token(provider_arn: &str, issuer: &str, audiences: &[String], subject: &str) -> Self {
        Self {
            caller: Caller::Federated(provider_arn.to_owned()),
            action: WITH_WEB_IDENTITY.to_owned(),
            resource: "*".to_owned(),
            keys: KnownKeys::of_token(issuer, audiences, subject, provider_arn),
        }
    }
}

/// How much of the requested actions or resources a list covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Covered {
    /// None of them.
    Nothing,
    /// Some, or which ones depends on a variable.
    Part,
    /// All.
    Whole,
}

impl Covered {
    /// What the items of a list cover of the request.
    fn of<T>(items: &[T], covers: impl Fn(&T) -> bool, overlaps: impl Fn(&T) -> bool) -> Self {
        if items.iter().any(covers) {
            Self::Whole
        } else if items.iter().any(overlaps) {
            Self::Part
        } else {
            Self::Nothing
        }
    }

    /// What an element covers whose items cover this.
    fn chosen<T: Ord>(self, choice: &Choice<T>) -> Self {
        match (choice, self) {
            (Choice::Only(_), covered) | (Choice::AllBut(_), covered @ Self::Part) => covered,
            (Choice::AllBut(_), Self::Whole) => Self::Nothing,
            (Choice::AllBut(_), Self::Nothing) => Self::Whole,
        }
    }

    fn truth(self) -> Truth {
        match self {
            Self::Nothing => Truth::False,
            Self::Part => Truth::Unknown,
            Self::Whole => Truth::True,
        }
    }
}

/// How far a statement applies to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Whether it means the caller.
    pub caller: bool,
    /// How many of the requested actions it covers.
    pub actions: Covered,
    /// How many of the requested resources it covers.
    pub resources: Covered,
    /// The conditions that certainly do not hold.
    pub failed: Vec<DecidingCondition>,
    /// The conditions that depend on something unknown.
    pub open: Vec<DecidingCondition>,
}

impl Match {
    /// Whether the statement applies.
    pub fn truth(&self) -> Truth {
        let conditions = match (self.failed.is_empty(), self.open.is_empty()) {
            (false, _) => Truth::False,
            (true, false) => Truth::Unknown,
            (true, true) => Truth::True,
        };
        Truth::from(self.caller).and(self.actions.truth()).and(self.resources.truth()).and(conditions)
    }

    /// How near the statement is to applying: the larger, the nearer.
    fn nearness(&self) -> (bool, Covered, bool, Covered, std::cmp::Reverse<usize>) {
        let failed = std::cmp::Reverse(self.failed.len());
        (self.caller, self.actions, self.failed.is_empty(), self.resources, failed)
    }
}

/// A statement and how far it applies.
#[derive(Debug, Clone)]
pub struct Applied<'a> {
    /// The position in its document, from 1.
    pub number: usize,
    /// The statement.
    pub statement: &'a Statement,
    /// How far it applies.
    pub found: Match,
}

impl Applied<'_> {
    /// Its `Sid`, or its number.
    pub fn name(&self) -> String {
        self.statement.sid().map_or_else(|| format!("statement {}", self.number), |sid| format!("statement `{sid}`"))
    }
}

/// The evaluation of one document.
#[derive(Debug, Clone)]
pub struct Evaluation<'a> {
    /// The allows that apply or may apply.
    pub allows: Vec<Applied<'a>>,
    /// The denies that apply or may apply.
    pub denies: Vec<Applied<'a>>,
    /// Of the allows that do not apply, the one that is nearest to it.
    pub nearest: Option<Applied<'a>>,
    /// Whether the document cannot be parsed, so that it may allow or deny anything.
    pub unreadable: bool,
}

impl Evaluation<'_> {
    /// Whether the document allows the request: a deny overrides every allow.
    pub fn verdict(&self) -> Truth {
        if self.unreadable {
            return Truth::Unknown;
        }
        let any = |list: &[Applied<'_>]| list.iter().fold(Truth::False, |all, one| all.or(one.found.truth()));
        any(&self.allows).and(any(&self.denies).not())
    }
}

/// Evaluates one document.
pub fn evaluate<'a>(document: &'a PolicyDocument, request: &Request) -> Evaluation<'a> {
    let mut evaluation =
        Evaluation { allows: Vec::new(), denies: Vec::new(), nearest: None, unreadable: !document.is_parsed() };
    let syntax = if document.is_current() { Syntax::Variables } else { Syntax::Literal };
    for (index, statement) in document.statements().iter().enumerate() {
        let applied = Applied { number: index + 1, statement, found: found(statement.canonical(), syntax, request) };
        let is_open = applied.found.truth() != Truth::False;
        if statement.denies() {
            if is_open {
                evaluation.denies.push(applied);
            }
        } else if is_open {
            evaluation.allows.push(applied);
        } else if evaluation.nearest.as_ref().is_none_or(|best| best.found.nearness() < applied.found.nearness()) {
            evaluation.nearest = Some(applied);
        }
    }
    evaluation
}

/// The most parts of a request that are looked at one by one.
const MAX_PARTS: usize = 4096;

impl PolicyDocument {
    /// Parts of a request that together contain all that a statement of the document covers of it: a part for each of its
    /// actions and resources. The whole request for a statement without such lists.
    pub(crate) fn narrowed(&self, statement: &Statement, request: &Request) -> Vec<Request> {
        let syntax = if self.is_current() { Syntax::Variables } else { Syntax::Literal };
        let CanonicalStatement { actions, resources, .. } = statement.canonical();
        let wanted = request.action.to_lowercase();
        let actions: Vec<&str> = match actions {
            Choice::Only(list) => list.iter().filter_map(|item| common(item, Syntax::Literal, &wanted)).collect(),
            Choice::AllBut(_) => vec![&wanted],
        };
        let resources: Vec<&str> = match resources {
            Some(Choice::Only(list)) => {
                list.iter().filter_map(|item| common(item, syntax, &request.resource)).collect()
            }
            Some(Choice::AllBut(_)) | None => vec![&request.resource],
        };
        if actions.len().saturating_mul(resources.len()) > MAX_PARTS {
            return vec![request.clone()];
        }
        let part = |action: &str, resource: &str| Request {
            action: action.to_owned(),
            resource: resource.to_owned(),
            ..request.clone()
        };
        actions.iter().flat_map(|action| resources.iter().map(move |resource| part(action, resource))).collect()
    }
}

/// A pattern that matches all that both patterns match. None if they have nothing in common.
fn common<'t>(item: &'t str, syntax: Syntax, wanted: &'t str) -> Option<&'t str> {
    let has_variable = syntax == Syntax::Variables && item.contains('$');
    if !has_variable && covers_as(wanted, Syntax::Literal, item, syntax) {
        return Some(item);
    }
    overlap_as(item, syntax, wanted, Syntax::Literal).then_some(wanted)
}

fn found(statement: &CanonicalStatement, syntax: Syntax, request: &Request) -> Match {
    let action = request.action.to_lowercase();
    let actions = Covered::of(
        statement.actions.items(),
        |pattern| covers_as(pattern, Syntax::Literal, &action, Syntax::Literal),
        |pattern| overlap_as(pattern, Syntax::Literal, &action, Syntax::Literal),
    );
    let actions = actions.chosen(&statement.actions);
    let resources = statement
        .resources
        .as_ref()
        .map_or(Covered::Whole, |choice| resources_covered(choice, syntax, &request.resource, &request.keys));
    let (mut failed, mut open) = (Vec::new(), Vec::new());
    for condition in conditions_of(statement) {
        match conditions::holds(condition, syntax, &request.keys) {
            Truth::True => {}
            Truth::False => failed.push(DecidingCondition::of(condition, &request.keys)),
            Truth::Unknown => open.push(DecidingCondition::of(condition, &request.keys)),
        }
    }
    Match { caller: means(statement, &request.caller), actions, resources, failed, open }
}

/// Variables are filled in as far as they are known. A variable that the request lacks makes its pattern match nothing.
fn resources_covered(choice: &Choice<String>, syntax: Syntax, resource: &str, keys: &KnownKeys) -> Covered {
    let is_pattern = resource.contains(['*', '?']);
    let patterns: Vec<Filled> =
        choice.items().iter().map(|pattern| conditions::filled(pattern, syntax, keys)).collect();
    let covers = |pattern: &Filled| match pattern {
        Filled::Text(text) => {
            covers_as(text, Syntax::Variables, resource, Syntax::Literal)
                && (!is_pattern || arn_covers(text, Syntax::Variables, resource, Syntax::Literal))
        }
        Filled::Nothing | Filled::Open(_) => false,
    };
    let overlaps = |pattern: &Filled| match pattern {
        Filled::Text(text) | Filled::Open(text) => overlap_as(text, Syntax::Variables, resource, Syntax::Literal),
        Filled::Nothing => false,
    };
    Covered::of(&patterns, covers, overlaps).chosen(choice)
}

fn means(statement: &CanonicalStatement, caller: &Caller) -> bool {
    let Some(choice) = &statement.principals else { return *caller == Caller::Itself };
    let named = |list: &[Principal]| list.iter().any(|principal| names(principal, caller));
    match choice {
        Choice::Only(list) => named(list),
        Choice::AllBut(list) => !named(list),
    }
}

fn names(principal: &Principal, caller: &Caller) -> bool {
    match (principal, caller) {
        (Principal::Aws(name), _) if name == "*" => true,
        (Principal::Aws(name), Caller::Aws(account, arn)) => name == account || name == arn,
        (Principal::Federated(name), Caller::Federated(provider)) => name == provider,
        (Principal::Service(name), Caller::Service(service)) => name == service,
        (Principal::CanonicalUser(name), Caller::CanonicalUser(id)) => name == id,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
