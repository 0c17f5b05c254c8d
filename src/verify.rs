//! Judges the chain of each declared ServiceAccount, as a pod uses it, from what was read: evidence in, links out.
//!
//! Pure: it reads nothing and knows no clock. One file for each link. A link that was not read is `Unknown` with a reason,
//! never `Failed`. A failed link has a hint.

mod annotation;
mod assume;
mod case;
mod issuer;
mod pods;
mod provider;
mod token;
mod trust;
mod webhook;

use crate::model::desired::Desired;
use crate::model::evidence::{Chain, Evidence};
use crate::model::live::Live;
use case::{Case, Subject};

/// The links of a chain, in the order in which a pod uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkKind {
    /// The cluster's issuer is what EKS and the API say, and its host publishes its document and keys.
    Issuer,
    /// The role's account has the OIDC provider of this issuer, and it accepts the audience.
    Provider,
    /// The live trust policy lets the token in.
    Trust,
    /// The annotations of the ServiceAccount name this role and fit its trust policy.
    Annotation,
    /// The pod identity webhook is there, is trusted by the API server, and covers the namespace.
    Webhook,
    /// The API issues a token with the claims that the trust policy expects.
    Token,
    /// STS exchanges this token for a session of this role.
    Assume,
    /// The running pods have the variables of this role.
    Pods,
}

impl LinkKind {
    /// All links, in order.
    pub const ALL: [Self; 8] = [
        Self::Issuer,
        Self::Provider,
        Self::Trust,
        Self::Annotation,
        Self::Webhook,
        Self::Token,
        Self::Assume,
        Self::Pods,
    ];

    /// Its name in every output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::Provider => "provider",
            Self::Trust => "trust",
            Self::Annotation => "annotation",
            Self::Webhook => "webhook",
            Self::Token => "token",
            Self::Assume => "assume",
            Self::Pods => "pods",
        }
    }
}

/// The verdict on one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Proved.
    Ok,
    /// The chain does not have this link, or irsa does not manage it.
    NotApplicable,
    /// Not seen.
    Unknown,
    /// Broken.
    Failed,
}

impl Status {
    /// All, from the best to the worst.
    pub const ALL: [Self; 4] = [Self::Ok, Self::NotApplicable, Self::Unknown, Self::Failed];

    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotApplicable => "not-applicable",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        }
    }
}

/// One link of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Which.
    pub kind: LinkKind,
    /// The verdict.
    pub status: Status,
    /// What was proved, why it does not apply, why it was not seen, or what is broken.
    pub text: String,
    /// What to do about it, one step each.
    pub hints: Vec<String>,
}

/// A verdict without the name of its link.
struct Verdict {
    status: Status,
    text: String,
    hints: Vec<String>,
}

impl Verdict {
    fn new(status: Status, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), hints: Vec::new() }
    }

    fn ok(text: impl Into<String>) -> Self {
        Self::new(Status::Ok, text)
    }

    fn not_applicable(text: impl Into<String>) -> Self {
        Self::new(Status::NotApplicable, text)
    }

    fn unknown(text: impl Into<String>) -> Self {
        Self::new(Status::Unknown, text)
    }

    fn failed(text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Status::Failed, text).hint(hint)
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// The links of one ServiceAccount, or of a pattern over ServiceAccounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainLinks {
    /// `service-account/CLUSTER/NAMESPACE/NAME`
    pub address: String,
    /// The key of the cluster.
    pub cluster: String,
    /// The namespace or pattern.
    pub namespace: String,
    /// The name or pattern.
    pub name: String,
    /// `role/KEY`
    pub role: String,
    /// Whether the cluster has no such ServiceAccount.
    pub is_missing: bool,
    /// One of each kind, in order.
    pub links: Vec<Link>,
}

impl ChainLinks {
    /// The worst status of its links.
    pub fn status(&self) -> Status {
        self.links.iter().map(|link| link.status).max().unwrap_or(Status::Ok)
    }
}

/// The hint where the live trust policy and provider are as declared, and the live ServiceAccount asks for another audience.
const OTHER_AUDIENCE: &str = "its annotation asks for an audience that is not declared: repair the link `annotation`, or \
                              declare this `audience` in `[[service-accounts]]`";

/// Judges these chains.
pub fn verify(desired: &Desired, live: &Live, evidence: &Evidence, chains: &[Chain<'_>]) -> Vec<ChainLinks> {
    let judged = chains.iter().map(|chain| {
        let (namespace, name) = chain.names();
        let case = Case::of(desired, live, evidence, chain);
        let links = match &case {
            Ok(case) => links(case),
            Err(why) => LinkKind::ALL.map(|kind| named(kind, Verdict::unknown(why.clone()))).into(),
        };
        ChainLinks {
            address: chain.address(),
            cluster: chain.binding.cluster.to_string(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            role: chain.role_address(),
            is_missing: case.is_ok_and(|case| matches!(case.subject(), Subject::Waiting(_) | Subject::Missing)),
            links,
        }
    });
    judged.collect()
}

/// Whether the live trust policy cannot be evaluated for this chain, so that a denial of STS decides nothing: for example
/// because it depends on the network of the caller.
pub fn is_trust_open(desired: &Desired, live: &Live, chain: &Chain<'_>) -> bool {
    let evidence = Evidence::default();
    Case::of(desired, live, &evidence, chain).is_ok_and(|case| trust::judge(&case).status == Status::Unknown)
}

fn links(case: &Case<'_>) -> Vec<Link> {
    LinkKind::ALL.iter().fold(Vec::new(), |mut before, kind| {
        before.push(link(*kind, case, &before));
        before
    })
}

/// Judges one link, with the links before it.
fn link(kind: LinkKind, case: &Case<'_>, before: &[Link]) -> Link {
    let verdict = match kind {
        LinkKind::Issuer => issuer::judge(case),
        LinkKind::Provider => provider::judge(case),
        LinkKind::Trust => trust::judge(case),
        LinkKind::Annotation => annotation::judge(case),
        LinkKind::Webhook => webhook::judge(case),
        LinkKind::Token => token::judge(case),
        LinkKind::Assume => assume::judge(case, before),
        LinkKind::Pods => pods::judge(case),
    };
    named(kind, verdict)
}

fn named(kind: LinkKind, Verdict { status, text, hints }: Verdict) -> Link {
    Link { kind, status, text, hints }
}

/// Quotes a word of a shell command if needed, because the users of a cluster choose the names in it.
pub(crate) fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests;
