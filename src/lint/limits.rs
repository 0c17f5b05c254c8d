//! Which conditions are a limit: whom they keep out of a role, and what they keep a permission from.
//!
//! The keys and when they are there:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>.

use super::reach::{Kind, kind, patterns_reach_every};
use crate::policy::canonical::{CanonicalStatement, Quantifier, arn_parts};
use crate::policy::condition::{Condition, Says, conditions};
use crate::policy::pattern_cover::{is_wild, variables};

const ROLE: Kind<'static> = kind("iam", "role/?*");

/// What the values of a key look like: a condition that takes all of these takes everything.
fn universes(key: &str) -> &'static [&'static str] {
    match key {
        "aws:principalaccount" | "aws:resourceaccount" | "aws:sourceaccount" | "aws:vpceaccount" => &["????????????"],
        "aws:principalarn" => &["arn:aws:iam::????????????:role/?*", "arn:aws-cn:iam::????????????:role/?*"],
        "aws:sourcearn" => &["arn:aws:?*"],
        "aws:principalorgid" | "aws:resourceorgid" | "aws:sourceorgid" | "aws:vpceorgid" => &["o-??????????*"],
        "aws:principalorgpaths" | "aws:resourceorgpaths" | "aws:sourceorgpaths" | "aws:vpceorgpaths" => {
            &["o-??????????*/?*"]
        }
        "aws:principaltype" => &["AssumedRole"],
        "aws:requestedregion" => &["??-?*-?"],
        "aws:sourcevpc" => &["vpc-?*"],
        "aws:sourcevpce" => &["vpce-?*"],
        "aws:userid" => &["?*:?*"],
        "iam:passedtoservice" | "iam:awsservicename" => &["?*.amazonaws.com"],
        "kms:viaservice" => &["?*.??-?*-?.amazonaws.com"],
        // whoever may take these two takes the strongest policy
        "iam:policyarn" | "iam:permissionsboundary" => &[
            "arn:aws:iam::aws:policy/AdministratorAccess",
            "arn:aws-cn:iam::aws:policy/AdministratorAccess",
            "arn:aws-us-gov:iam::aws:policy/AdministratorAccess",
        ],
        _ => &["?*"],
    }
}

/// When something happens, or by which road: no word of who or what.
fn circumstance(key: &str) -> bool {
    const KEYS: [&str; 7] = [
        "aws:currenttime",
        "aws:epochtime",
        "ec2:region",
        "aws:referer",
        "aws:requestedregion",
        "aws:securetransport",
        "aws:useragent",
    ];
    KEYS.contains(&key)
}

/// What a variable may hold is up to whoever asks, unless it is about the resource.
fn asked_for(variable: &str) -> bool {
    !variable.get(..12).is_some_and(|begin| begin.eq_ignore_ascii_case("aws:resource"))
}

/// What a caller of `sts:AssumeRole` writes into the request at will.
fn chosen(key: &str) -> bool {
    const KEYS: [&str; 5] =
        ["aws:tagkeys", "sts:durationseconds", "sts:rolesessionname", "sts:sourceidentity", "sts:transitivetagkeys"];
    KEYS.contains(&key) || key.starts_with("aws:requesttag/")
}

/// Whether the statement says who may come in, whoever its principals are.
pub(super) fn names_who(body: &CanonicalStatement) -> bool {
    conditions(body).any(|condition| {
        condition.says(universes(condition.key), asked_for) == Says::Only
            && condition.values.iter().all(|value| closed(&condition, value))
    })
}

/// What a condition says, where a pattern with less than two letters is taken for every value.
fn said(condition: &Condition<'_>, universes: &[&str], open: impl Fn(&str) -> bool) -> Says {
    let weak = |value: &String| {
        is_wild(value) && variables(value).is_empty() && value.chars().filter(|c| c.is_alphanumeric()).count() < 2
    };
    match condition.says(universes, open) {
        Says::Only if condition.patterns() && condition.values.iter().any(weak) => Says::Presence,
        Says::OnlyIfThere if condition.patterns() && condition.values.iter().any(weak) => Says::Nothing,
        says => says,
    }
}

