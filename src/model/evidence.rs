//! What `verify` reads beyond the live objects: tokens, issuers' documents, the webhook, pods and associations.
//!
//! The evidence of one run, for the rules in the room `verify`. It has no secrets: tokens stay in `world`.

#![expect(missing_docs, reason = "fields without a comment have the names of the API")]

use super::address::Address;
use super::desired::{Binding, ClusterState, Desired, Manage, Role, Subject};
use super::live::{LiveServiceAccount, Observed};
use super::marks::{AUDIENCE, DEFAULT_AUDIENCE};
use super::pattern::{Pattern, any_matches};
use super::quoted::quoted;
use super::resource::StringMap;
use crate::ids::{IssuerUrl, Key, Namespace, RoleArn, ServiceAccountName};
use std::collections::BTreeMap;

/// A ServiceAccount of a declared cluster.
pub type ChainKey = (Key, Namespace, ServiceAccountName);

/// A declared ServiceAccount, or a declared pattern over ServiceAccounts, of one cluster.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a> {
    pub role_key: &'a Key,
    pub role: &'a Role,
    pub binding: &'a Binding,
    pub sts_lag: StsLag,
}

/// Which refusals of STS may be about the state before this run, because STS does not see its changes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StsLag {
    /// None: this run wrote neither the role nor the provider.
    #[default]
    None,
    /// All but a denial. The trust policy depends on who calls STS, so that a denial may never end.
    NotDenials,
    /// All.
    All,
}

impl<'a> Chain<'a> {
    /// The chains of all clusters that still exist, sorted by address. With globs, those whose own address or whose role's
    /// matches one of them.
    pub fn all(desired: &'a Desired, only: &[Pattern]) -> Vec<Self> {
        let roles = desired.roles.iter();
        let chains = roles.flat_map(|(role_key, role)| {
            role.bindings.iter().map(move |binding| Chain { role_key, role, binding, sts_lag: StsLag::None })
        });
        let exists = |chain: &Self| {
            desired.clusters.get(&chain.binding.cluster).is_some_and(|cluster| cluster.state == ClusterState::Active)
        };
        let is_selected = |chain: &Self| {
            only.is_empty() || any_matches(only, &chain.address()) || any_matches(only, &chain.role_address())
        };
        let mut chains: Vec<Self> = chains.filter(|chain| exists(chain) && is_selected(chain)).collect();
        chains.sort_by_key(Self::address);
        chains
    }

    /// The first glob that selects no chain.
    pub fn unmatched<'p>(desired: &Desired, only: &'p [Pattern]) -> Option<&'p Pattern> {
        only.iter().find(|one| Chain::all(desired, std::slice::from_ref(one)).is_empty())
    }

    /// `service-account/CLUSTER/NAMESPACE/NAME`
    pub fn address(&self) -> String {
        self.binding.address_text()
    }

    /// `role/KEY`
    pub fn role_address(&self) -> String {
        Address::role(self.role_key).to_string()
    }

    /// Namespace and name, which may be patterns.
    pub fn names(&self) -> (&'a str, &'a str) {
        self.binding.subject.names()
    }

    /// None for a pattern.
    pub fn key(&self) -> Option<ChainKey> {
        match &self.binding.subject {
            Subject::Exact(namespace, name) => Some((self.binding.cluster.clone(), namespace.clone(), name.clone())),
            Subject::Wildcard { .. } => None,
        }
    }
}

impl Binding {
    /// The audience of the tokens in pods: the webhook's annotation, or its default. Where irsa does not manage the
    /// ServiceAccount, the declared one.
    pub fn audience<'l>(&'l self, live: Option<&'l LiveServiceAccount>) -> &'l str {
        match (self.manage, live) {
            (Manage::None, _) | (_, None) => self.effective_audience(),
            (_, Some(live)) => live.annotations.get(AUDIENCE).map_or(DEFAULT_AUDIENCE, String::as_str),
        }
    }
}

/// The evidence of one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    /// What the hosts of the issuers publish.
    pub issuers: BTreeMap<IssuerUrl, Published>,
    pub clusters: BTreeMap<Key, ClusterEvidence>,
    pub service_accounts: BTreeMap<ChainKey, TokenEvidence>,
}

