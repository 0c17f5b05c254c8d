//! Maps an HTTP method and path to an EKS operation
//! (<https://docs.aws.amazon.com/eks/latest/APIReference/API_Operations.html>).

use bytes::Bytes;
use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// An operation and its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) action: &'static str,
    /// The cluster's name. For tag operations, the ARN.
    pub(crate) cluster: String,
    /// The id of an association, the name of an add-on or the ARN of a principal.
    pub(crate) item: String,
}

/// The parts of a cluster: path, and the create, list, describe, update and delete operation.
const PARTS: &[(&str, [&str; 5])] = &[
    (
        "pod-identity-associations",
        [
            "CreatePodIdentityAssociation",
            "ListPodIdentityAssociations",
            "DescribePodIdentityAssociation",
            "UpdatePodIdentityAssociation",
            "DeletePodIdentityAssociation",
        ],
    ),
    // UpdateAddon has a path of its own.
    ("addons", ["CreateAddon", "ListAddons", "DescribeAddon", "", "DeleteAddon"]),
    ("access-entries", ["CreateAccessEntry", "ListAccessEntries", "DescribeAccessEntry", "", "DeleteAccessEntry"]),
];

fn part(method: &Method, kind: &str, alone: bool) -> Option<&'static str> {
    let (_, [create, list, describe, update, delete]) = PARTS.iter().find(|(path, _)| *path == kind)?;
    let action = match (method.as_str(), alone) {
        ("POST", false) => create,
        ("GET", false) => list,
        ("GET", true) => describe,
        ("POST", true) => update,
        ("DELETE", true) => delete,
        _ => return None,
    };
    (!action.is_empty()).then_some(action)
}

impl Route {
    /// Parses a request. None if it is not a known operation. Names in the path are URL-encoded, including slashes.
    pub(crate) fn read(method: &Method, path: &str, body: &Bytes) -> Option<Self> {
        let decode = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
        let segments: Vec<String> = path.split('/').skip(1).map(decode).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let field = |name: &str| -> String {
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            body[name].as_str().unwrap_or_default().to_owned()
        };
        let (action, cluster, item) = match (method.as_str(), &segments[..]) {
            ("POST", ["clusters"]) => ("CreateCluster", field("name"), String::new()),
            ("GET", ["clusters"]) => ("ListClusters", String::new(), String::new()),
            ("GET", ["clusters", name]) => ("DescribeCluster", (*name).to_owned(), String::new()),
            ("DELETE", ["clusters", name]) => ("DeleteCluster", (*name).to_owned(), String::new()),
            ("POST", ["tags", arn]) => ("TagResource", (*arn).to_owned(), String::new()),
            ("GET", ["tags", arn]) => ("ListTagsForResource", (*arn).to_owned(), String::new()),
            ("DELETE", ["tags", arn]) => ("UntagResource", (*arn).to_owned(), String::new()),
            (_, ["clusters", name, kind]) => {
                let action = part(method, kind, false)?;
                let item = match action {
                    "CreateAddon" => field("addonName"),
                    "CreateAccessEntry" => field("principalArn"),
                    _ => String::new(),
                };
                (action, (*name).to_owned(), item)
            }
            ("POST", ["clusters", name, "addons", item, "update"]) => {
                ("UpdateAddon", (*name).to_owned(), (*item).to_owned())
            }
            (_, ["clusters", name, kind, item]) => (part(method, kind, true)?, (*name).to_owned(), (*item).to_owned()),
            _ => return None,
        };
        Some(Self { action, cluster, item })
    }

    /// Whether the operation is a write.
    pub(crate) fn changes(&self) -> bool {
        !["Get", "List", "Describe"].iter().any(|verb| self.action.starts_with(verb))
    }

    /// The object, as the log and the faults name it.
    pub(crate) fn object(&self) -> String {
        if self.item.is_empty() { self.cluster.clone() } else { format!("{}/{}", self.cluster, self.item) }
    }
}
