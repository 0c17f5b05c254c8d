//! `annotation`: the annotations of the ServiceAccount name this role and fit its trust policy, and no EKS Pod Identity
//! association takes their place.
//!
//! The webhook of EKS asks for an association first. If there is one, it gives pods the variables of EKS Pod Identity, and
//! does not look at the annotations (`pkg/handler` of <https://github.com/aws/amazon-eks-pod-identity-webhook>).

use super::case::{Case, Subject};
use super::{Verdict, shell_word};
use crate::ids::RoleArn;
use crate::model::evidence::Association;
use crate::model::live::{LiveServiceAccount, Observed};
use crate::model::marks::{AUDIENCE, DEFAULT_AUDIENCE, ROLE_ARN, STS_REGIONAL_ENDPOINTS, TOKEN_EXPIRATION};
use crate::policy::evaluate::{Caller, KnownKeys, Request, Truth, evaluate};

/// The service that assumes the roles of associations.
const PODS: &str = "pods.eks.amazonaws.com";
/// The longest life of a token in a projected volume, in seconds
/// (<https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/validation/validation.go>).
const LONGEST: i64 = 1 << 32;
const APPLY: &str = "run `irsa apply`, which writes what is declared; `irsa plan` shows the difference";

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
    let expected = &case.role_arn;
    // the webhook looks for an association first
    association(case, expected)
        .or_else(|| wrong_role(case, live, expected))
        .or_else(|| wrong_audience(case, live))
        .or_else(|| long_token(live))
        .or_else(|| unread_associations(case))
        .unwrap_or_else(|| Verdict::ok(format!("`{ROLE_ARN}` is `{expected}`{}", ignored(live))))
}

fn wrong_role(case: &Case<'_>, live: &LiveServiceAccount, expected: &RoleArn) -> Option<Verdict> {
    let Some(found) = live.annotations.get(ROLE_ARN) else {
        return Some(Verdict::failed(format!("it has no annotation `{ROLE_ARN}`: new pods get no role"), APPLY));
    };
    if found == expected.as_str() {
        return None;
    }
    let what = match RoleArn::parse(found) {
        Err(_) => format!("`{ROLE_ARN}` is `{found}`, which is not a role ARN"),
        Ok(other) if other.account() != expected.account() => {
            format!("`{ROLE_ARN}` is `{found}`, a role of another account than `{expected}`")
        }
        Ok(_) => format!("`{ROLE_ARN}` is `{found}`, not `{expected}`"),
    };
    Some(Verdict::failed(what, write_again(case, live, ROLE_ARN)))
}

fn wrong_audience(case: &Case<'_>, live: &LiveServiceAccount) -> Option<Verdict> {
    let found = live.annotations.get(AUDIENCE).map_or(DEFAULT_AUDIENCE, String::as_str);
    let declared = case.chain.binding.effective_audience();
    (found != declared).then(|| {
        Verdict::failed(
            format!("pods get tokens for the audience `{found}` (`{AUDIENCE}`), but `{declared}` is declared"),
            write_again(case, live, AUDIENCE),
        )
    })
}

/// How to get the declared value. Where another manager set the annotation, a plain apply refuses.
fn write_again(case: &Case<'_>, live: &LiveServiceAccount, key: &str) -> String {
    let owners = live.managers.iter().filter(|one| one.annotations.iter().any(|owned| owned == key));
    let others: Vec<&str> = owners.map(|one| one.name.as_str()).filter(|name| *name != case.manager).collect();
    if others.is_empty() {
        return APPLY.to_owned();
    }
    format!(
        "remove it where `{}` sets it, then run `irsa apply`; or run `irsa apply --force-conflicts`, which takes it over",
        others.join("`, `")
    )
}

