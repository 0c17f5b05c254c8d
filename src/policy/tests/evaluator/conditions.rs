//! The condition operators.

use super::{Context, Statement, Token, fits};
use std::net::IpAddr;

/// How the values of a request are compared with those of a policy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    /// The key has one value. If it has several, one match is enough.
    One,
    Every,
    Some,
}

/// One operator and one key.
pub(super) struct Condition {
    quantifier: Quantifier,
    /// Without `Not`.
    operator: String,
    negated: bool,
    if_exists: bool,
    key: String,
    wanted: Vec<String>,
}

impl Condition {
    pub(super) fn of(operator: &str, key: &str, wanted: Vec<String>) -> Self {
        let name = operator.to_lowercase();
        let (quantifier, name) = match name.split_once(':') {
            Some(("forallvalues", rest)) => (Quantifier::Every, rest),
            Some(("foranyvalue", rest)) => (Quantifier::Some, rest),
            _ => (Quantifier::One, name.as_str()),
        };
        let (name, if_exists) = match name.strip_suffix("ifexists") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let (operator, negated) = positive(name);
        Self { quantifier, operator: operator.to_owned(), negated, if_exists, key: key.to_owned(), wanted }
    }

    /// Whether the condition holds.
    pub(super) fn holds(&self, statement: &Statement, context: &Context) -> bool {
        let Self { quantifier, operator, negated, if_exists, key, wanted } = self;
        let given = context.values(key);
        if operator == "null" {
            let missing = given.is_none().to_string();
            return wanted.iter().any(|value| literal(statement, value, context).is_some_and(|value| value == missing));
        }
        let Some(given) = given else {
            return *if_exists
                || match quantifier {
                    Quantifier::One => *negated,
                    Quantifier::Every => true,
                    Quantifier::Some => false,
                };
        };
        // a negated operator accepts a value that matches none of the policy
        let passes = |value: &&str| {
            wanted.iter().any(|wanted| fits_one(statement, operator, wanted, value, context)) != *negated
        };
        match quantifier {
            Quantifier::Every => given.iter().all(passes),
            // none of several values may be excluded
            Quantifier::One if *negated => given.iter().all(passes),
            Quantifier::One | Quantifier::Some => given.iter().any(passes),
        }
    }
}

/// The operator without its `Not`.
fn positive(name: &str) -> (&str, bool) {
    match name {
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

/// Whether a value of the request matches one of the policy.
fn fits_one(statement: &Statement, operator: &str, wanted: &str, given: &str, context: &Context) -> bool {
    let text = || literal(statement, wanted, context);
    match operator {
        "stringequals" => text().is_some_and(|text| text == given),
        "stringequalsignorecase" => text().is_some_and(|text| text.to_lowercase() == given.to_lowercase()),
        "stringlike" => {
            statement.filled(wanted, context).is_some_and(|pattern| fits(&pattern, &given.chars().collect::<Vec<_>>()))
        }
        "arnlike" => statement.filled(wanted, context).is_some_and(|pattern| fits_arn(&pattern, given)),
        "bool" => text().is_some_and(|text| text.to_lowercase() == given.to_lowercase()),
        "binaryequals" => wanted == given,
        "ipaddress" => in_network(wanted, given),
        _ => match operator.strip_prefix("numeric") {
            Some(comparison) => compared(comparison, number(wanted), number(given)),
            None => match operator.strip_prefix("date") {
                Some(comparison) => compared(comparison, date(wanted), date(given)),
                None => panic!("`{operator}` is no operator of the vocabulary"),
            },
        },
    }
}

/// The text with its variables filled in. Wildcards in their values are plain characters.
fn literal(statement: &Statement, text: &str, context: &Context) -> Option<String> {
    let character = |token| match token {
        Token::Any => '*',
        Token::One => '?',
        Token::Is(c) => c,
    };
    statement.filled(text, context).map(|tokens| tokens.into_iter().map(character).collect())
}

/// Each of the six parts of an ARN is a pattern of its own. Only the last can contain colons.
fn fits_arn(pattern: &[Token], given: &str) -> bool {
    let wanted: Vec<&[Token]> = pattern.splitn(6, |token| *token == Token::Is(':')).collect();
    let given: Vec<Vec<char>> = given.splitn(6, ':').map(|part| part.chars().collect()).collect();
    wanted.len() == 6 && given.len() == 6 && wanted.iter().zip(&given).all(|(wanted, given)| fits(wanted, given))
}

/// False if one of them is not a number or date.
fn compared<T: PartialOrd>(comparison: &str, wanted: Option<T>, given: Option<T>) -> bool {
    let (Some(wanted), Some(given)) = (wanted, given) else { return false };
    match comparison {
        "equals" => given == wanted,
        "lessthan" => given < wanted,
        "lessthanequals" => given <= wanted,
        "greaterthan" => given > wanted,
        "greaterthanequals" => given >= wanted,
        other => panic!("`{other}` is no comparison of the vocabulary"),
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// A date is written as ISO 8601 or as seconds since 1970.
fn date(text: &str) -> Option<jiff::Timestamp> {
    match text.parse::<i64>() {
        Ok(seconds) => jiff::Timestamp::from_second(seconds).ok(),
        Err(_) => text.parse().ok(),
    }
}

/// Whether an address is in `NETWORK/BITS`, or equals a single address.
fn in_network(network: &str, address: &str) -> bool {
    let (base, bits) = match network.split_once('/') {
        Some((base, bits)) => (base, bits.parse::<u32>().ok()),
        None => (network, Some(128)),
    };
    let (Ok(base), Ok(address), Some(bits)) = (base.parse::<IpAddr>(), address.parse::<IpAddr>(), bits) else {
        return false;
    };
    let (base, address, width) = match (base, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) => (u128::from(base.to_bits()), u128::from(address.to_bits()), 32),
        (IpAddr::V6(base), IpAddr::V6(address)) => (base.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    let rest = width - bits.min(width);
    rest == 128 || base >> rest == address >> rest
}
