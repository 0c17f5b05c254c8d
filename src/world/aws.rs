//! The AWS reader and writer for all accounts and clusters of a configuration.
//!
//! They find the account of a call. `iam`, `eks` and `sts` make the call. `account` limits its rate and retries it. The
//! writer shares the clients, rate limits and recent writes of the reader that it comes from.

pub use super::account::AwsSettings;
pub use super::eks::token::EksToken;

use super::account::{AccountClient, Action, ClientOptions, invalid};
use super::sdk_config::{AccountConnector, Clock};
use super::{
    AccountSummary, Answer, AssociationSummary, BulkPage, ClusterFacts, IdentityToken, ListEks, Listed, PolicySummary,
    ReadAws, ReadAwsEvidence, RoleAttributes, Transports, WriteAws, Written, eks, iam, sts, web_identity,
};
use crate::context::Context;
use crate::event::Listen;
use crate::ids::{ClusterName, Key, PolicyArn, PolicyName, ProviderArn, Region, RoleArn, RoleName};
use crate::model::call::{IamCall, Target};
use crate::model::desired::{Account, Cluster};
use crate::model::evidence::StsLag;
use crate::model::live::{Identity, LivePolicy, LiveProvider, LiveRole, RoleSummary};
use crate::model::resource::StringMap;
use crate::policy::PolicyDocument;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Reads from AWS. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AwsReader {
    clients: Arc<AwsClients>,
}

/// Writes to AWS. [`AwsReader::writer`] returns one.
#[derive(Debug, Clone)]
pub struct AwsWriter {
    clients: Arc<AwsClients>,
    halt: CancellationToken,
}

struct AwsClients {
    accounts: Arc<BTreeMap<Key, AccountClient>>,
    clusters: BTreeMap<Key, Cluster>,
    /// The region in the environment or its profile. The error says which setting has no valid region.
    default_region: Result<Option<Region>, String>,
    requests: Arc<AtomicU64>,
}

impl fmt::Debug for AwsClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsClients").field("accounts", &self.accounts.keys()).finish_non_exhaustive()
    }
}

impl AwsReader {
    /// Makes the clients of these accounts. Fetches no credentials: the first call or `sign_in` does.
    pub async fn connect(
        context: &Context,
        transports: &Transports,
        accounts: &BTreeMap<Key, Account>,
        clusters: &BTreeMap<Key, Cluster>,
        settings: AwsSettings,
        listen: Arc<dyn Listen>,
    ) -> Self {
        let clock = Clock::new(context);
        let mut connector = AccountConnector::new(context, transports, settings.timeout, clock);
        let requests = Arc::new(AtomicU64::new(0));
        let mut account_clients = BTreeMap::new();
        for (key, account) in accounts {
            let connection = connector.connect(key, account, clusters).await;
            let options = ClientOptions { context, settings, listen: &listen, requests: &requests, clock };
            account_clients.insert(key.clone(), AccountClient::new(key, connection, &options));
        }
        Self::from_clients(account_clients, clusters, connector.default_region().await, requests)
    }

    fn from_clients(
        accounts: BTreeMap<Key, AccountClient>,
        clusters: &BTreeMap<Key, Cluster>,
        default_region: Result<Option<Region>, String>,
        requests: Arc<AtomicU64>,
    ) -> Self {
        let accounts = Arc::new(accounts);
        Self { clients: Arc::new(AwsClients { accounts, clusters: clusters.clone(), default_region, requests }) }
    }

    /// A reader of the same accounts, with the same clients, for these clusters.
    #[must_use]
    pub fn with_clusters(&self, clusters: &BTreeMap<Key, Cluster>) -> Self {
        let AwsClients { accounts, clusters: _, default_region, requests } = &*self.clients;
        Self {
            clients: Arc::new(AwsClients {
                accounts: Arc::clone(accounts),
                clusters: clusters.clone(),
                default_region: default_region.clone(),
                requests: Arc::clone(requests),
            }),
        }
    }

    /// The region in the environment or the profile of an account.
    pub fn region_of(&self, account: &Key) -> Option<Region> {
        self.clients.accounts.get(account).and_then(|account| account.region.clone())
    }

    /// The region in `AWS_REGION`, `AWS_DEFAULT_REGION`, or the profile that `AWS_PROFILE` names (or else `default`).
    ///
    /// # Errors
    /// Says which setting has no valid region.
    pub fn default_region(&self) -> Result<Option<Region>, String> {
        self.clients.default_region.clone()
    }

    /// A writer with the same clients.
    pub fn writer(&self) -> AwsWriter {
        AwsWriter { clients: Arc::clone(&self.clients), halt: CancellationToken::new() }
    }

    /// A token for the Kubernetes API of an EKS cluster, signed with the credentials of its account. Sends nothing,
    /// unless credentials are missing or about to expire and must be fetched.
    pub async fn eks_token(&self, cluster: &Key) -> Answer<EksToken> {
        let (account, region, name) = self.clients.cluster(cluster, eks::token::ACTION)?;
        eks::token::token(account, &region, &name).await
    }

    /// The number of requests sent so far, including the SDK's own retries.
    pub fn requests(&self) -> u64 {
        self.clients.requests.load(Ordering::Relaxed)
    }
}

impl AwsWriter {
    /// Returns this writer, which sends nothing once `halt` is cancelled. Calls that then still wait fail, and calls in
    /// flight end normally.
    #[must_use]
    pub fn halted_by(self, halt: &CancellationToken) -> Self {
        Self { halt: halt.clone(), ..self }
    }
}

impl AwsClients {
    fn account(&self, key: &Key, action: Action) -> Answer<&AccountClient> {
        self.accounts.get(key).ok_or_else(|| invalid(action, format!("there is no account `{key}`")))
    }

