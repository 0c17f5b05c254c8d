//! Derived OIDC providers against live ones: one for each account that holds a role and issuer that it trusts.

use super::change::{Change, ResourceChange};
use super::context::{Issuer, Owner, PlanContext};
use super::draft::{BlockedBy, Draft};
use super::parts::{self, TagCalls};
use super::roles::iam;
use super::tags;
use crate::ids::{IssuerUrl, Key, ProviderArn};
use crate::model::address::{Address, Place};
use crate::model::call::IamCall;
use crate::model::live::{LiveAccount, LiveProvider, Observed};
use crate::model::resource::{Provider, StringMap};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) struct ProviderTags<'a>(pub &'a ProviderArn);

impl TagCalls for ProviderTags<'_> {
    fn tag(&self, from: StringMap, to: StringMap) -> IamCall {
        IamCall::TagProvider { arn: self.0.clone(), from, to }
    }

    fn untag(&self, from: StringMap) -> IamCall {
        IamCall::UntagProvider { arn: self.0.clone(), from }
    }
}

/// The (account, cluster) pairs that need a provider, and the audiences that it must have.
pub(crate) fn wanted<'a>(context: &PlanContext<'a>) -> BTreeMap<(&'a Key, &'a Key), BTreeSet<String>> {
    let mut wanted: BTreeMap<(&Key, &Key), BTreeSet<String>> = BTreeMap::new();
    for role in context.desired.roles.values() {
        for binding in &role.bindings {
            if !matches!(context.issuer(&binding.cluster), Issuer::Gone(_)) {
                let audiences = wanted.entry((&role.account, &binding.cluster)).or_default();
                if !audiences.contains(binding.effective_audience()) {
                    audiences.insert(binding.effective_audience().to_owned());
                }
            }
        }
    }
    wanted
}

/// Plans every derived provider.
pub(crate) fn plan(context: &PlanContext<'_>, draft: &mut Draft) {
    for ((key, cluster), audiences) in wanted(context) {
        let address = Address::OidcProvider { account: key.clone(), cluster: cluster.clone() };
        if !context.has(&address) {
            continue;
        }
        let (Some(account), Issuer::Known(issuer)) = (context.account(key), context.issuer(cluster)) else {
            draft.hold(&address, BlockedBy::Unknown);
            continue;
        };
        let Some(arn) = context.provider_arn(key, issuer) else { continue };
        match account.providers.get(&arn) {
            Some(Observed::Present(live)) => existing(context, draft, &address, (key, &arn), audiences, live),
            Some(Observed::Unknown(why)) => draft.unseen(&address, why.clone()),
            Some(Observed::Absent) => missing(context, draft, &address, (key, &arn), audiences, issuer),
            None => unlisted(context, draft, &address, (key, &arn), audiences, (issuer, account)),
        }
    }
}

fn unlisted(
    context: &PlanContext<'_>,
    draft: &mut Draft,
    address: &Address,
    place: (&Key, &ProviderArn),
    audiences: BTreeSet<String>,
    (issuer, account): (&IssuerUrl, &LiveAccount),
) {
    match &account.providers_listed {
        Observed::Unknown(why) => draft.unseen(address, why.clone()),
        Observed::Present(()) | Observed::Absent => missing(context, draft, address, place, audiences, issuer),
    }
}

fn missing(
    context: &PlanContext<'_>,
    draft: &mut Draft,
    address: &Address,
    (key, arn): (&Key, &ProviderArn),
    audiences: BTreeSet<String>,
    issuer: &IssuerUrl,
) {
    let after = Provider {
        url: issuer.to_string(),
        audiences,
        tags: tags::wanted(context, address, &StringMap::new(), false, &StringMap::new()),
    };
    let call = IamCall::CreateProvider { arn: arn.clone(), provider: after.clone() };
    let reasons = vec!["roles of this account trust the cluster".to_owned()];
    draft.step(address, ResourceChange::Provider(Change::Create { after }), iam(key, [call]), [], reasons);
}

fn existing(
    context: &PlanContext<'_>,
    draft: &mut Draft,
    address: &Address,
    (key, arn): (&Key, &ProviderArn),
    audiences: BTreeSet<String>,
    live: &LiveProvider,
) {
    let before = &live.provider;
    let ours = context.owner(&before.tags) == Owner::Ours;
    if ours {
        // derived, not declared: it says nothing of whose `owner` this is
        draft.ours.push((address.clone(), Place::Account(key.clone())));
    }
    let missing: Vec<String> = audiences.difference(&before.audiences).cloned().collect();
    let Provider { url, audiences: live_audiences, tags: live_tags } = before;
    let after = Provider {
        url: url.clone(),
        audiences: live_audiences.iter().cloned().chain(audiences).collect(),
        // one that is not ours is used as it is: it gets an audience, never a mark
        tags: if ours {
            tags::wanted(context, address, &StringMap::new(), false, live_tags)
        } else {
            live_tags.clone()
        },
    };
    let Some(change) = Change::from_to(before, &after) else {
        return draft.matches(address);
    };
    let mut calls = parts::tags(&before.tags, &after.tags, &ProviderTags(arn));
    calls.extend(missing.iter().map(|audience| IamCall::AddAudience { arn: arn.clone(), audience: audience.clone() }));
    let mut reasons: Vec<String> =
        missing.iter().map(|audience| format!("roles of this account need audience `{audience}`")).collect();
    if !ours {
        reasons.push("it is not ours: it keeps all that it has, and is never deleted".to_owned());
    }
    draft.step(address, ResourceChange::Provider(change), iam(key, calls), [], reasons);
}
