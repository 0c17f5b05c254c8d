//! Accounts and clusters, and what documents may say of them.

use super::{Account, Cluster, Diagnostic, Named, Resolver, Spot, placeholder};
use crate::config::partitions;
use crate::config::schema::{RawAccount, RawCluster, RawKubernetes};
use crate::config::source::beside;
use crate::config::templates::{Shared, Variables};
use crate::ids::{AccountId, ClusterName, Key, Partition, Region};
use crate::model::desired::{ClusterState, KubernetesAccess, PLACEHOLDER_ID};
use crate::model::origin::Origin;
use std::collections::BTreeMap;

/// The key of the ambient credentials' own account, where none is declared.
const AMBIENT: &str = "default";
/// Stands for a region that is not known while offline; about as long as one.
const REGION: &str = "us-east-1";

/// The accounts and clusters that could be made out.
pub(super) struct Places {
    pub accounts: BTreeMap<Key, Account>,
    pub clusters: BTreeMap<Key, Cluster>,
    pub active: Vec<Key>,
    pub online: bool,
}

impl Places {
    /// The account, if its id is known or declared.
    pub(super) fn known_id(&self, account: &Key) -> Option<&AccountId> {
        self.accounts.get(account).filter(|account| account.is_known()).map(|account| &account.id)
    }

    /// What a document in this account, used from these clusters, may name.
    pub(super) fn variables<'k>(
        &self,
        owner: &Key,
        account: Option<&Key>,
        clusters: impl Iterator<Item = &'k Key>,
    ) -> Variables {
        let account = account.and_then(|key| self.accounts.get(key));
        let clusters: Vec<(&Key, &Cluster)> = clusters
            .filter_map(|key| self.clusters.get_key_value(key))
            .filter(|(_, cluster)| cluster.state == ClusterState::Active)
            .collect();
        let known = clusters.iter().filter_map(|(_, cluster)| cluster.region.as_ref()).map(ToString::to_string);
        let region = match Shared::of(known) {
            // a region that comes from the environment is found out online; it may turn out to be the same
            Shared::Nobody if !self.online && clusters.iter().any(|(_, cluster)| cluster.name.is_some()) => {
                Shared::One(REGION.to_owned())
            }
            known => known,
        };
        let name = |(key, cluster): &(&Key, &Cluster)| {
            cluster.name.as_ref().map_or_else(|| key.to_string(), ToString::to_string)
        };
        Variables {
            partition: account.map_or("aws", |account| account.partition.as_str()).to_owned(),
            account_id: account.map_or(PLACEHOLDER_ID, |account| account.id.as_str()).to_owned(),
            owner: owner.to_string(),
            region,
            cluster: Shared::of(clusters.iter().map(name)),
        }
    }

    /// What every document may name, for one that nobody uses.
    pub(super) fn any_variables(&self, owner: &Key) -> Variables {
        let mut variables = self.variables(owner, None, std::iter::empty());
        variables.region = Shared::One(REGION.to_owned());
        variables.cluster = Shared::One("cluster".to_owned());
        variables
    }
}

/// `kubernetes = "none"`: nothing in the cluster is managed or looked at.
const NOTHING: &str = "none";

impl<'a> Resolver<'a> {
    pub(super) fn places(&mut self) -> Places {
        let raw = self.raw;
        let mut accounts: BTreeMap<Key, Account> =
            raw.accounts.iter().map(|(key, account)| (key.clone(), self.account(key, account))).collect();
        if raw.accounts.is_empty() {
            let key = placeholder(AMBIENT);
            let (id, partition) = self.identity(&key, None);
            let account = Account {
                declared_id: None,
                id,
                partition,
                profile: None,
                assume_role: None,
                external_id: None,
                origin: None,
            };
            accounts.insert(key, account);
        }
        self.one_key_for_each_account();
        let clusters: BTreeMap<Key, Cluster> = raw
            .clusters
            .iter()
            .filter_map(|(key, cluster)| Some((key.clone(), self.cluster(key, cluster, &accounts)?)))
            .collect();
        self.one_key_for_each_cluster(&clusters);
        let active = clusters.iter().filter(|(_, cluster)| cluster.state == ClusterState::Active);
        let active = active.map(|(key, _)| key.clone()).collect();
        Places { accounts, clusters, active, online: self.identities.online }
    }

    fn identity(&self, key: &Key, declared: Option<&AccountId>) -> (AccountId, Partition) {
        let known = self.identities.accounts.get(key);
        let id = declared.or(known.map(|(id, _)| id)).map_or(PLACEHOLDER_ID, AccountId::as_str);
        let partition = self.told_partition(key).unwrap_or("aws");
        match (AccountId::parse(id), Partition::parse(partition)) {
            (Ok(id), Ok(partition)) => (id, partition),
            (Err(error), _) | (_, Err(error)) => unreachable!("{error}"),
        }
    }

