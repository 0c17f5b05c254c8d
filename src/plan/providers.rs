//! Plans OIDC providers. The configuration does not list them. irsa derives them from the roles: an account needs a
//! provider for each cluster that its roles trust.

use super::change::{Change, ResourceChange};
use super::context::{Issuer, PlanContext, provider_address, tagged_cluster};
use super::draft::{BlockedBy, Draft};
use super::field_diff::{FieldType, FieldTypes, FieldValue, PlanFields};
use super::iam::{
    FORGET, IamObject, delete_forbidden_by_tags, delete_reason, roles_unlisted, tag_calls, without_own_tags,
};
use crate::ids::{Key, ProviderArn, RoleName};
use crate::model::address::{Address, OrphanKind};
use crate::model::call::IamCall;
use crate::model::live::{LiveAccount, LiveProvider, Observed, listed};
use crate::model::note::Severity;
use crate::model::refusal::{Refusal, RefusalKind};
use crate::model::resource::{Provider, StringMap};
use std::collections::{BTreeMap, BTreeSet};

/// How many roles a note names.
const MAX_NAMES: usize = 3;

/// The pairs of account and cluster that need a provider, with the audiences that it must have.
pub(crate) fn wanted<'a>(context: &PlanContext<'a>) -> BTreeMap<(&'a Key, &'a Key), BTreeSet<String>> {
    let mut wanted: BTreeMap<(&Key, &Key), BTreeSet<String>> = BTreeMap::new();
    for role in context.desired.roles.values() {
        for binding in context.bindings(role) {
            let audiences = wanted.entry((&role.account, &binding.cluster)).or_default();
            if !audiences.contains(binding.effective_audience()) {
                audiences.insert(binding.effective_audience().to_owned());
            }
        }
    }
    wanted
}

/// Plans every provider that roles need.
pub(crate) fn plan(context: &PlanContext<'_>, draft: &mut Draft) {
    for ((account_key, cluster), audiences) in wanted(context) {
        let address = provider_address(account_key, cluster);
        if !context.plans(&address) {
            continue;
        }
        let (Some(account), Issuer::Known(issuer)) = (context.account(account_key), context.issuer(cluster)) else {
            draft.block(&address, BlockedBy::Unknown);
            continue;
        };
        let Some(arn) = context.provider_arn(account_key, issuer) else { continue };
        let object = IamObject { context, address, account_key, account };
        match account.provider(&arn) {
            Observed::Present(live) => existing(draft, &object, &arn, &audiences, &live.provider),
            Observed::Unknown(why) => draft.object_unknown(&object.address, why),
            Observed::Absent => {
                let tags = object.wanted_tags(&StringMap::new(), false, None);
                let after = Provider { url: issuer.to_string(), audiences, tags };
                let calls = vec![IamCall::CreateProvider { arn, provider: after.clone() }];
                let reasons = vec!["roles of this account trust the cluster".to_owned()];
                object.step(draft, ResourceChange::Provider(Change::Create { after }), calls, [], reasons);
            }
        }
    }
}

/// IAM allows only one provider for an issuer in an account. So irsa also adds missing audiences to a provider of
/// somebody else, but never tags it.
fn existing(
    draft: &mut Draft,
    object: &IamObject<'_>,
    arn: &ProviderArn,
    audiences: &BTreeSet<String>,
    before: &Provider,
) {
    let ours = object.context.is_ours(&before.tags);
    let mut tags = before.tags.clone();
    if ours {
        object.count_as_managed(draft);
        tags = object.wanted_tags(&StringMap::new(), false, Some(&before.tags));
    }
    let missing: Vec<String> = audiences.difference(&before.audiences).cloned().collect();
    let after = Provider { url: before.url.clone(), audiences: &before.audiences | audiences, tags };
    let Some(change) = Change::update(before, &after) else {
        return draft.unchanged(&object.address);
    };
    let mut calls = tag_provider(arn, &before.tags, &after.tags);
    let mut reasons = Vec::new();
    for audience in missing {
        reasons.push(format!("roles of this account need audience `{audience}`"));
        calls.push(IamCall::AddAudience { arn: arn.clone(), audience });
    }
    if !ours {
        reasons.push("irsa does not manage this provider: irsa only adds to it, and never deletes it".to_owned());
    }
    object.step(draft, ResourceChange::Provider(change), calls, [], reasons);
}

fn tag_provider(arn: &ProviderArn, before: &StringMap, after: &StringMap) -> Vec<IamCall> {
    tag_calls(
        before,
        after,
        |from, to| IamCall::TagProvider { arn: arn.clone(), from, to },
        |from| IamCall::UntagProvider { arn: arn.clone(), from },
    )
}

