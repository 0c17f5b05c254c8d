//! `assume`: STS exchanges the token for a session of this role.

use super::case::Case;
use super::{Link, LinkKind, Status, Verdict};
use crate::model::evidence::{Assumed, is_session_of};
use crate::model::live::Observed;

pub(super) fn judge(case: &Case<'_>, before: &[Link]) -> Verdict {
    if let Err(verdict) = case.service_account() {
        return verdict;
    }
    let role = match &case.role {
        Observed::Present(role) => role,
        Observed::Absent => return Verdict::not_applicable("the role does not exist"),
        Observed::Unknown(why) => return Verdict::unknown(why.clone()),
    };
    let Some(evidence) = case.token else { return Verdict::unknown("no token was asked for") };
    if !matches!(evidence.token, Observed::Present(_)) {
        return Verdict::unknown("no token was seen");
    }
    match &evidence.assumed {
        Assumed::No => Verdict::not_applicable("left out by `--no-assume`"),
        Assumed::As(caller) if is_session_of(caller, &role.arn) => Verdict::ok(format!("STS answers as `{caller}`")),
        Assumed::As(caller) => Verdict::failed(
            format!("STS gave a session of `{caller}`, not of `{}`", role.arn),
            "look at the endpoint of STS (`AWS_ENDPOINT_URL_STS`) and at proxies in front of it",
        ),
        Assumed::Denied(why) => denied(why, before),
        Assumed::Refused(why) => refused(why, before),
        Assumed::IssuerNotReached(why) => {
            Verdict::unknown(format!("STS could not reach the host of the issuer: {why}"))
                .hint("STS asks it from the internet: check that the host answers there, and try again")
        }
        Assumed::NotSeen(why) => Verdict::unknown(why.clone()),
    }
}

/// A denial is about the call of irsa, which has another session name and another network than those of pods. It decides
/// nothing about pods if irsa could not evaluate the trust policy for them.
fn denied(why: &str, before: &[Link]) -> Verdict {
    match before.iter().find(|link| link.kind == LinkKind::Trust) {
        Some(trust) if trust.status == Status::Unknown => Verdict::unknown(format!(
            "STS denies irsa the role ({why}); pods may still get it, because irsa could not decide the link `trust`"
        )),
        _ => refused(why, before),
    }
}

fn refused(why: &str, before: &[Link]) -> Verdict {
    let hint = if before.iter().any(|link| link.status == Status::Failed) {
        "repair the links before this one first; after a change in IAM, STS may need a minute to see it"
    } else {
        "after a change in IAM, STS may need a minute to see it; if it stays, look for a resource control policy of the \
         organization that denies `sts:AssumeRoleWithWebIdentity`"
    };
    Verdict::failed(format!("STS refuses the token: {why}"), hint)
}
