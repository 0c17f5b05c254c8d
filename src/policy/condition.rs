//! Conditions of statements: whether a condition limits a statement to some values of its key
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>).

mod networks;

use super::canonical::{CanonicalStatement, Operator, Quantifier};
use super::pattern::{Syntax, arn_covers, covers_as, together_cover, variables};

/// One condition key under one operator. It holds if any of the values matches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Condition<'a> {
    pub operator: &'a Operator,
    /// As in the canonical form: lower case, except for tag keys and issuer paths.
    pub key: &'a str,
    pub values: &'a [String],
}

/// Which requests a condition lets through, by the value of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restriction {
    /// All requests.
    None,
    /// Requests that have the key, with any value.
    Present,
    /// Requests without some values, or only requests without the key.
    Excludes,
    /// Requests with some values, and those without the key.
    NamesIfPresent,
    /// Requests with some values.
    Names,
}

/// The conditions of a statement, all of which must hold.
pub(crate) fn conditions(statement: &CanonicalStatement) -> impl Iterator<Item = Condition<'_>> {
    let blocks = statement.conditions.iter();
    blocks.flat_map(|(operator, block)| block.iter().map(move |(key, values)| Condition { operator, key, values }))
}

impl Condition<'_> {
    /// Whether wildcards have a meaning in the values.
    pub(crate) fn takes_patterns(&self) -> bool {
        matches!(self.operator.base.as_str(), "stringlike" | "arnlike" | "arnequals")
    }

    /// Whether `other` holds for every request for which this condition holds. False if in doubt. The documents of the
    /// two give `${…}` the meaning of `syntax` and `other_syntax`.
    pub(crate) fn implies(&self, syntax: Syntax, other: &Self, other_syntax: Syntax) -> bool {
        let (own, wide) = (self.operator, other.operator);
        if self.key != other.key || own.quantifier != wide.quantifier || (own.if_exists && !wide.if_exists) {
            return false;
        }
        let all = || self.values.iter().chain(other.values);
        if syntax != other_syntax && all().any(|value| value.contains("${")) {
            return false;
        }
        let each_in = |contains: &dyn Fn(&str, &str) -> bool| {
            self.values.iter().all(|value| other.values.iter().any(|wide| contains(wide, value)))
        };
        let is_arn = |base: &str| matches!(base, "arnlike" | "arnequals");
        match (own.base.as_str(), wide.base.as_str()) {
            ("null", "null") => self.values == other.values,
            // none of the values may match, so more values let less through
            (one, two) if one == two && NONE_OF.contains(&one) => {
                other.values.iter().all(|value| self.values.contains(value))
            }
            ("stringequals" | "stringlike", "stringlike") => {
                each_in(&|wide, value| covers_as(wide, other_syntax, value, syntax))
            }
            ("stringlike", "stringequals") => each_in(&|wide, value| wide == value && !value.contains(['*', '?', '$'])),
            (one, two) if is_arn(one) && is_arn(two) => {
                each_in(&|wide, value| arn_covers(wide, other_syntax, value, syntax))
            }
            ("ipaddress", "ipaddress") => each_in(&|wide, value| wide == value || networks::contains(wide, value)),
            (one, two) if one == two && ANY_OF.contains(&one) => each_in(&|wide, value| wide == value),
            (one, two) => one == two && self.values == other.values,
        }
    }

    /// What the condition restricts. Every possible value of the key matches one of `universes`, and a variable for
    /// which `is_open` holds may have any value.
    pub(crate) fn restriction(&self, universes: &[&str], is_open: impl Fn(&str) -> bool) -> Restriction {
        let optional = self.operator.if_exists || self.operator.quantifier == Quantifier::ForAllValues;
        let base = self.operator.base.as_str();
        if base == "null" {
            return match self.values {
                [value] if value == "false" => Restriction::Present,
                [value] if value == "true" => Restriction::Excludes,
                _ => Restriction::None,
            };
        }
        if base.contains("not") {
            return Restriction::Excludes;
        }
        match (self.takes_every_value(universes, is_open), optional) {
            (true, true) => Restriction::None,
            (true, false) => Restriction::Present,
            (false, true) => Restriction::NamesIfPresent,
            (false, false) => Restriction::Names,
        }
    }

    fn takes_every_value(&self, universes: &[&str], is_open: impl Fn(&str) -> bool) -> bool {
        let is_open = |variable: &str| self.is_own_key(variable) || is_open(variable);
        match self.operator.base.as_str() {
            "stringequals" | "stringequalsignorecase" => self.values.iter().any(|value| {
                // one variable and nothing else
                value.starts_with("${") && value.find('}') == Some(value.len() - 1) && {
                    matches!(variables(value)[..], [variable] if is_open(variable))
                }
            }),
            "stringlike" | "arnlike" | "arnequals" => {
                let patterns: Vec<String> =
                    self.values.iter().map(|value| with_stars_for_variables(value, is_open)).collect();
                universes.iter().any(|universe| together_cover(&patterns, universe))
            }
            "bool" => ["true", "false"].iter().all(|word| self.values.iter().any(|value| value == word)),
            "ipaddress" => networks::cover_most_addresses(self.values),
            numeric if numeric.starts_with("numericless") => self.values.iter().any(|value| at_least(value, HUGE)),
            numeric if numeric.starts_with("numericgreater") => self.values.iter().any(|value| !at_least(value, 1.0)),
            date if date.starts_with("dateless") => self.has_year(|year| year >= FAR_FUTURE),
            date if date.starts_with("dategreater") => self.has_year(|year| year <= PAST),
            _ => false,
        }
    }

    fn has_year(&self, holds: impl Fn(i64) -> bool) -> bool {
        self.values.iter().filter_map(|value| year(value)).any(holds)
    }

    /// Whether a variable is the key of this condition. Case is ignored.
    fn is_own_key(&self, variable: &str) -> bool {
        let name = variable.split_once(',').map_or(variable, |(name, _)| name).trim();
        name.eq_ignore_ascii_case(self.key)
    }
}

