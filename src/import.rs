//! Makes a configuration from live objects: which roles to take, how to declare each so that it stays as it is, and the
//! text of the files.
//!
//! A role is declared only if a plan of the result would change nothing but irsa's marks. What cannot be declared so is
//! listed with the reason. Only `read` uses the ports; the rest is pure.

mod draft;
pub mod extend;
mod feedback;
mod keys;
mod makers;
pub mod read;
mod select;
mod text;
mod trust;
mod write;

pub use extend::Existing;
pub use feedback::Feedback;
pub use keys::{ClusterKeys, account_key};

use crate::ids::{IssuerUrl, Key, Namespace, PolicyArn, ProviderArn, ServiceAccountName};
use crate::model::desired::{Account, Cluster};
use crate::model::live::{Identity, LivePolicy, LiveRole, LiveServiceAccount, Observed};
use crate::model::pattern::{Pattern, any_matches};
use crate::world::AssociationSummary;
use std::collections::{BTreeMap, BTreeSet};

/// What to import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The owner of the configuration.
    pub owner: Key,
    /// Namespaces of ServiceAccounts; all if empty.
    pub namespaces: Vec<Pattern>,
    /// Names of roles; all if empty.
    pub roles: Vec<Pattern>,
}

impl Scope {
    fn has_namespace(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || any_matches(&self.namespaces, namespace)
    }

    fn has_role(&self, name: &str) -> bool {
        self.roles.is_empty() || any_matches(&self.roles, name)
    }
}

/// The live objects that were read.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The accounts that could be used.
    pub accounts: BTreeMap<Key, SeenAccount>,
    /// The clusters that EKS described.
    pub clusters: BTreeMap<Key, SeenCluster>,
    /// What could not be read, one sentence each.
    pub unseen: Vec<String>,
    /// The options with a glob that selects nothing, as they are written.
    pub unmatched: Vec<String>,
}

/// An account.
#[derive(Debug, Clone)]
pub struct SeenAccount {
    /// How irsa reaches it.
    pub account: Account,
    /// Its id and partition.
    pub identity: Identity,
    /// The selected roles, in full.
    pub roles: Vec<LiveRole>,
    /// The customer managed policies that these roles attach. One that could not be read is missing.
    pub policies: BTreeMap<PolicyArn, LivePolicy>,
    /// The OIDC providers of the clusters, with the audiences that they accept.
    pub providers: BTreeMap<ProviderArn, BTreeSet<String>>,
    /// All OIDC providers of the account. None if they could not be listed.
    pub listed_providers: Option<BTreeSet<ProviderArn>>,
    /// What may exist although `roles` and `providers` lack it.
    pub unread: Unread,
    /// The objects with the tag of the owner, if the configuration is new: what each is called in messages, by its ARN.
    pub owned: BTreeMap<String, String>,
}

/// The objects of an account that could not be read.
#[derive(Debug, Clone, Default)]
pub struct Unread {
    /// Whether the roles could not be listed.
    pub all_roles: bool,
    /// Roles, by lower-case name.
    pub roles: BTreeSet<String>,
    /// OIDC providers.
    pub providers: BTreeSet<ProviderArn>,
}

/// A cluster.
#[derive(Debug, Clone)]
pub struct SeenCluster {
    /// Its account, region and name.
    pub cluster: Cluster,
    /// Its issuer.
    pub issuer: IssuerUrl,
    /// Its ServiceAccounts. None if its API could not be used, or irsa must not use it (`kubernetes = "none"`).
    pub service_accounts: Option<Vec<LiveServiceAccount>>,
    /// The ServiceAccounts that irsa could not parse. None for one whose name could not be parsed.
    pub malformed: BTreeSet<Option<(Namespace, ServiceAccountName)>>,
    /// Its pod identity associations.
    pub associations: Vec<SeenAssociation>,
}

/// A pod identity association.
#[derive(Debug, Clone)]
pub struct SeenAssociation {
    /// As EKS lists it.
    pub summary: AssociationSummary,
    /// The ARN of its role. Absent if the association was deleted since; unknown if irsa did not ask for it.
    pub role: Observed<String>,
}

/// The result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Path below the folder, and text. The first one is the top file.
    pub files: Vec<(String, String)>,
    /// What the files do not declare, and why: one line each.
    pub left_out: Vec<String>,
    /// Objects with the owner's marks that the files of a new configuration do not declare, and why: one line each. A plan
    /// of these files would delete or release them.
    pub undeclared: Vec<String>,
    /// How many clusters, roles, ServiceAccounts and policies the files declare.
    pub counts: [usize; 4],
    /// Where each role and policy is declared.
    declared_at: Vec<feedback::DeclaredAt>,
}

/// The configuration of what was seen. `existing` is the configuration that it extends.
pub fn import(seen: &Seen, scope: &Scope, existing: Option<&Existing>, feedback: &Feedback) -> Imported {
    let draft = draft::draft(seen, scope, existing, &feedback.refused);
    write::files(&draft, seen, scope, existing, feedback)
}

/// The name of the top file: of a new configuration, or of the part that extends an existing one.
pub fn top_file(extends: bool) -> &'static str {
    if extends { "imported.toml" } else { "irsa.toml" }
}

/// The files and folders that `import` may write.
pub fn entries(extends: bool) -> [&'static str; 4] {
    [top_file(extends), "policies.toml", "policies", "roles"]
}

#[cfg(test)]
mod tests;
