//! Rules on identity providers that are not made in the account: Cognito, Google, Amazon, Facebook; and on SAML.

use super::{Claim, Found, Principal, Severity, TrustContext, claim, is_wild};
use crate::policy::canonical::arn_parts;
use crate::policy::condition::{Says, conditions};

/// What tells whose users are meant, for each of the providers that everyone may be a user of: an identity pool, an
/// application, or a user
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif>).
const OUTSIDE: [(&str, &[&str]); 4] = [
    ("accounts.google.com", &["aud", "azp", "oaud", "sub"]),
    ("cognito-identity.amazonaws.com", &["aud", "sub"]),
    ("graph.facebook.com", &["app_id", "id"]),
    ("www.amazon.com", &["app_id", "user_id"]),
];

/// Claims by which a shared issuer tells its tenants apart, besides `sub`
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_oidc_secure-by-default.html>,
/// <https://docs.github.com/actions/reference/openid-connect-reference>).
const TENANTS: [(&str, &[&str]); 3] = [
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

/// Whether a claim writes out which tenant of a shared issuer is meant.
pub(super) fn names_tenant(claim: &Claim<'_>) -> bool {
    let known = TENANTS.iter().find(|(issuer, _)| *issuer == claim.issuer);
    known.is_some_and(|(_, names)| names.contains(&claim.name.as_str())) && claim.pins()
}

/// IRSA002
pub(in crate::lint) fn outside_provider(context: &TrustContext<'_>) -> Vec<Found> {
    let outside = claim::principals(context.body).filter_map(|principal| match principal {
        Principal::Federated(name) if !name.starts_with("arn:") && name != "*" => Some(name),
        _ => None,
    });
    let mut found = Vec::new();
    for name in outside {
        let own: Vec<&Claim<'_>> = context.claims.iter().filter(|claim| claim.issuer == *name).collect();
        let known = OUTSIDE.iter().find(|(host, _)| host == name);
        let asks = |claim: &&&Claim<'_>| known.is_none_or(|(_, names)| names.contains(&claim.name.as_str()));
        let pinned =
            own.iter().filter(asks).any(|claim| claim.pins() && claim.values.iter().all(|value| !open(claim, value)));
        if !pinned {
            let keys = known.map_or(&["aud"][..], |(_, names)| names);
            let keys: Vec<String> = keys.iter().map(|key| format!("`{name}:{key}`")).collect();
            let text = format!(
                "every user of `{name}` in the world is trusted, no condition on {} says whose",
                keys.join(" or ")
            );
            found.push(Found::new(text));
        } else if name == "cognito-identity.amazonaws.com" && !context.claims.iter().any(signed_in) {
            let guests = context.claims.iter().any(|claim| claim.name == "amr");
            let text = format!("no condition on `{name}:amr` asks that the user has signed in");
            found.push(Found::new(text).but(if guests { Severity::High } else { Severity::Medium }));
        }
    }
    found
}

/// A pattern with a wildcard leaves open whose application or pool it is.
fn open(claim: &Claim<'_>, value: &str) -> bool {
    claim.like() && is_wild(value)
}

/// Whether a user of Cognito must not be a guest
/// (<https://docs.aws.amazon.com/cognito/latest/developerguide/iam-roles.html>).
fn signed_in(claim: &Claim<'_>) -> bool {
    claim.name == "amr" && claim.says == Says::Only && claim.values.iter().all(|value| !value.starts_with("unauth"))
}

/// IRSA003: who made the assertion for whom
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_saml.html>).
pub(in crate::lint) fn no_audience_of_saml(context: &TrustContext<'_>) -> Vec<Found> {
    let saml = claim::principals(context.body).any(|principal| {
        matches!(principal, Principal::Federated(arn)
            if arn_parts(arn).get(5).is_some_and(|name| name.starts_with("saml-provider/")))
    });
    let asked = conditions(context.body)
        .any(|condition| condition.key.starts_with("saml:") && condition.says(&["?*"], |_| true) == Says::Only);
    if !saml || asked {
        return Vec::new();
    }
    let text = "no condition on `SAML:aud` or another claim of the assertion: \
                everyone whom the identity provider lets in is trusted, for whatever service the assertion was made";
    vec![Found::new(text)]
}
