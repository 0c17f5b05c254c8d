//! The printed name, sort key, JSON key and `--only` target of every object.

use crate::ids::{Key, Namespace, ServiceAccountName};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The name of one object. It sorts as it is printed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// `oidc-provider/<account>/<cluster>`
    OidcProvider {
        /// The account that holds the provider.
        account: Key,
        /// The cluster whose issuer it stands for.
        cluster: Key,
    },
    /// `policy/<account>/<key>`
    Policy {
        /// The account that holds the policy.
        account: Key,
        /// Its key in `[policies]`.
        key: Key,
    },
    /// `role/<key>`
    Role {
        /// Its key in `[roles]`.
        key: Key,
    },
    /// `service-account/<cluster>/<namespace>/<name>`
    ServiceAccount {
        /// The key of the cluster.
        cluster: Key,
        /// The namespace.
        namespace: Namespace,
        /// The name.
        name: ServiceAccountName,
    },
    /// `orphan/<account>/<kind>/<live-name>`: an owned IAM object that is no longer declared.
    Orphan {
        /// The account that holds it.
        account: Key,
        /// What it is.
        kind: OrphanKind,
        /// A role's or policy's name; host and path of a provider's issuer.
        name: String,
    },
}

/// The kinds of IAM object that can be left over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OrphanKind {
    /// An IAM OIDC provider.
    OidcProvider,
    /// A customer managed policy.
    Policy,
    /// A role.
    Role,
}

impl OrphanKind {
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

    /// The account or cluster that the address itself names, if it names one.
    pub fn place(&self) -> Option<Place<&Key>> {
        match self {
            Self::OidcProvider { account, .. } | Self::Policy { account, .. } | Self::Orphan { account, .. } => {
                Some(Place::Account(account))
            }
            Self::ServiceAccount { cluster, .. } => Some(Place::Cluster(cluster)),
            Self::Role { .. } => None,
        }
    }

    /// What it is printed as, in pieces.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place<K> {
    /// The key of an account.
    Account(K),
    /// The key of a cluster.
    Cluster(K),
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
            // where one goes on in its next piece
            let (ours, others) = (ours[first..].concat(), others[first..].concat());
            ours.cmp(&others)
        })
    }
}

/// The text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no address: expected `role/KEY`, `policy/ACCOUNT/KEY`, `oidc-provider/ACCOUNT/CLUSTER`, \
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
    match kind {
        "role" => Some(Address::Role { key: key(rest)? }),
        "policy" => {
            let (account, name) = rest.split_once('/')?;
            Some(Address::Policy { account: key(account)?, key: key(name)? })
        }
        "oidc-provider" => {
            let (account, cluster) = rest.split_once('/')?;
            Some(Address::OidcProvider { account: key(account)?, cluster: key(cluster)? })
        }
        "service-account" => {
            let mut parts = rest.splitn(3, '/');
            let cluster = key(parts.next()?)?;
            let namespace = Namespace::parse(parts.next()?).ok()?;
            let name = ServiceAccountName::parse(parts.next()?).ok()?;
            Some(Address::ServiceAccount { cluster, namespace, name })
        }
        "orphan" => {
            let mut parts = rest.splitn(3, '/');
            let account = key(parts.next()?)?;
            let kind = match parts.next()? {
                "oidc-provider" => OrphanKind::OidcProvider,
                "policy" => OrphanKind::Policy,
                "role" => OrphanKind::Role,
                _ => return None,
            };
            let name = parts.next().filter(|name| !name.is_empty())?.to_owned();
            Some(Address::Orphan { account, kind, name })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_it_prints() {
        for text in [
            "oidc-provider/prod/prod-eu",
            "policy/prod/read-bucket",
            "role/reports",
            "service-account/prod-eu/reporting/worker",
            "orphan/prod/oidc-provider/oidc.example.com/id/ABC",
            "orphan/prod/role/old",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for bad in ["role", "role/", "roles/x", "policy/x", "service-account/a/b", "orphan/a/user/x", ""] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
