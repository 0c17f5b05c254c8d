//! A small evaluator of IAM policies for tests: whether a document allows or denies a request.
//!
//! It reads raw JSON and shares no code with `canonical`, so that each can be checked against the other. Sources: the
//! order of evaluation
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>), the elements
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html>), the condition operators
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>), the keys
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>) and the variables
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>).

mod conditions;

use conditions::Condition;
use serde_json::{Map, Value};

/// The result of a document for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    /// A statement denies the request.
    Denied,
    /// No statement applies to the request.
    Nothing,
}

/// The kind of a document, which decides what a missing element means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The trust policy of a role: it applies only to principals that it names, and the role is the resource.
    Trust,
    /// An identity policy: it applies to the identity, and only to resources that it names.
    Identity,
}

/// The caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// A user or role: its account and its ARN.
    Aws(&'static str, &'static str),
    Service(&'static str),
    Federated(&'static str),
    Canonical(&'static str),
}

/// A piece of a condition key. Case is ignored in names of AWS, but not in tag keys and issuer paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    Folded(&'static str),
    Exact(&'static str),
}

/// A key of a request: `[Folded("aws:PrincipalTag/"), Exact("Team")]`.
pub(super) type Key = &'static [Piece];

/// The condition keys of a request with their values.
#[derive(Debug, Clone, Default)]
pub(super) struct Context(pub(super) Vec<(Key, Vec<&'static str>)>);

impl Context {
    /// The values of a key, by its name in a policy.
    fn values(&self, name: &str) -> Option<&[&'static str]> {
        self.0.iter().find(|(key, _)| names(key, name)).map(|(_, values)| values.as_slice())
    }
}

/// Whether `name` in a policy is this key.
pub(super) fn names(key: Key, name: &str) -> bool {
    let mut rest = name;
    for piece in key {
        let (Piece::Folded(text) | Piece::Exact(text)) = piece;
        let Some(part) = rest.get(..text.len()) else { return false };
        let same = match piece {
            Piece::Folded(text) => part.eq_ignore_ascii_case(text),
            Piece::Exact(text) => part == *text,
        };
        if !same {
            return false;
        }
        rest = &rest[text.len()..];
    }
    rest.is_empty()
}

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) who: Who,
    pub(super) action: &'static str,
    pub(super) resource: &'static str,
    pub(super) context: Context,
}

/// A document as written.
pub(super) struct Document {
    statements: Vec<Statement>,
}

/// One statement. Each part of a request can be checked alone.
pub(super) struct Statement {
    value: Map<String, Value>,
    conditions: Vec<Condition>,
    variables: bool,
}

impl Document {
    /// Reads a document that is JSON of the right shape.
    pub(super) fn of(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).expect("JSON");
        // no version means the old one, where `${…}` is plain text
        let variables = value.get("Version") == Some(&Value::from("2012-10-17"));
        let list = match &value["Statement"] {
            Value::Array(list) => list.clone(),
            single => vec![single.clone()],
        };
        let statements = list.into_iter().map(|value| match value {
            Value::Object(value) => Statement { conditions: conditions(&value), value, variables },
            other => panic!("a statement is an object, this is {other}"),
        });
        Self { statements: statements.collect() }
    }

    pub(super) fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// A deny overrides every allow.
    pub(super) fn verdict(&self, place: Place, request: &Request) -> Verdict {
        let mut verdict = Verdict::Nothing;
        for statement in self.statements.iter().filter(|statement| statement.matches(place, request)) {
            if statement.denies() {
                return Verdict::Denied;
            }
            verdict = Verdict::Allowed;
        }
        verdict
    }
}

impl Statement {
    pub(super) fn denies(&self) -> bool {
        self.value["Effect"] == "Deny"
    }

    /// Whether its resources do not depend on the context.
    pub(super) fn is_fixed(&self) -> bool {
        let resources = ["Resource", "NotResource"].into_iter().filter_map(|name| self.value.get(name));
        !resources.flat_map(list).any(|text| text.contains("${"))
    }

    fn matches(&self, place: Place, request: &Request) -> bool {
        self.means(place, request.who)
            && self.covers_action(request.action)
            && self.covers_resource(place, request.resource, &request.context)
            && self.holds(&request.context)
    }

    /// An element or its `Not` counterpart. `None` if it has neither.
    fn element(&self, name: &str, matches: impl Fn(&Value) -> bool) -> Option<bool> {
        let not = format!("Not{name}");
        match (self.value.get(name), self.value.get(&not)) {
            (Some(value), _) => Some(matches(value)),
            (None, Some(value)) => Some(!matches(value)),
            (None, None) => None,
        }
    }

    pub(super) fn means(&self, place: Place, who: Who) -> bool {
        self.element("Principal", |value| meant(value, who)).unwrap_or(place == Place::Identity)
    }

    pub(super) fn covers_action(&self, action: &str) -> bool {
        let action: Vec<char> = action.to_lowercase().chars().collect();
        let covers = |text: &String| fits(&pattern(&text.to_lowercase()), &action);
        self.element("Action", |value| list(value).iter().any(covers)).expect("an action")
    }

    pub(super) fn covers_resource(&self, place: Place, resource: &str, context: &Context) -> bool {
        let resource: Vec<char> = resource.chars().collect();
        let covers = |text: &String| self.filled(text, context).is_some_and(|pattern| fits(&pattern, &resource));
        self.element("Resource", |value| list(value).iter().any(covers)).unwrap_or(place == Place::Trust)
    }

    /// Whether all conditions hold.
    pub(super) fn holds(&self, context: &Context) -> bool {
        self.conditions.iter().all(|condition| condition.holds(self, context))
    }

    /// The pattern for this request. `None` if the request lacks a variable of it, so that it matches nothing.
    fn filled(&self, text: &str, context: &Context) -> Option<Vec<Token>> {
        if !self.variables {
            return Some(pattern(text));
        }
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let Some(length) = rest[start..].find('}') else { break };
            tokens.extend(pattern(&rest[..start]));
            let name = &rest[start + 2..start + length];
            rest = &rest[start + length + 1..];
            let (name, default) = match name.split_once(',') {
                Some((name, default)) => (name.trim(), Some(default.trim().trim_matches('\''))),
                None => (name, None),
            };
            // escaped characters
            let value = match (name, context.values(name)) {
                ("*" | "?" | "$", _) => name,
                (_, Some([value])) => value,
                _ => default?,
            };
            tokens.extend(value.chars().map(Token::Is));
        }
        tokens.extend(pattern(rest));
        Some(tokens)
    }
}

