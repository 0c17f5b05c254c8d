//! How the gate sees AWS requests: by account, region, service, action and object.

use crate::aws::query::AwsError;
use crate::gate;
use std::collections::BTreeMap;

/// The request log and the faults of the AWS endpoint.
pub type Gate = gate::Gate<Call>;

/// A logged request and its result.
pub type Record = gate::Record<Call>;

/// What goes wrong with a request.
pub type Fault = gate::Fault<Refusal>;

/// The boxed future that an admission hook returns.
pub type Decision<'a> = gate::Decision<'a, Call>;

/// One AWS request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// The request's number: 1 for the first to arrive.
    pub number: u64,
    /// The caller's account ID. Empty if the caller is not known.
    pub account: String,
    /// The region that the request is signed for.
    pub region: String,
    /// `iam`, `sts` or `eks`.
    pub service: String,
    /// For example `GetRole`.
    pub action: String,
    /// The object of the request: a name, an ARN, `cluster` or `cluster/part`. Empty for lists and similar calls.
    pub object: String,
    /// The caller's ARN. Empty if the caller is not known.
    pub caller: String,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// The form or JSON body. For a GET, the query string.
    pub body: String,
}

impl Call {
    /// The form or query fields.
    pub fn params(&self) -> BTreeMap<String, String> {
        form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    /// Whether the action changes IAM or EKS.
    pub fn is_write(&self) -> bool {
        let reads = ["Get", "List", "Describe"];
        self.service != "sts" && !reads.iter().any(|verb| self.action.starts_with(verb))
    }

    fn resource(&self) -> String {
        let Self { account, region, action, object, .. } = self;
        if object.starts_with("arn:") {
            return object.clone();
        }
        if self.service == "eks" {
            let cluster = object.split('/').next().unwrap_or_default();
            return format!(
                "arn:aws:eks:{region}:{account}:cluster/{}",
                if cluster.is_empty() { "*" } else { cluster }
            );
        }
        if let Some(issuer) = object.strip_prefix("https://") {
            return format!("arn:aws:iam::{account}:oidc-provider/{issuer}");
        }
        let kind = ["InstanceProfile", "Role", "User", "Policy"].into_iter().find(|kind| action.contains(kind));
        match kind {
            _ if object.is_empty() => format!("arn:aws:iam::{account}:*"),
            Some("InstanceProfile") => format!("instance profile {object}"),
            Some(kind) => format!("{} {object}", kind.to_lowercase()),
            None => object.clone(),
        }
    }
}

/// Selects the requests that a fault applies to. A field that is None matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Match {
    /// The caller's account.
    pub account: Option<String>,
    /// The region that the request is signed for.
    pub region: Option<String>,
    /// `iam`, `sts` or `eks`.
    pub service: Option<String>,
    /// For example `GetRole`.
    pub action: Option<String>,
    /// The object, as in [`Call::object`].
    pub object: Option<String>,
}

impl Match {
    /// Matches every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Matches one action of a service.
    pub fn on(service: &str, action: &str) -> Self {
        Self { action: Some(action.to_owned()), ..Self::service(service) }
    }

    /// Matches every action of a service.
    pub fn service(service: &str) -> Self {
        Self { service: Some(service.to_owned()), ..Self::default() }
    }

    /// Restricts the match to this object.
    #[must_use]
    pub fn about(mut self, object: &str) -> Self {
        self.object = Some(object.to_owned());
        self
    }

    /// Restricts the match to callers of this account.
    #[must_use]
    pub fn from_account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// Restricts the match to this region.
    #[must_use]
    pub fn in_region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
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
        fits(&what.account, &self.account)
            && fits(&what.region, &self.region)
            && fits(&what.service, &self.service)
            && fits(&what.action, &self.action)
            && fits(&what.object, &self.object)
    }

    fn changes(&self) -> bool {
        self.is_write()
    }

    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
    fn denied(&self) -> Refusal {
        let Self { caller, service, action, .. } = self;
        let resource = self.resource();
        let text = format!(
            "User: {caller} is not authorized to perform: {service}:{action} on resource: {resource} because no \
             identity-based policy allows the {service}:{action} action"
        );
        Refusal::new(403, if service == "eks" { "AccessDeniedException" } else { "AccessDenied" }, &text)
    }

    fn bucket_key(&self) -> String {
        // IAM ARNs have no region.
        let region = if self.service == "iam" { "" } else { &self.region };
        [&self.account, region, &self.service, &self.action].join("/")
    }

    fn throttled(&self) -> Refusal {
        Refusal::throttled(&self.service)
    }
}

/// An AWS error response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The AWS error code, for example `NoSuchEntity`.
    pub code: String,
    /// The error message.
    pub message: String,
}

impl Refusal {
    /// An error with this status, code and message.
    pub fn new(status: u16, code: &str, message: &str) -> Self {
        Self { status, code: code.to_owned(), message: message.to_owned() }
    }

    /// The service's throttling error.
    pub fn throttled(service: &str) -> Self {
        if service == "eks" {
            Self::new(429, "ThrottlingException", "Rate exceeded")
        } else {
            Self::new(400, "Throttling", "Rate exceeded")
        }
    }

    /// Throttling as HTTP 429: <https://docs.aws.amazon.com/eks/latest/userguide/troubleshooting.html>.
    pub fn too_many(service: &str) -> Self {
        let text = if service == "eks" { "Too Many Requests" } else { "Rate exceeded" };
        Self::new(429, "TooManyRequestsException", text)
    }

    /// HTTP 503.
    pub fn unavailable() -> Self {
        Self::new(503, "ServiceUnavailable", "Service is unavailable")
    }

    /// HTTP 500, with the service's own error code
    /// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html#API_CreateRole_Errors>,
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>,
    /// <https://docs.aws.amazon.com/eks/latest/APIReference/API_DescribeCluster.html#API_DescribeCluster_Errors>).
    pub fn internal(service: &str) -> Self {
        let code = match service {
            "iam" => "ServiceFailure",
            "eks" => "ServerException",
            _ => "InternalFailure",
        };
        Self::new(500, code, "An internal error has occurred")
    }

    /// The service's error for an expired session.
    pub fn expired(service: &str) -> Self {
        let code = if service == "eks" { "ExpiredTokenException" } else { "ExpiredToken" };
        Self::new(403, code, "The security token included in the request is expired")
    }

    /// IAM's `ConcurrentModification`: two requests changed one object at the same time.
    pub fn concurrent_modification() -> Self {
        Self::new(409, "ConcurrentModification", "The previous operation on this entity is still ongoing.")
    }

    /// IAM's `EntityTemporarilyUnmodifiable`: the object is still being created.
    pub fn unmodifiable() -> Self {
        Self::new(409, "EntityTemporarilyUnmodifiable", "The entity cannot be modified while it is being created.")
    }
}

impl From<AwsError> for Refusal {
    fn from(error: AwsError) -> Self {
        Self { status: error.status, code: error.code, message: error.message }
    }
}

impl From<Refusal> for AwsError {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.status, refusal.code, refusal.message)
    }
}
