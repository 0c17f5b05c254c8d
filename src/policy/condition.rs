//! What a condition says: whether it names values, excludes some, or holds whatever the request brings
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>).

mod networks;

use super::canonical::{CanonicalStatement, Operator, Quantifier};
use super::pattern_cover::{together_cover, variables};

/// One key under one operator; any of the values is enough.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Condition<'a> {
    pub operator: &'a Operator,
    /// As the canonical form has it: in lower case, but for names of others.
    pub key: &'a str,
    pub values: &'a [String],
}

/// What a condition says of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// It holds for every value, and for a request without the key.
    Nothing,
    /// It holds for every value; the key must be there.
    Presence,
    /// It holds for all but some values, or only without the key.
    AllBut,
    /// It holds for some values, and for a request without the key.
    OnlyIfThere,
    /// It holds for some values.
    Only,
}

/// The conditions of a statement, all of which must hold.
pub(crate) fn conditions(body: &CanonicalStatement) -> impl Iterator<Item = Condition<'_>> {
    let blocks = body.conditions.iter();
    blocks.flat_map(|(operator, block)| block.iter().map(move |(key, values)| Condition { operator, key, values }))
}

impl Condition<'_> {
    /// What it says, if every value of the key matches one of `universes`, and if variables for which `open` holds may
    /// be any text.
    pub(crate) fn says(&self, universes: &[&str], open: impl Fn(&str) -> bool) -> Says {
        let optional = self.operator.if_exists || self.operator.quantifier == Quantifier::ForAllValues;
        let base = self.operator.base.as_str();
        if base == "null" {
            return match self.values {
                [value] if value == "false" => Says::Presence,
                [value] if value == "true" => Says::AllBut,
                _ => Says::Nothing,
            };
        }
        if base.contains("not") {
            return Says::AllBut;
        }
        match (self.takes_all(universes, open), optional) {
            (true, true) => Says::Nothing,
            (true, false) => Says::Presence,
            (false, true) => Says::OnlyIfThere,
            (false, false) => Says::Only,
        }
    }

    /// Whether every value of the key is good enough.
    fn takes_all(&self, universes: &[&str], open: impl Fn(&str) -> bool) -> bool {
        let is_open = |variable: &str| self.is_own(variable) || open(variable);
        match self.operator.base.as_str() {
            "stringequals" | "stringequalsignorecase" => self.values.iter().any(|value| {
                // one variable and nothing else
                value.starts_with("${") && value.find('}') == Some(value.len() - 1) && {
                    matches!(variables(value)[..], [variable] if is_open(variable))
                }
            }),
            "stringlike" | "arnlike" | "arnequals" => {
                let patterns: Vec<String> = self.values.iter().map(|value| opened(value, is_open)).collect();
                universes.iter().any(|universe| together_cover(&patterns, universe))
            }
            "bool" => ["true", "false"].iter().all(|word| self.values.iter().any(|value| value == word)),
            "ipaddress" => networks::nearly_all(self.values),
            numeric if numeric.starts_with("numericless") => self.values.iter().any(|value| at_least(value, HUGE)),
            numeric if numeric.starts_with("numericgreater") => self.values.iter().any(|value| !at_least(value, 1.0)),
            date if date.starts_with("dateless") => self.in_years(|year| year >= FAR),
            date if date.starts_with("dategreater") => self.in_years(|year| year <= PAST),
            _ => false,
        }
    }

    fn in_years(&self, holds: impl Fn(i64) -> bool) -> bool {
        self.values.iter().filter_map(|value| year(value)).any(holds)
    }

    /// Whether a variable is the key itself: the case of names does not count.
    fn is_own(&self, variable: &str) -> bool {
        let name = variable.split_once(',').map_or(variable, |(name, _)| name).trim();
        name.eq_ignore_ascii_case(self.key)
    }
}

/// More than any age in seconds, size or number that is meant as a limit.
const HUGE: f64 = 10_000_000.0;
/// A year that this program has seen end: it knows no clock.
const PAST: i64 = 2025;
/// A year that nobody waits for.
const FAR: i64 = 2100;

fn at_least(value: &str, limit: f64) -> bool {
    value.parse::<f64>().is_ok_and(|number| number >= limit)
}

/// The year of a date as text or in seconds since 1970, about.
fn year(value: &str) -> Option<i64> {
    const SECONDS: i64 = 31_556_952;
    match value.parse::<i64>() {
        Ok(seconds) if value.len() > 4 => Some(1970 + seconds / SECONDS),
        Ok(year) => Some(year),
        Err(_) => value.get(..4)?.parse().ok(),
    }
}

