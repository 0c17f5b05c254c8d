//! The kinds that are served, and the shape of their fields as server-side apply sees it.
//!
//! Which maps and lists are merged key by key is said in the API's OpenAPI document (`x-kubernetes-list-type`,
//! `x-kubernetes-map-type`): <https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy>.

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
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Namespaces, Self::Pods, Self::ServiceAccounts, Self::Leases];

    /// The name in a path.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::ServiceAccounts => "serviceaccounts",
            Self::Pods => "pods",
            Self::Leases => "leases",
        }
    }

    /// The API group; empty for the core one.
    pub fn group(self) -> &'static str {
        match self {
            Self::Namespaces | Self::ServiceAccounts | Self::Pods => "",
            Self::Leases => "coordination.k8s.io",
        }
    }

    /// The `apiVersion` of its objects.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Namespaces | Self::ServiceAccounts | Self::Pods => "v1",
            Self::Leases => "coordination.k8s.io/v1",
        }
    }

    /// As errors name the resource: with its group, if it has one.
    pub(crate) fn qualified(self) -> String {
        qualify(self.plural(), self.group())
    }

    /// As errors name the kind.
    pub(crate) fn qualified_kind(self) -> String {
        qualify(self.kind(), self.group())
    }

    /// The kind of one object.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Namespaces => "Namespace",
            Self::ServiceAccounts => "ServiceAccount",
            Self::Pods => "Pod",
            Self::Leases => "Lease",
        }
    }

    /// What kubectl also takes.
    pub(crate) fn short(self) -> &'static [&'static str] {
        match self {
            Self::Namespaces => &["ns"],
            Self::ServiceAccounts => &["sa"],
            Self::Pods => &["po"],
            Self::Leases => &[],
        }
    }

    /// Whether objects live in namespaces.
    pub fn namespaced(self) -> bool {
        self != Self::Namespaces
    }

    /// From the name in a path; no name is served by two groups.
    pub fn from_plural(plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.plural() == plural)
    }

    /// Those that live in namespaces, in the order in which a deleted namespace loses them.
    pub(crate) fn in_namespaces() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|resource| resource.namespaced())
    }

    /// Whether a PUT may leave out the version that it replaces (`AllowUnconditionalUpdate`); where it may not, a PUT of
    /// a name that is not there creates (`AllowCreateOnUpdate`).
    pub(crate) fn unconditional(self) -> bool {
        self != Self::Leases
    }

    pub(crate) fn schema(self) -> &'static Schema {
        match self {
            Self::Namespaces => &NAMESPACE,
            Self::ServiceAccounts => &SERVICE_ACCOUNT,
            Self::Pods => &POD,
            Self::Leases => &LEASE,
        }
    }

    /// Fields that an apply or update of the object itself may not own, because a subresource has them.
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
    /// One value.
    Scalar,
    /// A map or list that is owned as a whole.
    Atomic,
    /// Named fields; with `open`, others too.
    Struct { fields: &'static [(&'static str, Schema)], open: bool },
    /// A map of strings, owned key by key.
    Map,
    /// A list of objects, owned by key.
    Keyed(&'static [&'static str], &'static Schema),
    /// A list of strings, owned one by one.
    Set,
    /// Nothing known: maps are owned key by key, lists as a whole.
    Open,
}

/// How one value under a schema is walked.
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

    /// The schema of list items.
    pub(crate) fn item(&self) -> &Schema {
        match self {
            Self::Keyed(_, item) => item,
            _ => &Self::Scalar,
        }
    }

    /// Whether the name is a field of the struct, as opposed to a key of a map.
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

    /// The paths of fields that the schema does not have.
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
