//! Which conditions are a limit: on who can assume a role, and on what a permission can be used for.
//!
//! The condition keys, and which requests have them:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>.

use super::has_word;
use super::resources::{ROLE, has_few_letters, patterns_cover_every};
use crate::policy::canonical::{CanonicalStatement, Quantifier};
use crate::policy::condition::{Condition, Restriction, conditions};
use crate::policy::pattern::{arn_parts, fixed_prefix, is_wild, variables};

/// Patterns of all values of a key: a condition that matches all values of one of them restricts nothing.
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
        // the strongest policy stands for all
        "iam:policyarn" | "iam:permissionsboundary" => &[
            "arn:aws:iam::aws:policy/AdministratorAccess",
            "arn:aws-cn:iam::aws:policy/AdministratorAccess",
            "arn:aws-us-gov:iam::aws:policy/AdministratorAccess",
        ],
        _ => &["?*"],
    }
}

/// Keys that say when or how a request is made, but not by whom or on what.
const CIRCUMSTANCES: &str = "
    aws:currenttime aws:epochtime ec2:region aws:referer aws:requestedregion aws:securetransport aws:useragent
";

/// Keys whose values the caller of `sts:AssumeRole` chooses. Also `aws:requesttag/…`.
const CHOSEN_BY_CALLER: &str =
    "aws:tagkeys sts:durationseconds sts:rolesessionname sts:sourceidentity sts:transitivetagkeys";

/// Keys that are the same for all principals of an account, or depend on the role. Also all that begin with
/// `aws:principalorg`, `aws:resource` or `iam:resourcetag/`.
const SAME_IN_ACCOUNT: &str = "aws:principalaccount aws:principalisawsservice aws:principaltype aws:viaawsservice";

/// Keys that are the same in all requests of a role: about itself, its network and its account. Also the version of a
/// secret, which is not a limit. And all that begin with one of `SAME_FOR_ROLE_PREFIXES`.
const SAME_FOR_ROLE: &str = "
    aws:federatedprovider aws:principalaccount aws:principalarn aws:principalisawsservice aws:principaltype
    aws:resourceaccount aws:sourceidentity aws:sourceip aws:sourcevpc aws:sourcevpcarn aws:sourcevpce
    aws:tokenissuetime aws:userid aws:username aws:vpcsourceip kms:calleraccount s3:resourceaccount
    secretsmanager:versionstage
";
const SAME_FOR_ROLE_PREFIXES: [&str; 4] = ["aws:principalorg", "aws:principaltag/", "aws:resourceorg", "aws:vpce"];

/// Whether the caller may influence a variable: all but those about the resource.
fn depends_on_caller(variable: &str) -> bool {
    !variable.get(..12).is_some_and(|begin| begin.eq_ignore_ascii_case("aws:resource"))
}

/// Whether a condition names the organization, account or network of the callers, so that not everyone in the world can
/// use the statement, whatever its principals are.
pub(super) fn limits_world(statement: &CanonicalStatement) -> bool {
    conditions(statement).any(|condition| {
        condition.restriction(universes(condition.key), depends_on_caller) == Restriction::Names
            && condition.values.iter().all(|value| names_origin(&condition, value))
    })
}

/// The restriction of a condition, where a pattern with fewer than two letters matches every value.
fn restriction(condition: &Condition<'_>, universes: &[&str], is_open: impl Fn(&str) -> bool) -> Restriction {
    let vague = |value: &String| is_wild(value) && variables(value).is_empty() && has_few_letters(value);
    let any_vague = condition.takes_patterns() && condition.values.iter().any(vague);
    match condition.restriction(universes, is_open) {
        Restriction::Names if any_vague => Restriction::Present,
        Restriction::NamesIfPresent if any_vague => Restriction::None,
        restriction => restriction,
    }
}

