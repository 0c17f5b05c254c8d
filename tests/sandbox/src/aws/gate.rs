//! What the gate of AWS sees: requests by account, region, service, action and object.

use crate::aws::query::AwsError;
use crate::gate;
use std::collections::BTreeMap;

/// Where requests are logged and faults are set.
pub type Gate = gate::Gate<Call>;

/// A request and what came of it.
pub type Record = gate::Record<Call>;

/// What goes wrong.
pub type Fault = gate::Fault<Refusal>;

/// What an admission comes to.
pub type Decision<'a> = gate::Decision<'a, Call>;

/// One request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// Counts from 1 in the order of arrival.
    pub number: u64,
    /// The caller's account; empty when the caller is not known.
    pub account: String,
    /// The region that the request was signed for.
    pub region: String,
    /// `iam`, `sts` or `eks`.
    pub service: String,
    /// For example `GetRole`.
    pub action: String,
    /// What it is about: a name, an ARN, `cluster` or `cluster/part`; empty for lists and the like.
    pub object: String,
    /// The caller's ARN; empty when not known.
    pub caller: String,
    /// Who the client says that it is.
    pub user_agent: String,
    /// The form or the JSON that was sent; of a GET, its query.
    pub body: String,
}

impl Call {
    /// The fields of a form or a query.
    pub fn params(&self) -> BTreeMap<String, String> {
        form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    /// Whether this would change something in IAM or EKS.
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

/// Which requests a fault is for; what is None matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Match {
    /// The caller's account.
    pub account: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// `iam`, `sts` or `eks`.
    pub service: Option<String>,
    /// The action.
    pub action: Option<String>,
    /// What it is about.
    pub object: Option<String>,
}

impl Match {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// This action of a service.
    pub fn on(service: &str, action: &str) -> Self {
        Self { action: Some(action.to_owned()), ..Self::service(service) }
    }

    /// Everything of a service.
    pub fn service(service: &str) -> Self {
        Self { service: Some(service.to_owned()), ..Self::default() }
    }

    /// For this object only.
    #[must_use]
    pub fn about(mut self, object: &str) -> Self {
        self.object = Some(object.to_owned());
        self
    }

    /// From this account only.
    #[must_use]
    pub fn from_account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// In this region only.
    #[must_use]
    pub fn in_region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
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

    fn lane(&self) -> String {
        // IAM has no regions.
        let region = if self.service == "iam" { "" } else { &self.region };
        [&self.account, region, &self.service, &self.action].join("/")
    }

    fn throttled(&self) -> Refusal {
        Refusal::throttled(&self.service)
    }
}

/// A refusal in AWS's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// AWS's code, for example `NoSuchEntity`.
    pub code: String,
    /// AWS's words.
    pub message: String,
}

impl Refusal {
    /// Any refusal.
    pub fn new(status: u16, code: &str, message: &str) -> Self {
        Self { status, code: code.to_owned(), message: message.to_owned() }
    }

    /// Too many requests, as this service says it.
    pub fn throttled(service: &str) -> Self {
        if service == "eks" {
            Self::new(429, "ThrottlingException", "Rate exceeded")
        } else {
            Self::new(400, "Throttling", "Rate exceeded")
        }
    }

    /// Too many requests, as 429: <https://docs.aws.amazon.com/eks/latest/userguide/troubleshooting.html>.
    pub fn too_many(service: &str) -> Self {
        let text = if service == "eks" { "Too Many Requests" } else { "Rate exceeded" };
        Self::new(429, "TooManyRequestsException", text)
    }

    /// 503.
    pub fn unavailable() -> Self {
        Self::new(503, "ServiceUnavailable", "Service is unavailable")
    }

    /// 500, under the name that this service has for it
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

    /// A session that is over, as this service says it.
    pub fn expired(service: &str) -> Self {
        let code = if service == "eks" { "ExpiredTokenException" } else { "ExpiredToken" };
        Self::new(403, code, "The security token included in the request is expired")
    }

    /// IAM's answer to two changes of one object at once.
    pub fn concurrent_modification() -> Self {
        Self::new(409, "ConcurrentModification", "The previous operation on this entity is still ongoing.")
    }

    /// IAM's answer to a change of what it is still making.
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
