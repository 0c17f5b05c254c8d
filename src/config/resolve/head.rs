//! What stands at the top of the file: owner, version, guard, ignored tags, what is let go of.

use super::{Diagnostic, Resolver, Spot};
use crate::config::durations;
use crate::ids::Key;
use crate::model::address::{Address, OrphanKind};
use crate::model::desired::{ClusterState, Desired, Guard, Manage, Subject};
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
            self.refuse(&version.origin, format!("version {} is not known", version.value)).hint =
                Some("this program reads version 1; a newer one may read more".to_owned());
        }
        match &raw.owner {
            Some(owner) => self.owner = owner.value.clone(),
            None if raw.defined.contains_key("owner") => {}
            None => {
                let hint = "add `owner = \"NAME\"`: it marks everything that this configuration manages, and no other \
                            configuration may have it";
                let message = "`owner` is missing";
                let diagnostic = match &raw.top {
                    Some(top) => Diagnostic::at(top, message),
                    None => Diagnostic::nowhere(message),
                };
                self.push(diagnostic.hint(hint));
            }
        }
    }

    pub(super) fn guard(&mut self) -> Guard {
        let mut guard = Guard::default();
        let Some(raw) = &self.raw.guard else { return guard };
        if let Some(spot) = &raw.max_change_percent {
            match u32::try_from(spot.value).ok().filter(|percent| *percent <= 100) {
                Some(percent) => guard.max_change_percent = percent,
                None => {
                    self.refuse(&spot.origin, format!("`max-change-percent` is at most 100, this is {}", spot.value));
                }
            }
        }
        for (spot, place) in [(&raw.min_existing, &mut guard.min_existing), (&raw.max_delete, &mut guard.max_delete)] {
            if let Some(spot) = spot {
                *place = usize::try_from(spot.value).unwrap_or(usize::MAX);
            }
        }
        if let Some(spot) = &raw.recent_use {
            guard.recent_use = self.duration(spot, "recent-use").unwrap_or(guard.recent_use);
        }
        guard
    }

    /// A duration, written as such.
    pub(super) fn duration(&mut self, spot: &Spot<String>, key: &str) -> Option<Duration> {
        match durations::parse(&spot.value) {
            Ok(duration) => Some(duration),
            Err(why) => {
                self.refuse(&spot.origin, format!("`{key}` {why}"));
                None
            }
        }
    }

    /// A duration in whole seconds between two others.
    pub(super) fn seconds(&mut self, spot: &Spot<String>, key: &str, (least, most): (u32, u32)) -> Option<u32> {
        let seconds = self.duration(spot, key)?.as_secs();
        let fits = u32::try_from(seconds).ok().filter(|seconds| (least..=most).contains(seconds));
        if fits.is_none() {
            let (least, most) = (span(least), span(most));
            self.refuse(&spot.origin, format!("`{key}` is from {least} to {most}, this is `{}`", spot.value));
        }
        fits
    }

    pub(super) fn ignore_tags(&mut self) -> Vec<Pattern> {
        let mut list = BTreeSet::new();
        for spot in &self.raw.ignore_tags {
            let pattern = Pattern::new(spot.value.as_str());
            if let Some(mark) = [OWNER, ADDRESS, PREVENT_DESTROY].into_iter().find(|mark| pattern.matches(mark)) {
                let message = format!("`{}` would ignore irsa's own mark `{mark}`", spot.value);
                self.refuse(&spot.origin, message).hint =
                    Some("name the foreign tags more closely, for example `cost:*`".to_owned());
            }
            list.insert(pattern);
        }
        list.into_iter().collect()
    }

    /// What is let go of, which must not be declared at the same time.
    pub(super) fn forget(&mut self, desired: &Desired) -> Vec<(Address, Origin)> {
        if self.raw.forget.is_empty() {
            return Vec::new();
        }
        let declared = declared(desired);
        let mut list: BTreeMap<Address, Origin> = BTreeMap::new();
        for spot in &self.raw.forget {
            let address: Address = match spot.value.parse() {
                Ok(address) => address,
                Err(error) => {
                    self.refuse(&spot.origin, format!("{error}"));
                    continue;
                }
            };
            if let Some(origin) = declared.get(&folded(&address)) {
                let message = format!("`{}` is let go of and declared at the same time", spot.value);
                let diagnostic = Diagnostic::at(&spot.origin, message).and(origin, "declared here");
                self.push(diagnostic.hint("take one of the two out"));
            }
            list.entry(address).or_insert_with(|| spot.origin.clone());
        }
        list.into_iter().collect()
    }
}

fn span(seconds: u32) -> String {
    match seconds {
        hours if hours.is_multiple_of(3600) => format!("{}h", hours / 3600),
        minutes if minutes.is_multiple_of(60) => format!("{}m", minutes / 60),
        seconds => format!("{seconds}s"),
    }
}

/// An address as it is looked up: names of roles and policies are unique without regard to case.
fn folded(address: &Address) -> String {
    match address {
        Address::Orphan { kind: OrphanKind::Role | OrphanKind::Policy, .. } => address.to_string().to_lowercase(),
        _ => address.to_string(),
    }
}

/// Every address that stands for something declared, with its place; live names of declared objects too.
fn declared(desired: &Desired) -> BTreeMap<String, Origin> {
    let mut map = BTreeMap::new();
    let orphan = |account: &Key, kind: OrphanKind, name: &str| {
        folded(&Address::Orphan { account: account.clone(), kind, name: name.to_owned() })
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
            let Subject::Exact(namespace, name) = &binding.subject else { continue };
            if binding.manage != Manage::None {
                let address = Address::ServiceAccount {
                    cluster: binding.cluster.clone(),
                    namespace: namespace.clone(),
                    name: name.clone(),
                };
                map.insert(address.to_string(), binding.origin.clone());
            }
        }
    }
    map
}
