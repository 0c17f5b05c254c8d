//! The links in the JSON of `irsa verify`.

use serde_json::Value;

/// The links of the first ServiceAccount.
#[track_caller]
pub(crate) fn links(document: &Value) -> &[Value] {
    document["service-accounts"][0]["links"].as_array().expect("links")
}

/// One link of the first ServiceAccount.
#[track_caller]
pub(crate) fn link<'v>(document: &'v Value, name: &str) -> &'v Value {
    links(document).iter().find(|link| link["link"] == name).expect("the link")
}

/// A text of a link; empty if it has none.
pub(crate) fn text(link: &Value, field: &str) -> String {
    link[field].as_str().unwrap_or_default().to_owned()
}
