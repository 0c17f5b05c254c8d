//! The smallest parts of IAM that are written separately, and their saved states. Stale reads can show an old state of
//! each part independently.

use super::document::AcceptedPolicy;
use super::policy::{Policy, Version};
use super::provider::Provider;
use super::role::Role;
use super::tags::{Tag, Tags};
use super::trust::Trust;
use super::{Iam, fold};
use std::collections::{BTreeMap, BTreeSet};

/// One part of an account's IAM. Roles are identified by name, policies and providers by ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A whole role.
    Role(String),
    /// A role's trust policy.
    Trust(String),
    /// A role's permissions boundary.
    Boundary(String),
    /// A role's description and maximum session duration.
    Details(String),
    /// An inline policy of a role.
    Inline(String, String),
    /// The attachment of a policy to a role.
    Attached(String, String),
    /// A tag of a role, by its key.
    RoleTag(String, String),
    /// A whole policy.
    Policy(String),
    /// The versions of a policy.
    Document(String),
    /// A tag of a policy, by its key.
    PolicyTag(String, String),
    /// A whole OpenID Connect provider.
    Provider(String),
    /// An audience of a provider.
    Audience(String, String),
    /// A tag of a provider, by its key.
    ProviderTag(String, String),
}

/// The saved state of an item, including whether it existed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SavedItem(SavedState);

#[derive(Debug, Clone, PartialEq, Eq)]
enum SavedState {
    Role(Option<Box<Role>>),
    Trust(Option<Trust>),
    Boundary(Option<String>),
    Details(Option<(String, u32)>),
    Inline(Option<AcceptedPolicy>),
    /// Whether an attachment or an audience existed.
    Listed(bool),
    Tag(Option<Tag>),
    Policy(Option<Box<Policy>>),
    Document(Option<(BTreeMap<u32, Version>, u32)>),
    Provider(Option<Box<Provider>>),
}

fn policy_key(arn: &str) -> String {
    fold(arn.rsplit('/').next().unwrap_or_default())
}

fn provider_key(arn: &str) -> &str {
    arn.split_once(":oidc-provider/").map_or(arn, |(_, key)| key)
}

impl Iam {
    /// Saves the current state of an item.
    pub(crate) fn kept(&self, item: &Item) -> SavedItem {
        let role = |name: &str| self.roles.get(&fold(name));
        let policy = |arn: &str| self.policies.get(&policy_key(arn)).filter(|policy| policy.arn == arn);
        let provider = |arn: &str| self.providers.get(provider_key(arn));
        SavedItem(match item {
            Item::Role(name) => SavedState::Role(role(name).cloned().map(Box::new)),
            Item::Trust(name) => SavedState::Trust(role(name).map(|role| role.trust.clone())),
            Item::Boundary(name) => SavedState::Boundary(role(name).and_then(|role| role.boundary.clone())),
            Item::Details(name) => {
                SavedState::Details(role(name).map(|role| (role.description.clone(), role.max_session)))
            }
            Item::Inline(name, policy) => {
                SavedState::Inline(role(name).and_then(|role| role.inline.get(policy)).cloned())
            }
            Item::Attached(name, arn) => SavedState::Listed(role(name).is_some_and(|role| role.attached.contains(arn))),
            Item::RoleTag(name, key) => SavedState::Tag(role(name).and_then(|role| role.tags.get(key)).cloned()),
            Item::Policy(arn) => SavedState::Policy(policy(arn).cloned().map(Box::new)),
            Item::Document(arn) => {
                SavedState::Document(policy(arn).map(|policy| (policy.versions.clone(), policy.default)))
            }
            Item::PolicyTag(arn, key) => SavedState::Tag(policy(arn).and_then(|policy| policy.tags.get(key)).cloned()),
            Item::Provider(arn) => SavedState::Provider(provider(arn).cloned().map(Box::new)),
            Item::Audience(arn, client) => {
                SavedState::Listed(provider(arn).is_some_and(|provider| provider.clients.contains(client)))
            }
            Item::ProviderTag(arn, key) => {
                SavedState::Tag(provider(arn).and_then(|known| known.tags.get(key)).cloned())
            }
        })
    }