/// Whether a value names an organization, an account or a network.
fn names_origin(condition: &Condition<'_>, value: &str) -> bool {
    const EQUALITY: &str = "binaryequals numericequals stringequals stringequalsignorecase";
    if !condition.takes_patterns() && !has_word(EQUALITY, &condition.operator.base) {
        return false;
    }
    let literal = !condition.takes_patterns() || !is_wild(value);
    let is_named = |part: Option<&str>| part.is_some_and(|part| !part.is_empty() && !is_wild(part));
    variables(value).into_iter().all(|variable| !depends_on_caller(variable))
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
                literal || value.split_once('/').is_some_and(|(organization, _)| !is_wild(organization))
            }
            "aws:principalarn" => literal || is_named(arn_parts(value).get(4).copied()),
            // the ARN of a bucket has no account, but its name is unique in the world
            "aws:sourcearn" => {
                let parts = arn_parts(value);
                let has_name = parts.get(5).is_some_and(|name| !name.starts_with(['*', '?']));
                literal || is_named(parts.get(4).copied()) || parts.get(4) == Some(&"") && has_name
            }
            "aws:userid" => literal || fixed_prefix(value).len() >= 16,
            _ => false,
        }
}

/// Whether a condition lets in only some principals of the account.
pub(super) fn limits_account(statement: &CanonicalStatement, account: &str) -> bool {
    let roles = format!("arn:aws:iam::{account}:role/?*");
    conditions(statement).any(|condition| {
        let key = condition.key;
        let roles = [roles.as_str()];
        let universes = if key == "aws:principalarn" { &roles[..] } else { universes(key) };
        let is_no_limit = [CIRCUMSTANCES, CHOSEN_BY_CALLER, SAME_IN_ACCOUNT].iter().any(|keys| has_word(keys, key))
            || ["aws:requesttag/", "aws:principalorg", "aws:resource", "iam:resourcetag/"]
                .iter()
                .any(|prefix| key.starts_with(prefix));
        let is_every_role =
            key == "aws:principalarn" && condition.takes_patterns() && patterns_cover_every(condition.values, ROLE);
        match restriction(&condition, universes, depends_on_caller) {
            Restriction::Names if is_every_role => false,
            Restriction::Names => {
                !is_no_limit && (key != "aws:userid" || condition.values.iter().all(|id| names_origin(&condition, id)))
            }
            // principals that have signed in with a second factor
            Restriction::Present => key == "aws:multifactorauthage",
            Restriction::None | Restriction::Excludes | Restriction::NamesIfPresent => false,
        }
    })
}

/// Whether a condition limits what the actions of a permission statement can be used for.
pub(super) fn limits_use(statement: &CanonicalStatement) -> bool {
    conditions(statement).any(|condition| is_limit_of_use(&condition))
}

/// Whether this condition limits what an action can be used for. A condition on the caller or its network is not a
/// limit: the role is the only caller, so the condition always holds or never holds.
pub(super) fn is_limit_of_use(condition: &Condition<'_>) -> bool {
    let key = condition.key;
    let is_no_limit = has_word(CIRCUMSTANCES, key)
        || has_word(SAME_FOR_ROLE, key)
        || SAME_FOR_ROLE_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
        || key == "aws:viaawsservice" && condition.values.iter().any(|value| value == "false");
    match restriction(condition, universes(key), |_| false) {
        Restriction::Names => !is_no_limit,
        // requests always have this key, so `IfExists` changes nothing
        Restriction::NamesIfPresent => {
            key == "iam:passedtoservice" && condition.operator.quantifier != Quantifier::ForAllValues
        }
        Restriction::Present | Restriction::None | Restriction::Excludes => false,
    }
}

/// Whether a condition on one of these keys names values. A key that ends in `/` stands for all that begin with it.
pub(super) fn limits_key(statement: &CanonicalStatement, keys: &[&str]) -> bool {
    conditions(statement).any(|condition| {
        let is_key = |key: &&str| condition.key == *key || key.ends_with('/') && condition.key.starts_with(*key);
        keys.iter().any(is_key) && condition.restriction(universes(condition.key), |_| false) == Restriction::Names
    })
}
