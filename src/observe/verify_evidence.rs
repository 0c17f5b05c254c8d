//! Decides what to read for the command `verify`, and reads it: tokens, webhooks, pods, published keys, and Pod
//! Identity associations.
//!
//! A chain leads from a pod through its ServiceAccount, token and OIDC provider to a role. Reads each issuer once, and
//! the webhooks, pods, namespaces and associations of each cluster once. Sends at most one TokenRequest and one
//! AssumeRoleWithWebIdentity for each ServiceAccount. Reads nothing from a Kubernetes API unless `connect` has shown
//! that it is the declared cluster's.

use super::observed;
use crate::event::{Event, Listen};
use crate::ids::{IssuerUrl, Key, Namespace, ServiceAccountName};
use crate::model::desired::{Desired, Manage};
use crate::model::evidence::{
    Association, Assumed, Chain, ChainKey, ClusterEvidence, Evidence, Owner, Pod, Published, TokenEvidence,
};
use crate::model::live::{Access, Live, LiveServiceAccount, Observed};
use crate::world::{
    Answer, AssociationSummary, CallError, CallErrorKind, IdentityToken, ListEks, ReadAwsEvidence,
    ReadKubernetesEvidence,
};
use futures::future::{join, join_all, join5};
use std::collections::{BTreeMap, BTreeSet};

/// Reads the evidence for these chains. Without `assume`, sends no AssumeRoleWithWebIdentity.
pub async fn read_evidence(
    desired: &Desired,
    live: &Live,
    chains: &[Chain<'_>],
    aws: &(impl ReadAwsEvidence + ListEks),
    kubernetes: &impl ReadKubernetesEvidence,
    assume: bool,
    listen: &dyn Listen,
) -> Evidence {
    listen.on(&Event::VerifyStarted { chains: chains.len() });
    let clusters: BTreeSet<&Key> = chains.iter().map(|chain| &chain.binding.cluster).collect();
    let issuers = read_issuers(live, &clusters, kubernetes);
    let of_clusters = clusters.iter().map(|key| async {
        let reader = EvidenceReader { key, desired, live, chains, aws, kubernetes };
        ((*key).clone(), reader.read().await)
    });
    let tokens = chains.iter().map(|chain| async {
        let evidence = async {
            let key = chain.key()?;
            let service_account = live_service_account(live, &key)?;
            Some((key, token(chain, service_account, live, aws, kubernetes, assume).await))
        };
        let evidence = evidence.await;
        listen.on(&Event::ChainRead);
        evidence
    });
    let of_clusters = async { join_all(of_clusters).await };
    let (issuers, (of_clusters, tokens)) = join(issuers, join(of_clusters, join_all(tokens))).await;
    let service_accounts = tokens.into_iter().flatten().map(|(key, (mut evidence, token))| {
        let issuer = live.clusters.get(&key.0).and_then(|cluster| cluster.issuer.present());
        if let (Some(Published::Documents { keys, .. }), Some(token)) =
            (issuer.and_then(|issuer| issuers.get(issuer)), token)
        {
            evidence.verifies = token.is_verified_by(keys);
        }
        (key, evidence)
    });
    let service_accounts = service_accounts.collect();
    listen.on(&Event::VerifyFinished);
    Evidence { issuers, clusters: of_clusters.into_iter().collect(), service_accounts }
}

async fn read_issuers(
    live: &Live,
    clusters: &BTreeSet<&Key>,
    kubernetes: &impl ReadKubernetesEvidence,
) -> BTreeMap<IssuerUrl, Published> {
    let issuers = clusters.iter().filter_map(|key| live.clusters.get(*key)?.issuer.present());
    let issuers: BTreeSet<&IssuerUrl> = issuers.collect();
    let read = issuers.into_iter().map(|issuer| async { (issuer.clone(), kubernetes.published(issuer).await) });
    join_all(read).await.into_iter().collect()
}

fn live_service_account<'l>(live: &'l Live, (cluster, namespace, name): &ChainKey) -> Option<&'l LiveServiceAccount> {
    let cluster = live.clusters.get(cluster).filter(|cluster| cluster.api == Access::Granted(()))?;
    cluster.service_accounts.get(&(namespace.clone(), name.clone()))?.present()
}

