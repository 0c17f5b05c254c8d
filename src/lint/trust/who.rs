//! Rules on the principals of trust statements.

use super::{Choice, Found, Principal, Severity, TrustContext, claim, is_wild};
use crate::ids::ProviderArn;
use crate::lint::limits::{names_who, narrows};
use crate::model::live::Observed;

/// IRSA012
pub(in crate::lint) fn mismatch(context: &TrustContext<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    if matches!(context.body.principals, Some(Choice::AllBut(_))) {
        found.push(Found::new("`NotPrincipal` under `Allow` trusts everyone else in the world"));
    }
    let actions = match &context.body.actions {
        Choice::Only(actions) => actions,
        Choice::AllBut(_) => {
            found.push(Found::new("`NotAction` allows every other way to assume the role"));
            return found;
        }
    };
    for action in actions.iter().filter(|action| action.contains(['*', '?'])) {
        found.push(Found::new(format!("action `{action}` allows more than one way to assume the role")));
    }
    if actions.iter().any(|action| action.contains(['*', '?'])) {
        return found;
    }
    let kinds: Vec<(&Principal, Option<&str>)> =
        claim::principals(context.body).map(|principal| (principal, needed(principal))).collect();
    for (principal, needed) in &kinds {
        if let Some(needed) = needed
            && !actions.iter().any(|action| action.eq_ignore_ascii_case(needed))
        {
            let text = format!("{} can assume a role by `{needed}` only, which is not allowed", shown(principal));
            found.push(Found::new(text));
        }
    }
    let asked = ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML"];
    for way in asked.into_iter().filter(|way| actions.contains(&way.to_ascii_lowercase())) {
        if !kinds.is_empty() && kinds.iter().all(|(_, needed)| needed.is_some_and(|needed| needed != way)) {
            found.push(Found::new(format!("no principal can use `{way}`")));
        }
    }
    found
}

/// The way in which a principal assumes a role; none for one that may be any.
fn needed(principal: &Principal) -> Option<&'static str> {
    match principal {
        Principal::Aws(text) if text == "*" => None,
        Principal::Aws(_) | Principal::Service(_) => Some("sts:AssumeRole"),
        Principal::Federated(text) if text == "*" => None,
        Principal::Federated(text) if text.contains(":saml-provider/") => Some("sts:AssumeRoleWithSAML"),
        Principal::Federated(_) => Some("sts:AssumeRoleWithWebIdentity"),
        Principal::CanonicalUser(_) => None,
    }
}

fn shown(principal: &Principal) -> String {
    format!("`{}`", principal.text())
}

/// IRSA013
pub(in crate::lint) fn everyone(context: &TrustContext<'_>) -> Vec<Found> {
    if names_who(context.body) {
        return Vec::new();
    }
    let anyone = claim::principals(context.body).filter_map(|principal| match principal {
        Principal::Aws(text) | Principal::Federated(text) if text == "*" => {
            Some("principal `*` is everyone in every account".to_owned())
        }
        // no service or account is called so: a live policy, or one that IAM refuses
        Principal::Service(text) if is_wild(text) => {
            Some(format!("service `{text}` is every service, whoever uses it"))
        }
        Principal::Aws(text) if is_wild(text) => Some(format!("principal `{text}` is open to other accounts")),
        _ => None,
    });
    anyone.map(|who| Found::new(format!("{who}, and no condition says who"))).collect()
}

/// IRSA014
pub(in crate::lint) fn whole_account(context: &TrustContext<'_>) -> Vec<Found> {
    let accounts = claim::principals(context.body).filter_map(|principal| match principal {
        Principal::Aws(id) if id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit()) => Some(id),
        _ => None,
    });
    accounts
        .filter(|id| !narrows(context.body, id))
        .map(|id| {
            let text = if context.body.conditions.is_empty() {
                format!("everyone in account `{id}` whom its administrators let is trusted, without a condition")
            } else {
                format!(
                    "everyone in account `{id}` whom its administrators let is trusted, the condition keeps nobody out"
                )
            };
            let own = id == context.home.account;
            let found = Found::new(text);
            if own || !context.home.certain { found.but(Severity::Medium) } else { found }
        })
        .collect()
}

/// IRSA015: IAM looks a provider up in the role's own account
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html>).
pub(in crate::lint) fn foreign_provider(context: &TrustContext<'_>) -> Vec<Found> {
    if !context.home.certain {
        return Vec::new();
    }
    claim::principals(context.body)
        .filter_map(|principal| match principal {
            Principal::Federated(arn) => Some(arn),
            _ => None,
        })
        .filter_map(|arn| {
            let mut parts = arn.strip_prefix("arn:")?.splitn(4, ':');
            let (partition, _, _, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
            let account = rest.split(':').next()?;
            let (home, own) = (context.home.account, context.home.partition);
            if account != home {
                Some(Found::new(format!("provider `{arn}` is of account `{account}`, the role of `{home}`")))
            } else if partition != own {
                Some(Found::new(format!("provider `{arn}` is of partition `{partition}`, the role of `{own}`")))
            } else {
                None
            }
        })
        .collect()
}

/// IRSA016
pub(in crate::lint) fn dangling_provider(context: &TrustContext<'_>) -> Vec<Found> {
    let Some(known) = context.home.providers else { return Vec::new() };
    claim::providers(context.body)
        .into_iter()
        .filter_map(|arn| ProviderArn::parse(arn).ok())
        .filter(|arn| arn.account() == context.home.account)
        .filter(|arn| matches!(known.get(arn), None | Some(Observed::Absent)) && !context.home.coming.contains(arn))
        .map(|arn| Found::new(format!("provider `{arn}` does not exist")))
        .collect()
}

/// IRSA050: a principal that was deleted shows as its unique id, and one of the same name is not trusted
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>).
pub(in crate::lint) fn orphaned_principal(context: &TrustContext<'_>) -> Vec<Found> {
    const PREFIXES: [&str; 6] = ["AROA", "AIDA", "AGPA", "AIPA", "ANPA", "ASCA"];
    claim::principals(context.body)
        .filter_map(|principal| match principal {
            Principal::Aws(id) => Some(id),
            _ => None,
        })
        .filter(|id| {
            id.len() >= 16
                && PREFIXES.iter().any(|prefix| id.starts_with(prefix))
                && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        })
        .map(|id| Found::new(format!("principal `{id}` is the id of a user or role that no longer exists")))
        .collect()
}