/// The life of a token is longer than the API allows. The webhook raises a short one to its least.
fn long_token(live: &LiveServiceAccount) -> Option<Verdict> {
    let value = live.annotations.get(TOKEN_EXPIRATION)?;
    seconds(value).filter(|seconds| *seconds > LONGEST).map(|_| {
        Verdict::failed(
            format!("`{TOKEN_EXPIRATION}` is `{value}`, more than {LONGEST} seconds: the API refuses new pods"),
            // apply leaves an annotation that is not declared
            "declare a shorter time, or remove the annotation where it is set",
        )
    })
}

/// A note on the settings that the webhook cannot read. It uses its defaults instead, and pods get the role (`addSA` in
/// `pkg/cache` of <https://github.com/aws/amazon-eks-pod-identity-webhook>).
fn ignored(live: &LiveServiceAccount) -> String {
    let note = |key: &str, is_read: fn(&str) -> bool, kind: &str| {
        let value = live.annotations.get(key).filter(|value| !is_read(value))?;
        Some(format!("; the webhook ignores `{key}`, because `{value}` is not {kind}"))
    };
    let expiration = note(TOKEN_EXPIRATION, |text| seconds(text).is_some(), "a number of seconds");
    let regional = note(STS_REGIONAL_ENDPOINTS, is_boolean, "`true` or `false`");
    [expiration, regional].into_iter().flatten().collect()
}

/// What Go's `strconv.ParseInt`, which the webhook uses, makes of the text (<https://pkg.go.dev/strconv#ParseInt>).
fn seconds(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Whether Go's `strconv.ParseBool`, which the webhook uses, accepts the text (<https://pkg.go.dev/strconv#ParseBool>).
fn is_boolean(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "TRUE" | "true" | "True" | "0" | "f" | "F" | "FALSE" | "false" | "False")
}

/// For annotations that are as declared: unknown if the associations were not read.
fn unread_associations(case: &Case<'_>) -> Option<Verdict> {
    let Observed::Unknown(why) = &case.evidence?.associations else { return None };
    Some(Verdict::unknown(format!("whether an EKS Pod Identity association takes its place: {why}")))
}

fn association(case: &Case<'_>, expected: &RoleArn) -> Option<Verdict> {
    let Association { id, role } = case.association()?;
    let delete = || {
        format!(
            "delete it: `{} --association-id {}`; then restart the pods",
            case.aws_eks("delete-pod-identity-association", "--cluster-name"),
            shell_word(id)
        )
    };
    let before = format!("EKS Pod Identity association `{id}` comes before the annotation");
    match role {
        Observed::Present(role) if role == expected.as_str() => Some(match trusts_pods(case) {
            Truth::True => {
                Verdict::ok(format!("association `{id}` gives new pods this very role through EKS Pod Identity"))
            }
            Truth::False => Verdict::failed(
                format!("{before}, and the trust policy of `{role}` does not let `{PODS}` in: new pods get no role"),
                delete(),
            ),
            Truth::Unknown => Verdict::unknown(format!(
                "{before}; whether the trust policy of `{role}` lets `{PODS}` in is not known"
            )),
        }),
        Observed::Present(role) => Some(Verdict::failed(format!("{before}: new pods get `{role}`"), delete())),
        Observed::Unknown(why) => Some(Verdict::unknown(format!(
            "association `{id}` comes before the annotation, and its role was not read: {why}"
        ))),
        // deleted since it was listed
        Observed::Absent => None,
    }
}

/// Whether the live trust policy lets EKS Pod Identity in
/// (<https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html>).
fn trusts_pods(case: &Case<'_>) -> Truth {
    let Observed::Present(role) = &case.role else { return Truth::Unknown };
    let verdict = |action: &str| {
        let request = Request {
            caller: Caller::Service(PODS.to_owned()),
            action: action.to_owned(),
            resource: "*".to_owned(),
            keys: KnownKeys::none(),
        };
        evaluate(&role.role.trust, &request).verdict()
    };
    verdict("sts:AssumeRole").and(verdict("sts:TagSession"))
}
