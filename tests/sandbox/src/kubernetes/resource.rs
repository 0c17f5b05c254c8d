//! The kinds that the API serves, and the merge structure of their fields for server-side apply.
//!
//! The API's OpenAPI document (`x-kubernetes-list-type`, `x-kubernetes-map-type`) defines which maps and lists are
//! merged key by key: <https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy>.

use serde_json::Value;

/// A kind that the API serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// `namespaces`
    Namespaces,
    /// `serviceaccounts`
    ServiceAccounts,
    /// `pods`
    Pods,
    /// `leases` of `coordination.k8s.io`
    Leases,
    /// `replicasets` of `apps`: no controller acts on them.
    ReplicaSets,
    /// `mutatingwebhookconfigurations` of `admissionregistration.k8s.io`: stored, never called.
    MutatingWebhooks,
}

impl Resource {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Namespaces, Self::Pods, Self::ServiceAccounts, Self::Leases, Self::ReplicaSets, Self::MutatingWebhooks];

    /// The plural name, as in a URL path.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::ServiceAccounts => "serviceaccounts",
            Self::Pods => "pods",
            Self::Leases => "leases",
            Self::ReplicaSets => "replicasets",
            Self::MutatingWebhooks => "mutatingwebhookconfigurations",
        }
    }

    /// The API group. Empty for the core group.
    pub fn group(self) -> &'static str {
        match self {
            Self::Namespaces | Self::ServiceAccounts | Self::Pods => "",
            Self::Leases => "coordination.k8s.io",
            Self::ReplicaSets => "apps",
            Self::MutatingWebhooks => "admissionregistration.k8s.io",
        }
    }

    /// The `apiVersion` of its objects.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Namespaces | Self::ServiceAccounts | Self::Pods => "v1",
            Self::Leases => "coordination.k8s.io/v1",
            Self::ReplicaSets => "apps/v1",
            Self::MutatingWebhooks => "admissionregistration.k8s.io/v1",
        }
    }

    /// The plural name with the API group, as error messages show it.
    pub(crate) fn qualified(self) -> String {
        qualify(self.plural(), self.group())
    }

    /// The kind with the API group, as error messages show it.
    pub(crate) fn qualified_kind(self) -> String {
        qualify(self.kind(), self.group())
    }

    /// The `kind` of its objects.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Namespaces => "Namespace",
            Self::ServiceAccounts => "ServiceAccount",
            Self::Pods => "Pod",
            Self::Leases => "Lease",
            Self::ReplicaSets => "ReplicaSet",
            Self::MutatingWebhooks => "MutatingWebhookConfiguration",
        }
    }

    /// The short names that kubectl accepts.
    pub(crate) fn short(self) -> &'static [&'static str] {
        match self {
            Self::Namespaces => &["ns"],
            Self::ServiceAccounts => &["sa"],
            Self::Pods => &["po"],
            Self::ReplicaSets => &["rs"],
            Self::Leases | Self::MutatingWebhooks => &[],
        }
    }

    /// Whether the kind is namespaced.
    pub fn namespaced(self) -> bool {
        !matches!(self, Self::Namespaces | Self::MutatingWebhooks)
    }

    /// Finds a kind by its plural name. No plural name occurs in two groups.
    pub fn from_plural(plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.plural() == plural)
    }

    /// The namespaced kinds, in the order in which a terminating namespace deletes their objects.
    pub(crate) fn in_namespaces() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|resource| resource.namespaced())
    }

    /// Whether a PUT may omit the resourceVersion that it replaces (`AllowUnconditionalUpdate`). If it may not, a PUT
    /// of a name that does not exist creates the object (`AllowCreateOnUpdate`).
    pub(crate) fn unconditional(self) -> bool {
        self != Self::Leases
    }

    pub(crate) fn schema(self) -> &'static Schema {
        match self {
            Self::Namespaces => &NAMESPACE,
            Self::ServiceAccounts => &SERVICE_ACCOUNT,
            Self::Pods => &POD,
            Self::Leases => &LEASE,
            Self::ReplicaSets => &REPLICA_SET,
            Self::MutatingWebhooks => &MUTATING_WEBHOOK,
        }
    }

    /// The field that a write of the main resource may not own, because a subresource owns it (reset fields).
    pub(crate) fn reset(self) -> Option<&'static str> {
        matches!(self, Self::Namespaces | Self::Pods).then_some("status")
    }
}

fn qualify(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

/// The structure of a value.
#[derive(Debug)]
pub(crate) enum Schema {
    /// A scalar value.
    Scalar,
    /// A map or list that one manager owns as a whole.
    Atomic,
    /// A struct with named fields. `open` also allows other fields.
    Struct { fields: &'static [(&'static str, Schema)], open: bool },
    /// A map of strings. Each key has its own owners.
    Map,
    /// A list of objects, identified by these key fields. Each item has its own owners.
    Keyed(&'static [&'static str], &'static Schema),
    /// A list of strings. Each string has its own owners.
    Set,
    /// An unknown structure. Each map key has its own owners; a list is owned as a whole.
    Open,
}

/// How code that walks fields treats a value of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Leaf,
    Map,
    List,
}

impl Schema {
    /// The schema of a field or map key.
    pub(crate) fn child(&self, name: &str) -> Option<&Schema> {
        match self {
            Self::Struct { fields, open } => fields
                .iter()
                .find(|(field, _)| *field == name)
                .map(|(_, schema)| schema)
                .or_else(|| open.then_some(&Self::Open)),
            Self::Map => Some(&Self::Scalar),
            Self::Open => Some(&Self::Open),
            Self::Scalar | Self::Atomic | Self::Keyed(..) | Self::Set => None,
        }
    }

