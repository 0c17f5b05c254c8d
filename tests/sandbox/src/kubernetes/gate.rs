//! What the gate of a cluster sees: requests by verb and object.

use crate::gate;
use crate::kubernetes::status::Refusal;

/// Where requests are logged and faults are set.
pub type Gate = gate::Gate<Call>;

/// A request and what came of it.
pub type Record = gate::Record<Call>;

/// What goes wrong.
pub type Fault = gate::Fault<Refusal>;

/// What an admission comes to.
pub type Decision<'a> = gate::Decision<'a, Call>;

/// One request, as it is known once the caller is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// Counts from 1 in the order of arrival.
    pub number: u64,
    /// `get`, `list`, `create`, `update`, `patch`, `delete`, …
    pub verb: String,
    /// `serviceaccounts`, `serviceaccounts/token`, …; empty for paths that are no resources.
    pub resource: String,
    /// The namespace; of a namespace, its own name.
    pub namespace: String,
    /// The object's name; empty for collections.
    pub name: String,
    /// The user; empty when not known.
    pub user: String,
    /// The path.
    pub path: String,
    /// The query.
    pub query: String,
    /// Who the client says that it is.
    pub user_agent: String,
    /// The body's type: tells an apply from other patches.
    pub content_type: String,
    /// The body.
    pub body: String,
}

impl Call {
    /// Whether this is a server-side apply.
    pub fn is_apply(&self) -> bool {
        self.content_type.starts_with("application/apply-patch")
    }

    /// Whether this would change something.
    pub fn is_write(&self) -> bool {
        ["create", "update", "patch", "delete", "deletecollection"].contains(&self.verb.as_str())
            && !self.resource.starts_with("selfsubject")
            && self.resource != "serviceaccounts/token"
    }
}

/// Which requests a fault is for; what is None matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Match {
    /// The verb.
    pub verb: Option<String>,
    /// The plural name.
    pub resource: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
    /// The object.
    pub name: Option<String>,
    /// The user.
    pub user: Option<String>,
}

impl Match {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// This verb on this resource.
    pub fn on(verb: &str, resource: &str) -> Self {
        Self { verb: Some(verb.to_owned()), resource: Some(resource.to_owned()), ..Self::default() }
    }

    /// In this namespace only.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// For this name only.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// For this user only.
    #[must_use]
    pub fn by(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }
}

impl gate::Asked for Call {
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

    fn lane(&self) -> String {
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