/// What an issuer publishes for STS
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// The issuer that the document names, and its keys.
    Documents { issuer: String, keys: Vec<PublishedKey> },
    /// The host answered, and does not serve a valid document at this URL; the text says what.
    Broken(String),
    /// It was not seen from here; the text says why.
    NotSeen(String),
}

/// A public key of an issuer (<https://www.rfc-editor.org/rfc/rfc7517#section-4>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedKey {
    /// `kid`
    pub id: String,
    pub numbers: KeyNumbers,
}

/// The numbers of a public key, in big-endian bytes (<https://www.rfc-editor.org/rfc/rfc7518#section-6>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyNumbers {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    Curve {
        /// `P-256` or `P-384`.
        name: String,
        x: Vec<u8>,
        y: Vec<u8>,
    },
    /// Of a kind that irsa does not know, or malformed.
    Other,
}

/// What is the same for all ServiceAccounts of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterEvidence {
    /// The certificates of the authority that the API's certificate is checked with, in DER.
    pub authority: Observed<Vec<Vec<u8>>>,
    /// All webhooks of all MutatingWebhookConfigurations.
    pub webhooks: Observed<WebhookList>,
    pub namespace_labels: Observed<BTreeMap<Namespace, StringMap>>,
    /// The pods of the declared ServiceAccounts that have not ended. Of namespaces that could not be listed, the reason.
    pub pods: BTreeMap<Namespace, Observed<Vec<Pod>>>,
    /// The owners of the ReplicaSets that own such pods.
    pub replica_sets: BTreeMap<(Namespace, String), Owner>,
    /// The EKS Pod Identity associations of the declared ServiceAccounts, with their roles.
    pub associations: Observed<BTreeMap<(Namespace, ServiceAccountName), Association>>,
}

/// An EKS Pod Identity association.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Association {
    /// `a-…`
    pub id: String,
    /// The ARN of its role. Unknown if DescribePodIdentityAssociation failed.
    pub role: Observed<String>,
}

/// What one ServiceAccount's token proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenEvidence {
    /// The audience that was asked for: the one that the webhook would ask for.
    pub audience: String,
    pub token: Observed<TokenClaims>,
    /// Whether a published key with the token's key id verifies its signature. None if that was not checked.
    pub verifies: Option<bool>,
    pub assumed: Assumed,
}

/// The claims of a ServiceAccount token
/// (<https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens>).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenClaims {
    pub issuer: String,
    pub subject: String,
    pub audiences: Vec<String>,
    /// `kid` of the header.
    pub key_id: String,
}

/// The outcome of AssumeRoleWithWebIdentity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assumed {
    /// It was not asked for.
    No,
    /// GetCallerIdentity with the credentials that STS returned: `arn:…:assumed-role/NAME/SESSION`.
    As(String),
    /// STS answered `AccessDenied`: no policy lets the call in; the text is its code and message.
    Denied(String),
    /// STS refused for another reason; the text is its code and message.
    Refused(String),
    /// STS could not reach the host of the issuer; the text is its code and message.
    IssuerNotReached(String),
    /// STS did not decide; the text says why.
    NotSeen(String),
}

/// The webhooks of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebhookList {
    pub items: Vec<Webhook>,
    /// The names of the configurations that irsa cannot parse.
    pub malformed: Vec<String>,
}

/// One webhook of a MutatingWebhookConfiguration
/// (<https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/mutating-webhook-configuration-v1/>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The name of the configuration.
    pub configuration: String,
    pub name: String,
    /// Its position in the configuration, from 0.
    pub index: usize,
    /// Whether it runs behind a Service in the cluster, whose certificate another authority may have signed.
    pub in_cluster: bool,
    /// The certificates of `caBundle` in DER. None if it cannot be read.
    pub ca_bundle: Option<Vec<Vec<u8>>>,
    pub namespace_selector: Selector,
    pub object_selector: Selector,
    /// Whether a rule covers the creation of pods.
    pub covers_pods: bool,
    /// Whether it has `matchConditions`: expressions in CEL, which irsa does not evaluate.
    pub has_conditions: bool,
}

