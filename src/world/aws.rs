//! The AWS half of the world: one reader and one writer over all accounts and clusters of a configuration.
//!
//! Here is only who is asked; how a service is asked stands in `iam`, `eks` and `sts`, how often and how fast in
//! `account`. A writer comes from a reader alone, and shares its clients, its pace and its memory of what this run did.

pub use super::account::AwsSettings;
pub use super::eks::token::EksToken;

use super::account::{AccountClient, Action, Asked, invalid};
use super::connect::{Clock, Connector};
use super::{
    AccountSummary, Answer, BulkPage, ClusterFacts, Listed, PolicySummary, ReadAws, RoleAttributes, Transports,
    WriteAws, Written, eks, iam, sts,
};
use crate::context::Context;
use crate::event::Listen;
use crate::ids::{ClusterName, Key, PolicyArn, PolicyName, ProviderArn, Region, RoleName};
use crate::model::call::IamCall;
use crate::model::desired::{Account, Cluster};
use crate::model::live::{Identity, LivePolicy, LiveProvider, LiveRole, RoleSummary};
use crate::model::resource::StringMap;
use crate::policy::PolicyDocument;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Reads from AWS; cheap to clone.
#[derive(Clone)]
pub struct AwsReader {
    shared: Arc<Shared>,
}

/// Writes to AWS; made by [`AwsReader::writer`] alone.
#[derive(Clone)]
pub struct AwsWriter {
    shared: Arc<Shared>,
    halt: CancellationToken,
}

struct Shared {
    accounts: BTreeMap<Key, AccountClient>,
    clusters: BTreeMap<Key, ClusterLocation>,
    /// The region of the ambient settings, or what names one that is none.
    default_region: Result<Option<Region>, String>,
    requests: Arc<AtomicU64>,
}

/// Where a cluster is.
#[derive(Debug, Clone)]
struct ClusterLocation {
    account: Key,
    region: Option<Region>,
    name: Option<ClusterName>,
}

impl fmt::Debug for AwsReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsReader").field("accounts", &self.shared.accounts.keys()).finish_non_exhaustive()
    }
}

impl fmt::Debug for AwsWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsWriter").field("accounts", &self.shared.accounts.keys()).finish_non_exhaustive()
    }
}

impl AwsReader {
    /// Prepares to talk to these accounts and clusters. Sends nothing yet, unless credentials must be looked for.
    pub async fn connect(
        context: &Context,
        wires: &Transports,
        accounts: &BTreeMap<Key, Account>,
        clusters: &BTreeMap<Key, Cluster>,
        settings: AwsSettings,
        listen: Arc<dyn Listen>,
    ) -> Self {
        let clock = Clock::new(context);
        let mut connector = Connector::new(context, wires, settings.timeout, clock);
        let requests = Arc::new(AtomicU64::new(0));
        let mut clients = BTreeMap::new();
        for (key, account) in accounts {
            let connection = connector.connect(key, account, clusters).await;
            let asked = Asked { context, settings, listen: &listen, requests: &requests, clock };
            clients.insert(key.clone(), AccountClient::new(key, connection, &asked));
        }
        Self::over(clients, clusters, connector.default_region().await, requests)
    }

    fn over(
        accounts: BTreeMap<Key, AccountClient>,
        clusters: &BTreeMap<Key, Cluster>,
        default_region: Result<Option<Region>, String>,
        requests: Arc<AtomicU64>,
    ) -> Self {
        let place = |cluster: &Cluster| ClusterLocation {
            account: cluster.account.clone(),
            region: cluster.region.clone(),
            name: cluster.name.clone(),
        };
        let clusters = clusters.iter().map(|(key, cluster)| (key.clone(), place(cluster))).collect();
        Self { shared: Arc::new(Shared { accounts, clusters, default_region, requests }) }
    }

    /// The region of the ambient settings: `AWS_REGION`, `AWS_DEFAULT_REGION`, or the ambient profile's.
    ///
    /// # Errors
    /// What names one that is none.
    pub fn default_region(&self) -> Result<Option<Region>, String> {
        self.shared.default_region.clone()
    }

    /// The capability to write.
    pub fn writer(&self) -> AwsWriter {
        AwsWriter { shared: Arc::clone(&self.shared), halt: CancellationToken::new() }
    }

    /// A token for the Kubernetes API of an EKS cluster, made in process from the credentials of its account.
    pub async fn eks_token(&self, cluster: &Key) -> Answer<EksToken> {
        let (account, region, name) = self.shared.cluster(cluster, eks::token::ACTION)?;
        eks::token::token(account, &region, &name).await
    }

    /// How many requests were sent so far, the SDK's own retries included.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }
}

impl AwsWriter {
    /// Sends nothing any more once `halt` is cancelled: what waits for its turn is given up, and what is under way ends.
    #[must_use]
    pub fn halted_by(self, halt: &CancellationToken) -> Self {
        Self { halt: halt.clone(), ..self }
    }
}

