//! Everything that the links of one chain look at.

use super::{Verdict, shell_word};
use crate::ids::{IssuerUrl, Key, RoleArn};
use crate::model::desired::{Account, Cluster, Desired, Manage};
use crate::model::evidence::{Association, Chain, ClusterEvidence, Evidence, Published, TokenClaims, TokenEvidence};
use crate::model::live::{Access, Live, LiveAccount, LiveCluster, LiveRole, LiveServiceAccount, Observed};
use crate::model::marks::field_manager;
use crate::model::refusal::Refusal;

/// A chain with what was read of it.
pub(super) struct Case<'a> {
    pub chain: &'a Chain<'a>,
    /// irsa's field manager.
    pub manager: String,
    pub cluster: &'a Cluster,
    /// The role's account.
    pub account: &'a Account,
    /// The cluster's account.
    pub cluster_account: Option<&'a Account>,
    pub live_account: &'a LiveAccount,
    /// The role of the declaration.
    pub role: Observed<&'a LiveRole>,
    /// The ARN of the role: the live one, or the one that it would get.
    pub role_arn: RoleArn,
    pub live_cluster: &'a LiveCluster,
    pub evidence: Option<&'a ClusterEvidence>,
    pub published: Option<&'a Published>,
    pub token: Option<&'a TokenEvidence>,
}

/// The live ServiceAccount.
pub(super) enum Subject<'a> {
    Present(&'a LiveServiceAccount),
    /// It does not exist, and why that is as declared.
    Waiting(String),
    Missing,
    Unknown(String),
    /// The chain names no single one.
    Pattern,
    /// irsa looks at nothing in the cluster.
    NoApi,
    /// The declared cluster does not exist, or the API is another cluster's; the text says which. The link `issuer` fails.
    WrongCluster(String),
}

impl<'a> Case<'a> {
    /// # Errors
    /// Which account or cluster was not read.
    pub(super) fn of(
        desired: &'a Desired,
        live: &'a Live,
        evidence: &'a Evidence,
        chain: &'a Chain<'a>,
    ) -> Result<Self, String> {
        let (key, account) = (&chain.binding.cluster, &chain.role.account);
        let unread = |what: &str, key: &Key| format!("{what} `{key}` was not read");
        let cluster = desired.clusters.get(key).ok_or_else(|| unread("cluster", key))?;
        let live_cluster = live.clusters.get(key).ok_or_else(|| unread("cluster", key))?;
        let issuer = live_cluster.issuer.present();
        let live_account = live.accounts.get(account).ok_or_else(|| unread("account", account))?;
        let account = desired.accounts.get(account).ok_or_else(|| unread("account", account))?;
        Ok(Self {
            chain,
            manager: field_manager(&desired.owner),
            cluster,
            account,
            cluster_account: desired.accounts.get(&cluster.account),
            live_account,
            role: live.role(&chain.role.account, &chain.role.name),
            role_arn: live.role_arn(account, chain.role),
            live_cluster,
            evidence: evidence.clusters.get(&chain.binding.cluster),
            published: issuer.and_then(|issuer| evidence.issuers.get(issuer)),
            token: chain.key().and_then(|key| evidence.service_accounts.get(&key)),
        })
    }

