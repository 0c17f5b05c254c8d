//! Rules on the principals of trust statements.

use super::{Finding, Severity, TrustContext, claims, is_wild};
use crate::ids::ProviderArn;
use crate::lint::conditions::{limits_account, limits_world};
use crate::model::live::Observed;
use crate::policy::canonical::{Choice, Principal, is_account_id};

pub(super) fn mismatched_action(context: &TrustContext<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    if matches!(context.statement.principals, Some(Choice::AllBut(_))) {
        found.push(Finding::new("`NotPrincipal` under `Allow` trusts everyone else in the world"));
    }
    let actions = match &context.statement.actions {
        Choice::Only(actions) => actions,
        Choice::AllBut(_) => {
            found.push(Finding::new("`NotAction` allows every other way to assume the role"));
            return found;
        }
    };
    let wild = actions.iter().filter(|action| action.contains(['*', '?']));
    let wild: Vec<Finding> = wild
        .map(|action| Finding::new(format!("action `{action}` allows more than one way to assume the role")))
        .collect();
    if !wild.is_empty() {
        found.extend(wild);
        return found;
    }
    let allows = |action: &str| actions.iter().any(|allowed| allowed.eq_ignore_ascii_case(action));
    let needed: Vec<(&Principal, Option<&str>)> =
        context.statement.principals().map(|principal| (principal, needed_action(principal))).collect();
    for (principal, needed) in &needed {
        if let Some(needed) = needed.filter(|needed| !allows(needed)) {
            let text = format!("`{}` can assume a role by `{needed}` only, which is not allowed", principal.text());
            found.push(Finding::new(text));
        }
    }
    for action in ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML"] {
        let is_useless = |(_, needed): &(&Principal, Option<&str>)| needed.is_some_and(|needed| needed != action);
        if allows(action) && !needed.is_empty() && needed.iter().all(is_useless) {
            found.push(Finding::new(format!("no principal can use `{action}`")));
        }
    }
    found
}

/// The action by which a principal assumes a role. `None` if it may be any.
fn needed_action(principal: &Principal) -> Option<&'static str> {
    match principal {
        Principal::Aws(text) | Principal::Federated(text) if text == "*" => None,
        Principal::Aws(_) | Principal::Service(_) => Some("sts:AssumeRole"),
        Principal::Federated(text) if text.contains(":saml-provider/") => Some("sts:AssumeRoleWithSAML"),
        Principal::Federated(_) => Some("sts:AssumeRoleWithWebIdentity"),
        Principal::CanonicalUser(_) => None,
    }
}

pub(super) fn everyone(context: &TrustContext<'_>) -> Vec<Finding> {
    if limits_world(context.statement) {
        return Vec::new();
    }
    let open = context.statement.principals().filter_map(|principal| match principal {
        Principal::Aws(text) | Principal::Federated(text) if text == "*" => {
            Some("principal `*` is everyone in every account".to_owned())
        }
        // IAM refuses a wildcard inside a name, so only a live policy may have one
        Principal::Service(text) if is_wild(text) => {
            Some(format!("service `{text}` is every service in every account"))
        }
        Principal::Aws(text) if is_wild(text) => Some(format!("principal `{text}` includes other accounts")),
        Principal::Aws(_) | Principal::CanonicalUser(_) | Principal::Federated(_) | Principal::Service(_) => None,
    });
    open.map(|who| Finding::new(format!("{who}, and no condition limits that"))).collect()
}

/// The `AWS` principals of the statement.
fn aws_principals<'a>(context: &TrustContext<'a>) -> impl Iterator<Item = &'a str> {
    context.statement.principals().filter_map(|principal| match principal {
        Principal::Aws(text) => Some(text.as_str()),
        Principal::CanonicalUser(_) | Principal::Federated(_) | Principal::Service(_) => None,
    })
}

pub(super) fn whole_account(context: &TrustContext<'_>) -> Vec<Finding> {
    let accounts = aws_principals(context).filter(|id| is_account_id(id));
    let open = accounts.filter(|id| !limits_account(context.statement, id));
    open.map(|id| {
        let has_conditions = !context.statement.conditions.is_empty();
        let limit = if has_conditions { "no condition limits that" } else { "there is no condition" };
        let text = format!("everyone in account `{id}` to whom its administrators give access is trusted, and {limit}");
        let finding = Finding::new(text);
        let own = id == context.role.account;
        if own || !context.role.account_is_known { finding.with_severity(Severity::Medium) } else { finding }
    })
    .collect()
}

/// IAM looks up a provider in the account of the role
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html>).
pub(super) fn foreign_provider(context: &TrustContext<'_>) -> Vec<Finding> {
    if !context.role.account_is_known {
        return Vec::new();
    }
    let finding = |arn: &str| {
        let mut parts = arn.strip_prefix("arn:")?.splitn(4, ':');
        let (partition, _, _, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let account = rest.split(':').next()?;
        let (own_account, own_partition) = (context.role.account, context.role.partition);
        if account != own_account {
            Some(Finding::new(format!(
                "provider `{arn}` is in account `{account}`, but the role is in `{own_account}`"
            )))
        } else if partition != own_partition {
            Some(Finding::new(format!(
                "provider `{arn}` is in partition `{partition}`, but the role is in `{own_partition}`"
            )))
        } else {
            None
        }
    };
    context.statement.federated().filter_map(finding).collect()
}

pub(super) fn missing_provider(context: &TrustContext<'_>) -> Vec<Finding> {
    let Some(live) = context.role.providers else { return Vec::new() };
    let is_missing = |arn: &ProviderArn| {
        arn.account() == context.role.account
            && matches!(live.get(arn), None | Some(Observed::Absent))
            && !context.role.planned_providers.contains(arn)
    };
    let arns = claims::providers(context.statement).into_iter().filter_map(|arn| ProviderArn::parse(arn).ok());
    arns.filter(is_missing).map(|arn| Finding::new(format!("provider `{arn}` does not exist"))).collect()
}

/// IAM shows a deleted principal as its unique id. A new principal of the same name is not trusted
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>).
pub(super) fn orphaned_principal(context: &TrustContext<'_>) -> Vec<Finding> {
    const PREFIXES: [&str; 6] = ["AROA", "AIDA", "AGPA", "AIPA", "ANPA", "ASCA"];
    let is_unique_id = |id: &&str| {
        id.len() >= 16
            && PREFIXES.iter().any(|prefix| id.starts_with(prefix))
            && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    let text = |id| format!("principal `{id}` is the id of a user or role that no longer exists");
    aws_principals(context).filter(is_unique_id).map(|id| Finding::new(text(id))).collect()
}
