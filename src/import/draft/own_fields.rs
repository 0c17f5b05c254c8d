//! The labels and annotations of a ServiceAccount that irsa has set for this owner.

use super::left_out::is_undeclared;
use crate::model::live::LiveServiceAccount;
use crate::model::marks::{ADDRESS, CHAIN, CREATED, OWNER};
use std::collections::BTreeMap;

/// The prefix of irsa's own labels and annotations.
const OWN: &str = "irsa/";

/// The fields whose manager is that of the owner. A plan removes the ones that are not declared.
#[derive(Debug, Default)]
pub(super) struct OwnFields {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// A field that no configuration can declare.
    pub other: Option<String>,
    /// Whether irsa has set the address.
    pub has_address: bool,
}

impl OwnFields {
    pub(super) fn of(live: &LiveServiceAccount, field_manager: &str) -> Self {
        let mut fields = Self::default();
        for manager in live.managers.iter().filter(|manager| manager.name == field_manager) {
            for key in &manager.labels {
                match live.labels.get(key) {
                    Some(_) if is_reserved(key) => {
                        fields.other = (key != OWNER).then(|| format!("label `{key}`")).or(fields.other);
                    }
                    Some(value) => drop(fields.labels.insert(key.clone(), value.clone())),
                    None => {}
                }
            }
            for key in &manager.annotations {
                match live.annotations.get(key) {
                    Some(_) if key == ADDRESS => fields.has_address = true,
                    Some(_) if key == CREATED => {}
                    Some(value) if is_reserved(key) => {
                        let is_known = key.starts_with(CHAIN) && !is_undeclared(key, value);
                        fields.other = (!is_known).then(|| format!("annotation `{key}`")).or(fields.other);
                    }
                    Some(value) => drop(fields.annotations.insert(key.clone(), value.clone())),
                    None => {}
                }
            }
        }
        fields
    }
}

/// Whether the configuration refuses the key in `labels` and `annotations`.
fn is_reserved(key: &str) -> bool {
    let lower_case = key.to_ascii_lowercase();
    lower_case.starts_with(OWN) || lower_case.starts_with(CHAIN)
}
