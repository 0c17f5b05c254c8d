//! Resolves clusters: their account, region, EKS name or issuer, and how irsa reaches their API.

use super::accounts::AMBIENT;
use super::{Account, Cluster, KeyedTable, Located, Resolver, placeholder, quoted};
use crate::config::schema::{KubernetesSetting, RawCluster, RawKubernetes};
use crate::config::source::relative_to;
use crate::ids::{ClusterName, Key};
use crate::model::desired::{ClusterState, KubernetesAccess};
use std::collections::BTreeMap;

impl<'a> Resolver<'a> {
    pub(super) fn clusters(&mut self, accounts: &BTreeMap<Key, Account>) -> BTreeMap<Key, Cluster> {
        let mut clusters = BTreeMap::new();
        for (key, raw) in &self.raw.clusters {
            if let Some(cluster) = self.cluster(key, raw, accounts) {
                clusters.insert(key.clone(), cluster);
            }
        }
        self.refuse_repeated_clusters(&clusters);
        clusters
    }

    fn cluster(&mut self, key: &Key, raw: &'a RawCluster, accounts: &BTreeMap<Key, Account>) -> Option<Cluster> {
        let RawCluster { origin, flawed, account: _, region, name, issuer, state, kubernetes } = raw;
        let state = match state {
            Some(word) if word.value == "retire" => {
                self.refuse(&word.origin, "`state = \"retire\"` is not yet supported").hint =
                    Some("a cluster is `active` or `gone`".to_owned());
                ClusterState::Active
            }
            Some(word) => {
                let words = [("active", ClusterState::Active), ("gone", ClusterState::Gone)];
                self.word(word, "cluster state", &words).unwrap_or(ClusterState::Active)
            }
            None => ClusterState::Active,
        };
        let account = self.cluster_account(key, raw, accounts);
        let name = match (name, issuer) {
            (Some(name), _) => Some(name.value.clone()),
            (None, Some(_)) => None,
            (None, None) => match ClusterName::parse(key.as_str()) {
                Ok(name) => Some(name),
                Err(_) if *flawed || state == ClusterState::Gone => None,
                Err(why) => {
                    self.refuse(origin, format!("the key `{key}` is not a valid EKS cluster name, which {why}")).hint =
                        Some("add `name`, or `issuer` if it is not an EKS cluster".to_owned());
                    None
                }
            },
        };
        let mut region = region.as_ref().map(|region| region.value.clone());
        if name.is_some() && region.is_none() {
            region.clone_from(&self.identities.default_region);
        }
        if name.is_some() && region.is_none() && state == ClusterState::Active && self.identities.online && !flawed {
            self.refuse(origin, format!("the region of cluster `{key}` is unknown")).hint =
                Some("add `region`, set AWS_REGION, or give the profile a region".to_owned());
        }
        let (kubernetes, unmanaged) = self.kubernetes_access(kubernetes.as_ref());
        Some(Cluster {
            account: account?,
            region,
            name,
            issuer: issuer.as_ref().map(|issuer| issuer.value.clone()),
            state,
            kubernetes,
            unmanaged,
            origin: origin.clone(),
        })
    }

    fn cluster_account(&mut self, key: &Key, raw: &'a RawCluster, accounts: &BTreeMap<Key, Account>) -> Option<Key> {
        let declared = &self.raw.accounts;
        match &raw.account {
            Some(account) if declared.is_empty() && account.value == AMBIENT => Some(placeholder(AMBIENT)),
            Some(account) => self.lookup(KeyedTable::Account, account, declared).map(|(key, _)| key.clone()),
            None if accounts.len() == 1 => accounts.keys().next().cloned(),
            None if raw.flawed => None,
            None => {
                let hint = format!("add `account`: one of {}", quoted(accounts.keys()).join(", "));
                self.refuse(&raw.origin, format!("the account of cluster `{key}` is missing")).hint = Some(hint);
                None
            }
        }
    }

    /// How to reach the API, and whether the cluster is unmanaged (`kubernetes = "none"`).
    fn kubernetes_access(&mut self, setting: Option<&KubernetesSetting>) -> (KubernetesAccess, bool) {
        let default = KubernetesAccess { kubeconfig: None, context: None, unverified: false };
        match setting {
            None => (default, false),
            Some(KubernetesSetting::Word(word)) => {
                if word.value != "none" {
                    let hint =
                        "write `kubernetes = { context = \"…\" }`, or `\"none\"` if irsa must not access the cluster";
                    self.refuse(&word.origin, format!("`{}` is not a way to reach a cluster", word.value)).hint =
                        Some(hint.to_owned());
                }
                (default, true)
            }
            Some(KubernetesSetting::Table(RawKubernetes { origin, flawed, kubeconfig, context, unverified })) => {
                if kubeconfig.is_some() && context.is_none() && !flawed {
                    self.refuse(origin, "`kubeconfig` without `context`").hint =
                        Some("add `context`: the current context of a kubeconfig can change unnoticed".to_owned());
                }
                // a path out of the folder was refused when the files were read
                let named =
                    |file: &Located<String>| self.sources.kubeconfig(&relative_to(&file.origin.file, &file.value)).ok();
                let access = KubernetesAccess {
                    kubeconfig: kubeconfig.as_ref().and_then(named),
                    context: context.as_ref().map(|context| context.value.clone()),
                    unverified: unverified.as_ref().is_some_and(|flag| flag.value),
                };
                (access, false)
            }
        }
    }

    /// Two keys for one cluster would overwrite each other's OIDC provider and ServiceAccounts.
    fn refuse_repeated_clusters(&mut self, clusters: &BTreeMap<Key, Cluster>) {
        let raw = self.raw;
        let issuers = raw.clusters.iter().filter_map(|(key, cluster)| {
            let issuer = cluster.issuer.as_ref()?;
            // host names ignore case, paths do not
            let (host, path) = issuer.value.host_path().split_once('/').unwrap_or((issuer.value.host_path(), ""));
            Some((format!("{}/{path}", host.to_ascii_lowercase()), key, &issuer.origin))
        });
        self.refuse_duplicates(
            issuers,
            |other, key, _| format!("clusters `{other}` and `{key}` have the same issuer"),
            "declare each cluster once; a recreated cluster has a new issuer",
        );
        let active = clusters.iter().filter(|(_, cluster)| cluster.state == ClusterState::Active);
        let names = active.filter_map(|(key, cluster)| {
            let name = cluster.name.as_ref()?;
            Some(((&cluster.account, cluster.region.as_ref(), name), key, &cluster.origin))
        });
        self.refuse_duplicates(
            names,
            |other, key, (_, _, name)| {
                format!("`{other}` and `{key}` are the same cluster: same account, region and name `{name}`")
            },
            "declare each cluster once, or give them their `name`, `region` or `account`",
        );
    }
}