    pub(super) fn issuer(&self) -> Option<&'a IssuerUrl> {
        self.live_cluster.issuer.present()
    }

    /// Why the chain ends at the link `issuer`: EKS has no such cluster, so that there is nothing to judge.
    pub(super) fn no_cluster(&self) -> Option<&'static str> {
        (self.live_cluster.issuer == Observed::Absent).then_some("the cluster does not exist")
    }

    pub(super) fn claims(&self) -> Option<&'a TokenClaims> {
        self.token.and_then(|token| token.token.present())
    }

    /// The audience of the tokens in pods.
    pub(super) fn audience(&self) -> &str {
        let live = match self.subject() {
            Subject::Present(live) => Some(live),
            _ => None,
        };
        self.chain.binding.audience(live)
    }

    /// The EKS Pod Identity association of the ServiceAccount, if the associations were read.
    pub(super) fn association(&self) -> Option<&'a Association> {
        let (_, namespace, name) = self.chain.key()?;
        self.evidence?.associations.present()?.get(&(namespace, name))
    }

    pub(super) fn is_managed(&self) -> bool {
        self.chain.binding.manage != Manage::None
    }

    pub(super) fn subject(&self) -> Subject<'a> {
        let Some((_, namespace, name)) = self.chain.key() else { return Subject::Pattern };
        if !self.cluster.has_api() {
            return Subject::NoApi;
        }
        if let Some(why) = self.no_cluster() {
            return Subject::WrongCluster(why.to_owned());
        }
        if let Access::Wrong(Refusal { why, .. }) = &self.live_cluster.api {
            return Subject::WrongCluster(why.clone());
        }
        match self.live_cluster.service_account(&namespace, &name) {
            Observed::Present(live) => Subject::Present(live),
            Observed::Unknown(why) => Subject::Unknown(why),
            Observed::Absent => match (self.chain.binding.manage, self.live_cluster.namespaces.get(&namespace)) {
                (Manage::Create, Some(Observed::Absent)) => {
                    Subject::Waiting(format!("it waits for namespace `{namespace}`"))
                }
                (Manage::Create, _) => Subject::Missing,
                (Manage::Annotate, _) => {
                    Subject::Waiting("it waits for its maker (`manage = \"annotate\"`)".to_owned())
                }
                (Manage::None, _) => Subject::Waiting("it does not exist (`manage = \"none\"`)".to_owned()),
            },
        }
    }

    /// The live ServiceAccount, or the verdict on a link that needs it.
    pub(super) fn service_account(&self) -> Result<&'a LiveServiceAccount, Verdict> {
        match self.subject() {
            Subject::Present(live) => Ok(live),
            Subject::Waiting(why) | Subject::WrongCluster(why) => Err(Verdict::not_applicable(why)),
            Subject::Missing => Err(Verdict::not_applicable("the ServiceAccount does not exist")),
            Subject::Unknown(why) => Err(Verdict::unknown(why)),
            Subject::Pattern => Err(Verdict::not_applicable("a pattern names no single ServiceAccount")),
            Subject::NoApi => Err(Verdict::not_applicable("irsa looks at nothing in this cluster")),
        }
    }

    /// Like `service_account`, for a link that irsa proves only where it manages the ServiceAccount.
    pub(super) fn managed_service_account(&self) -> Result<&'a LiveServiceAccount, Verdict> {
        if self.is_managed() {
            self.service_account()
        } else {
            Err(Verdict::not_applicable("`manage = \"none\"`: irsa only trusts it"))
        }
    }

    /// The audience that the live ServiceAccount asks for, if it is not the declared one.
    pub(super) fn other_audience(&self) -> Option<&str> {
        Some(self.audience()).filter(|audience| *audience != self.chain.binding.effective_audience())
    }

    /// `aws eks VERB FLAG NAME` for the cluster, with its region and its account's profile.
    pub(super) fn aws_eks(&self, verb: &str, flag: &str) -> String {
        let name = self.cluster.name.as_ref().map_or("CLUSTER", |name| name.as_str());
        let region = self.cluster.region.as_ref().map(|region| format!(" --region {region}")).unwrap_or_default();
        // the profile of an account with a role to assume is that of another account
        let account = self.cluster_account.filter(|account| account.assume_role.is_none());
        let profile = account.and_then(|account| account.profile.as_deref());
        let profile = profile.map(|profile| format!(" --profile {}", shell_word(profile))).unwrap_or_default();
        format!("aws eks {verb} {flag} {name}{region}{profile}")
    }

    /// `kubectl`, with the context of the cluster.
    pub(super) fn kubectl(&self) -> String {
        let context = self.kubectl_context();
        context.map_or_else(|| "kubectl".to_owned(), |context| format!("kubectl --context {}", shell_word(&context)))
    }

    /// The `--context` of kubectl: the declared one, or the one that `aws eks update-kubeconfig` writes.
    fn kubectl_context(&self) -> Option<String> {
        if let Some(context) = &self.cluster.kubernetes.context {
            return Some(context.clone());
        }
        let Account { partition, id, .. } = self.cluster_account?;
        let (region, name) = (self.cluster.region.as_ref()?, self.cluster.name.as_ref()?);
        Some(format!("arn:{partition}:eks:{region}:{id}:cluster/{name}"))
    }
}
