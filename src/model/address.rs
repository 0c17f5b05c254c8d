//! Addresses: the name of an object in every output, in JSON, and in `--only`.

#![expect(missing_docs, reason = "the fields of an address are the parts of its text")]

use crate::ids::{Key, Namespace, ServiceAccountName};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The address of an object. Addresses sort like their text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// `oidc-provider/<account>/<cluster>`: the provider of the cluster's issuer.
    OidcProvider { account: Key, cluster: Key },
    /// `policy/<account>/<key>`, with the key in `[policies]`.
    Policy { account: Key, key: Key },
    /// `role/<key>`, with the key in `[roles]`.
    Role { key: Key },
    /// `service-account/<cluster>/<namespace>/<name>`
    ServiceAccount { cluster: Key, namespace: Namespace, name: ServiceAccountName },
    /// `orphan/<account>/<kind>/<name>`: an IAM object with the owner tag that is no longer declared. The name is that of
    /// the role or policy, or the host and path of the provider's issuer.
    Orphan { account: Key, kind: OrphanKind, name: String },
}

/// The kinds of IAM objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OrphanKind {
    OidcProvider,
    Policy,
    Role,
}

impl OrphanKind {
    const ALL: [Self; 3] = [Self::OidcProvider, Self::Policy, Self::Role];

    fn word(self) -> &'static str {
        match self {
            Self::OidcProvider => "oidc-provider",
            Self::Policy => "policy",
            Self::Role => "role",
        }
    }
}

impl fmt::Display for OrphanKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Address {
    /// `role/<key>`
    pub fn role(key: &Key) -> Self {
        Self::Role { key: key.clone() }
    }

    /// The account or cluster in the address. None for a role, whose address names only its key.
    pub fn place(&self) -> Option<Place<&Key>> {
        match self {
            Self::OidcProvider { account, .. } | Self::Policy { account, .. } | Self::Orphan { account, .. } => {
                Some(Place::Account(account))
            }
            Self::ServiceAccount { cluster, .. } => Some(Place::Cluster(cluster)),
            Self::Role { .. } => None,
        }
    }

    /// Whether the object is in a cluster. All other objects are in IAM.
    pub fn is_in_cluster(&self) -> bool {
        matches!(self.place(), Some(Place::Cluster(_)))
    }

    /// The cluster in the address, if it names one.
    pub fn cluster(&self) -> Option<&Key> {
        match self {
            Self::OidcProvider { cluster, .. } | Self::ServiceAccount { cluster, .. } => Some(cluster),
            Self::Policy { .. } | Self::Role { .. } | Self::Orphan { .. } => None,
        }
    }

    /// The fields that the address determines. Empty for a declared IAM object, whose address has only a key.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::ServiceAccount { namespace, name, .. } => {
                vec![("namespace", namespace.to_string()), ("name", name.to_string())]
            }
            Self::Orphan { kind: OrphanKind::OidcProvider, name, .. } => vec![("url", format!("https://{name}"))],
            Self::Orphan { kind: OrphanKind::Policy | OrphanKind::Role, name, .. } => vec![("name", name.clone())],
            Self::OidcProvider { .. } | Self::Policy { .. } | Self::Role { .. } => Vec::new(),
        }
    }

    /// The text in pieces, which compares without allocating.
    fn pieces(&self) -> [&str; 6] {
        match self {
            Self::OidcProvider { account, cluster } => {
                ["oidc-provider/", account.as_str(), "/", cluster.as_str(), "", ""]
            }
            Self::Policy { account, key } => ["policy/", account.as_str(), "/", key.as_str(), "", ""],
            Self::Role { key } => ["role/", key.as_str(), "", "", "", ""],
            Self::ServiceAccount { cluster, namespace, name } => {
                ["service-account/", cluster.as_str(), "/", namespace.as_str(), "/", name.as_str()]
            }
            Self::Orphan { account, kind, name } => ["orphan/", account.as_str(), "/", kind.word(), "/", name],
        }
    }
}

/// An account or a cluster of the configuration, printed as `account/<key>` or `cluster/<key>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place<K> {
    Account(K),
    Cluster(K),
}

impl<K> Place<K> {
    /// The same place, with a borrowed key.
    pub fn as_ref(&self) -> Place<&K> {
        match self {
            Self::Account(key) => Place::Account(key),
            Self::Cluster(key) => Place::Cluster(key),
        }
    }
}

impl<K: fmt::Display> fmt::Display for Place<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(key) => write!(f, "account/{key}"),
            Self::Cluster(key) => write!(f, "cluster/{key}"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces().into_iter().try_for_each(|piece| f.write_str(piece))
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        let (ours, others) = (self.pieces(), other.pieces());
        let Some(first) = (0..ours.len()).find(|piece| ours[*piece] != others[*piece]) else { return Ordering::Equal };
        let (left, right) = (ours[first].as_bytes(), others[first].as_bytes());
        let shared = left.len().min(right.len());
        left[..shared].cmp(&right[..shared]).then_with(|| {
            // one piece is the beginning of the other: the next pieces decide
            let (ours, others) = (ours[first..].concat(), others[first..].concat());
            ours.cmp(&others)
        })
    }
}

/// The text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an address: expected `role/KEY`, `policy/ACCOUNT/KEY`, `oidc-provider/ACCOUNT/CLUSTER`, \
     `service-account/CLUSTER/NAMESPACE/NAME` or `orphan/ACCOUNT/KIND/NAME`"
)]
pub struct InvalidAddress(pub String);

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        parse(text).ok_or_else(|| InvalidAddress(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Address> {
    let (kind, rest) = text.split_once('/')?;
    let key = |text: &str| Key::parse(text).ok();
    if kind == "role" {
        return Some(Address::Role { key: key(rest)? });
    }
    let (first, rest) = rest.split_once('/')?;
    let first = key(first)?;
    match kind {
        "policy" => Some(Address::Policy { account: first, key: key(rest)? }),
        "oidc-provider" => Some(Address::OidcProvider { account: first, cluster: key(rest)? }),
        "service-account" => {
            let (namespace, name) = rest.split_once('/')?;
            let (namespace, name) = (namespace.parse().ok()?, name.parse().ok()?);
            Some(Address::ServiceAccount { cluster: first, namespace, name })
        }
        "orphan" => {
            let (word, name) = rest.split_once('/').filter(|(_, name)| !name.is_empty())?;
            let kind = OrphanKind::ALL.into_iter().find(|kind| kind.word() == word)?;
            Some(Address::Orphan { account: first, kind, name: name.to_owned() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