/// A pattern with `*` for the variables that may be any text.
fn opened(pattern: &str, open: impl Fn(&str) -> bool) -> String {
    let mut opened = pattern.to_owned();
    for variable in variables(pattern).into_iter().filter(|variable| open(variable)) {
        opened = opened.replace(&format!("${{{variable}}}"), "*");
    }
    opened
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Statement;
    use serde_json::{Value, json};

    fn says(operator: &str, key: &str, value: &Value, universe: &str) -> Says {
        let statement = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*",
            "Condition": {operator: {key: value}}});
        let statement = Statement::parse(&statement, None).unwrap();
        let conditions: Vec<Condition<'_>> = conditions(statement.canonical()).collect();
        let [condition] = conditions[..] else { panic!("{conditions:?}") };
        condition.says(&[universe], |variable| variable.starts_with("aws:PrincipalTag/"))
    }

    #[test]
    fn a_condition_that_takes_every_value_asks_for_the_key_at_most() {
        for (operator, key, value) in [
            ("StringLike", "aws:SourceVpc", json!("*")),
            ("StringLike", "aws:SourceVpc", json!(["vpc-1", "?*"])),
            ("StringLike", "aws:SourceVpc", json!(["?", "??*"])),
            ("ForAnyValue:StringLike", "aws:TagKeys", json!("**")),
            ("ArnLike", "aws:PrincipalArn", json!("arn:*")),
            ("ArnEquals", "aws:PrincipalArn", json!("arn:aws:iam::*:role/*")),
            ("StringLike", "aws:PrincipalArn", json!("${aws:principalARN}")),
            ("StringEquals", "aws:PrincipalArn", json!("${aws:PrincipalArn}")),
            ("StringEquals", "aws:PrincipalArn", json!("${aws:PrincipalArn, 'x'}")),
            ("StringEquals", "aws:PrincipalArn", json!("${aws:PrincipalTag/who}")),
            ("StringLike", "aws:PrincipalArn", json!("arn:aws:iam::*:role/${aws:PrincipalTag/who}")),
            ("Bool", "aws:SecureTransport", json!([true, "false"])),
            ("IpAddress", "aws:SourceIp", json!("0.0.0.0/0")),
            ("NumericLessThan", "aws:MultiFactorAuthAge", json!("999999999")),
            ("NumericGreaterThan", "s3:max-keys", json!("-1")),
            ("DateGreaterThan", "aws:CurrentTime", json!("2020-01-01T00:00:00Z")),
            ("DateLessThan", "aws:CurrentTime", json!("2999-12-31T00:00:00Z")),
            ("DateGreaterThan", "aws:EpochTime", json!("0")),
            ("Null", "aws:PrincipalArn", json!(false)),
        ] {
            let universe = if key == "aws:PrincipalArn" { "arn:aws:iam::????????????:role/?*" } else { "?*" };
            assert_eq!(says(operator, key, &value, universe), Says::Presence, "{operator} {value}");
            if !matches!(operator, "Null" | "ForAnyValue:StringLike") {
                let operator = format!("{operator}IfExists");
                assert_eq!(says(&operator, key, &value, universe), Says::Nothing, "{operator} {value}");
            }
        }
    }

    #[test]
    fn a_condition_that_names_values_says_so() {
        for (operator, key, value) in [
            ("StringLike", "aws:SourceVpc", json!("vpc-*")),
            ("StringEquals", "aws:SourceVpc", json!("*")),
            ("StringEquals", "aws:SourceVpc", json!("${aws:SourceVpce}")),
            ("StringEquals", "aws:SourceVpc", json!("x${aws:SourceVpc}")),
            ("StringLike", "aws:SourceVpc", json!("x${aws:PrincipalTag/vpc}")),
            ("Bool", "aws:SecureTransport", json!(true)),
            ("IpAddress", "aws:SourceIp", json!("10.0.0.0/8")),
            ("NumericLessThan", "aws:MultiFactorAuthAge", json!("3600")),
            ("DateLessThan", "aws:CurrentTime", json!("2030-01-01T00:00:00Z")),
        ] {
            assert_eq!(says(operator, key, &value, "?*"), Says::Only, "{operator} {value}");
            let operator = format!("ForAllValues:{operator}");
            assert_eq!(says(&operator, key, &value, "?*"), Says::OnlyIfThere, "{operator} {value}");
        }
    }

    #[test]
    fn a_condition_that_excludes_says_so() {
        for operator in ["StringNotEquals", "StringNotLike", "ArnNotLike", "NotIpAddress", "StringNotEqualsIfExists"] {
            assert_eq!(says(operator, "aws:PrincipalArn", &json!("x"), "?*"), Says::AllBut, "{operator}");
        }
        assert_eq!(says("Null", "aws:SourceVpc", &json!("true"), "?*"), Says::AllBut);
        assert_eq!(says("Null", "aws:SourceVpc", &json!(["true", "false"]), "?*"), Says::Nothing);
    }
}
