//! A property test: any history of applies and patches gives the values and owners that a short second implementation
//! of the rules gives.

use super::{ROLE, applied, apply_with, store};
use crate::kubernetes::{PatchType, Resource, Store, WriteOptions};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const KEPT: &str = "kept";

/// Annotations. Tests use few keys and values, so that managers conflict.
type Wanted = BTreeMap<String, String>;

#[derive(Debug, Clone)]
enum Step {
    Apply { manager: String, wanted: Wanted, force: bool },
    Patch { manager: String, key: String, value: Option<String> },
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Rules {
    values: Wanted,
    owners: BTreeMap<String, BTreeSet<String>>,
}

impl Rules {
    fn apply(&mut self, manager: &str, wanted: &Wanted, force: bool) -> bool {
        let foreign = |owners: &BTreeSet<String>| owners.iter().any(|owner| owner != manager);
        let conflict = wanted.iter().any(|(key, value)| {
            self.values.get(key).is_some_and(|live| live != value) && self.owners.get(key).is_some_and(foreign)
        });
        if conflict && !force {
            return false;
        }
        for (key, owners) in &mut self.owners {
            if owners.remove(manager) && owners.is_empty() && !wanted.contains_key(key) {
                self.values.remove(key);
            }
        }
        for (key, value) in wanted {
            let owners = self.owners.entry(key.clone()).or_default();
            if self.values.insert(key.clone(), value.clone()).is_some_and(|live| live != *value) {
                owners.clear();
            }
            owners.insert(manager.to_owned());
        }
        self.owners.retain(|_, owners| !owners.is_empty());
        true
    }

    fn patch(&mut self, manager: &str, key: &str, value: Option<&String>) {
        if self.values.get(key) == value {
            return;
        }
        self.values.remove(key);
        self.owners.remove(key);
        if let Some(value) = value {
            self.values.insert(key.to_owned(), value.clone());
            self.owners.insert(key.to_owned(), BTreeSet::from([manager.to_owned()]));
        }
    }

    fn read(object: &Value) -> Self {
        let mut found = Self::default();
        for (key, value) in object["metadata"]["annotations"].as_object().into_iter().flatten() {
            found.values.insert(key.clone(), value.as_str().unwrap().to_owned());
        }
        for entry in object["metadata"]["managedFields"].as_array().unwrap() {
            let manager = entry["manager"].as_str().unwrap();
            let fields = entry["fieldsV1"]["f:metadata"]["f:annotations"].as_object();
            for key in fields.into_iter().flatten().filter_map(|(field, _)| field.strip_prefix("f:")) {
                found.owners.entry(key.to_owned()).or_default().insert(manager.to_owned());
            }
        }
        found.values.remove(KEPT);
        found.owners.remove(KEPT);
        found
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || prop_oneof![Just("a".to_owned()), Just("b/c".to_owned()), Just(ROLE.to_owned())];
    let value = || "[12]";
    let apply = ("m[12]", btree_map(key(), value(), 0..3), any::<bool>())
        .prop_map(|(manager, wanted, force)| Step::Apply { manager, wanted, force });
    let patch = ("u[12]", key(), proptest::option::of(value())).prop_map(|(manager, key, value)| Step::Patch {
        manager,
        key,
        value,
    });
    vec(prop_oneof![3 => apply, 1 => patch], 1..12)
}

fn take(store: &mut Store, rules: &mut Rules, step: &Step) {
    match step {
        Step::Apply { manager, wanted, force } => {
            let mut options = WriteOptions::by(manager);
            options.force = *force;
            // `annotations: {}` would claim the map itself.
            let body = || applied(if wanted.is_empty() { json!({}) } else { json!({"annotations": wanted}) });
            let done = apply_with(store, &options, body());
            assert_eq!(done.is_ok(), rules.apply(manager, wanted, *force), "{done:?}");
            let version = store.version();
            if done.is_ok() {
                apply_with(store, &options, body()).unwrap();
                assert_eq!(store.version(), version, "the same apply again stores nothing");
            }
        }
        Step::Patch { manager, key, value } => {
            let patch = json!({"metadata": {"annotations": {key: value}}});
            let options = WriteOptions::by(manager);
            store.patch(Resource::ServiceAccounts, "a", "worker", PatchType::Merge, &patch, &options).unwrap();
            rules.patch(manager, key, value.as_ref());
        }
    }
}

proptest! {
    #[test]
    fn every_history_gives_the_expected_values_and_owners(steps in steps()) {
        let mut store = store();
        // One annotation stays throughout. Without any owned field the object would no longer be tracked, and
        // recreating the map would change it for its earlier owners.
        let kept = applied(json!({"annotations": {KEPT: "1"}}));
        apply_with(&mut store, &WriteOptions::by("keeper"), kept).unwrap();
        let mut rules = Rules::default();
        for step in &steps {
            take(&mut store, &mut rules, step);
            prop_assert_eq!(&Rules::read(store.service_account("a", "worker").unwrap()), &rules, "{:?}", step);
        }
    }
}