    /// The schema of the list's items.
    pub(crate) fn item(&self) -> &Schema {
        match self {
            Self::Keyed(_, item) => item,
            _ => &Self::Scalar,
        }
    }

    /// Whether `name` is a field of the struct, as opposed to a key of a map.
    pub(crate) fn names(&self, name: &str) -> bool {
        matches!(self, Self::Struct { fields, .. } if fields.iter().any(|(field, _)| *field == name))
    }

    pub(crate) fn shape(&self, value: &Value) -> Shape {
        match self {
            Self::Scalar | Self::Atomic => Shape::Leaf,
            Self::Struct { .. } | Self::Map => Shape::Map,
            Self::Keyed(..) | Self::Set => Shape::List,
            Self::Open => {
                if value.is_object() {
                    Shape::Map
                } else {
                    Shape::Leaf
                }
            }
        }
    }

    /// Collects the paths of fields that the schema does not define.
    pub(crate) fn unknown(&self, value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (name, below) in map {
                    let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                    match (self, self.child(name)) {
                        (_, Some(schema)) => schema.unknown(below, &path, found),
                        (Self::Struct { .. }, None) => found.push(path),
                        _ => {}
                    }
                }
            }
            Value::Array(items) => {
                if let Self::Keyed(_, item) = self {
                    for (index, below) in items.iter().enumerate() {
                        item.unknown(below, &format!("{at}[{index}]"), found);
                    }
                }
            }
            _ => {}
        }
    }
}

const METADATA: Schema = Schema::Struct {
    open: false,
    fields: &[
        ("name", Schema::Scalar),
        ("generateName", Schema::Scalar),
        ("namespace", Schema::Scalar),
        ("selfLink", Schema::Scalar),
        ("uid", Schema::Scalar),
        ("resourceVersion", Schema::Scalar),
        ("generation", Schema::Scalar),
        ("creationTimestamp", Schema::Scalar),
        ("deletionTimestamp", Schema::Scalar),
        ("deletionGracePeriodSeconds", Schema::Scalar),
        ("labels", Schema::Map),
        ("annotations", Schema::Map),
        ("ownerReferences", Schema::Keyed(&["uid"], &Schema::Atomic)),
        ("finalizers", Schema::Set),
        ("managedFields", Schema::Atomic),
    ],
};

static SERVICE_ACCOUNT: Schema = Schema::Struct {
    open: false,
    fields: &[
        ("apiVersion", Schema::Scalar),
        ("kind", Schema::Scalar),
        ("metadata", METADATA),
        ("secrets", Schema::Keyed(&["name"], &Schema::Atomic)),
        ("imagePullSecrets", Schema::Atomic),
        ("automountServiceAccountToken", Schema::Scalar),
    ],
};

static NAMESPACE: Schema = Schema::Struct {
    open: false,
    fields: &[
        ("apiVersion", Schema::Scalar),
        ("kind", Schema::Scalar),
        ("metadata", METADATA),
        ("spec", Schema::Struct { open: false, fields: &[("finalizers", Schema::Atomic)] }),
        (
            "status",
            Schema::Struct {
                open: false,
                fields: &[("phase", Schema::Scalar), ("conditions", Schema::Keyed(&["type"], &Schema::Open))],
            },
        ),
    ],
};

static CONTAINER: Schema = Schema::Struct {
    open: true,
    fields: &[
        ("env", Schema::Keyed(&["name"], &Schema::Open)),
        ("ports", Schema::Keyed(&["containerPort", "protocol"], &Schema::Open)),
        ("volumeMounts", Schema::Keyed(&["mountPath"], &Schema::Open)),
    ],
};

static POD: Schema = Schema::Struct {
    open: false,
    fields: &[
        ("apiVersion", Schema::Scalar),
        ("kind", Schema::Scalar),
        ("metadata", METADATA),
        (
            "spec",
            Schema::Struct {
                open: true,
                fields: &[
                    ("containers", Schema::Keyed(&["name"], &CONTAINER)),
                    ("initContainers", Schema::Keyed(&["name"], &CONTAINER)),
                    ("volumes", Schema::Keyed(&["name"], &Schema::Open)),
                    ("nodeSelector", Schema::Atomic),
                ],
            },
        ),
        ("status", Schema::Open),
    ],
};

static LEASE: Schema = Schema::Struct {
    open: false,
    fields: &[
        ("apiVersion", Schema::Scalar),
        ("kind", Schema::Scalar),
        ("metadata", METADATA),
        (
            "spec",
            Schema::Struct {
                open: false,
                fields: &[
                    ("holderIdentity", Schema::Scalar),
                    ("leaseDurationSeconds", Schema::Scalar),
                    ("acquireTime", Schema::Scalar),
                    ("renewTime", Schema::Scalar),
                    ("leaseTransitions", Schema::Scalar),
                    ("strategy", Schema::Scalar),
                    ("preferredHolder", Schema::Scalar),
                ],
            },
        ),
    ],
};

static REPLICA_SET: Schema = Schema::Struct {
    open: false,
    fields: &[
        ("apiVersion", Schema::Scalar),
        ("kind", Schema::Scalar),
        ("metadata", METADATA),
        ("spec", Schema::Open),
        ("status", Schema::Open),
    ],
};

static MUTATING_WEBHOOK: Schema = Schema::Struct {
    open: false,
    fields: &[
        ("apiVersion", Schema::Scalar),
        ("kind", Schema::Scalar),
        ("metadata", METADATA),
        ("webhooks", Schema::Keyed(&["name"], &Schema::Open)),
    ],
};
