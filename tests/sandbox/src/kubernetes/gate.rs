//! How the gate sees Kubernetes requests: by verb, object and user.

use crate::gate;
use crate::kubernetes::status::Refusal;

/// The request log and the faults of a cluster.
pub type Gate = gate::Gate<Call>;

/// A logged request and its result.
pub type Record = gate::Record<Call>;

/// What goes wrong with a request.
pub type Fault = gate::Fault<Refusal>;

/// The boxed future that an admission hook returns.
pub type Decision<'a> = gate::Decision<'a, Call>;

/// One Kubernetes request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// The request's number: 1 for the first to arrive.
    pub number: u64,
    /// `get`, `list`, `create`, `update`, `patch`, `delete`, …
    pub verb: String,
    /// `serviceaccounts`, `serviceaccounts/token`, … Empty for paths that are not resources.
    pub resource: String,
    /// The namespace. For a Namespace object, its own name.
    pub namespace: String,
    /// The object's name. Empty for collections.
    pub name: String,
    /// The user name. Empty if the user is not known.
    pub user: String,
    /// The URL path.
    pub path: String,
    /// The query string.
    pub query: String,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// The `Content-Type` header, which distinguishes an apply from other patches.
    pub content_type: String,
    /// The body.
    pub body: String,
}

impl Call {
    /// Whether this is a server-side apply.
    pub fn is_apply(&self) -> bool {
        self.content_type.starts_with("application/apply-patch")
    }

    /// Whether the request is a write.
    pub fn is_write(&self) -> bool {
        ["create", "update", "patch", "delete", "deletecollection"].contains(&self.verb.as_str())
            && !self.resource.starts_with("selfsubject")
            && self.resource != "serviceaccounts/token"
    }
}

/// Selects the requests that a fault applies to. A field that is None matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Match {
    /// The verb.
    pub verb: Option<String>,
    /// The plural name of the resource.
    pub resource: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: Option<String>,
    /// The user name.
    pub user: Option<String>,
}

impl Match {
    /// Matches every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Matches one verb on one resource.
    pub fn on(verb: &str, resource: &str) -> Self {
        Self { verb: Some(verb.to_owned()), resource: Some(resource.to_owned()), ..Self::default() }
    }

    /// Restricts the match to this namespace.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Restricts the match to this object name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Restricts the match to this user.
    #[must_use]
    pub fn by(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }
}

impl gate::GatedRequest for Call {
    type Match = Match;
    type Refusal = Refusal;

    fn number(&self) -> u64 {
        self.number
    }

    fn set_number(&mut self, number: u64) {
        self.number = number;
    }

    fn fits(&self, what: &Match) -> bool {
        let fits = |asked: &Option<String>, has: &str| asked.as_deref().is_none_or(|asked| asked == has);
        fits(&what.verb, &self.verb)
            && fits(&what.resource, &self.resource)
            && fits(&what.namespace, &self.namespace)
            && fits(&what.name, &self.name)
            && fits(&what.user, &self.user)
    }

    fn changes(&self) -> bool {
        self.is_write() && !self.query.contains("dryRun=All")
    }

    fn denied(&self) -> Refusal {
        denied(self)
    }

    fn bucket_key(&self) -> String {
        self.user.clone()
    }

    fn throttled(&self) -> Refusal {
        Refusal::too_many_requests(1)
    }
}

fn denied(call: &Call) -> Refusal {
    if call.resource.is_empty() {
        return Refusal::forbidden_path(&call.user, &call.verb, &call.path);
    }
    let nobody = crate::kubernetes::access::User::limited(&call.user, []);
    crate::kubernetes::access::check(&nobody, &call.verb, &call.resource, &call.namespace, &call.name)
        .err()
        .unwrap_or_else(|| Refusal::forbidden(&call.resource, &call.name, "denied"))
}
