//! Evaluates whether a trust policy admits a caller, and whether a policy's conditions are met.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>, for one policy and
//! without the caller's own permissions. A condition that this module does not support (numbers, dates, IP addresses,
//! policy variables) never grants access: an Allow with it is ignored, a Deny with it applies.

use crate::aws::PARTITION;
use crate::aws::credentials::Caller;
use crate::aws::iam::glob;
use serde_json::Value;
use std::collections::BTreeMap;

/// The caller and the condition keys of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The principal type: `AWS`, `Federated` or `Service`.
    kind: &'static str,
    /// All names by which a trust policy can refer to the caller.
    names: Vec<String>,
    values: BTreeMap<String, Vec<String>>,
}

/// Lower-cases a condition key, except what follows a `/`, which can be a tag key or an issuer path.
fn normalized_key(key: &str) -> String {
    if key.contains('/') { key.to_owned() } else { key.to_ascii_lowercase() }
}

/// A list. A single value counts as a list of one.
fn list(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(items) => items,
        one => std::slice::from_ref(one),
    }
}

/// A value as conditions compare it: `true` is `"true"`.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn like(pattern: &str, value: &str) -> bool {
    glob(pattern.as_bytes(), value.as_bytes())
}

impl Facts {
    /// A caller with AWS credentials.
    pub(crate) fn of(caller: &Caller) -> Self {
        let root = format!("arn:{PARTITION}:iam::{}:root", caller.account);
        let names = [&root, &caller.arn, &caller.principal, caller.principal_id()].map(str::to_owned);
        let mut facts = Self { kind: "AWS", names: names.to_vec(), ..Self::default() };
        facts.set("aws:PrincipalArn", [caller.principal.as_str()]);
        facts.set("aws:PrincipalAccount", [caller.account.as_str()]);
        facts.set("aws:PrincipalType", [if caller.is_session() { "AssumedRole" } else { "User" }]);
        facts.set("aws:userid", [caller.user_id.as_str()]);
        facts
    }

    /// A caller with a token of this provider.
    pub(crate) fn federated(provider_arn: &str) -> Self {
        Self::named("Federated", &[provider_arn])
    }

    /// A caller that a trust policy can refer to by any of these names, under this principal type: `AWS`, `Federated`
    /// or `Service`.
    pub fn named(kind: &'static str, names: &[&str]) -> Self {
        Self { kind, names: names.iter().map(|name| (*name).to_owned()).collect(), ..Self::default() }
    }

    /// Sets a condition key. Without values, the key stays missing.
    pub fn set<'v>(&mut self, key: &str, values: impl IntoIterator<Item = &'v str>) {
        let values: Vec<String> = values.into_iter().map(str::to_owned).collect();
        if !values.is_empty() {
            self.values.insert(normalized_key(key), values);
        }
    }

    /// Whether a trust policy allows the action.
    pub fn allowed_by(&self, trust: &Value, action: &str) -> bool {
        let mut allowed = false;
        for statement in list(&trust["Statement"]) {
            let action = action.to_ascii_lowercase();
            let about = list(&statement["Action"]).iter().any(|item| like(&text(item).to_ascii_lowercase(), &action));
            if !about || !self.names_caller(&statement["Principal"]) {
                continue;
            }
            let met = self.meets(&statement["Condition"]);
            if statement["Effect"] == "Allow" {
                allowed |= met == Some(true);
            } else if met != Some(false) {
                return false;
            }
        }
        allowed
    }

    fn names_caller(&self, principal: &Value) -> bool {
        let everyone = |value: &Value| list(value).iter().any(|item| item == "*");
        everyone(principal)
            || everyone(&principal["AWS"])
            || list(&principal[self.kind]).iter().any(|item| self.names.contains(&text(item)))
    }

    /// Whether all conditions of a statement are met. None if one of them is not supported.
    pub fn meets(&self, condition: &Value) -> Option<bool> {
        let mut met = true;
        for (operator, keys) in condition.as_object().into_iter().flatten() {
            for (key, wanted) in keys.as_object().into_iter().flatten() {
                let wanted: Vec<String> = list(wanted).iter().map(text).collect();
                met &= self.holds(operator, key, &wanted)?;
            }
        }
        Some(met)
    }

    fn holds(&self, operator: &str, key: &str, wanted: &[String]) -> Option<bool> {
        let has = self.values.get(&normalized_key(key));
        let operator = operator.to_ascii_lowercase();
        let (set, operator) = operator.split_once(':').unwrap_or(("", &operator));
        let (operator, if_exists) =
            operator.strip_suffix("ifexists").map_or((operator, false), |operator| (operator, true));
        if operator == "null" {
            return Some(wanted.iter().any(|wish| wish.eq_ignore_ascii_case("true") == has.is_none()));
        }
        let (test, negated) = test(operator)?;
        if wanted.iter().any(|wish| wish.contains("${")) {
            return None;
        }
        let fits = |value: &String| wanted.iter().any(|wish| test(wish, value)) != negated;
        Some(match (set, has) {
            ("forallvalues", has) => has.into_iter().flatten().all(fits),
            ("foranyvalue", has) => has.into_iter().flatten().any(fits),
            (_, Some(values)) => values.iter().any(fits),
            (_, None) => negated || if_exists,
        })
    }
}

type Test = fn(&str, &str) -> bool;

