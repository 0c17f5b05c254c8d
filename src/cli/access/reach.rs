//! Which role the pods of a ServiceAccount get, and whether they get it.

use super::World;
use crate::access::assumes;
use crate::ids::{Key, ProviderArn, RoleArn};
use crate::model::desired::{Binding, Manage, Role, Subject};
use crate::model::evidence::Chain;
use crate::model::live::{Extent, Live, LiveCluster, LiveServiceAccount, Observed};
use crate::model::marks::ROLE_ARN;
use crate::policy::evaluate::Truth;

impl World {
    /// The live ServiceAccount of a binding. Absent too if it waits for its namespace.
    fn service_account(cluster: &LiveCluster, binding: &Binding) -> Option<Observed<LiveServiceAccount>> {
        let Subject::Exact(namespace, name) = &binding.subject else { return None };
        let is_whole = matches!(cluster.extent, Extent::Whole | Extent::Understood)
            || cluster.namespaces.get(namespace) == Some(&Observed::Absent);
        let unread =
            if is_whole { Observed::Absent } else { Observed::Unknown("the ServiceAccount was not read".to_owned()) };
        Some(cluster.service_accounts.get(&(namespace.clone(), name.clone())).cloned().unwrap_or(unread))
    }

    /// The role that the annotation of a ServiceAccount names, which is declared to have the role `key`.
    pub(super) fn annotated<'a>(&'a self, key: &'a Key, binding: &Binding) -> Annotated<'a> {
        let Some(cluster) = self.live.as_ref().and_then(|live| live.clusters.get(&binding.cluster)) else {
            return Annotated::Role(key);
        };
        let live = match Self::service_account(cluster, binding) {
            Some(Observed::Present(live)) => live,
            // whoever creates it decides on its annotation
            None | Some(Observed::Absent | Observed::Unknown(_)) if binding.manage == Manage::None => {
                return Annotated::Role(key);
            }
            None => return Annotated::Role(key),
            Some(Observed::Absent) => return Annotated::None("it does not exist".to_owned()),
            Some(Observed::Unknown(why)) => return Annotated::Unknown(why),
        };
        let Some(found) = live.annotations.get(ROLE_ARN) else {
            return Annotated::None("it has no annotation with a role".to_owned());
        };
        let Ok(arn) = RoleArn::parse(found) else {
            return Annotated::None(format!("its annotation is `{found}`, which is not a role ARN"));
        };
        let is_named = |key: &&Key| self.arn_of(key).is_some_and(|one| one == arn);
        let Some(named) = [key].into_iter().chain(self.desired.roles.keys()).find(is_named) else {
            let why = format!("its annotation names `{arn}`, whose permissions irsa did not read");
            return Annotated::Other(why);
        };
        let is_same = |one: &Binding| (&one.cluster, &one.subject) == (&binding.cluster, &binding.subject);
        if named != key && self.desired.roles[named].bindings.iter().any(is_same) {
            // it has a row with that role
            return Annotated::None(format!("its annotation names another role, role/{named}"));
        }
        Annotated::Role(named)
    }

    /// The live ARN of a declared role, or the one that it would get.
    fn arn_of(&self, key: &Key) -> Option<RoleArn> {
        let role = self.desired.roles.get(key)?;
        if let Observed::Present(live) = self.live.as_ref()?.role(&role.account, &role.name) {
            return Some(live.arn.clone());
        }
        let account = self.desired.accounts.get(&role.account)?;
        Some(RoleArn::of(&account.partition, &account.id, &role.path, &role.name))
    }

    /// Whether the OIDC provider and the trust policy of a role let the tokens of a ServiceAccount in. With `--declared`
    /// they always do.
    pub(super) fn trusts(&self, key: &Key, binding: &Binding) -> Reach {
        let (Some(live), role) = (&self.live, &self.desired.roles[key]) else { return Reach::Yes };
        let Some(found) = live.role(&role.account, &role.name).present().copied() else {
            return Reach::Unknown("the role could not be read".to_owned());
        };
        let cluster = live.clusters.get(&binding.cluster);
        let Some((cluster, issuer)) = cluster.and_then(|cluster| Some((cluster, cluster.issuer.present()?))) else {
            return Reach::Unknown(format!("the issuer of cluster `{}` is not known", binding.cluster));
        };
        let Some(account) = self.desired.accounts.get(&role.account) else { return Reach::Yes };
        let provider = ProviderArn::of(&account.partition, &account.id, issuer);
        let claim = binding.subject.claim();
        let read = Self::service_account(cluster, binding);
        let chain = Chain { role_key: key, role, binding, is_fresh: false };
        let audience = chain.audience(read.as_ref().and_then(Observed::present));
        match accepts(live, role, &provider, audience) {
            Reach::Yes => {}
            other => return other,
        }
        match assumes(&found.role.trust, provider.as_str(), issuer.host_path(), audience, &claim) {
            Truth::False => Reach::No(format!("the trust policy of role/{key} does not let it in")),
            Truth::Unknown => Reach::Unknown(format!("whether the trust policy of role/{key} lets it in")),
            Truth::True => Reach::Yes,
        }
    }
}

/// The role that an annotation names.
pub(super) enum Annotated<'a> {
    /// A declared one.
    Role(&'a Key),
    /// Another one; the text names it.
    Other(String),
    /// None, so that pods get no role; the text says why.
    None(String),
    /// It is not known; the text says why.
    Unknown(String),
}

/// Whether pods get a role.
pub(super) enum Reach {
    Yes,
    /// It is not known; the text says why.
    Unknown(String),
    No(String),
}

/// Whether the account of a role has the OIDC provider, and it accepts the audience.
fn accepts(live: &Live, role: &Role, provider: &ProviderArn, audience: &str) -> Reach {
    let Some(account) = live.accounts.get(&role.account) else {
        return Reach::Unknown(format!("account `{}` was not read", role.account));
    };
    match (account.providers.get(provider), &account.providers_listed) {
        (Some(Observed::Present(found)), _) if found.provider.audiences.contains(audience) => Reach::Yes,
        (Some(Observed::Present(_)), _) => {
            Reach::No(format!("the OIDC provider does not accept the audience `{audience}` of its tokens"))
        }
        (Some(Observed::Unknown(why)), _) | (None, Observed::Unknown(why)) => Reach::Unknown(why.clone()),
        (Some(Observed::Absent) | None, _) => {
            Reach::No(format!("account `{}` has no OIDC provider for its cluster", role.account))
        }
    }
}