    /// Restores a saved item. Does nothing for a part of an object that does not exist.
    pub(crate) fn put_back(&mut self, item: &Item, kept: SavedItem) {
        match (item, kept.0) {
            (Item::Role(name), SavedState::Role(was)) => self.put_role(name, was.map(|role| *role)),
            (Item::Policy(arn), SavedState::Policy(was)) => {
                set(&mut self.policies, policy_key(arn), was.map(|policy| *policy));
            }
            (Item::Provider(arn), SavedState::Provider(was)) => {
                set(&mut self.providers, provider_key(arn).to_owned(), was.map(|provider| *provider));
            }
            (Item::Document(arn), SavedState::Document(Some((versions, default)))) => {
                if let Some(policy) = self.policies.get_mut(&policy_key(arn)) {
                    policy.versions = versions;
                    policy.default = default;
                }
            }
            (Item::PolicyTag(arn, key), SavedState::Tag(was)) => {
                put_tag(self.policies.get_mut(&policy_key(arn)).map(|policy| &mut policy.tags), key, was);
            }
            (Item::ProviderTag(arn, key), SavedState::Tag(was)) => {
                put_tag(self.providers.get_mut(provider_key(arn)).map(|provider| &mut provider.tags), key, was);
            }
            (Item::Audience(arn, client), SavedState::Listed(was)) => {
                if let Some(provider) = self.providers.get_mut(provider_key(arn)) {
                    provider.clients.retain(|known| known != client);
                    provider.clients.extend(was.then(|| client.clone()));
                }
            }
            (item, was) => self.put_part(item, was),
        }
    }

    /// Restores a part of a role.
    fn put_part(&mut self, item: &Item, was: SavedState) {
        let (Item::Trust(name)
        | Item::Boundary(name)
        | Item::Details(name)
        | Item::Inline(name, _)
        | Item::Attached(name, _)
        | Item::RoleTag(name, _)) = item
        else {
            return;
        };
        let Some(mut role) = self.roles.get(&fold(name)).cloned() else { return };
        match (item, was) {
            (_, SavedState::Trust(Some(was))) => role.trust = was,
            (_, SavedState::Boundary(was)) => role.boundary = was,
            (_, SavedState::Details(Some((description, session)))) => {
                role.description = description;
                role.max_session = session;
            }
            (Item::Inline(_, policy), SavedState::Inline(was)) => set(&mut role.inline, policy.clone(), was),
            (Item::Attached(_, arn), SavedState::Listed(true)) => {
                role.attached.insert(arn.clone());
            }
            (Item::Attached(_, arn), SavedState::Listed(false)) => {
                role.attached.remove(arn);
            }
            (Item::RoleTag(_, key), SavedState::Tag(was)) => put_tag(Some(&mut role.tags), key, was),
            _ => {}
        }
        self.put_role(name, Some(role));
    }

    /// Stores or removes a role, and updates which policies it uses.
    fn put_role(&mut self, name: &str, role: Option<Role>) {
        let key = fold(name);
        for users in self.attachments.values_mut().chain(self.boundaries.values_mut()) {
            users.remove(&key);
        }
        let use_by = |users: &mut BTreeMap<String, BTreeSet<String>>, arn: &String| {
            users.entry(arn.clone()).or_default().insert(key.clone());
        };
        if let Some(role) = &role {
            role.attached.iter().for_each(|arn| use_by(&mut self.attachments, arn));
            role.boundary.iter().for_each(|arn| use_by(&mut self.boundaries, arn));
        }
        set(&mut self.roles, key.clone(), role);
    }
}

fn set<T>(table: &mut BTreeMap<String, T>, key: String, value: Option<T>) {
    match value {
        Some(value) => table.insert(key, value),
        None => table.remove(&key),
    };
}

fn put_tag(tags: Option<&mut Tags>, key: &str, was: Option<Tag>) {
    if let Some(tags) = tags {
        tags.unset(&[key]);
        // The restored tags were within the limit before.
        let _ = tags.set(was.into_iter().collect());
    }
}
