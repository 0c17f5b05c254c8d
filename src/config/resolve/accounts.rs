//! Resolves accounts: their ids and partitions, and how irsa gets credentials for them.

use super::{Account, Diagnostic, Resolver, placeholder};
use crate::config::partitions;
use crate::config::schema::{RawAccount, RawCluster};
use crate::ids::{AccountId, Key, Partition};
use crate::model::desired::PLACEHOLDER_ID;
use std::collections::BTreeMap;

/// The key of the account of the ambient credentials, if no account is declared.
pub(super) const AMBIENT: &str = "default";

impl Resolver<'_> {
    pub(super) fn accounts(&mut self) -> BTreeMap<Key, Account> {
        let raw = self.raw;
        // two keys for one account would each delete the other's objects as undeclared
        let ids =
            raw.accounts.iter().filter_map(|(key, account)| account.id.as_ref().map(|id| (&id.value, key, &id.origin)));
        self.refuse_duplicates(
            ids,
            |other, key, id| format!("accounts `{other}` and `{key}` have the same id, {id}"),
            "declare each account once",
        );
        if !raw.accounts.is_empty() {
            return raw.accounts.iter().map(|(key, account)| (key.clone(), self.account(key, account))).collect();
        }
        let key = placeholder(AMBIENT);
        let (id, partition) = self.identity(&key, None);
        let ambient = Account {
            declared_id: None,
            id,
            partition,
            profile: None,
            assume_role: None,
            external_id: None,
            origin: None,
        };
        [(key, ambient)].into()
    }

    fn identity(&self, key: &Key, declared: Option<&AccountId>) -> (AccountId, Partition) {
        let known = self.identities.accounts.get(key);
        let id = declared.or(known.map(|(id, _)| id)).map_or(PLACEHOLDER_ID, AccountId::as_str);
        let partition = self.known_partition(key).unwrap_or("aws");
        match (AccountId::parse(id), Partition::parse(partition)) {
            (Ok(id), Ok(partition)) => (id, partition),
            (Err(error), _) | (_, Err(error)) => unreachable!("{error}"),
        }
    }

    /// The partition of an account: from STS, or else of the role to assume, or else of the region of one of its
    /// clusters.
    pub(super) fn known_partition(&self, key: &Key) -> Option<&str> {
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
            self.refuse(origin, format!("account `{key}` has no `id`")).hint =
                Some("add `id = \"111122223333\"`: irsa checks it before anything else".to_owned());
        }
        if let (Some(id), Some(role)) = (id, assume_role)
            && role.value.account() != id.value.as_str()
        {
            let message =
                format!("`assume-role` is a role of account {}, but `id` is {}", role.value.account(), id.value);
            self.errors.push(Diagnostic::at(&role.origin, message).and(&id.origin, "the id is here"));
        }
        if let Some(external) = external_id {
            if assume_role.is_none() && !flawed {
                self.refuse(&external.origin, "`external-id` needs `assume-role`");
            }
            // https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
            let valid = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c);
            if !(2..=1224).contains(&external.value.len()) || !external.value.chars().all(valid) {
                let message = "`external-id` must be 2-1224 characters of `A-Z a-z 0-9 _ + = , . @ : / -`";
                self.refuse(&external.origin, message);
            }
        }
        let declared_id = id.as_ref().map(|id| id.value.clone());
        let (id, partition) = self.identity(key, declared_id.as_ref());
        Account {
            declared_id,
            id,
            partition,
            profile: profile.as_ref().map(|profile| profile.value.clone()),
            assume_role: assume_role.as_ref().map(|role| role.value.to_string()),
            external_id: external_id.as_ref().map(|external| external.value.clone()),
            origin: Some(origin.clone()),
        }
    }
}
