//! Keys of the configuration for live names: short, valid and unique.

use crate::ids::{AccountId, ClusterName, Key, Region};
use std::collections::BTreeSet;

/// The longest key.
const LIMIT: usize = 63;

/// The text with `-` for what a key cannot have.
fn cleaned(text: &str) -> String {
    let inner = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let text: String = text.chars().map(inner).collect();
    let text = text.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if text.is_empty() { "unnamed".to_owned() } else { text.to_owned() }
}

/// The first key that is not taken: of each text in turn, then of the last one with a number.
pub(super) fn unique(texts: &[String], is_taken: impl Fn(&Key) -> bool) -> Key {
    let cut = |text: &str, end: &str| {
        let kept: String = cleaned(text).chars().take(LIMIT - end.len()).collect();
        Key::parse(format!("{}{end}", kept.trim_end_matches(|c: char| !c.is_ascii_alphanumeric())))
    };
    let last = texts.last().map_or("", String::as_str);
    let numbered = (2..=usize::MAX).map(|number| cut(last, &format!("-{number}")));
    let keys = texts.iter().map(|text| cut(text, "")).chain(numbered);
    keys.filter_map(Result::ok).find(|key| !is_taken(key)).unwrap_or_else(|| unreachable!("numbers never end"))
}

/// The key of the account with this profile; `default` without one.
pub fn account_key(profile: Option<&str>, taken: &BTreeSet<Key>) -> Key {
    unique(&[profile.unwrap_or("default").to_owned()], |key| taken.contains(key))
}

/// Chooses keys for clusters.
#[derive(Debug, Clone, Default)]
pub struct ClusterKeys {
    /// The keys in use.
    pub taken: BTreeSet<Key>,
}

impl ClusterKeys {
    /// The name of the cluster, followed by its region and account if that is needed to be unique.
    pub fn choose(&mut self, name: &ClusterName, region: &Region, account: &AccountId) -> Key {
        let texts = [name.to_string(), format!("{name}-{region}"), format!("{name}-{region}-{account}")];
        let key = unique(&texts, |key| self.taken.contains(key));
        self.taken.insert(key.clone());
        key
    }
}
