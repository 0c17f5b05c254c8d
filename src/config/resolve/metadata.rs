//! Checks the declared labels and annotations of ServiceAccounts against the rules of Kubernetes
//! (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>).

use super::{Located, Resolver};
use crate::config::reader::StringTable;
use crate::config::schema::RawBinding;
use crate::model::desired::{Manage, Metadata};
use crate::model::marks::CHAIN;
use std::sync::Arc;

/// The longest name in a key, and the longest value of a label.
const NAME_LIMIT: usize = 63;
/// The longest prefix of a key.
const PREFIX_LIMIT: usize = 253;
/// The limit for all annotations of an object together
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/#syntax-and-character-set>), less
/// some space for annotations that irsa and other programs add.
const ANNOTATIONS_LIMIT: usize = (256 - 16) * 1024;
/// The prefix of irsa's own labels and annotations.
const OWN: &str = "irsa/";

impl Resolver<'_> {
    /// The labels and annotations of an entry; None if it declares none.
    pub(super) fn metadata(&mut self, raw: &RawBinding, manage: Manage) -> Option<Arc<Metadata>> {
        let RawBinding { labels, annotations, .. } = raw;
        let (_, first) = labels.iter().chain(annotations).next()?;
        let has_wildcard = raw.allow_wildcard.is_some();
        if manage != Manage::Create || has_wildcard {
            let what = if labels.is_empty() { "annotations" } else { "labels" };
            let message = format!("`{what}` are for ServiceAccounts that irsa creates (`manage = \"create\"`)");
            let hint = if has_wildcard {
                "an entry with `allow-wildcard` is trust only"
            } else {
                "remove them, or let irsa create the ServiceAccount"
            };
            self.refuse(&first.origin, message).hint = Some(hint.to_owned());
            return None;
        }
        for (key, text) in labels {
            self.metadata_key("label", key, text);
            if !text.value.is_empty() && !is_name(&text.value) {
                let message = format!("the value of label `{key}` is invalid");
                self.refuse(&text.origin, message).hint = Some(NAME_HINT.to_owned());
            }
        }
        for (key, text) in annotations {
            self.metadata_key("annotation", key, text);
        }
        let size: usize = annotations.iter().map(|(key, text)| key.len() + text.value.len()).sum();
        if size > ANNOTATIONS_LIMIT {
            let message = format!("the annotations have {size} bytes, but the limit is {ANNOTATIONS_LIMIT}");
            self.refuse(&first.origin, message);
        }
        let strings = |table: &StringTable| table.iter().map(|(key, text)| (key.clone(), text.value.clone())).collect();
        Some(Arc::new(Metadata { labels: strings(labels), annotations: strings(annotations) }))
    }

    fn metadata_key(&mut self, kind: &str, key: &str, text: &Located<String>) {
        let lower_case = key.to_ascii_lowercase();
        if lower_case.starts_with(OWN) {
            let message = format!("{kind} `{key}`: the prefix `{OWN}` is reserved for irsa");
            self.refuse(&text.origin, message).hint = Some("choose another prefix".to_owned());
            return;
        }
        if lower_case.starts_with(CHAIN) {
            let message = format!("{kind} `{key}`: the prefix `{CHAIN}` is reserved for the pod identity webhook");
            let hint = "use the keys `audience`, `token-expiration` and `sts-regional-endpoints` of this entry";
            self.refuse(&text.origin, message).hint = Some(hint.to_owned());
            return;
        }
        let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
        if prefix.is_none_or(is_prefix) && is_name(name) {
            return;
        }
        let message = format!("{kind} `{key}`: the key is invalid");
        let hint = format!("a key is `name` or `prefix/name`: {NAME_HINT}; the prefix is a DNS name in lower case");
        self.refuse(&text.origin, message).hint = Some(hint);
    }
}

const NAME_HINT: &str = "1-63 letters, digits and `- _ .`, a letter or digit first and last";

fn is_name(text: &str) -> bool {
    let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= NAME_LIMIT
        && end(text.chars().next())
        && end(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn is_prefix(text: &str) -> bool {
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part =
        |part: &str| part.starts_with(lower) && part.ends_with(lower) && part.chars().all(|c| lower(c) || c == '-');
    text.len() <= PREFIX_LIMIT && text.split('.').all(part)
}