/// The provider of an issuer, by its host and path.
pub(crate) fn of_issuer<'l>(account: &'l LiveAccount, issuer: &str) -> Option<&'l Observed<LiveProvider>> {
    account.providers.iter().find(|(arn, _)| arn.host_path() == issuer).map(|(_, provider)| provider)
}

/// Why roles must keep their trust in this issuer: irsa manages its provider, but no declared cluster has this issuer.
/// The cluster may exist, and its pods may use the roles.
pub(crate) fn refuse_lost_trust(context: &PlanContext<'_>, account: &Key, issuer: &str) -> Option<Refusal> {
    if context.cluster_of(issuer).is_some() {
        return None;
    }
    let live = context.account(account)?;
    let provider = match listed(of_issuer(live, issuer), &live.providers_listed) {
        Observed::Present(provider) => provider,
        Observed::Unknown(why) => {
            return Some(RefusalKind::UnreadIssuer.because(
                format!("trust in issuer `{issuer}` would be lost while the owner of its provider is unknown: {why}"),
                "allow `iam:ListOpenIDConnectProviders` and `iam:GetOpenIDConnectProvider`, then plan again",
            ));
        }
        Observed::Absent => return None,
    };
    if !context.is_ours(&provider.provider.tags) {
        return None;
    }
    let cluster = tagged_cluster(&provider.provider.tags);
    if let Some(cluster) = cluster.as_ref().filter(|cluster| context.desired.clusters.contains_key(*cluster)) {
        return match context.issuer(cluster) {
            Issuer::Known(_) | Issuer::Gone(_) => None,
            Issuer::Missing | Issuer::Unknown(_) => Some(RefusalKind::UnreadIssuer.because(
                format!("trust in issuer `{issuer}` would be lost while its cluster `{cluster}` cannot be read"),
                format!("make `{cluster}` readable, or declare it `state = \"gone\"` if it was deleted"),
            )),
        };
    }
    let cluster = cluster.map_or_else(|| "NAME".to_owned(), |cluster| cluster.to_string());
    Some(RefusalKind::UndeclaredIssuer.because(
        format!("trust in issuer `{issuer}` would be lost, and no declared cluster has this issuer"),
        format!("declare `[clusters.{cluster}]` with `state = \"gone\"` and `issuer = \"https://{issuer}\"` first"),
    ))
}

/// Why roles must wait for a provider of another shard. IAM does not document whether it accepts trust in a provider that
/// does not exist (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>).
pub(crate) fn not_ready_in_other_shard(
    context: &PlanContext<'_>,
    account: &Key,
    cluster: &Key,
    address: &Address,
) -> Option<BlockedBy> {
    // if the issuer is unknown, `PlanContext::grant` blocks the role
    let Issuer::Known(issuer) = context.issuer(cluster) else { return None };
    let arn = context.provider_arn(account, issuer)?;
    let live = context.account(account)?;
    match live.provider(&arn) {
        Observed::Present(_) => None,
        Observed::Unknown(_) => Some(BlockedBy::Unknown),
        Observed::Absent => Some(BlockedBy::Waits(context.waits_for_shard(address))),
    }
}

/// Plans every provider with the owner tag that no declared role needs. With `--destroy`, every provider with the owner
/// tag.
pub(crate) fn plan_undeclared(context: &PlanContext<'_>, draft: &mut Draft) {
    let wanted: BTreeSet<Address> = wanted(context)
        .into_keys()
        .filter(|_| !context.options.destroy)
        .map(|(account, cluster)| provider_address(account, cluster))
        .collect();
    for (account_key, account) in context.accounts() {
        for (arn, live) in &account.providers {
            let address = context.address_of_live_provider(account_key, arn.host_path());
            match live {
                _ if wanted.contains(&address) => {}
                Observed::Present(live) if context.is_ours(&live.provider.tags) => {
                    undeclared(draft, &IamObject { context, address, account_key, account }, arn, &live.provider);
                }
                Observed::Unknown(why) => draft.object_unknown(&address, why.clone()),
                Observed::Present(_) | Observed::Absent => {}
            }
        }
    }
}

