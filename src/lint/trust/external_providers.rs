//! Rules on identity providers that serve everyone (Cognito, Google, Amazon, Facebook, shared OIDC issuers), and on
//! SAML.

use super::{ClaimCondition, Finding, Severity, TrustContext, is_wild, quoted};
use crate::policy::condition::{Restriction, conditions};
use crate::policy::pattern::arn_parts;

/// The claims that name an identity pool, an application or a user, by provider
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif>).
const OWNER_CLAIMS: [(&str, &[&str]); 4] = [
    ("accounts.google.com", &["aud", "azp", "oaud", "sub"]),
    ("cognito-identity.amazonaws.com", &["aud", "sub"]),
    ("graph.facebook.com", &["app_id", "id"]),
    ("www.amazon.com", &["app_id", "user_id"]),
];

/// The claims other than `sub` that name a tenant of a shared issuer
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_oidc_secure-by-default.html>,
/// <https://docs.github.com/actions/reference/openid-connect-reference>).
const TENANT_CLAIMS: [(&str, &[&str]); 3] = [
    ("api.pulumi.com/oidc", &["aud"]),
    ("oidc.vercel.com", &["aud"]),
    (
        "token.actions.githubusercontent.com",
        &[
            "enterprise_id",
            "job_workflow_ref",
            "repository",
            "repository_id",
            "repository_owner",
            "repository_owner_id",
        ],
    ),
];

/// Whether a condition names the tenant of a shared issuer.
pub(super) fn names_tenant(claim: &ClaimCondition<'_>) -> bool {
    let known = TENANT_CLAIMS.iter().find(|(issuer, _)| *issuer == claim.issuer);
    known.is_some_and(|(_, names)| names.contains(&claim.claim.as_str())) && claim.names_values()
}

pub(super) fn no_owner(context: &TrustContext<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for name in context.statement.federated().filter(|name| !name.starts_with("arn:") && *name != "*") {
        let known = OWNER_CLAIMS.iter().find(|(host, _)| *host == name).map(|(_, claims)| *claims);
        let names_owner = |claim: &ClaimCondition<'_>| {
            claim.issuer == *name
                && known.is_none_or(|claims| claims.contains(&claim.claim.as_str()))
                && claim.names_values()
                && !(claim.takes_patterns() && claim.values().iter().any(|value| is_wild(value)))
        };
        if !context.claims.iter().any(names_owner) {
            let keys = quoted(known.unwrap_or(&["aud"]).iter().map(|key| format!("{name}:{key}"))).join(" or ");
            let text = format!("every user of `{name}` in the world is trusted: no condition on {keys} limits that");
            found.push(Finding::new(text));
        } else if name == "cognito-identity.amazonaws.com" && !context.claims.iter().any(requires_sign_in) {
            let allows_guests = context.on_claim("amr").next().is_some();
            let text = format!("no condition on `{name}:amr` requires that the user has signed in");
            let severity = if allows_guests { Severity::High } else { Severity::Medium };
            found.push(Finding::new(text).with_severity(severity));
        }
    }
    found
}

/// Whether a condition excludes guests of Cognito
/// (<https://docs.aws.amazon.com/cognito/latest/developerguide/iam-roles.html>).
fn requires_sign_in(claim: &ClaimCondition<'_>) -> bool {
    claim.claim == "amr"
        && claim.restriction == Restriction::Names
        && claim.values().iter().all(|value| !value.starts_with("unauth"))
}

/// `SAML:aud` names the service that an assertion is for
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_saml.html>).
pub(super) fn no_saml_audience(context: &TrustContext<'_>) -> Vec<Finding> {
    let is_saml = |arn: &str| arn_parts(arn).get(5).is_some_and(|name| name.starts_with("saml-provider/"));
    let has_condition = conditions(context.statement).any(|condition| {
        condition.key.starts_with("saml:") && condition.restriction(&["?*"], |_| true) == Restriction::Names
    });
    if !context.statement.federated().any(is_saml) || has_condition {
        return Vec::new();
    }
    let text = "no condition on `SAML:aud` or another claim: everyone whom the identity provider lets in is trusted, \
                with assertions for any service";
    vec![Finding::new(text)]
}