/// A label selector. All requirements must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector(pub Vec<Requirement>);

/// One requirement of a label selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    pub values: Vec<String>,
}

impl Selector {
    /// The first requirement that these labels do not fulfil. An operator that Kubernetes does not define is never
    /// fulfilled.
    pub fn unfulfilled(&self, labels: &StringMap) -> Option<&Requirement> {
        self.0.iter().find(|requirement| {
            let value = labels.get(&requirement.key);
            !match requirement.operator.as_str() {
                "In" => value.is_some_and(|value| requirement.values.contains(value)),
                "NotIn" => value.is_none_or(|value| !requirement.values.contains(value)),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
    }
}

impl std::fmt::Display for Requirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.key, self.operator)?;
        if self.values.is_empty() { Ok(()) } else { write!(f, " ({})", self.values.join(", ")) }
    }
}

/// A pod, as far as the chain needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    pub name: String,
    /// Empty if it cannot be parsed.
    pub service_account: String,
    /// Whether irsa could parse it. If not, it has only names.
    pub is_malformed: bool,
    pub labels: StringMap,
    pub annotations: StringMap,
    /// `status.startTime`, or the time of its creation.
    pub started: String,
    /// Its controller.
    pub owner: Option<Owner>,
    pub containers: Vec<Container>,
}

/// The annotation of pods with the containers that the webhook leaves alone, separated by commas.
const SKIP_CONTAINERS: &str = "eks.amazonaws.com/skip-containers";
const ROLE_VARIABLE: &str = "AWS_ROLE_ARN";
const TOKEN_VARIABLE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";

impl Pod {
    /// Whether it may run under this ServiceAccount.
    pub fn may_use(&self, service_account: &str) -> bool {
        self.service_account == service_account || (self.is_malformed && self.service_account.is_empty())
    }

    /// What in the pod does not use this role with a token for this audience. None if all is as declared. A container may
    /// lack the variables if another has them: others add containers after the webhook.
    pub fn problem(&self, role: &str, audience: &str) -> Option<PodProblem> {
        if self.is_malformed {
            return None;
        }
        let skipped = self.annotations.get(SKIP_CONTAINERS).map_or("", String::as_str);
        let is_skipped = |container: &&Container| skipped.split(',').any(|name| name.trim() == container.name);
        let injected: Vec<&Container> = self.containers.iter().filter(|one| !is_skipped(one)).collect();
        if let Some(one) = injected.iter().find(|one| one.role.is_some() && one.static_keys) {
            let text = format!(
                "set `AWS_ACCESS_KEY_ID` in container `{}`, which SDKs use before the token of the role",
                one.name
            );
            return Some(PodProblem::of_spec(text, format!("`AWS_ACCESS_KEY_ID` of container `{}`", one.name)));
        }
        let other = |one: &&Container| one.role.as_deref().is_some_and(|other| other != role);
        if let Some(one) = injected.iter().copied().find(other) {
            let other = one.role.as_deref().unwrap_or_default();
            return Some(if other.is_empty() {
                let text = "have an `AWS_ROLE_ARN` that is empty or from `valueFrom`, which irsa does not read";
                PodProblem::of_spec(text, one.identity_variables())
            } else {
                PodProblem::of_age(format!("use `{other}`"))
            });
        }
        // an init container with the role gives the others nothing
        let lasting: Vec<&Container> = injected.iter().copied().filter(|one| !one.is_init).collect();
        let judged = if lasting.is_empty() { &injected } else { &lasting };
        if !judged.iter().any(|one| one.role.is_some()) {
            let has_association = injected.iter().any(|one| one.pod_identity);
            return Some(if has_association {
                PodProblem::of_age("use EKS Pod Identity, without `AWS_ROLE_ARN`")
            } else if skipped.is_empty() || !injected.is_empty() {
                PodProblem::of_age("have no `AWS_ROLE_ARN`")
            } else {
                let text = format!("have no `AWS_ROLE_ARN`: `{SKIP_CONTAINERS}` leaves out `{skipped}`");
                PodProblem::of_spec(text, format!("annotation `{SKIP_CONTAINERS}`"))
            });
        }
        injected.iter().find_map(|one| one.token_problem(audience))
    }
}

