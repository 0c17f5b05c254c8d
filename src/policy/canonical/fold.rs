//! Brings operators, condition keys, booleans and account principals into one spelling each.

use super::{Operator, Principal, Quantifier};

/// Every condition operator
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>).
const OPERATORS: &str = "
    StringEquals StringNotEquals StringEqualsIgnoreCase StringNotEqualsIgnoreCase StringLike StringNotLike
    NumericEquals NumericNotEquals NumericLessThan NumericLessThanEquals NumericGreaterThan NumericGreaterThanEquals
    DateEquals DateNotEquals DateLessThan DateLessThanEquals DateGreaterThan DateGreaterThanEquals Bool BinaryEquals
    IpAddress NotIpAddress ArnEquals ArnLike ArnNotEquals ArnNotLike Null
";

/// Parses an operator, ignoring case. `None` if it is unknown.
pub(super) fn operator(name: &str) -> Option<Operator> {
    let lower = name.to_ascii_lowercase();
    let (quantifier, rest) = if let Some(rest) = lower.strip_prefix("forallvalues:") {
        (Quantifier::ForAllValues, rest)
    } else if let Some(rest) = lower.strip_prefix("foranyvalue:") {
        (Quantifier::ForAnyValue, rest)
    } else {
        (Quantifier::One, lower.as_str())
    };
    let (base, if_exists) = match rest.strip_suffix("ifexists") {
        // `Null` tests whether the key exists, so AWS has no `NullIfExists`
        Some("null") | None => (rest, false),
        Some(base) => (base, true),
    };
    OPERATORS.split_ascii_whitespace().any(|known| known.eq_ignore_ascii_case(base)).then(|| Operator {
        quantifier,
        base: base.to_owned(),
        if_exists,
    })
}

/// A condition key in lower case, except for what follows a `/`. AWS ignores the case of key names
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html>), but a tag key, as
/// in `aws:ResourceTag/Team`, and the path of an issuer, as in `oidc.example.com/id/ABC:sub`, keep theirs.
pub(crate) fn condition_key(key: &str) -> String {
    let Some((head, tail)) = key.split_once('/') else {
        return key.to_ascii_lowercase();
    };
    let head_folded = head.to_ascii_lowercase();
    if !head.contains(':')
        && let Some((path, claim)) = tail.rsplit_once(':')
    {
        let (claim, name) = claim.find('/').map_or((claim, ""), |slash| claim.split_at(slash));
        return format!("{head_folded}/{path}:{}{name}", claim.to_ascii_lowercase());
    }
    format!("{head_folded}/{tail}")
}

/// A value of `Bool`. Case is ignored for `true` and `false` only: a policy variable may contain the key of a tag
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>).
pub(super) fn boolean(text: String) -> String {
    let word = ["true", "false"].into_iter().find(|word| text.eq_ignore_ascii_case(word));
    word.map_or(text, str::to_owned)
}

/// An `AWS` principal. The root ARN of an account becomes its id, which means the same
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>). The partition is
/// ignored, because a role cannot trust a principal of another one.
pub(super) fn aws_principal(text: &str) -> Principal {
    Principal::Aws(root_account(text).unwrap_or(text).to_owned())
}

/// The account id in `arn:PARTITION:iam::ID:root`.
fn root_account(arn: &str) -> Option<&str> {
    let rest = arn.strip_prefix("arn:aws")?;
    let (partition, rest) = rest.split_once(':')?;
    let known = partition.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let id = rest.strip_prefix("iam::")?.strip_suffix(":root")?;
    (known && (partition.is_empty() || partition.starts_with('-')) && is_account_id(id)).then_some(id)
}

pub(crate) fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}
