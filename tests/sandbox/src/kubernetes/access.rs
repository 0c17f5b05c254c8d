//! Authentication and authorization: bearer tokens and a small RBAC.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/rbac/>. An unknown token gets 401, a request that no grant
//! covers gets 403.

use crate::kubernetes::discovery::{CONFIGURATION, KEYS};
use crate::kubernetes::resource::Resource;
use crate::kubernetes::route::Request;
use crate::kubernetes::status::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Turns a non-static token into a user name. For EKS, it verifies a `k8s-aws-v1.` token and returns its principal.
pub type Authenticate = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// An authenticated user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user name, as 403 messages show it.
    pub name: String,
    /// The user's permissions.
    pub access: Access,
}

impl User {
    /// A cluster administrator.
    pub fn admin(name: &str) -> Self {
        Self { name: name.to_owned(), access: Access::All }
    }

    pub(crate) fn may(&self, verb: &str, resource: &str, namespace: &str) -> bool {
        (verb == "create" && BASIC.contains(&resource)) || self.access.may(verb, resource, namespace)
    }

    pub(crate) fn may_path(&self, verb: &str, path: &str) -> bool {
        self.access.may_path(verb, path)
    }

    /// A user with only these grants.
    pub fn limited(name: &str, grants: impl IntoIterator<Item = Grant>) -> Self {
        Self { name: name.to_owned(), access: Access::Only(grants.into_iter().collect()) }
    }
}

/// A user's permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    All,
    /// What the grants cover. An empty list allows only discovery.
    Only(Vec<Grant>),
}

/// A rule of a role, and the namespaces that it is bound in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// `get`, `list`, `create`, `update`, `patch`, `delete`, `deletecollection` or `*`.
    pub verbs: BTreeSet<String>,
    /// Plural names, or `*`.
    pub resources: BTreeSet<String>,
    /// The namespaces of the RoleBindings. None means a ClusterRoleBinding.
    pub namespaces: Option<BTreeSet<String>>,
    /// Paths that are not resources, for example `/.well-known/openid-configuration`.
    pub paths: BTreeSet<String>,
}

/// The paths, with all paths below them, that `system:discovery` and `system:public-info-viewer` open to every
/// authenticated user.
pub(crate) const OPEN: [&str; 7] = ["/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz"];

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl Grant {
    /// A grant in these namespaces, as by a RoleBinding in each.
    pub fn in_namespaces(namespaces: &[&str], resources: &[&str], verbs: &[&str]) -> Self {
        let namespaces = Some(set(namespaces));
        Self { verbs: set(verbs), resources: set(resources), namespaces, paths: BTreeSet::new() }
    }

    /// A grant in the whole cluster, as by a ClusterRoleBinding.
    pub fn everywhere(resources: &[&str], verbs: &[&str]) -> Self {
        Self { verbs: set(verbs), resources: set(resources), ..Self::default() }
    }

    /// Permission to read the issuer's documents, which Kubernetes by default gives only to ServiceAccounts.
    pub fn issuer_discovery() -> Self {
        Self {
            verbs: set(&["get"]),
            paths: [CONFIGURATION, KEYS].iter().flat_map(|path| [(*path).to_owned(), format!("{path}/")]).collect(),
            ..Self::default()
        }
    }

    fn covers(&self, verb: &str, resource: &str, namespace: &str) -> bool {
        let has = |words: &BTreeSet<String>, word: &str| words.contains("*") || words.contains(word);
        let here = self.namespaces.as_ref().is_none_or(|all| !namespace.is_empty() && all.contains(namespace));
        // `*/token` covers the `token` subresource of every resource.
        let part = resource.split_once('/').is_some_and(|(_, part)| self.resources.contains(&format!("*/{part}")));
        here && has(&self.verbs, verb) && (has(&self.resources, resource) || part)
    }
}

/// The users and permissions of a cluster.
#[derive(Clone)]
pub(crate) struct Directory {
    pub(crate) tokens: BTreeMap<String, User>,
    pub(crate) authenticate: Option<Authenticate>,
    pub(crate) access: BTreeMap<String, Access>,
    pub(crate) otherwise: Access,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("access", &self.access).finish_non_exhaustive()
    }
}

impl Directory {
    pub(crate) fn user(&self, token: &str) -> Option<User> {
        if let Some(user) = self.tokens.get(token) {
            return Some(user.clone());
        }
        let name = self.authenticate.as_ref()?(token)?;
        let access = self.access.get(&name).unwrap_or(&self.otherwise).clone();
        Some(User { name, access })
    }

    /// A ServiceAccount as a user. Without its own access entry it has only the default grant of all ServiceAccounts.
    pub(crate) fn service_account(&self, name: String) -> User {
        let usual = || Access::Only(vec![Grant::issuer_discovery()]);
        let access = self.access.get(&name).cloned().unwrap_or_else(usual);
        User { name, access }
    }
}

impl Access {
    fn may(&self, verb: &str, resource: &str, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(grants) => grants.iter().any(|grant| grant.covers(verb, resource, namespace)),
        }
    }

    fn may_path(&self, verb: &str, path: &str) -> bool {
        let under = |root: &str| path == root || path.starts_with(&format!("{root}/"));
        let discovery = verb == "get" && OPEN.iter().any(|root| under(root));
        discovery
            || match self {
                Self::All => true,
                Self::Only(grants) => {
                    grants.iter().any(|grant| grant.verbs.contains(verb) && grant.paths.contains(path))
                }
            }
    }
}

/// The API group of a resource or subresource.
pub(crate) fn group_of(resource: &str) -> &'static str {
    Resource::from_plural(resource.split('/').next().unwrap_or_default()).map_or("", Resource::group)
}

/// `system:basic-user`: every authenticated user may ask for their own identity and permissions.
pub(crate) const BASIC: [&str; 3] = ["selfsubjectaccessreviews", "selfsubjectreviews", "selfsubjectrulesreviews"];

/// Checks whether the user may use this verb on a resource or a subresource such as `serviceaccounts/token`.
pub(crate) fn check(user: &User, verb: &str, resource: &str, namespace: &str, name: &str) -> Result<(), Refusal> {
    if user.may(verb, resource, namespace) {
        return Ok(());
    }
    let scope = if namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {namespace:?}")
    };
    let group = group_of(resource);
    let why = format!("User {:?} cannot {verb} resource {resource:?} in API group {group:?} {scope}", user.name);
    let what = resource.split('/').next().unwrap_or_default();
    let what = if group.is_empty() { what.to_owned() } else { format!("{what}.{group}") };
    Err(Refusal::forbidden(&what, name, why))
}

pub(crate) fn authorize(user: &User, request: &Request) -> Result<(), Refusal> {
    if request.resource.is_some() {
        return check(user, request.verb, &request.full_resource(), &request.namespace, &request.name);
    }
    if user.may_path(request.verb, &request.path) {
        return Ok(());
    }
    Err(Refusal::forbidden_path(&user.name, request.verb, &request.path))
}
