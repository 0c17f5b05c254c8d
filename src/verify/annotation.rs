//! `annotation`: the annotations of the ServiceAccount name this role and fit its trust policy, and no EKS Pod Identity
//! association takes their place.
//!
//! The webhook of EKS asks for an association first. If there is one, it gives pods the variables of EKS Pod Identity, and
//! does not look at the annotations (`pkg/handler` of <https://github.com/aws/amazon-eks-pod-identity-webhook>).

use super::Verdict;
use super::case::{Case, Subject};
use crate::ids::RoleArn;
use crate::model::evidence::Association;
use crate::model::live::{LiveServiceAccount, Observed};
use crate::model::marks::{AUDIENCE, DEFAULT_AUDIENCE, ROLE_ARN, STS_REGIONAL_ENDPOINTS, TOKEN_EXPIRATION};

const APPLY: &str = "run `irsa apply`, which writes it; `irsa plan` shows the difference";

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    if !case.is_managed() {
        return Verdict::not_applicable("`manage = \"none\"`: irsa only trusts it");
    }
    if matches!(case.subject(), Subject::Missing) {
        return Verdict::failed("the ServiceAccount does not exist", "run `irsa apply`, which creates it");
    }
    let live = match case.service_account() {
        Ok(live) => live,
        Err(verdict) => return verdict,
    };
    let expected = case.role_arn();
    // the webhook looks for an association first
    association(case, &expected)
        .or_else(|| wrong_role(live, &expected))
        .or_else(|| wrong_audience(case, live))
        .or_else(|| malformed_setting(live))
        .or_else(|| unread_associations(case))
        .unwrap_or_else(|| Verdict::ok(format!("`{ROLE_ARN}` is `{expected}`")))
}

fn wrong_role(live: &LiveServiceAccount, expected: &RoleArn) -> Option<Verdict> {
    let Some(found) = live.annotations.get(ROLE_ARN) else {
        return Some(Verdict::failed(format!("it has no annotation `{ROLE_ARN}`: new pods get no role"), APPLY));
    };
    if found == expected.as_str() {
        return None;
    }
    let what = match RoleArn::parse(found) {
        Err(_) => format!("`{ROLE_ARN}` is `{found}`, which is no role ARN"),
        Ok(other) if other.account() != expected.account() => {
            format!("`{ROLE_ARN}` is `{found}`, a role of another account than `{expected}`")
        }
        Ok(_) => format!("`{ROLE_ARN}` is `{found}`, not `{expected}`"),
    };
    Some(Verdict::failed(what, APPLY))
}

fn wrong_audience(case: &Case<'_>, live: &LiveServiceAccount) -> Option<Verdict> {
    let found = live.annotations.get(AUDIENCE).map_or(DEFAULT_AUDIENCE, String::as_str);
    let declared = case.chain.binding.effective_audience();
    (found != declared).then(|| {
        Verdict::failed(
            format!("pods get tokens for the audience `{found}` (`{AUDIENCE}`), declared is `{declared}`"),
            "run `irsa apply`, or take the annotation away if nobody needs it",
        )
    })
}

/// Settings that the webhook cannot read and leaves out.
fn malformed_setting(live: &LiveServiceAccount) -> Option<Verdict> {
    let wrong = |key: &str, good: fn(&str) -> bool, rule: &str| {
        let value = live.annotations.get(key).filter(|value| !good(value))?;
        Some(Verdict::failed(format!("`{key}` is `{value}`, and must be {rule}: the webhook ignores it"), APPLY))
    };
    wrong(TOKEN_EXPIRATION, |text| text.parse::<u32>().is_ok(), "a number of seconds")
        .or_else(|| wrong(STS_REGIONAL_ENDPOINTS, |text| text.parse::<bool>().is_ok(), "`true` or `false`"))
}

/// Without an association it would be as declared.
fn unread_associations(case: &Case<'_>) -> Option<Verdict> {
    let Observed::Unknown(why) = &case.evidence?.associations else { return None };
    Some(Verdict::unknown(format!("whether an EKS Pod Identity association takes its place: {why}")))
}

fn association(case: &Case<'_>, expected: &RoleArn) -> Option<Verdict> {
    let Association { id, role } = case.association()?;
    match role {
        Observed::Present(role) if role == expected.as_str() => {
            Some(Verdict::ok(format!("association `{id}` gives new pods this very role through EKS Pod Identity")))
        }
        Observed::Present(role) => Some(Verdict::failed(
            format!("EKS Pod Identity association `{id}` comes before the annotation: new pods get `{role}`"),
            format!(
                "delete it: `aws eks delete-pod-identity-association --cluster-name {} --association-id {id}`; then \
                 restart the pods",
                case.cluster.name.as_ref().map_or("CLUSTER", |name| name.as_str())
            ),
        )),
        Observed::Unknown(why) => Some(Verdict::unknown(format!(
            "association `{id}` comes before the annotation, and its role was not read: {why}"
        ))),
        // deleted since it was listed
        Observed::Absent => None,
    }
}
