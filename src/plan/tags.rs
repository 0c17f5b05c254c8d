//! What tags an IAM object of ours should have: the declared ones, our marks, and those of others that are left alone.

use super::context::PlanContext;
use crate::model::address::Address;
use crate::model::marks::{ADDRESS, OWNER, PREVENT_DESTROY, address_mark, is_mark};
use crate::model::resource::StringMap;

/// The tags of the object at `address`. IAM ignores the case of tag keys and keeps that of the first one, so a live key
/// keeps its spelling (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html>).
pub(super) fn wanted(
    context: &PlanContext<'_>,
    address: &Address,
    declared: &StringMap,
    prevent_destroy: bool,
    live: &StringMap,
) -> StringMap {
    let mut marks = StringMap::from_iter([
        (OWNER.to_owned(), context.desired.owner.to_string()),
        (ADDRESS.to_owned(), address_mark(address)),
    ]);
    if prevent_destroy {
        marks.insert(PREVENT_DESTROY.to_owned(), "true".to_owned());
    }
    let mut wanted = StringMap::new();
    for (key, value) in declared.iter().filter(|(key, _)| !is_mark(key)).chain(marks.iter()) {
        wanted.insert(spelling(live, key).unwrap_or(key).clone(), value.clone());
    }
    let ignored = live.iter().filter(|(key, _)| is_ignored(context, key));
    wanted.extend(ignored.map(|(key, value)| (key.clone(), value.clone())));
    wanted
}

/// How a live tag of this key is spelled.
fn spelling<'t>(live: &'t StringMap, key: &str) -> Option<&'t String> {
    live.keys().find(|live| live.to_lowercase() == key.to_lowercase())
}

/// Whether a tag is left alone: AWS's own, and those of `ignore-tags`.
fn is_ignored(context: &PlanContext<'_>, key: &str) -> bool {
    let folded = key.to_lowercase();
    let listed = || context.desired.ignore_tags.iter().any(|pattern| pattern.case_insensitive().matches(&folded));
    !is_mark(key) && (folded.starts_with("aws:") || listed())
}