    fn cluster(&self, key: &Key, action: Action) -> Answer<(&AccountClient, Region, ClusterName)> {
        let missing = |what: &str| invalid(action, format!("{what} `{key}`"));
        let cluster = self.clusters.get(key).ok_or_else(|| missing("there is no cluster"))?;
        let name = cluster.name.clone().ok_or_else(|| missing("irsa does not know the EKS name of cluster"))?;
        let account = self.account(&cluster.account, action)?;
        let region = cluster.region.clone().or_else(|| account.region.clone());
        let region = region.ok_or_else(|| missing("irsa does not know the region of cluster"))?;
        Ok((account, region, name))
    }

    fn iam(&self, key: &Key) -> Answer<&AccountClient> {
        self.account(key, Action { service: "iam", name: "*" })
    }
}

/// Implements the reads that only need the client of an account.
macro_rules! account_reads {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty = $read:path;)*) => {
        $(async fn $name(&self, account: &Key, $($argument: $type),*) -> Answer<$answer> {
            $read(self.clients.iam(account)?, $($argument),*).await
        })*
    };
}

impl ReadAws for AwsReader {
    account_reads! {
        fn summary() -> AccountSummary = iam::summary;
        fn roles() -> Listed<RoleSummary> = iam::roles::list;
        fn bulk_page(page: Option<&str>) -> BulkPage = iam::bulk_page::read;
        fn role(name: &RoleName, inline: &BTreeSet<PolicyName>) -> Option<LiveRole> = iam::roles::with_policies;
        fn role_tags(name: &RoleName) -> Option<StringMap> = iam::roles::tags;
        fn attached(name: &RoleName) -> Option<BTreeSet<PolicyArn>> = iam::roles::attached;
        fn inline_names(name: &RoleName) -> Option<BTreeSet<PolicyName>> = iam::roles::inline_names;
        fn inline(name: &RoleName, policy: &PolicyName) -> Option<PolicyDocument> = iam::roles::inline;
        fn instance_profiles(name: &RoleName) -> Vec<String> = iam::roles::instance_profiles;
        fn policies() -> Listed<PolicySummary> = iam::policies::list;
        fn any_policy(arn: &PolicyArn, document: bool) -> Option<Option<PolicyDocument>> = iam::policies::foreign;
        fn policy_tags(arn: &PolicyArn) -> Option<StringMap> = iam::policies::tags;
        fn providers() -> Listed<ProviderArn> = iam::providers::list;
    }

    async fn sign_in(&self, account: &Key) {
        if let Some(account) = self.clients.accounts.get(account) {
            account.sign_in().await;
        }
    }

    async fn identity(&self, account: &Key) -> Answer<Identity> {
        sts::identity(self.clients.account(account, sts::ACTION)?).await
    }

    fn estimate_one_by_one(&self, account: &Key, calls: usize) -> Duration {
        let account = self.clients.accounts.get(account);
        account.map_or(Duration::ZERO, |account| account.sender.time_for(&iam::roles::ONE_BY_ONE, calls))
    }

    async fn role_attributes(&self, account: &Key, name: &RoleName) -> Answer<Option<RoleAttributes>> {
        let account = self.clients.iam(account)?;
        iam::roles::attributes(account, name, account.recent_writes.facts_for_read(Target::Role(name))).await
    }

    async fn policy(&self, account: &Key, arn: &PolicyArn) -> Answer<Option<LivePolicy>> {
        let account = self.clients.iam(account)?;
        iam::policies::with_versions(account, arn, account.recent_writes.facts_for_read(Target::Policy(arn))).await
    }

    async fn provider(&self, account: &Key, arn: &ProviderArn) -> Answer<Option<LiveProvider>> {
        let account = self.clients.iam(account)?;
        iam::providers::get_provider(account, arn, account.recent_writes.facts_for_read(Target::Provider(arn))).await
    }

    async fn cluster(&self, cluster: &Key) -> Answer<Option<ClusterFacts>> {
        let (account, region, name) = self.clients.cluster(cluster, eks::DESCRIBE_CLUSTER)?;
        eks::cluster(account, &region, &name).await
    }
}

impl ReadAwsEvidence for AwsReader {
    async fn assume(&self, cluster: &Key, role: &RoleArn, token: &IdentityToken, lag: StsLag) -> Answer<String> {
        let declared = self.clients.clusters.get(cluster);
        let declared =
            declared.ok_or_else(|| invalid(web_identity::ACTION, format!("there is no cluster `{cluster}`")))?;
        let account = self.clients.account(&declared.account, web_identity::ACTION)?;
        let region = declared.region.as_ref().or(account.region.as_ref());
        web_identity::assume(account, region, role, token, lag).await
    }

    async fn association_role(&self, cluster: &Key, id: &str) -> Answer<Option<String>> {
        let (account, region, name) = self.clients.cluster(cluster, eks::associations::DESCRIBE)?;
        eks::associations::role(account, &region, &name, id).await
    }
}

impl ListEks for AwsReader {
    async fn cluster_names(&self, account: &Key, region: &Region) -> Answer<Vec<ClusterName>> {
        eks::cluster_names(self.clients.account(account, eks::LIST_CLUSTERS)?, region).await
    }

    async fn associations(&self, cluster: &Key) -> Answer<Vec<AssociationSummary>> {
        let (account, region, name) = self.clients.cluster(cluster, eks::associations::LIST)?;
        eks::associations::list(account, &region, &name).await
    }
}

impl WriteAws for AwsWriter {
    async fn write(&self, account: &Key, call: &IamCall) -> Answer<Written> {
        let client = self.clients.account(account, Action::iam(call.operation()))?;
        iam::write::write(client, call, &self.halt).await
    }
}

#[cfg(test)]
pub(crate) mod tests;
