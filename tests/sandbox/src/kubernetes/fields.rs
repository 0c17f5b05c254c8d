//! Sets of field paths, and their `fieldsV1` encoding in managedFields.
//!
//! A set is a tree. Each node is either a member or only an ancestor of members. Path elements are written `f:name`,
//! `k:{"name":"x"}`, `v:"x"` and `i:0`. A member that has members below it contains `.`:
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/#System>.

use crate::kubernetes::resource::Schema;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One element of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Element {
    /// A field of a struct or a key of a map.
    Field(String),
    /// An item of a list of objects, by its keys as JSON.
    Key(String),
    /// An item of a list of scalar values, as JSON.
    Value(String),
    /// An item of a list, by its index.
    Index(u64),
}

impl Element {
    fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => format!("k:{keys}"),
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    fn decode(text: &str) -> Option<Self> {
        let (sort, rest) = text.split_once(':')?;
        match sort {
            "f" => Some(Self::Field(rest.to_owned())),
            "k" => {
                let keys: BTreeMap<String, Value> = serde_json::from_str(rest).ok()?;
                serde_json::to_string(&keys).ok().map(Self::Key)
            }
            "v" => serde_json::from_str::<Value>(rest).ok().map(|value| Self::Value(value.to_string())),
            "i" => rest.parse().ok().map(Self::Index),
            _ => None,
        }
    }

    /// The element as conflict messages print it.
    fn print(&self) -> String {
        match self {
            Self::Field(name) => format!(".{name}"),
            Self::Key(keys) => {
                let keys: BTreeMap<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let parts: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("[{}]", parts.join(","))
            }
            Self::Value(value) => format!("[={value}]"),
            Self::Index(index) => format!("[{index}]"),
        }
    }
}

/// A path as conflict messages print it.
pub(crate) fn print_path(path: &[Element]) -> String {
    path.iter().map(Element::print).collect()
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node {
    member: bool,
    below: FieldSet,
}

/// A set of field paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    nodes: BTreeMap<Element, Node>,
}

impl FieldSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(crate) fn insert(&mut self, path: &[Element]) {
        if let Some((first, rest)) = path.split_first() {
            let node = self.nodes.entry(first.clone()).or_default();
            if rest.is_empty() {
                node.member = true;
            } else {
                node.below.insert(rest);
            }
        }
    }

    /// Whether the element itself is a member.
    pub(crate) fn has(&self, element: &Element) -> bool {
        self.nodes.get(element).is_some_and(|node| node.member)
    }

    /// The members below an element.
    pub(crate) fn below(&self, element: &Element) -> Option<&FieldSet> {
        self.nodes.get(element).map(|node| &node.below).filter(|below| !below.is_empty())
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for (element, theirs) in &other.nodes {
            let node = all.nodes.entry(element.clone()).or_default();
            node.member |= theirs.member;
            node.below = node.below.union(&theirs.below);
        }
        all
    }

    pub(crate) fn difference(&self, other: &Self) -> Self {
        self.combine(other, |ours, theirs| ours && !theirs)
    }

    pub(crate) fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |ours, theirs| ours && theirs)
    }

    fn combine(&self, other: &Self, keep: fn(bool, bool) -> bool) -> Self {
        let nothing = Node::default();
        let nodes = self.nodes.iter().filter_map(|(element, ours)| {
            let theirs = other.nodes.get(element).unwrap_or(&nothing);
            let node =
                Node { member: keep(ours.member, theirs.member), below: ours.below.combine(&theirs.below, keep) };
            (node.member || !node.below.is_empty()).then(|| (element.clone(), node))
        });
        Self { nodes: nodes.collect() }
    }

    /// Removes a top-level field and everything below it.
    pub(crate) fn without_field(mut self, name: &str) -> Self {
        self.nodes.remove(&Element::Field(name.to_owned()));
        self
    }

    /// Adds every struct field that is an ancestor of a member, so that a struct that becomes empty can be removed too.
    pub(crate) fn with_named(&self, schema: &Schema) -> Self {
        let nodes = self.nodes.iter().map(|(element, node)| {
            let (named, below_schema) = match element {
                Element::Field(name) => (schema.names(name), schema.child(name).unwrap_or(&Schema::Open)),
                _ => (false, schema.item()),
            };
            let member = node.member || (named && !node.below.is_empty());
            (element.clone(), Node { member, below: node.below.with_named(below_schema) })
        });
        Self { nodes: nodes.collect() }
    }

    /// The paths of all members, in order.
    pub(crate) fn paths(&self) -> Vec<Vec<Element>> {
        let mut all = Vec::new();
        self.gather(&mut Vec::new(), &mut all);
        all
    }

    fn gather(&self, path: &mut Vec<Element>, all: &mut Vec<Vec<Element>>) {
        for (element, node) in &self.nodes {
            path.push(element.clone());
            if node.member {
                all.push(path.clone());
            }
            node.below.gather(path, all);
            path.pop();
        }
    }

    /// Encodes the set as `fieldsV1`.
    pub(crate) fn to_json(&self) -> Value {
        let mut map = Map::new();
        for (element, node) in &self.nodes {
            let mut below = node.below.to_json();
            if node.member && !node.below.is_empty() {
                below["."] = json!({});
            }
            map.insert(element.encode(), below);
        }
        Value::Object(map)
    }

    /// Decodes `fieldsV1`.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let mut set = Self::default();
        for (text, below) in value.as_object()? {
            if text == "." {
                continue;
            }
            let children = Self::from_json(below)?;
            let member = children.is_empty() || below.get(".").is_some();
            set.nodes.insert(Element::decode(text)?, Node { member, below: children });
        }
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_and_decoding_gives_the_same_set() {
        let written = json!({
            "f:metadata": {
                "f:annotations": {".": {}, "f:a/b": {}},
                "f:finalizers": {"v:\"x\"": {}},
                "f:ownerReferences": {"k:{\"uid\":\"1\"}": {}},
            },
            "f:automountServiceAccountToken": {},
        });
        let set = FieldSet::from_json(&written).unwrap();
        assert_eq!(set.to_json(), written);
        let printed: Vec<String> = set.paths().iter().map(|path| print_path(path)).collect();
        assert_eq!(
            printed,
            [
                ".automountServiceAccountToken",
                ".metadata.annotations",
                ".metadata.annotations.a/b",
                ".metadata.finalizers[=\"x\"]",
                ".metadata.ownerReferences[uid=\"1\"]",
            ]
        );
    }

    #[test]
    fn differences_leave_no_empty_branches() {
        let all = FieldSet::from_json(&json!({"f:a": {"f:b": {}, "f:c": {}}})).unwrap();
        let part = FieldSet::from_json(&json!({"f:a": {"f:b": {}}})).unwrap();
        assert_eq!(all.difference(&part).to_json(), json!({"f:a": {"f:c": {}}}));
        assert!(all.difference(&all).is_empty());
        assert_eq!(all.intersection(&part), part);
        assert_eq!(all.difference(&part).union(&part), all);
    }
}