/// The comparison of a condition operator, and whether the operator negates it.
fn test(operator: &str) -> Option<(Test, bool)> {
    let (plain, negated) = match operator.split_once("not") {
        Some((kind, rest)) => (format!("{kind}{rest}"), true),
        None => (operator.to_owned(), false),
    };
    let test: Test = match plain.as_str() {
        "stringequals" => |wish, value| wish == value,
        "stringequalsignorecase" => |wish, value| wish.eq_ignore_ascii_case(value),
        "bool" if !negated => |wish, value| wish.eq_ignore_ascii_case(value),
        "stringlike" | "arnlike" | "arnequals" => like,
        _ => return None,
    };
    Some((test, negated))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ROLE: &str = "arn:aws:iam::111122223333:role/team/reader";

    fn facts() -> Facts {
        let mut facts = Facts::of(&Caller::session("111122223333", ROLE, "AROAREADER", "me"));
        facts.set("sts:ExternalId", ["secret"]);
        facts.set("aws:TagKeys", ["a", "b"]);
        facts
    }

    fn allows(statement: Value) -> bool {
        let mut statement = statement;
        for (key, value) in [("Effect", json!("Allow")), ("Principal", json!("*")), ("Action", json!("sts:AssumeRole"))]
        {
            if statement.get(key).is_none() {
                statement[key] = value;
            }
        }
        facts().allowed_by(&json!({"Statement": [statement]}), "sts:AssumeRole")
    }

    #[test]
    fn principals_match_by_any_of_their_names() {
        for name in [
            "*",
            "arn:aws:iam::111122223333:root",
            ROLE,
            "AROAREADER",
            "arn:aws:sts::111122223333:assumed-role/reader/me",
        ] {
            assert!(allows(json!({"Principal": {"AWS": ["arn:aws:iam::999999999999:root", name]}})), "{name}");
        }
        for principal in [
            json!({"AWS": "arn:aws:iam::444455556666:root"}),
            json!({"AWS": "arn:aws:iam::111122223333:role/reader"}),
            json!({"AWS": "AROAOTHER"}),
            json!({"Federated": "arn:aws:iam::111122223333:root"}),
            json!({"Service": "ec2.amazonaws.com"}),
            json!({}),
        ] {
            assert!(!allows(json!({"Principal": principal})), "{principal}");
        }
    }

    #[test]
    fn actions_match_as_patterns_ignoring_case() {
        for (action, expected) in [
            (json!("STS:assumerole"), true),
            (json!(["sts:TagSession", "sts:*"]), true),
            (json!("sts:AssumeRoleWithWebIdentity"), false),
        ] {
            assert_eq!(allows(json!({"Action": action})), expected, "{action}");
        }
    }

    #[test]
    fn condition_operators_compare_as_documented() {
        for (condition, expected) in [
            (json!({"StringEquals": {"sts:externalid": ["x", "secret"]}}), true),
            (json!({"StringEquals": {"sts:ExternalId": "Secret"}}), false),
            (json!({"StringEqualsIgnoreCase": {"sts:ExternalId": "Secret"}}), true),
            (json!({"StringNotEquals": {"sts:ExternalId": ["x", "secret"]}}), false),
            (json!({"StringNotEquals": {"aws:SourceIp": "x"}}), true),
            (json!({"StringLike": {"sts:ExternalId": "s?c*"}}), true),
            (json!({"StringEquals": {"sts:ExternalId": "s*"}}), false),
            (json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/team/*"}}), true),
            (json!({"StringEquals": {"missing": "x"}}), false),
            (json!({"StringEqualsIfExists": {"missing": "x"}}), true),
            (json!({"StringEqualsIfExists": {"sts:ExternalId": "x"}}), false),
            (json!({"Null": {"missing": true}}), true),
            (json!({"Null": {"sts:ExternalId": "true"}}), false),
            (json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b", "c"]}}), true),
            (json!({"ForAllValues:StringEquals": {"aws:TagKeys": "a"}}), false),
            (json!({"ForAllValues:StringEquals": {"missing": "a"}}), true),
            (json!({"ForAnyValue:StringEquals": {"aws:TagKeys": "b"}}), true),
            (json!({"ForAnyValue:StringEquals": {"missing": "b"}}), false),
            (
                json!({"StringEquals": {"sts:ExternalId": "secret"}, "Bool": {"aws:MultiFactorAuthPresent": "true"}}),
                false,
            ),
            (json!({"NumericLessThan": {"aws:MultiFactorAuthAge": "1"}}), false),
            (json!({"StringLike": {"aws:userid": "${aws:userid}*"}}), false),
        ] {
            assert_eq!(allows(json!({"Condition": condition})), expected, "{condition}");
        }
    }

    #[test]
    fn a_deny_with_an_unsupported_condition_applies() {
        let allow = json!({"Effect": "Allow", "Principal": "*", "Action": "sts:*"});
        for (condition, expected) in [
            (json!({"StringEquals": {"sts:ExternalId": "secret"}}), false),
            (json!({"StringEquals": {"sts:ExternalId": "other"}}), true),
            (json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), false),
        ] {
            let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "sts:*", "Condition": condition});
            for trust in [json!({"Statement": [allow, deny]}), json!({"Statement": [deny, allow]})] {
                assert_eq!(facts().allowed_by(&trust, "sts:AssumeRole"), expected, "{condition}");
            }
        }
        assert!(!facts().allowed_by(&json!({"Statement": []}), "sts:AssumeRole"));
    }
}