/// Whether a value leaves open neither the organisation, the account nor the network.
fn closed(condition: &Condition<'_>, value: &str) -> bool {
    const SAME: [&str; 4] = ["binaryequals", "numericequals", "stringequals", "stringequalsignorecase"];
    let base = condition.operator.base.as_str();
    if !condition.patterns() && !SAME.contains(&base) {
        return false;
    }
    let literal = !condition.patterns() || !is_wild(value);
    let owned = variables(value).into_iter().all(|variable| !asked_for(variable));
    let part = |part: Option<&str>| part.is_some_and(|part| !part.is_empty() && !is_wild(part));
    owned
        && match condition.key {
            "aws:principalaccount"
            | "aws:principalorgid"
            | "aws:principalorgmasteraccountid"
            | "aws:sourceaccount"
            | "aws:sourceorgid"
            | "aws:sourcevpc"
            | "aws:sourcevpce"
            | "aws:vpceaccount"
            | "aws:vpceorgid" => literal,
            "aws:principalorgpaths" | "aws:sourceorgpaths" | "aws:vpceorgpaths" => {
                literal || value.split_once('/').is_some_and(|(organisation, _)| !is_wild(organisation))
            }
            "aws:principalarn" => literal || part(arn_parts(value).get(4).copied()),
            // buckets have no account in their ARN, but a name of their own
            "aws:sourcearn" => {
                let parts = arn_parts(value);
                let named = parts.get(5).is_some_and(|name| !name.starts_with(['*', '?']));
                literal || part(parts.get(4).copied()) || parts.get(4) == Some(&"") && named
            }
            "aws:userid" => literal || value.split(['*', '?']).next().is_some_and(|id| id.len() >= 16),
            _ => false,
        }
}

impl Condition<'_> {
    /// Whether wildcards stand for something in its values.
    fn patterns(&self) -> bool {
        matches!(self.operator.base.as_str(), "stringlike" | "arnlike" | "arnequals")
    }
}

/// Whether the statement lets in some of an account's principals only.
pub(super) fn narrows(body: &CanonicalStatement, account: &str) -> bool {
    // the same for everyone in the account, or for the role
    const SHARED: [&str; 5] = [
        "aws:principalaccount",
        "aws:principalisawsservice",
        "aws:principaltype",
        "aws:viaawsservice",
        "iam:resourcetag/",
    ];
    let shared = |key: &str| {
        SHARED.iter().any(|begin| key.starts_with(begin))
            || key.starts_with("aws:principalorg")
            || key.starts_with("aws:resource")
    };
    let roles = format!("arn:aws:iam::{account}:role/?*");
    conditions(body).any(|condition| {
        let key = condition.key;
        let own = [roles.as_str()];
        let universes = if key == "aws:principalarn" { &own[..] } else { universes(key) };
        let silent = circumstance(key) || chosen(key) || shared(key);
        let every = key == "aws:principalarn" && condition.patterns() && patterns_reach_every(condition.values, ROLE);
        match said(&condition, universes, asked_for) {
            Says::Only if every => false,
            Says::Only => !silent && (key != "aws:userid" || condition.values.iter().all(|id| closed(&condition, id))),
            // whoever has signed in with a second factor
            Says::Presence => key == "aws:multifactorauthage",
            Says::Nothing | Says::AllBut | Says::OnlyIfThere => false,
        }
    })
}

/// Whether the statement keeps its actions from some of what they could be used for.
pub(super) fn limited(body: &CanonicalStatement) -> bool {
    conditions(body).any(|condition| limits(&condition))
}

/// Whether a condition does. The holder is one role, which asks from where it is: what is said of that holds always or
/// never.
pub(super) fn limits(condition: &Condition<'_>) -> bool {
    // of the holder, its network, and the account that it is in; or of which version is meant
    const SILENT: [&str; 18] = [
        "aws:federatedprovider",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalisawsservice",
        "aws:principaltype",
        "aws:resourceaccount",
        "aws:sourceidentity",
        "aws:sourceip",
        "aws:sourcevpc",
        "aws:sourcevpcarn",
        "aws:sourcevpce",
        "aws:tokenissuetime",
        "aws:userid",
        "aws:username",
        "aws:vpcsourceip",
        "kms:calleraccount",
        "s3:resourceaccount",
        "secretsmanager:versionstage",
    ];
    const BEGINS: [&str; 4] = ["aws:principalorg", "aws:principaltag/", "aws:resourceorg", "aws:vpce"];
    let key = condition.key;
    let silent = circumstance(key)
        || SILENT.contains(&key)
        || BEGINS.iter().any(|begin| key.starts_with(begin))
        || key == "aws:viaawsservice" && condition.values.iter().any(|value| value == "false");
    match said(condition, universes(key), |_| false) {
        Says::Only => !silent,
        // a key that is always there, so that `IfExists` changes nothing
        Says::OnlyIfThere => key == "iam:passedtoservice" && condition.operator.quantifier != Quantifier::ForAllValues,
        Says::Presence | Says::Nothing | Says::AllBut => false,
    }
}

/// Whether a condition on one of these keys names some of its values. A key that ends in `/` stands for all that begin so.
pub(super) fn limited_by(body: &CanonicalStatement, keys: &[&str]) -> bool {
    conditions(body).any(|condition| {
        let meant = |key: &&str| condition.key == *key || key.ends_with('/') && condition.key.starts_with(*key);
        keys.iter().any(meant) && condition.says(universes(condition.key), |_| false) == Says::Only
    })
}