fn undeclared(draft: &mut Draft, object: &IamObject<'_>, arn: &ProviderArn, before: &Provider) {
    let context = object.context;
    let before = before.clone();
    let after = Provider { tags: without_own_tags(&before.tags), ..before.clone() };
    let untag = tag_provider(arn, &before.tags, &after.tags);
    object.count_as_managed(draft);
    if object.is_forgotten(&before.tags) {
        let change = ResourceChange::Provider(Change::Update { before, after });
        return object.step(draft, change, untag, [], vec![FORGET.to_owned()]);
    }
    let users = TrustingRoles::of(draft, object, arn);
    let kept_by_role = || {
        let name = users.staying.as_ref()?;
        Some(RefusalKind::StillTrusted.because(format!("role `{name}` trusts it"), "change that role's trust first"))
    };
    let objection = delete_forbidden_by_tags(context, &before.tags)
        .or_else(|| roles_unlisted(object.account))
        .or_else(|| refuse_lost_trust(context, object.account_key, arn.host_path()))
        .or_else(kept_by_role);
    if objection.is_none() && !users.foreign.is_empty() {
        draft.note(&object.address, Severity::Low, "left-to-others", None, users.note_text());
        let reason =
            "roles that irsa does not manage trust it, so irsa removes its own tags and keeps the provider".to_owned();
        let change = ResourceChange::Provider(Change::Update { before, after });
        return object.step(draft, change, untag, users.leaving, vec![delete_reason(context), reason]);
    }
    let objection = objection.or_else(|| malformed_role(object.account));
    let calls = vec![IamCall::DeleteProvider { arn: arn.clone() }];
    object.delete(draft, ResourceChange::Provider(Change::Delete { before }), calls, users.leaving, objection);
}

/// Refuses to delete a provider if a role entry could not be parsed, because that role may trust any provider.
fn malformed_role(account: &LiveAccount) -> Option<Refusal> {
    let entry = account.malformed.iter().find(|entry| entry.kind == OrphanKind::Role)?;
    Some(RefusalKind::MayBeTrusted.because(
        format!("role `{}` may trust it: {}", entry.name, entry.why),
        "find out what that role is; delete it if nobody needs it, or correct it",
    ))
}

/// The roles that trust a provider.
#[derive(Default)]
struct TrustingRoles {
    /// Roles that this plan deletes, or that stop trusting it.
    leaving: Vec<Address>,
    /// A role that keeps its trust, if irsa manages it or could not read it.
    staying: Option<RoleName>,
    /// The names of roles that irsa does not manage, in backticks.
    foreign: Vec<String>,
}

impl TrustingRoles {
    fn of(draft: &Draft, object: &IamObject<'_>, arn: &ProviderArn) -> Self {
        let context = object.context;
        let mut users = Self::default();
        for summary in object.account.role_list.present().into_iter().flatten() {
            if !summary.trust.federated_issuers().contains(arn.host_path()) {
                continue;
            }
            let lower_case = summary.name.lower_case();
            let role = context.role_address(object.account_key, &lower_case, summary.name.as_str());
            let leaves = draft.steps.get(&role).and_then(|step| step.change.as_role()).is_some_and(|change| {
                !change.after().is_some_and(|after| after.trust.federated_issuers().contains(arn.host_path()))
            });
            // `observe` reads every role that trusts an issuer of this configuration, except roles that are certainly
            // foreign
            let foreign = match object.account.roles.get(&lower_case) {
                None => true,
                Some(Observed::Present(live)) => !context.is_ours(&live.role.tags),
                Some(Observed::Absent | Observed::Unknown(_)) => false,
            };
            if leaves {
                users.leaving.push(role);
            } else if foreign {
                users.foreign.push(format!("`{}`", summary.name));
            } else {
                users.staying.get_or_insert_with(|| summary.name.clone());
            }
        }
        users
    }

    fn note_text(&self) -> String {
        let more = match self.foreign.len().saturating_sub(MAX_NAMES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let names = self.foreign.iter().take(MAX_NAMES).cloned().collect::<Vec<_>>().join(", ");
        let (roles, trust) = if self.foreign.len() == 1 { ("a role", "trusts") } else { ("roles", "trust") };
        format!(
            "{roles} that irsa does not manage {trust} it ({names}{more}), so irsa removes its own tags and keeps the \
             provider"
        )
    }
}

impl PlanFields for Provider {
    const FIELD_TYPES: FieldTypes =
        &[("url", FieldType::Text), ("audiences", FieldType::Texts), ("tags", FieldType::StringMap)];

    fn values(&self) -> Vec<FieldValue<'_>> {
        let Self { url, audiences, tags } = self;
        let audiences = audiences.iter().map(String::as_str).collect();
        vec![FieldValue::Text(url), FieldValue::Texts(audiences), FieldValue::strings(tags)]
    }
}