/// Operators that hold if one of the values matches, beside those with patterns and networks.
const ANY_OF: [&str; 12] = [
    "stringequals",
    "stringequalsignorecase",
    "numericequals",
    "numericlessthan",
    "numericlessthanequals",
    "numericgreaterthan",
    "numericgreaterthanequals",
    "dateequals",
    "datelessthan",
    "dategreaterthan",
    "bool",
    "binaryequals",
];
/// Operators that hold if none of the values matches.
const NONE_OF: [&str; 8] = [
    "stringnotequals",
    "stringnotequalsignorecase",
    "stringnotlike",
    "numericnotequals",
    "datenotequals",
    "notipaddress",
    "arnnotequals",
    "arnnotlike",
];
/// More than any age in seconds, size or number that is meant as a limit.
const HUGE: f64 = 10_000_000.0;
/// A year that is over. This code has no clock.
const PAST: i64 = 2025;
/// A year too far away to be meant as a limit.
const FAR_FUTURE: i64 = 2100;

fn at_least(value: &str, limit: f64) -> bool {
    value.parse::<f64>().is_ok_and(|number| number >= limit)
}

/// The approximate year of a date, which is ISO 8601 text or seconds since 1970.
fn year(value: &str) -> Option<i64> {
    const SECONDS: i64 = 31_556_952;
    match value.parse::<i64>() {
        Ok(seconds) if value.len() > 4 => Some(1970 + seconds / SECONDS),
        Ok(year) => Some(year),
        Err(_) => value.get(..4)?.parse().ok(),
    }
}

/// A pattern with `*` in place of each variable for which `is_open` holds.
pub(crate) fn with_stars_for_variables(pattern: &str, is_open: impl Fn(&str) -> bool) -> String {
    let open = variables(pattern).into_iter().filter(|variable| is_open(variable));
    open.fold(pattern.to_owned(), |text, variable| text.replace(&format!("${{{variable}}}"), "*"))
}

#[cfg(test)]
mod tests;
