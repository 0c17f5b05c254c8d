//! Which role the pods of a ServiceAccount get, and whether they get it.

use super::World;
use crate::access::assumes;
use crate::ids::{Key, ProviderArn, RoleArn};
use crate::model::desired::{Binding, Manage, Role, Subject};
use crate::model::live::{Live, LiveCluster, LiveServiceAccount, Observed};
use crate::model::marks::ROLE_ARN;
use crate::policy::evaluate::Truth;

impl World {
    /// The live ServiceAccount of a binding. Absent also if its namespace is absent. None for a pattern.
    fn service_account<'a>(cluster: &'a LiveCluster, binding: &Binding) -> Option<Observed<&'a LiveServiceAccount>> {
        let Subject::Exact(namespace, name) = &binding.subject else { return None };
        Some(cluster.service_account(namespace, name))
    }

    /// The role that the annotation of the binding's ServiceAccount names. `key` is the role that the binding declares.
    pub(super) fn annotated<'a>(&'a self, key: &'a Key, binding: &Binding) -> Annotated<'a> {
        let Some(read) = &self.live else { return Annotated::Role(key) };
        let Some(cluster) = read.clusters.get(&binding.cluster) else { return Annotated::Role(key) };
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
        let is_named = |key: &&Key| {
            let role = &self.desired.roles[*key];
            self.desired.accounts.get(&role.account).is_some_and(|account| read.role_arn(account, role) == arn)
        };
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
        let audience = binding.audience(read.as_ref().and_then(Observed::present).copied());
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
    /// A declared role.
    Role(&'a Key),
    /// A role that irsa did not read; the text names it.
    Other(String),
    /// No role; the text says why.
    None(String),
    /// Unknown; the text says why.
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
    match account.provider(provider) {
        Observed::Present(found) if found.provider.audiences.contains(audience) => Reach::Yes,
        Observed::Present(_) => {
            Reach::No(format!("the OIDC provider does not accept the audience `{audience}` of its tokens"))
        }
        Observed::Unknown(why) => Reach::Unknown(why),
        Observed::Absent => Reach::No(format!("account `{}` has no OIDC provider for its cluster", role.account)),
    }
}
