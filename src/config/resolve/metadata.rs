//! Further labels and annotations of ServiceAccounts, held against what Kubernetes takes
//! (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>).

use super::{Resolver, Spot};
use crate::config::reader::RawPairs;
use crate::config::schema::RawBinding;
use crate::model::desired::{Manage, Metadata};
use crate::model::marks::CHAIN;
use crate::model::resource::StringMap;
use std::sync::Arc;

/// The name in a key, and the value of a label.
const NAME_LIMIT: usize = 63;
/// The prefix of a key: a DNS name.
const PREFIX_LIMIT: usize = 253;
/// All annotations of an object together
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/#syntax-and-character-set>), less some
/// room for those of irsa and of others.
const ANNOTATIONS_LIMIT: usize = (256 - 16) * 1024;
/// The prefix of irsa's own marks.
const OWN: &str = "irsa/";

impl Resolver<'_> {
    /// The labels and annotations of an entry; None if it declares none.
    pub(super) fn metadata(&mut self, raw: &RawBinding, manage: Manage) -> Option<Arc<Metadata>> {
        let RawBinding { labels, annotations, .. } = raw;
        let (_, first) = labels.iter().chain(annotations).next()?;
        let of_wildcard = raw.allow_wildcard.is_some();
        if manage != Manage::Create || of_wildcard {
            let what = if labels.is_empty() { "annotations" } else { "labels" };
            let message = format!("`{what}` are for ServiceAccounts that irsa makes (`manage = \"create\"`)");
            let hint = if of_wildcard {
                "an entry with `allow-wildcard` is trust only"
            } else {
                "take them out, or let irsa make it"
            };
            self.refuse(&first.origin, message).hint = Some(hint.to_owned());
            return None;
        }
        for (key, spot) in labels {
            self.metadata_key("label", key, spot);
            if !spot.value.is_empty() && !is_name(&spot.value) {
                let message = format!("the value of label `{key}` is no label value");
                self.refuse(&spot.origin, message).hint = Some(NAME_HINT.to_owned());
            }
        }
        for (key, spot) in annotations {
            self.metadata_key("annotation", key, spot);
        }
        let size: usize = annotations.iter().map(|(key, spot)| key.len() + spot.value.len()).sum();
        if size > ANNOTATIONS_LIMIT {
            let message = format!("the annotations have {size} bytes, and at most {ANNOTATIONS_LIMIT} can be declared");
            self.refuse(&first.origin, message);
        }
        Some(Arc::new(Metadata { labels: pairs(labels), annotations: pairs(annotations) }))
    }

    fn metadata_key(&mut self, kind: &str, key: &str, spot: &Spot<String>) {
        let folded = key.to_ascii_lowercase();
        if folded.starts_with(OWN) {
            let message = format!("{kind} `{key}`: the prefix `{OWN}` is for irsa's own marks");
            self.refuse(&spot.origin, message).hint = Some("choose another prefix".to_owned());
            return;
        }
        if folded.starts_with(CHAIN) {
            let message = format!("{kind} `{key}`: the prefix `{CHAIN}` is for the keys of the pod identity webhook");
            let hint =
                "`audience`, `token-expiration` and `sts-regional-endpoints` have keys of their own in this entry";
            self.refuse(&spot.origin, message).hint = Some(hint.to_owned());
            return;
        }
        let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
        if prefix.is_none_or(is_prefix) && is_name(name) {
            return;
        }
        let message = format!("{kind} `{key}`: that is no key");
        let hint = format!("a key is `name` or `prefix/name`: {NAME_HINT}; the prefix is a DNS name in lower case");
        self.refuse(&spot.origin, message).hint = Some(hint);
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

fn pairs(raw: &RawPairs) -> StringMap {
    raw.iter().map(|(key, spot)| (key.clone(), spot.value.clone())).collect()
}