    /// The partition of an account: that which STS told, or that of the role to assume, or of a region of its clusters.
    pub(super) fn told_partition(&self, key: &Key) -> Option<&str> {
        let (raw, identities) = (self.raw, self.identities);
        if let Some((_, partition)) = identities.accounts.get(key) {
            return Some(partition.as_str());
        }
        let assumed = raw.accounts.get(key).and_then(|account| account.assume_role.as_ref());
        if let Some(role) = assumed {
            return Some(role.value.partition());
        }
        let own = |cluster: &&RawCluster| match &cluster.account {
            Some(account) => account.value == key.as_str(),
            None => raw.accounts.len() <= 1,
        };
        let declared = raw.clusters.values().filter(own).find_map(|cluster| cluster.region.as_ref());
        let region = declared.map(|region| &region.value).or(identities.default_region.as_ref());
        region.map(|region| partitions::of_region(region.as_str()))
    }

    fn account(&mut self, key: &Key, raw: &RawAccount) -> Account {
        let RawAccount { origin, flawed, id, profile, assume_role, external_id } = raw;
        if id.is_none() && !flawed {
            let hint = "add `id = \"111122223333\"`: it is checked before anything else is done";
            self.push(Diagnostic::at(origin, format!("account `{key}` has no `id`")).hint(hint));
        }
        if let (Some(id), Some(role)) = (id, assume_role)
            && role.value.account() != id.value.as_str()
        {
            let message = format!("`assume-role` is a role of account {}, `id` is {}", role.value.account(), id.value);
            self.push(Diagnostic::at(&role.origin, message).and(&id.origin, "the id is here"));
        }
        if let Some(external) = external_id {
            if assume_role.is_none() && !flawed {
                let message = "`external-id` is used with `assume-role` only, and there is none";
                self.refuse(&external.origin, message);
            }
            // https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
            let good = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c);
            if !(2..=1224).contains(&external.value.len()) || !external.value.chars().all(good) {
                let message = "`external-id` is 2-1224 characters of `A-Z a-z 0-9 _ + = , . @ : / -`";
                self.refuse(&external.origin, message);
            }
        }
        let declared_id = id.as_ref().map(|spot| spot.value.clone());
        let (id, partition) = self.identity(key, declared_id.as_ref());
        Account {
            declared_id,
            id,
            partition,
            profile: profile.as_ref().map(|spot| spot.value.clone()),
            assume_role: assume_role.as_ref().map(|spot| spot.value.to_string()),
            external_id: external_id.as_ref().map(|spot| spot.value.clone()),
            origin: Some(origin.clone()),
        }
    }

    /// Two keys of one account would take each other's objects for leftovers.
    fn one_key_for_each_account(&mut self) {
        let mut first: BTreeMap<&AccountId, (&Key, &Origin)> = BTreeMap::new();
        for (key, account) in &self.raw.accounts {
            let Some(id) = &account.id else { continue };
            if let Some((other, origin)) = first.get(&id.value) {
                let message = format!("accounts `{other}` and `{key}` have one id, {}", id.value);
                self.push(Diagnostic::at(&id.origin, message).and(origin, "the other is here"));
            } else {
                first.insert(&id.value, (key, &id.origin));
            }
        }
    }

    fn cluster(&mut self, key: &Key, raw: &'a RawCluster, accounts: &BTreeMap<Key, Account>) -> Option<Cluster> {
        let RawCluster { origin, flawed, account: _, region, name, issuer, state, kubernetes } = raw;
        let state = match state {
            Some(spot) if spot.value == "retire" => {
                self.refuse(&spot.origin, "`state = \"retire\"` is not yet supported").hint =
                    Some("a cluster is `active` or `gone`".to_owned());
                ClusterState::Active
            }
            Some(spot) => {
                let words = [("active", ClusterState::Active), ("gone", ClusterState::Gone)];
                self.word(spot, "state of a cluster", &words).unwrap_or(ClusterState::Active)
            }
            None => ClusterState::Active,
        };
        let account = self.account_of(key, raw, accounts);
        let name = match (name, issuer) {
            (Some(name), _) => Some(name.value.clone()),
            (None, Some(_)) => None,
            (None, None) => match ClusterName::parse(key.as_str()) {
                Ok(name) => Some(name),
                Err(_) if *flawed || state == ClusterState::Gone => None,
                Err(why) => {
                    let hint = "add `name`, or `issuer` if it is no EKS cluster";
                    let message = format!("the key `{key}` is no EKS cluster name, which {why}");
                    self.push(Diagnostic::at(origin, message).hint(hint));
                    None
                }
            },
        };
        let mut region = region.as_ref().map(|spot| spot.value.clone());
        if name.is_some() && region.is_none() {
            region.clone_from(&self.identities.default_region);
        }
        if name.is_some() && region.is_none() && state == ClusterState::Active && self.identities.online && !flawed {
            let hint = "add `region`, set AWS_REGION, or give the profile a region";
            self.push(Diagnostic::at(origin, format!("the region of cluster `{key}` is not known")).hint(hint));
        }
        Some(Cluster {
            account: account?,
            region,
            name,
            issuer: issuer.as_ref().map(|spot| spot.value.clone()),
            state,
            kubernetes: self.kubernetes(kubernetes.as_ref()),
            unmanaged: kubernetes.as_ref().and_then(|raw| raw.word.as_ref()).is_some(),
            origin: origin.clone(),
        })
    }

    fn account_of(&mut self, key: &Key, raw: &'a RawCluster, accounts: &BTreeMap<Key, Account>) -> Option<Key> {
        let declared = &self.raw.accounts;
        match &raw.account {
            Some(spot) if declared.is_empty() && spot.value == AMBIENT => Some(placeholder(AMBIENT)),
            Some(spot) => self.named(Named::Account, spot, declared).map(|(key, _)| key.clone()),
            None if accounts.len() == 1 => accounts.keys().next().cloned(),
            None if raw.flawed => None,
            None => {
                let names: Vec<String> = accounts.keys().map(|key| format!("`{key}`")).collect();
                let hint = format!("add `account`: one of {}", names.join(", "));
                self.push(Diagnostic::at(&raw.origin, format!("the account of cluster `{key}` is missing")).hint(hint));
                None
            }
        }
    }

    fn kubernetes(&mut self, raw: Option<&RawKubernetes>) -> KubernetesAccess {
        let Some(RawKubernetes { origin, flawed, word, kubeconfig, context, unverified }) = raw else {
            return KubernetesAccess { kubeconfig: None, context: None, unverified: false };
        };
        if let Some(word) = word.as_ref().filter(|word| word.value != NOTHING) {
            let hint = "write `kubernetes = { context = \"…\" }`, or `\"none\"` if nothing there is to be managed or looked at";
            self.push(Diagnostic::at(origin, format!("`{}` is no way to reach a cluster", word.value)).hint(hint));
        }
        if kubeconfig.is_some() && context.is_none() && !flawed {
            let hint = "add `context`: the current context of a kubeconfig changes unseen";
            self.push(Diagnostic::at(origin, "`kubeconfig` without `context`").hint(hint));
        }
        // a path that leads out of the folder was refused when the files were read
        let named = |spot: &Spot<String>| self.sources.kubeconfig(&beside(&spot.origin.file, &spot.value)).ok();
        KubernetesAccess {
            kubeconfig: kubeconfig.as_ref().and_then(named),
            context: context.as_ref().map(|spot| spot.value.clone()),
            unverified: unverified.as_ref().is_some_and(|spot| spot.value),
        }
    }

    /// Two keys of one cluster would fight over its provider and its ServiceAccounts.
    fn one_key_for_each_cluster(&mut self, clusters: &BTreeMap<Key, Cluster>) {
        let raw = self.raw;
        let mut issuers: BTreeMap<String, (&Key, &Origin)> = BTreeMap::new();
        for (key, cluster) in &raw.clusters {
            let Some(issuer) = &cluster.issuer else { continue };
            // host names ignore case, paths do not
            let (host, path) = issuer.value.host_path().split_once('/').unwrap_or((issuer.value.host_path(), ""));
            let folded = format!("{}/{path}", host.to_ascii_lowercase());
            if let Some((other, origin)) = issuers.get(&folded) {
                let message = format!("clusters `{other}` and `{key}` have one issuer");
                let hint = "declare each cluster once; one that was made anew has an issuer of its own";
                self.push(Diagnostic::at(&issuer.origin, message).and(origin, "the other is here").hint(hint));
            } else {
                issuers.insert(folded, (key, &issuer.origin));
            }
        }
        let mut names: BTreeMap<(&Key, Option<&Region>, &ClusterName), (&Key, &Origin)> = BTreeMap::new();
        for (key, cluster) in clusters.iter().filter(|(_, cluster)| cluster.state == ClusterState::Active) {
            let Some(name) = &cluster.name else { continue };
            let identity = (&cluster.account, cluster.region.as_ref(), name);
            if let Some((other, origin)) = names.get(&identity) {
                let message = format!("`{other}` and `{key}` are one cluster: same account, region and name `{name}`");
                let hint = "declare each cluster once, or give them their `name`, `region` or `account`";
                self.push(Diagnostic::at(&cluster.origin, message).and(origin, "the other is here").hint(hint));
            } else {
                names.insert(identity, (key, &cluster.origin));
            }
        }
    }
}
