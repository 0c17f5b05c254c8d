//! Pagination with `Marker`, `MaxItems` and `IsTruncated`.
//!
//! A marker names the last returned item, not a position. So items that are created or deleted between two pages
//! neither repeat nor hide other items. A marker is valid only for the operation that returned it.

use super::check::Checks;
use crate::aws::query::{AwsError, Params, Xml};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Where a page begins and its maximum length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    action: &'static str,
    after: Option<String>,
    limit: usize,
}

/// The items of one page.
#[derive(Debug)]
pub(crate) struct PageItems<T> {
    action: &'static str,
    items: Vec<(String, T)>,
    more: bool,
}

impl Page {
    /// Reads the page parameters: 100 items by default, 1,000 at most.
    pub(crate) fn read(params: &Params, action: &'static str) -> Result<Self, AwsError> {
        let mut checks = Checks::on(params);
        let limit = checks.integer("MaxItems", 1, 1000).unwrap_or(100);
        let marker = checks.optional("Marker", 1, 10_240);
        checks.finish()?;
        let after = match marker {
            None => None,
            Some(marker) => Some(
                STANDARD
                    .decode(marker)
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok())
                    .and_then(|text| Some(text.strip_prefix(action)?.strip_prefix('\n')?.to_owned()))
                    .ok_or_else(|| AwsError::new(400, "ValidationError", "Invalid Marker."))?,
            ),
        };
        Ok(Self { action, after, limit: usize::try_from(limit).unwrap_or(100) })
    }

    /// A page of one table.
    pub(crate) fn of<'a, T>(&self, table: &'a BTreeMap<String, T>, wanted: impl Fn(&T) -> bool) -> PageItems<&'a T> {
        self.through(self.rest(table, "").filter(|(_, item)| wanted(item)))
    }

    /// A page of several tables in sequence. Pass the `rest` of each under a prefix, in the order of the prefixes.
    pub(crate) fn through<T>(&self, items: impl Iterator<Item = (String, T)>) -> PageItems<T> {
        let mut items: Vec<_> = items.take(self.limit + 1).collect();
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        PageItems { action: self.action, items, more }
    }

    /// The items of a table that are on this page or after it.
    pub(crate) fn rest<'a, T>(
        &self,
        table: &'a BTreeMap<String, T>,
        prefix: &'static str,
    ) -> impl Iterator<Item = (String, &'a T)> + use<'a, T> {
        let begin = match self.after.as_deref() {
            None => Some(Bound::Unbounded),
            Some(after) => match after.strip_prefix(prefix) {
                Some(key) => Some(Bound::Excluded(key.to_owned())),
                None if after < prefix => Some(Bound::Unbounded),
                None => None,
            },
        };
        begin
            .map(|begin| table.range::<String, _>((begin, Bound::Unbounded)))
            .into_iter()
            .flatten()
            .map(move |(key, item)| (format!("{prefix}{key}"), item))
    }
}

impl<T> PageItems<T> {
    /// The page's items with their keys.
    pub(crate) fn items(&self) -> impl Iterator<Item = &(String, T)> {
        self.items.iter()
    }

    /// Writes `IsTruncated`, and `Marker` if more items follow.
    pub(crate) fn write_end(&self, xml: &mut Xml) {
        xml.element("IsTruncated", if self.more { "true" } else { "false" });
        if let (true, Some((key, _))) = (self.more, self.items.last()) {
            xml.element("Marker", STANDARD.encode(format!("{}\n{key}", self.action)));
        }
    }
}