/// Requests a token for the ServiceAccount and, with `assume`, assumes the role with it. Also returns the token,
/// because the caller checks its signature.
async fn token(
    chain: &Chain<'_>,
    service_account: &LiveServiceAccount,
    live: &Live,
    aws: &impl ReadAwsEvidence,
    kubernetes: &impl ReadKubernetesEvidence,
    assume: bool,
) -> (TokenEvidence, Option<IdentityToken>) {
    let audience = chain.binding.audience(Some(service_account));
    let (cluster, name) = (&chain.binding.cluster, &service_account.name);
    let answer = kubernetes.token(cluster, &service_account.namespace, name, audience).await;
    let audience = audience.to_owned();
    let token = match answer {
        Ok(token) => token,
        Err(error) => {
            let why = with_permission(&without_names(error), "create", "serviceaccounts/token");
            let token = Observed::Unknown(why);
            return (TokenEvidence { audience, token, verifies: None, assumed: Assumed::No }, None);
        }
    };
    let assumed = match live.role(&chain.role.account, &chain.role.name).present() {
        Some(role) if assume => match aws.assume(cluster, &role.arn, &token, chain.sts_lag).await {
            Ok(caller) => Assumed::As(caller),
            Err(error) => assume_failure(&without_names(error)),
        },
        Some(_) | None => Assumed::No,
    };
    let claims = Observed::Present(token.claims.clone());
    (TokenEvidence { audience, token: claims, verifies: None, assumed }, Some(token))
}

/// Removes the request id and the name of the ServiceAccount, so that all ServiceAccounts with the same reason have the
/// same text.
fn without_names(mut error: CallError) -> CallError {
    // `serviceaccounts "NAME" is forbidden: User "USER" cannot …`
    if let Some((_, why)) = error.message.split_once(" is forbidden: ") {
        error.message = why.to_owned();
    }
    CallError { request_id: None, ..error }
}

/// Why the role was not assumed. `Denied` or `Refused` if STS itself refused, `IssuerNotReached` if STS did not reach the issuer,
/// `NotSeen` if the call failed for another reason
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html#API_AssumeRoleWithWebIdentity_Errors>).
fn assume_failure(error: &CallError) -> Assumed {
    const DECIDED: [&str; 5] = [
        "ExpiredTokenException",
        "IDPRejectedClaim",
        "InvalidIdentityToken",
        "RegionDisabledException",
        "ValidationError",
    ];
    let code = error.code.as_deref().unwrap_or_default();
    let said = || format!("{code}: {}", error.message);
    match code {
        _ if error.operation != "sts:AssumeRoleWithWebIdentity" => Assumed::NotSeen(error.to_string()),
        "AccessDenied" => Assumed::Denied(said()),
        "IDPCommunicationError" => Assumed::IssuerNotReached(said()),
        _ if DECIDED.contains(&code) => Assumed::Refused(said()),
        _ => Assumed::NotSeen(error.to_string()),
    }
}

/// The error, and the permission that it needs.
fn with_permission(error: &CallError, verb: &str, resource: &str) -> String {
    match error.kind {
        CallErrorKind::Denied => format!("{error}; give these credentials the verb `{verb}` on `{resource}`"),
        _ => error.to_string(),
    }
}

fn unknown<T>(answer: Answer<T>, verb: &str, resource: &str) -> Observed<T> {
    answer.map_or_else(|error| Observed::Unknown(with_permission(&error, verb, resource)), Observed::Present)
}

struct EvidenceReader<'a, A, K> {
    key: &'a Key,
    desired: &'a Desired,
    live: &'a Live,
    chains: &'a [Chain<'a>],
    aws: &'a A,
    kubernetes: &'a K,
}

