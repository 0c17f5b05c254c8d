//! Resolves the top-level settings: version, owner, guard, ignored tags and `forget`. Reads durations.

use super::{Diagnostic, Located, Resolver};
use crate::ids::Key;
use crate::model::address::{Address, OrphanKind};
use crate::model::desired::{ClusterState, Desired, Guard, Manage};
use crate::model::durations;
use crate::model::marks::{ADDRESS, OWNER, PREVENT_DESTROY};
use crate::model::origin::Origin;
use crate::model::pattern::Pattern;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

impl Resolver<'_> {
    /// Version and owner.
    pub(super) fn header(&mut self) {
        let raw = self.raw;
        if let Some(version) = raw.version.as_ref().filter(|version| version.value != 1) {
            self.refuse(&version.origin, format!("version {} is not supported", version.value)).hint =
                Some("this irsa reads version 1; a newer one may read more".to_owned());
        }
        match &raw.owner {
            Some(owner) => match Key::parse(&owner.value) {
                Ok(key) => self.owner = key,
                Err(error) => {
                    self.refuse(&owner.origin, format!("`{}` {error}", owner.value)).hint =
                        Some("choose a shorter or simpler name".to_owned());
                }
            },
            None if raw.defined.contains_key("owner") => {}
            None => {
                let hint = "add `owner = \"NAME\"`: irsa tags everything that this configuration manages with it, and \
                            no other configuration may use it";
                self.refuse(&raw.origin, "`owner` is missing").hint = Some(hint.to_owned());
            }
        }
    }

    pub(super) fn guard(&mut self) -> Guard {
        let mut guard = Guard::default();
        let Some(raw) = &self.raw.guard else { return guard };
        if let Some(Located { value, origin }) = &raw.max_change_percent {
            match u32::try_from(*value).ok().filter(|percent| *percent <= 100) {
                Some(percent) => guard.max_change_percent = percent,
                None => drop(self.refuse(origin, format!("`max-change-percent` is at most 100, but this is {value}"))),
            }
        }
        let number = |number: &Located<u64>| usize::try_from(number.value).unwrap_or(usize::MAX);
        guard.min_existing = raw.min_existing.as_ref().map_or(guard.min_existing, number);
        guard.max_delete = raw.max_delete.as_ref().map_or(guard.max_delete, number);
        let recent_use = raw.recent_use.as_ref().and_then(|text| self.duration(text, "recent-use"));
        guard.recent_use = recent_use.unwrap_or(guard.recent_use);
        guard
    }

    fn duration(&mut self, text: &Located<String>, key: &str) -> Option<Duration> {
        match durations::parse(&text.value) {
            Ok(duration) => Some(duration),
            Err(why) => {
                self.refuse(&text.origin, format!("`{key}` {why}"));
                None
            }
        }
    }

    /// A duration in seconds that must lie within these bounds.
    pub(super) fn seconds(&mut self, text: &Located<String>, key: &str, (least, most): (u32, u32)) -> Option<u32> {
        let seconds = self.duration(text, key)?.as_secs();
        let within = u32::try_from(seconds).ok().filter(|seconds| (least..=most).contains(seconds));
        if within.is_none() {
            let (least, most) = (durations::text(least), durations::text(most));
            self.refuse(&text.origin, format!("`{key}` must be from {least} to {most}, but this is `{}`", text.value));
        }
        within
    }

    pub(super) fn ignore_tags(&mut self) -> Vec<Pattern> {
        let mut list = BTreeSet::new();
        for Located { value, origin } in &self.raw.ignore_tags {
            let pattern = Pattern::new(value.as_str());
            if let Some(tag) = [OWNER, ADDRESS, PREVENT_DESTROY].into_iter().find(|tag| pattern.matches(tag)) {
                self.refuse(origin, format!("`{value}` would ignore irsa's own tag `{tag}`")).hint =
                    Some("use a narrower pattern, for example `cost:*`".to_owned());
            }
            list.insert(pattern);
        }
        list.into_iter().collect()
    }

    /// The objects that irsa stops managing. They must not be declared.
    pub(super) fn forget(&mut self, desired: &Desired) -> Vec<(Address, Origin)> {
        if self.raw.forget.is_empty() {
            return Vec::new();
        }
        let declared = declared(desired);
        let mut list: BTreeMap<Address, Origin> = BTreeMap::new();
        for Located { value, origin } in &self.raw.forget {
            let address: Address = match value.parse() {
                Ok(address) => address,
                Err(error) => {
                    self.refuse(origin, format!("{error}"));
                    continue;
                }
            };
            if let Some(declaration) = declared.get(&lookup_key(&address)) {
                let message = format!("`{value}` is both in `forget` and declared");
                let diagnostic = Diagnostic::at(origin, message).and(declaration, "declared here");
                self.errors.push(diagnostic.hint("remove one of the two"));
            }
            list.entry(address).or_insert_with(|| origin.clone());
        }
        list.into_iter().collect()
    }
}

/// The text by which addresses are compared: names of roles and policies ignore case.
fn lookup_key(address: &Address) -> String {
    match address {
        Address::Orphan { kind: OrphanKind::Role | OrphanKind::Policy, .. } => address.to_string().to_lowercase(),
        _ => address.to_string(),
    }
}

/// The addresses of all declared objects and of their live names, each with its position.
fn declared(desired: &Desired) -> BTreeMap<String, Origin> {
    let mut map = BTreeMap::new();
    let orphan = |account: &Key, kind: OrphanKind, name: &str| {
        lookup_key(&Address::Orphan { account: account.clone(), kind, name: name.to_owned() })
    };
    for ((account, key), policy) in &desired.policies {
        let address = Address::Policy { account: account.clone(), key: key.clone() };
        map.insert(address.to_string(), policy.origin.clone());
        map.insert(orphan(account, OrphanKind::Policy, policy.name.as_str()), policy.origin.clone());
    }
    for (key, role) in &desired.roles {
        map.insert(Address::role(key).to_string(), role.origin.clone());
        map.insert(orphan(&role.account, OrphanKind::Role, role.name.as_str()), role.origin.clone());
        let active = |key: &Key| desired.clusters.get(key).is_some_and(|item| item.state == ClusterState::Active);
        for binding in role.bindings.iter().filter(|binding| active(&binding.cluster)) {
            let provider = Address::OidcProvider { account: role.account.clone(), cluster: binding.cluster.clone() };
            map.entry(provider.to_string()).or_insert_with(|| binding.origin.clone());
            if let Some(address) = binding.address().filter(|_| binding.manage != Manage::None) {
                map.insert(address.to_string(), binding.origin.clone());
            }
        }
    }
    map
}
