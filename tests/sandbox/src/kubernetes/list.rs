//! Lists: selectors, pages and continue tokens.
//!
//! All pages of a list show the objects as they were at its first page, until that version is compacted:
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks>.

use crate::kubernetes::resource::Resource;
use crate::kubernetes::selector::{Fields, Labels};
use crate::kubernetes::status::Refusal;
use crate::kubernetes::store::{Store, Table};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::ops::Bound;

/// The query parameters of a list.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Restricts the list to this namespace.
    pub namespace: Option<String>,
    /// `labelSelector`
    pub labels: String,
    /// `fieldSelector`
    pub fields: String,
    /// `limit`; 0 means no limit.
    pub limit: usize,
    /// `continue`
    pub continue_token: String,
    /// `resourceVersion`
    pub resource_version: String,
}

fn encode(version: i128, start: &str) -> String {
    URL_SAFE_NO_PAD.encode(json!({"v": "meta.k8s.io/v1", "rv": version, "start": format!("{start}\0")}).to_string())
}

fn decode(token: &str) -> Result<(i64, String), Refusal> {
    let wrong = || Refusal::bad_request("continue key is not valid");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
    if value.get("v").and_then(Value::as_str) != Some("meta.k8s.io/v1") {
        let text = "continue key is not valid: server does not recognize this encoded version";
        return Err(Refusal::bad_request(text));
    }
    let version = value.get("rv").and_then(Value::as_i64).filter(|version| *version != 0).ok_or_else(wrong)?;
    let start = value.get("start").and_then(Value::as_str).filter(|start| !start.is_empty()).ok_or_else(wrong)?;
    Ok((version, start.to_owned()))
}

fn expired(start: &str) -> Refusal {
    let text = "The provided continue parameter is too old to display a consistent list result. You can start a new \
                list without the continue parameter, or use the continue token in this response to retrieve the \
                remainder of the results. Continuing with the provided token results in an inconsistent list - \
                objects that were created, modified, or deleted between the time the first chunk was returned and now \
                may show up in the list.";
    let mut refusal = Refusal::new(410, "Expired", text);
    refusal.continue_token = Some(encode(-1, start.trim_end_matches('\0')));
    refusal
}

struct Page {
    items: Vec<Value>,
    last: Option<String>,
    left: usize,
}

fn page(table: &Table, prefix: &str, start: &str, limit: usize, keep: impl Fn(&Value) -> bool) -> Page {
    let from = format!("{prefix}{start}");
    let mut all = table
        .range::<String, _>((Bound::Included(&from), Bound::Unbounded))
        .take_while(|(key, _)| key.starts_with(prefix))
        .filter(|(_, object)| keep(object));
    let mut items = Vec::new();
    let mut last = None;
    for (key, object) in all.by_ref() {
        let mut item = (**object).clone();
        if let Some(map) = item.as_object_mut() {
            // Items of a typed list have no apiVersion and no kind.
            map.remove("apiVersion");
            map.remove("kind");
        }
        items.push(item);
        if limit > 0 && items.len() == limit {
            last = key.strip_prefix(prefix).map(str::to_owned);
            break;
        }
    }
    Page { items, last, left: all.count() }
}

impl Store {
    /// GET of a collection.
    pub fn list(&mut self, resource: Resource, options: &ListOptions) -> Result<Value, Refusal> {
        let labels = Labels::parse(&options.labels)?;
        let fields = Fields::parse(resource, &options.fields)?;
        let keep = |object: &Value| labels.matches(object) && fields.matches(object);
        let prefix = options.namespace.as_ref().map_or(String::new(), |namespace| format!("{namespace}/"));
        let empty = Table::new();
        let (table, version, start) = if options.continue_token.is_empty() {
            (self.table(resource), self.version(), String::new())
        } else {
            if !options.resource_version.is_empty() && options.resource_version != "0" {
                let text = "specifying resource version is not allowed when using continue";
                return Err(Refusal::bad_request(text));
            }
            let (version, start) = decode(&options.continue_token)?;
            match u64::try_from(version) {
                Err(_) => (self.table(resource), self.version(), start),
                Ok(version) => match self.snapshot_at(resource, version) {
                    Some(table) => (Some(table), version, start),
                    None if version == self.version() => (self.table(resource), version, start),
                    None => return Err(expired(&start)),
                },
            }
        };
        let page = page(table.unwrap_or(&empty), &prefix, &start, options.limit, keep);
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if let Some(last) = page.last.filter(|_| page.left > 0) {
            metadata["continue"] = json!(encode(i128::from(version), &last));
            // kube-apiserver does not know the remaining count if the list has a selector.
            if options.labels.is_empty() && options.fields.is_empty() {
                metadata["remainingItemCount"] = json!(page.left);
            }
            if version == self.version() {
                self.snapshot(resource);
            }
        }
        Ok(json!({
            "kind": format!("{}List", resource.kind()), "apiVersion": resource.api_version(), "metadata": metadata,
            "items": page.items,
        }))
    }
}