impl<A: ReadAwsEvidence + ListEks, K: ReadKubernetesEvidence> EvidenceReader<'_, A, K> {
    async fn read(&self) -> ClusterEvidence {
        let cluster = self.live.clusters.get(self.key);
        let is_verified = cluster.is_some_and(|cluster| cluster.api == Access::Granted(()));
        let not_read = || "its API was not read".to_owned();
        let mut evidence = ClusterEvidence {
            authority: Observed::Unknown(not_read()),
            webhooks: Observed::Unknown(not_read()),
            namespace_labels: Observed::Unknown(not_read()),
            pods: BTreeMap::new(),
            replica_sets: BTreeMap::new(),
            associations: Observed::Absent,
        };
        let managed: Vec<&Chain<'_>> = self.managed().collect();
        if !is_verified || managed.is_empty() {
            return evidence;
        }
        let (webhooks, labels, pods, associations, authority) = join5(
            self.kubernetes.webhooks(self.key),
            self.kubernetes.namespace_labels(self.key),
            self.pods(),
            self.associations(),
            self.kubernetes.authority(self.key),
        )
        .await;
        evidence.webhooks = unknown(webhooks, "list", "mutatingwebhookconfigurations.admissionregistration.k8s.io");
        evidence.namespace_labels = unknown(labels, "list", "namespaces");
        evidence.pods = pods;
        evidence.associations = associations;
        evidence.authority = observed(authority.map(Some));
        evidence.replica_sets = self.replica_sets(&evidence.pods).await;
        evidence
    }

    /// The chains of this cluster whose ServiceAccount irsa manages.
    fn managed(&self) -> impl Iterator<Item = &Chain<'_>> {
        self.chains.iter().filter(|chain| {
            chain.binding.cluster == *self.key && chain.binding.manage != Manage::None && chain.key().is_some()
        })
    }

    /// The pods of the ServiceAccounts that irsa manages, and the pods that cannot be parsed. Lists the pods of the
    /// cluster. Without permission for that, lists the pods of each namespace.
    async fn pods(&self) -> BTreeMap<Namespace, Observed<Vec<Pod>>> {
        let declared: BTreeSet<ChainKey> = self.managed().filter_map(Chain::key).collect();
        let namespaces: BTreeSet<&Namespace> = declared.iter().map(|(_, namespace, _)| namespace).collect();
        let names: BTreeSet<(&str, &str)> =
            declared.iter().map(|(_, namespace, name)| (namespace.as_str(), name.as_str())).collect();
        let ours = |namespace: &Namespace, pods: Vec<Pod>| {
            let is_ours =
                |pod: &Pod| pod.is_malformed || names.contains(&(namespace.as_str(), pod.service_account.as_str()));
            pods.into_iter().filter(is_ours).collect()
        };
        let one = |namespace: &Namespace, answer: Answer<BTreeMap<Namespace, Vec<Pod>>>| {
            let answer = answer.map(|mut all| ours(namespace, all.remove(namespace).unwrap_or_default()));
            (namespace.clone(), unknown(answer, "list", "pods"))
        };
        match self.kubernetes.running_pods(self.key, None).await {
            Ok(mut all) => {
                let pods = namespaces.into_iter().map(|namespace| {
                    let pods = ours(namespace, all.remove(namespace).unwrap_or_default());
                    (namespace.clone(), Observed::Present(pods))
                });
                pods.collect()
            }
            Err(error) if error.kind == CallErrorKind::Denied => {
                let read = namespaces.into_iter().map(|namespace| async move {
                    (namespace, self.kubernetes.running_pods(self.key, Some(namespace)).await)
                });
                join_all(read).await.into_iter().map(|(namespace, answer)| one(namespace, answer)).collect()
            }
            Err(error) => namespaces.into_iter().map(|namespace| one(namespace, Err(error.clone()))).collect(),
        }
    }

    /// The owners of the ReplicaSets whose pods are not as declared.
    async fn replica_sets(
        &self,
        pods: &BTreeMap<Namespace, Observed<Vec<Pod>>>,
    ) -> BTreeMap<(Namespace, String), Owner> {
        let mut wanted = BTreeSet::new();
        for chain in self.managed() {
            let Some((_, namespace, name)) = chain.key() else { continue };
            let Some(account) = self.desired.accounts.get(&chain.role.account) else { continue };
            let role = self.live.role_arn(account, chain.role);
            let pods = pods.get(&namespace).and_then(Observed::present).into_iter().flatten();
            for pod in pods.filter(|pod| pod.service_account == name.as_str()) {
                if let Some(owner) = pod.owner.as_ref().filter(|owner| owner.kind == "ReplicaSet")
                    && pod.problem(role.as_str(), chain.binding.effective_audience()).is_some()
                {
                    wanted.insert((namespace.clone(), owner.name.clone()));
                }
            }
        }
        let read = wanted.into_iter().map(|(namespace, name)| async move {
            let owner = self.kubernetes.replica_set_owner(self.key, &namespace, &name).await.ok().flatten()?;
            Some(((namespace, name), owner))
        });
        join_all(read).await.into_iter().flatten().collect()
    }

    /// The associations of the ServiceAccounts that irsa manages. Absent for a cluster without an EKS name, because
    /// only EKS has associations.
    async fn associations(&self) -> Observed<BTreeMap<(Namespace, ServiceAccountName), Association>> {
        if self.desired.clusters.get(self.key).is_none_or(|cluster| cluster.name.is_none()) {
            return Observed::Absent;
        }
        let listed = match self.aws.associations(self.key).await {
            Ok(listed) => listed,
            Err(error) => return Observed::Unknown(error.with_hint()),
        };
        let managed: BTreeSet<(Namespace, ServiceAccountName)> =
            self.managed().filter_map(|chain| chain.key().map(|(_, namespace, name)| (namespace, name))).collect();
        let read = listed.into_iter().filter_map(|AssociationSummary { id, namespace, service_account: name }| {
            let key = (Namespace::parse(namespace).ok()?, ServiceAccountName::parse(name).ok()?);
            managed.contains(&key).then_some(async move {
                let role = observed(self.aws.association_role(self.key, &id).await);
                (key, Association { id, role })
            })
        });
        Observed::Present(join_all(read).await.into_iter().collect())
    }
}