/// Why a pod does not use the role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodProblem {
    /// Begins with a verb in the plural.
    pub text: String,
    /// What to remove from the pod's own spec or metadata. None if a new pod would be as declared.
    pub remove: Option<String>,
}

impl PodProblem {
    /// The pod is older than what is declared.
    fn of_age(text: impl Into<String>) -> Self {
        Self { text: text.into(), remove: None }
    }

    /// The pod's own spec or metadata has `remove`, and a new pod would have it too.
    fn of_spec(text: impl Into<String>, remove: String) -> Self {
        Self { text: text.into(), remove: Some(remove) }
    }
}

/// A container of a pod: the environment variables that the chain sets or that SDKs look at before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Container {
    pub name: String,
    /// Whether it is an init container.
    pub is_init: bool,
    /// `AWS_ROLE_ARN`
    pub role: Option<String>,
    /// `AWS_WEB_IDENTITY_TOKEN_FILE`: a path with `/`, on Windows too, without the drive.
    pub token_file: Option<String>,
    /// The audiences of the projected ServiceAccount tokens that it mounts, by path. Empty for the API's own audience.
    pub tokens: BTreeMap<String, String>,
    /// Whether it has static credentials in `AWS_ACCESS_KEY_ID`, which SDKs use first.
    pub static_keys: bool,
    /// Whether it has the variables of EKS Pod Identity.
    pub pod_identity: bool,
}

impl Container {
    /// Why SDKs cannot use a token for this audience. None if they can, or if the container has none of the variables.
    fn token_problem(&self, audience: &str) -> Option<PodProblem> {
        let name = &self.name;
        let of_spec = |text: String| Some(PodProblem::of_spec(text, self.identity_variables()));
        let file = match (&self.role, self.token_file.as_deref()) {
            (None, None) => return None,
            (None, Some(_)) => return of_spec(format!("have no `{ROLE_VARIABLE}` in container `{name}`")),
            (Some(_), None) => return of_spec(format!("have no `{TOKEN_VARIABLE}` in container `{name}`")),
            (Some(_), Some("")) => {
                return of_spec(format!(
                    "have an `{TOKEN_VARIABLE}` in container `{name}` that is empty or from `valueFrom`, which irsa does \
                     not read"
                ));
            }
            (Some(_), Some(file)) => file,
        };
        let text = match self.tokens.get(file) {
            None => format!("have no ServiceAccount token at `{file}` in container `{name}`"),
            Some(found) if found.is_empty() => format!("have a token for the API's own audience, not `{audience}`"),
            Some(found) if found != audience => format!("have a token for the audience `{found}`, not `{audience}`"),
            Some(_) => return None,
        };
        Some(PodProblem::of_age(text))
    }

    /// The variables of the role in the container's own spec. If it has one of the two, the webhook adds neither
    /// (`addEnvToContainer` in `pkg/handler` of <https://github.com/aws/amazon-eks-pod-identity-webhook>).
    fn identity_variables(&self) -> String {
        let all = [(ROLE_VARIABLE, self.role.is_some()), (TOKEN_VARIABLE, self.token_file.is_some())];
        let names = quoted(all.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name));
        format!("{} of container `{}`", names.join(" and "), self.name)
    }
}

/// The kind and name of an owner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    pub kind: String,
    pub name: String,
}

/// The role that an ARN of an assumed role names: `arn:PARTITION:sts::ACCOUNT:assumed-role/NAME/SESSION`. Sessions have no
/// path, so account and name are compared
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>).
pub fn is_session_of(caller: &str, role: &RoleArn) -> bool {
    let parts: Vec<&str> = caller.splitn(6, ':').collect();
    let [_, partition, "sts", _, account, resource] = parts[..] else { return false };
    let name = resource.strip_prefix("assumed-role/").and_then(|rest| rest.split('/').next());
    (partition, account) == (role.partition(), role.account()) && name == Some(role.name())
}