impl Shared {
    fn account(&self, key: &Key, action: Action) -> Answer<&AccountClient> {
        self.accounts.get(key).ok_or_else(|| invalid(action, format!("there is no account `{key}`")))
    }

    fn cluster(&self, key: &Key, action: Action) -> Answer<(&AccountClient, Region, ClusterName)> {
        let missing = |what: &str| invalid(action, format!("{what} `{key}`"));
        let place = self.clusters.get(key).ok_or_else(|| missing("there is no cluster"))?;
        let name = place.name.clone().ok_or_else(|| missing("no EKS name is known of cluster"))?;
        let account = self.account(&place.account, action)?;
        let region = place.region.clone().or_else(|| account.region.clone());
        let region = region.ok_or_else(|| missing("no region is known of cluster"))?;
        Ok((account, region, name))
    }

    fn iam(&self, key: &Key) -> Answer<&AccountClient> {
        self.account(key, Action { service: "iam", name: "*" })
    }
}

impl ReadAws for AwsReader {
    async fn sign_in(&self, account: &Key) {
        if let Some(account) = self.shared.accounts.get(account) {
            account.sign_in().await;
        }
    }

    async fn identity(&self, account: &Key) -> Answer<Identity> {
        sts::identity(self.shared.account(account, sts::ACTION)?).await
    }

    async fn summary(&self, account: &Key) -> Answer<AccountSummary> {
        iam::summary(self.shared.iam(account)?).await
    }

    async fn roles(&self, account: &Key) -> Answer<Listed<RoleSummary>> {
        iam::roles::list(self.shared.iam(account)?).await
    }

    async fn bulk_page(&self, account: &Key, page: Option<&str>) -> Answer<BulkPage> {
        iam::bulk::page(self.shared.iam(account)?, page).await
    }

    fn one_by_one(&self, account: &Key, roles: usize) -> Duration {
        let account = self.shared.accounts.get(account);
        account.map_or(Duration::ZERO, |account| account.caller.time_for(&iam::roles::ONE_BY_ONE, roles))
    }

    async fn role_head(&self, account: &Key, name: &RoleName) -> Answer<Option<RoleAttributes>> {
        iam::roles::head(self.shared.iam(account)?, name).await
    }

    async fn role(&self, account: &Key, name: &RoleName, inline: &BTreeSet<PolicyName>) -> Answer<Option<LiveRole>> {
        iam::roles::whole(self.shared.iam(account)?, name, inline).await
    }

    async fn role_tags(&self, account: &Key, name: &RoleName) -> Answer<Option<StringMap>> {
        iam::roles::tags(self.shared.iam(account)?, name).await
    }

    async fn attached(&self, account: &Key, name: &RoleName) -> Answer<Option<BTreeSet<PolicyArn>>> {
        iam::roles::attached(self.shared.iam(account)?, name).await
    }

    async fn inline_names(&self, account: &Key, name: &RoleName) -> Answer<Option<BTreeSet<PolicyName>>> {
        iam::roles::inline_names(self.shared.iam(account)?, name).await
    }

    async fn inline(&self, account: &Key, name: &RoleName, policy: &PolicyName) -> Answer<Option<PolicyDocument>> {
        iam::roles::inline(self.shared.iam(account)?, name, policy).await
    }

    async fn instance_profiles(&self, account: &Key, name: &RoleName) -> Answer<Vec<String>> {
        iam::roles::instance_profiles(self.shared.iam(account)?, name).await
    }

    async fn policies(&self, account: &Key) -> Answer<Listed<PolicySummary>> {
        iam::policies::list(self.shared.iam(account)?).await
    }

    async fn policy(&self, account: &Key, arn: &PolicyArn) -> Answer<Option<LivePolicy>> {
        iam::policies::whole(self.shared.iam(account)?, arn).await
    }

    async fn foreign_policy(
        &self,
        account: &Key,
        arn: &PolicyArn,
        document: bool,
    ) -> Answer<Option<Option<PolicyDocument>>> {
        iam::policies::foreign(self.shared.iam(account)?, arn, document).await
    }

    async fn policy_tags(&self, account: &Key, arn: &PolicyArn) -> Answer<Option<StringMap>> {
        iam::policies::tags(self.shared.iam(account)?, arn).await
    }

    async fn providers(&self, account: &Key) -> Answer<Listed<ProviderArn>> {
        iam::providers::list(self.shared.iam(account)?).await
    }

    async fn provider(&self, account: &Key, arn: &ProviderArn) -> Answer<Option<LiveProvider>> {
        iam::providers::whole(self.shared.iam(account)?, arn).await
    }

    async fn cluster(&self, cluster: &Key) -> Answer<Option<ClusterFacts>> {
        let (account, region, name) = self.shared.cluster(cluster, eks::ACTION)?;
        eks::cluster(account, &region, &name).await
    }
}

impl WriteAws for AwsWriter {
    async fn write(&self, account: &Key, call: &IamCall) -> Answer<Written> {
        let client = self.shared.account(account, Action::iam(call.operation()))?;
        iam::write::write(client, call, &self.halt).await
    }
}

#[cfg(test)]
pub(crate) mod tests;
