//! Pagination with `maxResults` and `nextToken`. A token names the last returned item.

use super::invalid;
use crate::aws::query::{AwsError, Params};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Bound;

/// One page of a table: `{name: [...], "nextToken": ...}`. `show` converts an item, or returns None to skip it.
pub(super) fn page<T>(
    name: &str,
    table: &BTreeMap<String, T>,
    query: &Params,
    show: impl Fn(&String, &T) -> Option<Value>,
) -> Result<Value, AwsError> {
    let limit = match query.text("maxResults") {
        None => 100,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=100).contains(limit))
            .ok_or_else(|| invalid("maxResults must be between 1 and 100."))?,
    };
    let after = match query.text("nextToken") {
        None => None,
        Some(token) => Some(
            URL_SAFE
                .decode(token)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| invalid("The nextToken is invalid."))?,
        ),
    };
    let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
    let rest = table.range::<String, _>((begin, Bound::Unbounded));
    let mut shown: Vec<_> = rest.filter_map(|(key, item)| Some((key, show(key, item)?))).take(limit + 1).collect();
    let more = shown.len() > limit;
    shown.truncate(limit);
    let token = shown.last().filter(|_| more).map(|(key, _)| URL_SAFE.encode(key));
    let items: Vec<Value> = shown.into_iter().map(|(_, item)| item).collect();
    Ok(json!({name: items, "nextToken": token}))
}