fn conditions(statement: &Map<String, Value>) -> Vec<Condition> {
    let Some(blocks) = statement.get("Condition") else { return Vec::new() };
    let blocks = blocks.as_object().expect("conditions").iter();
    let keys = blocks.flat_map(|(operator, keys)| {
        let keys = keys.as_object().expect("condition keys").iter();
        keys.map(move |(key, values)| Condition::of(operator, key, list(values)))
    });
    keys.collect()
}

/// A piece of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// `*`
    Any,
    /// `?`
    One,
    Is(char),
}

fn pattern(text: &str) -> Vec<Token> {
    let token = |c| match c {
        '*' => Token::Any,
        '?' => Token::One,
        other => Token::Is(other),
    };
    text.chars().map(token).collect()
}

fn fits(pattern: &[Token], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((Token::Any, rest)), None) => fits(rest, text),
        (Some((Token::Any, rest)), Some((_, less))) => fits(rest, text) || fits(pattern, less),
        (Some((Token::One, rest)), Some((_, less))) => fits(rest, less),
        (Some((Token::Is(wanted), rest)), Some((c, less))) => wanted == c && fits(rest, less),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// A value or a list of values, as texts.
fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().flat_map(self::list).collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

/// Whether a principal element names `who`.
fn meant(value: &Value, who: Who) -> bool {
    let Some(kinds) = value.as_object() else { return value == "*" };
    kinds.iter().any(|(kind, names)| {
        list(names).iter().any(|name| match (kind.as_str(), who) {
            ("AWS", _) if name == "*" => true,
            ("AWS", Who::Aws(account, arn)) => name == account || name == arn || *name == root(name, account),
            ("Service", Who::Service(service)) => name == service,
            ("Federated", Who::Federated(provider)) => name == provider,
            ("CanonicalUser", Who::Canonical(id)) => name == id,
            _ => false,
        })
    })
}

/// The root ARN of an account in the partition of `name`: IAM accepts only the partition of the role.
fn root(name: &str, account: &str) -> String {
    let partition = name.split(':').nth(1).unwrap_or_default();
    format!("arn:{partition}:iam::{account}:root")
}

mod tests;
