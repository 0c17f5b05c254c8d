//! Providers of ours that are no longer needed: deleted, unless a role trusts them.

use super::{forgotten, objection, reason, refuse_delete, unclear, unmarked, unseen};
use crate::ids::{Key, ProviderArn, RoleName};
use crate::model::address::{Address, Place};
use crate::model::call::IamCall;
use crate::model::live::{LiveAccount, LiveProvider, Observed};
use crate::model::note::Severity;
use crate::plan::change::{Change, ResourceChange};
use crate::plan::context::{Owner, PlanContext};
use crate::plan::draft::Draft;
use crate::plan::parts;
use crate::plan::providers::ProviderTags;
use crate::plan::roles::iam;

/// Plans one provider of ours that nothing declared needs.
pub(super) fn provider(
    context: &PlanContext<'_>,
    draft: &mut Draft,
    (key, account): (&Key, &LiveAccount),
    address: &Address,
    arn: &ProviderArn,
    live: &LiveProvider,
) {
    draft.ours.push((address.clone(), Place::Account(key.clone())));
    let before = &live.provider;
    if forgotten(context, address, &before.tags) {
        return release(draft, key, arn, address, live, (Vec::new(), vec![parts::FORGET.into()]));
    }
    let trusting = trusting(context, draft, (key, account), arn);
    let stays = || {
        let name = trusting.stays.as_ref()?;
        Some((format!("role `{name}` trusts it"), "change that role's trust first".to_owned()))
    };
    let against = objection(context, &before.tags)
        .or_else(|| unseen(account))
        .or_else(|| context.stray(key, arn.host_path()))
        .or_else(stays);
    if against.is_none() && !trusting.others.is_empty() {
        return leave(context, draft, (key, arn), address, live, trusting);
    }
    let against = against.or_else(|| unclear(account));
    let call = IamCall::DeleteProvider { arn: arn.clone() };
    let change = ResourceChange::Provider(Change::Delete { before: before.clone() });
    draft.step(address, change, iam(key, [call]), trusting.lets_go, vec![reason(context)]);
    refuse_delete(draft, address, against);
}

/// The roles that trust a provider.
#[derive(Default)]
struct Trusting {
    /// Those that this plan deletes, or has trust it no more.
    lets_go: Vec<Address>,
    /// One that stays: it is ours, or it is not known whose it is.
    stays: Option<RoleName>,
    /// The names of those of others, in backticks.
    others: Vec<String>,
}

fn trusting(
    context: &PlanContext<'_>,
    draft: &Draft,
    (key, account): (&Key, &LiveAccount),
    arn: &ProviderArn,
) -> Trusting {
    let mut trusting = Trusting::default();
    for summary in account.role_list.present().into_iter().flatten() {
        if !summary.trust.federated_issuers().contains(arn.host_path()) {
            continue;
        }
        let folded = summary.name.case_insensitive();
        let role = context.role_address(key, &folded, summary.name.as_str());
        let goes = draft.steps.get(&role).is_some_and(|step| match &step.change {
            ResourceChange::Role(change) => {
                !change.after().is_some_and(|after| after.trust.federated_issuers().contains(arn.host_path()))
            }
            _ => false,
        });
        // every role that trusts an issuer of ours was asked whose it is; what is neither ours nor unclear was left out
        let others = match account.roles.get(&folded) {
            None => true,
            Some(Observed::Present(live)) => context.owner(&live.role.tags) != Owner::Ours,
            Some(Observed::Absent | Observed::Unknown(_)) => false,
        };
        if goes {
            trusting.lets_go.push(role);
        } else if others {
            trusting.others.push(format!("`{}`", summary.name));
        } else {
            trusting.stays = trusting.stays.or_else(|| Some(summary.name.clone()));
        }
    }
    trusting
}

/// How many roles a note names.
const NAMED: usize = 3;

/// Leaves a provider to the others who trust it. It was made for us, but IAM has one for an issuer in an account, so
/// that they cannot have their own (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html>).
fn leave(
    context: &PlanContext<'_>,
    draft: &mut Draft,
    (key, arn): (&Key, &ProviderArn),
    address: &Address,
    live: &LiveProvider,
    trusting: Trusting,
) {
    let more = match trusting.others.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let who = trusting.others.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let (roles, trust) = if trusting.others.len() == 1 { ("role", "trusts") } else { ("roles", "trust") };
    let text = format!("{roles} {who}{more} of others {trust} it: it stays, without our marks");
    draft.note(address, Severity::Low, "left-to-others", None, text);
    let reasons = vec![reason(context), "others trust it: the marks go, the rest stays".to_owned()];
    release(draft, key, arn, address, live, (trusting.lets_go, reasons));
}

/// Takes our marks off a provider.
fn release(
    draft: &mut Draft,
    key: &Key,
    arn: &ProviderArn,
    address: &Address,
    live: &LiveProvider,
    (needs, reasons): (Vec<Address>, Vec<String>),
) {
    let before = &live.provider;
    let mut after = before.clone();
    after.tags = unmarked(&before.tags);
    let calls = parts::tags(&before.tags, &after.tags, &ProviderTags(arn));
    let change = Change::Update { before: before.clone(), after };
    draft.step(address, ResourceChange::Provider(change), iam(key, calls), needs, reasons);
}
