//! Parses an IAM item from the JSON of the admin API.

use super::fields::{AdminError, Fields, list};
use crate::aws::Item;

/// The fields that identify an item.
pub(super) const FIELDS: &[&str] = &["role", "policy", "provider", "part", "inline", "attached", "tag", "audience"];

/// For each kind of object, the fields that may select one part of it.
const KINDS: [(&str, &[&str]); 3] = [
    ("role", &["part", "inline", "attached", "tag"]),
    ("policy", &["part", "tag"]),
    ("provider", &["audience", "tag"]),
];

/// Reads the item of a request. None if the request has none.
pub(super) fn read(fields: &Fields<'_>) -> Result<Option<Item>, AdminError> {
    let mut named = Vec::new();
    for name in FIELDS {
        if let Some(text) = fields.owned(name)? {
            named.push((*name, text));
        }
    }
    let mut named = named.into_iter();
    let Some((kind, whole)) = named.next() else { return Ok(None) };
    let Some((_, parts)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        let kinds = KINDS.map(|(name, _)| name);
        return Err(AdminError::bad(&format!("`{kind}` needs one of {}", list(&kinds))));
    };
    let (part, rest) = (named.next(), named.next());
    if rest.is_some() || part.as_ref().is_some_and(|(name, _)| !parts.contains(name)) {
        return Err(AdminError::bad(&format!("beside `{kind}` there may be one of {}", list(parts))));
    }
    item(kind, whole, part, fields).map(Some)
}

fn item(kind: &str, whole: String, part: Option<(&str, String)>, fields: &Fields<'_>) -> Result<Item, AdminError> {
    let known: &[&str] = if kind == "role" { &["trust", "boundary", "details"] } else { &["document"] };
    let Some((name, part)) = part else {
        return Ok(match kind {
            "role" => Item::Role(whole),
            "policy" => Item::Policy(whole),
            _ => Item::Provider(whole),
        });
    };
    Ok(match (kind, name) {
        ("role", "inline") => Item::Inline(whole, part),
        ("role", "attached") => Item::Attached(whole, part),
        ("role", "tag") => Item::RoleTag(whole, part),
        ("policy", "tag") => Item::PolicyTag(whole, part),
        (_, "tag") => Item::ProviderTag(whole, part),
        (_, "audience") => Item::Audience(whole, part),
        _ => match fields.word("part", known)? {
            Some("trust") => Item::Trust(whole),
            Some("boundary") => Item::Boundary(whole),
            Some("details") => Item::Details(whole),
            _ => Item::Document(whole),
        },
    })
}
