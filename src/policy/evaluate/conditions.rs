//! Whether the conditions of a statement hold, as far as the keys of a request are known.

use super::{KeyValue, KnownKeys, Truth};
use crate::policy::canonical::Quantifier;
use crate::policy::condition::Condition;
use crate::policy::pattern::{Syntax, covers_as};
use std::fmt;

/// A condition that decides whether a statement applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidingCondition {
    /// As in a policy, for example `ForAnyValue:StringLike`, in lower case.
    pub operator: String,
    /// In lower case, but for tag keys and issuer paths.
    pub key: String,
    /// The values in the policy.
    pub wanted: Vec<String>,
    /// The values of the request. Empty if it lacks the key, None if they are unknown.
    pub given: Option<Vec<String>>,
}

impl DecidingCondition {
    pub(super) fn of(condition: Condition<'_>, keys: &KnownKeys) -> Self {
        let prefix = match condition.operator.quantifier {
            Quantifier::One => "",
            Quantifier::ForAllValues => "forallvalues:",
            Quantifier::ForAnyValue => "foranyvalue:",
        };
        let suffix = if condition.operator.if_exists { "ifexists" } else { "" };
        let given = match keys.value(condition.key) {
            KeyValue::Known(values) => Some(values.to_vec()),
            KeyValue::Absent => Some(Vec::new()),
            KeyValue::Unknown => None,
        };
        Self {
            operator: format!("{prefix}{}{suffix}", condition.operator.base),
            key: condition.key.to_owned(),
            wanted: condition.values.to_vec(),
            given,
        }
    }
}

/// `aws:sourcevpc stringequals vpc-1`
impl fmt::Display for DecidingCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.key, self.operator, self.wanted.join(" or "))
    }
}

/// A pattern with its variables filled in. Wildcards in their values are plain characters.
pub(super) enum Filled {
    /// All are known. Escapes stay: `${*}` is a star.
    Text(String),
    /// Some are unknown, and stay in the text.
    Open(String),
    /// The request lacks one, so that the pattern matches nothing.
    Nothing,
}

pub(super) fn filled(text: &str, syntax: Syntax, keys: &KnownKeys) -> Filled {
    if syntax == Syntax::Literal {
        return Filled::Text(escaped(text, false));
    }
    let (mut out, mut rest, mut open) = (String::with_capacity(text.len()), text, false);
    while let Some((before, after)) = rest.split_once("${") {
        let Some((inside, behind)) = after.split_once('}') else { break };
        out.push_str(before);
        rest = behind;
        if matches!(inside, "*" | "?" | "$") {
            out.push_str(&["${", inside, "}"].concat());
            continue;
        }
        let (name, default) = match inside.split_once(',') {
            Some((name, default)) => (name.trim(), Some(default.trim().trim_matches('\''))),
            None => (inside, None),
        };
        match (keys.value(&crate::policy::canonical::condition_key(name)), default) {
            (KeyValue::Known([value]), _) => out.push_str(&escaped(value, true)),
            (KeyValue::Unknown, _) => {
                open = true;
                out.push_str(&["${", inside, "}"].concat());
            }
            // several values, or none
            (KeyValue::Known(_) | KeyValue::Absent, Some(default)) => out.push_str(&escaped(default, true)),
            (KeyValue::Known(_) | KeyValue::Absent, None) => return Filled::Nothing,
        }
    }
    out.push_str(rest);
    if open { Filled::Open(out) } else { Filled::Text(out) }
}

/// Plain text in a pattern of the current version.
fn escaped(text: &str, wildcards: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '$' => out.push_str("${$}"),
            '*' | '?' if wildcards => out.extend(["${", c.encode_utf8(&mut [0; 4]), "}"]),
            c => out.push(c),
        }
    }
    out
}

/// The text that a pattern of the current version without wildcards stands for.
fn unescaped(text: &str) -> String {
    text.replace("${*}", "*").replace("${?}", "?").replace("${$}", "$")
}

