//! `issuer`: the cluster's issuer is what EKS and the API say, and its host publishes its document and keys.

use super::Verdict;
use super::case::Case;
use crate::ids::IssuerUrl;
use crate::model::evidence::{Published, PublishedKey, TokenClaims};
use crate::model::live::{Access, Observed};
use crate::model::refusal::Refusal;

const PUBLISH: &str = "publish the keys that the API serves at `/openid/v1/jwks`: STS refuses every token until then";

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    let key = &case.chain.binding.cluster;
    let declared = case.cluster.issuer.as_ref();
    if let (Some(other), Some(declared)) = (&case.live_cluster.other_issuer, declared) {
        return Verdict::failed(
            format!("EKS says that the issuer of cluster `{key}` is `{other}`, but `{declared}` is declared"),
            format!("remove `issuer` from `[clusters.{key}]`, or name the cluster that has it, then run `irsa apply`"),
        );
    }
    if let Access::Wrong(Refusal { why, hint, .. }) = &case.live_cluster.api {
        return Verdict::failed(why.clone(), hint.clone());
    }
    let issuer = match &case.live_cluster.issuer {
        Observed::Present(issuer) => issuer,
        Observed::Absent => {
            return Verdict::failed(
                format!("EKS has no cluster `{key}`"),
                format!("correct `name` or `region` in `[clusters.{key}]`, or declare `state = \"gone\"` there"),
            );
        }
        Observed::Unknown(why) => return Verdict::unknown(why.clone()),
    };
    if let Some(claims) = case.claims().filter(|claims| claims.issuer != issuer.as_str()) {
        return Verdict::failed(
            format!("the API of cluster `{key}` issues tokens of `{}`, not of `{issuer}`", claims.issuer),
            format!("name the issuer of the API in `[clusters.{key}]`, then run `irsa apply`"),
        );
    }
    match case.published {
        None => Verdict::unknown("its documents were not read"),
        Some(Published::NotSeen(why)) => Verdict::unknown(format!("not seen from here: {why}")),
        Some(Published::Broken(why)) => Verdict::failed(
            why.clone(),
            "STS reads both documents there: publish what the API serves at `/.well-known/openid-configuration` and \
             `/openid/v1/jwks`",
        ),
        Some(Published::Documents { issuer: named, .. }) if named != issuer.as_str() => Verdict::failed(
            format!("its discovery document names the issuer `{named}`, but the tokens name `{issuer}`"),
            "publish a document whose `issuer` is exactly that of the tokens (`--service-account-issuer` of the API server)",
        ),
        Some(Published::Documents { keys, .. }) => judge_keys(case, issuer, keys),
    }
}

fn judge_keys(case: &Case<'_>, issuer: &IssuerUrl, keys: &[PublishedKey]) -> Verdict {
    let Some(TokenClaims { key_id, .. }) = case.claims() else {
        return if keys.is_empty() {
            Verdict::failed(format!("`{issuer}` publishes no keys"), PUBLISH)
        } else {
            Verdict::ok(format!("`{issuer}` publishes its document and keys"))
        };
    };
    if keys.iter().all(|key| key.id != *key_id) {
        return Verdict::failed(format!("its published keys lack `{key_id}`, with which the API signs"), PUBLISH);
    }
    match case.token.and_then(|token| token.verifies) {
        Some(true) => Verdict::ok(format!("`{issuer}` publishes the key that the API signs with")),
        Some(false) => Verdict::failed(
            format!("its published key `{key_id}` is not the one with which the API signs: the signature is wrong"),
            PUBLISH,
        ),
        None => Verdict::ok(format!(
            "`{issuer}` publishes the key that the API names; irsa cannot check signatures of its kind"
        )),
    }
}
