//! Shards: which of N runs processes which objects.
//!
//! Every declared object belongs to exactly one shard of every N, and stays there when other clusters come or go.

use super::address::Address;
use super::desired::{Attachment, Boundary, ClusterState, Desired, Policy, Role};
use crate::ids::Key;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// The largest N.
const MOST: u32 = 10_000;

/// Shard `index` of `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// The shard with this number. Callers may count from 0 or from 1: shard N is shard 0. None for numbers out of range.
    pub fn new(index: u32, count: u32) -> Option<Self> {
        ((1..=MOST).contains(&count) && index <= count).then(|| Self { index: index % count, count })
    }

    /// The shard with the same count that a key belongs to.
    fn of(self, key: &Key) -> Self {
        let digest = Sha256::digest(key.as_str().as_bytes());
        let number = digest.iter().take(8).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        let index = u32::try_from(number % u64::from(self.count)).unwrap_or_default();
        Self { index, ..self }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// The text is not a shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected I/N, shard I of N: N from 1 to {MOST}, I from 0 to N")]
pub struct InvalidShard;

impl FromStr for Shard {
    type Err = InvalidShard;

    fn from_str(text: &str) -> Result<Self, InvalidShard> {
        // `parse` would accept a sign
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if plain { text.parse().map_err(|_| InvalidShard) } else { Err(InvalidShard) }
        };
        let (index, count) = text.split_once('/').ok_or(InvalidShard)?;
        Self::new(number(index)?, number(count)?).ok_or(InvalidShard)
    }
}

/// The objects of a configuration that belong to a shard, and what its run must read.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The shard.
    pub shard: Shard,
    clusters: BTreeMap<Key, Shard>,
    roles: BTreeMap<Key, Shard>,
    policies: BTreeMap<(Key, Key), Shard>,
    /// The clusters whose issuer must be read: those of the shard, and those in which its roles have bindings.
    pub described: BTreeSet<Key>,
    /// The accounts that must be read: those of its objects, of objects that they depend on, and of its clusters.
    pub accounts: BTreeSet<Key>,
}

impl Scope {
    /// The scope of a shard.
    pub fn of(shard: Shard, desired: &Desired) -> Self {
        let clusters = desired.clusters.keys().map(|key| (key.clone(), shard.of(key))).collect();
        let roles: BTreeMap<Key, Shard> =
            desired.roles.iter().map(|(key, role)| (key.clone(), shard.of(deciding_key(key, role)))).collect();
        let mut attached: BTreeMap<(&Key, &Key), Shard> = BTreeMap::new();
        for (key, role) in &desired.roles {
            for attachment in &role.attach {
                if let (Attachment::Declared(policy), Some(shard)) = (attachment, roles.get(key)) {
                    attached.entry((&role.account, policy)).or_insert(*shard);
                }
            }
        }
        let policies = desired.policies.keys().map(|at| {
            let (account, key) = at;
            (at.clone(), attached.get(&(account, key)).copied().unwrap_or_else(|| shard.of(key)))
        });
        let policies = policies.collect();
        let mut scope =
            Self { shard, clusters, roles, policies, described: BTreeSet::new(), accounts: BTreeSet::new() };
        scope.find_what_to_read(desired);
        scope
    }

    fn find_what_to_read(&mut self, desired: &Desired) {
        for (key, role) in &desired.roles {
            let ours = self.has_role(key);
            for binding in &role.bindings {
                let here = self.has_cluster(&binding.cluster);
                if ours {
                    self.described.insert(binding.cluster.clone());
                }
                if here {
                    // the provider belongs to this shard, and ListRoles shows whether the role trusts the ServiceAccount
                    self.accounts.insert(role.account.clone());
                }
            }
            if ours {
                self.accounts.insert(role.account.clone());
            }
        }
        for (key, cluster) in &desired.clusters {
            // a declared issuer costs no request, and shows if two keys are one cluster
            if self.has_cluster(key) || cluster.name.is_none() {
                self.described.insert(key.clone());
            }
            let asked = cluster.state == ClusterState::Active && cluster.name.is_some();
            if asked && self.described.contains(key) {
                self.accounts.insert(cluster.account.clone());
            }
        }
        let policies = self.policies.iter().filter(|(_, shard)| **shard == self.shard);
        self.accounts.extend(policies.map(|((account, _), _)| account.clone()));
    }

    /// The shard that an object belongs to; None if it is not declared.
    pub fn owner(&self, address: &Address) -> Option<Shard> {
        match address {
            Address::Policy { account, key } => self.policies.get(&(account.clone(), key.clone())).copied(),
            Address::Role { key } => self.roles.get(key).copied(),
            other => self.clusters.get(other.cluster()?).copied(),
        }
    }

    /// Whether an object belongs to this shard.
    pub fn has(&self, address: &Address) -> bool {
        self.owner(address) == Some(self.shard)
    }

    /// Whether a cluster belongs to this shard.
    pub fn has_cluster(&self, key: &Key) -> bool {
        self.clusters.get(key) == Some(&self.shard)
    }

    fn has_role(&self, key: &Key) -> bool {
        self.roles.get(key) == Some(&self.shard)
    }

    /// The configuration with only the roles and policies that this shard reads in full: its own, and the policies of other
    /// shards that its roles attach or have as their boundary.
    pub fn narrowed(&self, desired: &Desired) -> Desired {
        let roles: BTreeMap<Key, Role> = desired
            .roles
            .iter()
            .filter(|(key, _)| self.has_role(key))
            .map(|(key, role)| (key.clone(), role.clone()))
            .collect();
        let attached: BTreeSet<(&Key, &Key)> = roles
            .values()
            .flat_map(|role| role.attach.iter().map(move |attachment| (&role.account, attachment)))
            .filter_map(|(account, attachment)| match attachment {
                Attachment::Declared(key) => Some((account, key)),
                Attachment::Arn(_) => None,
            })
            .collect();
        let bounds = |(account, _): &(Key, Key), policy: &Policy| {
            roles.values().filter(|role| role.account == *account).any(|role| match &role.permissions_boundary {
                Boundary::Policy(arn) => arn.name().eq_ignore_ascii_case(policy.name.as_str()),
                Boundary::Undeclared | Boundary::None => false,
            })
        };
        let is_read =
            |at: &(Key, Key)| self.policies.get(at) == Some(&self.shard) || attached.contains(&(&at.0, &at.1));
        let policies = desired
            .policies
            .iter()
            .filter(|(at, policy)| is_read(at) || bounds(at, policy))
            .map(|(at, policy)| (at.clone(), policy.clone()))
            .collect();
        Desired {
            owner: desired.owner.clone(),
            config_digest: desired.config_digest.clone(),
            accounts: desired.accounts.clone(),
            clusters: desired.clusters.clone(),
            policies,
            roles,
            forget: desired.forget.clone(),
            ignore_tags: desired.ignore_tags.clone(),
            guard: desired.guard.clone(),
            prune_paths: desired.prune_paths.clone(),
            lock: desired.lock.clone(),
            ignores: desired.ignores.clone(),
        }
    }
}

/// The key that decides on the shard of a role: that of its first cluster, or its own if it has no bindings.
fn deciding_key<'a>(key: &'a Key, role: &'a Role) -> &'a Key {
    role.bindings.iter().map(|binding| &binding.cluster).min().unwrap_or(key)
}

#[cfg(test)]
mod tests;