/// Whether the condition holds.
pub(super) fn holds(condition: Condition<'_>, syntax: Syntax, keys: &KnownKeys) -> Truth {
    let Condition { operator, key, values } = condition;
    let given = keys.value(key);
    if operator.base == "null" {
        let missing = match given {
            KeyValue::Known(_) => "false",
            KeyValue::Absent => "true",
            KeyValue::Unknown => return Truth::Unknown,
        };
        return any(values.iter().map(|value| fits(&filled(value, syntax, keys), |text| unescaped(text) == missing)));
    }
    let (base, negated) = positive(&operator.base);
    let given = match given {
        KeyValue::Unknown => return Truth::Unknown,
        KeyValue::Absent => {
            return Truth::from(
                operator.if_exists
                    || match operator.quantifier {
                        Quantifier::One => negated,
                        Quantifier::ForAllValues => true,
                        Quantifier::ForAnyValue => false,
                    },
            );
        }
        KeyValue::Known(given) => given,
    };
    let passes = |value: &String| {
        let matches = any(values.iter().map(|wanted| matches_one(base, wanted, value, syntax, keys)));
        if negated { matches.not() } else { matches }
    };
    let every = given.iter().map(passes).fold(Truth::True, Truth::and);
    match operator.quantifier {
        Quantifier::ForAllValues => every,
        // none of several values may be excluded
        Quantifier::One if negated => every,
        Quantifier::One | Quantifier::ForAnyValue => any(given.iter().map(passes)),
    }
}

fn any(list: impl Iterator<Item = Truth>) -> Truth {
    list.fold(Truth::False, Truth::or)
}

/// The operator without its `not`.
fn positive(base: &str) -> (&str, bool) {
    match base {
        "stringnotequals" => ("stringequals", true),
        "stringnotequalsignorecase" => ("stringequalsignorecase", true),
        "stringnotlike" => ("stringlike", true),
        "numericnotequals" => ("numericequals", true),
        "datenotequals" => ("dateequals", true),
        "notipaddress" => ("ipaddress", true),
        "arnnotequals" | "arnnotlike" => ("arnlike", true),
        "arnequals" => ("arnlike", false),
        other => (other, false),
    }
}

fn fits(pattern: &Filled, matches: impl FnOnce(&str) -> bool) -> Truth {
    match pattern {
        Filled::Text(text) => matches(text).into(),
        Filled::Open(_) => Truth::Unknown,
        Filled::Nothing => Truth::False,
    }
}

/// Whether a value of the request matches one of the policy. Dates and networks of known keys are not compared.
fn matches_one(base: &str, wanted: &str, given: &str, syntax: Syntax, keys: &KnownKeys) -> Truth {
    let pattern = filled(wanted, syntax, keys);
    // the wildcards of a value are plain characters
    let like = |text: &str, given: &str| covers_as(text, Syntax::Variables, &escaped(given, true), Syntax::Variables);
    match base {
        "stringequals" => fits(&pattern, |text| unescaped(text) == given),
        "stringequalsignorecase" | "bool" => {
            fits(&pattern, |text| unescaped(text).to_lowercase() == given.to_lowercase())
        }
        "stringlike" => fits(&pattern, |text| like(text, given)),
        "arnlike" => fits(&pattern, |text| {
            let parts = |text: &str| text.splitn(6, ':').map(str::to_owned).collect::<Vec<_>>();
            let (wanted, given) = (parts(text), parts(given));
            wanted.len() == 6 && given.len() == 6 && wanted.iter().zip(&given).all(|(part, given)| like(part, given))
        }),
        "binaryequals" => (wanted == given).into(),
        _ => match base.strip_prefix("numeric") {
            Some(comparison) => compared(comparison, wanted.parse().ok(), given.parse().ok()),
            None => Truth::Unknown,
        },
    }
}

/// False if one of them is not a number.
fn compared(comparison: &str, wanted: Option<f64>, given: Option<f64>) -> Truth {
    let (Some(wanted), Some(given)) = (wanted, given) else { return Truth::False };
    match comparison {
        "equals" => (given.total_cmp(&wanted).is_eq()).into(),
        "lessthan" => (given < wanted).into(),
        "lessthanequals" => (given <= wanted).into(),
        "greaterthan" => (given > wanted).into(),
        "greaterthanequals" => (given >= wanted).into(),
        _ => Truth::Unknown,
    }
}
