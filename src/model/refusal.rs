//! Why irsa refuses something. Each kind of refusal has a word that `irsa explain` takes, and a row with this word in
//! docs/troubleshooting.md.

macro_rules! kinds {
    ($($kind:ident $word:literal: $what:literal,)*) => {
        /// The kind of a refusal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum RefusalKind {
            $(#[doc = $what] $kind,)*
        }

        impl RefusalKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The word that `irsa explain` takes.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)*
                }
            }
        }
    };
}

kinds! {
    NoOwner "no-owner": "The object exists, and has no owner tag.",
    OtherOwner "other-owner": "The object exists, and has another owner in its tag.",
    OwnerLabel "owner-label": "The ServiceAccount has another owner in its label.",
    OwnerReused "owner-reused": "The plan deletes objects of this owner, and irsa manages none of the declared ones.",
    OwnerInUse "owner-in-use": "A new configuration would not declare what its owner has already.",
    OtherConfiguration "other-configuration": "The mark of the object names a cluster or account that is not declared.",
    MaxDelete "max-delete": "The plan deletes more objects than `max-delete`.",
    MaxChangePercent "max-change-percent": "The plan changes more objects than `max-change-percent`.",
    RecentUse "recent-use": "The role was used within `recent-use`.",
    PreventDestroy "prevent-destroy": "The object has the tag `irsa/prevent-destroy`.",
    Everything "everything": "The plan deletes or releases everything that irsa manages in an account or cluster.",
    UndeclaredIssuer "undeclared-issuer": "Trust in an issuer would be lost, and no declared cluster has this issuer.",
    UnreadIssuer "unread-issuer": "Trust in an issuer would be lost, and its cluster or provider could not be read.",
    FieldConflict "field-conflict": "Another field manager owns a field with another value.",
    UnrecordedManager "unrecorded-manager": "An undeclared annotation is set, and no field manager owns it.",
    StillAnnotated "still-annotated": "A ServiceAccount keeps the annotation with the role.",
    StillAttached "still-attached": "The policy stays attached to something that this plan does not change.",
    InstanceProfile "instance-profile": "The role is in an instance profile.",
    StillTrusted "still-trusted": "A role that stays trusts the provider.",
    MayBeTrusted "may-be-trusted": "A role that irsa does not understand may trust the provider.",
    TrustSize "trust-size": "The trust policy exceeds its quota.",
    InlineSize "inline-size": "The inline policies exceed their quota.",
    SizeOnTheWay "size-on-the-way": "No order of the calls stays within a quota.",
    PolicySize "policy-size": "The managed policy exceeds its quota.",
    AttachedPolicies "attached-policies": "The role has more attached policies than its quota.",
    NoTrust "no-trust": "The trust policy would have no statement.",
    NoPolicy "no-policy": "A policy that the role names does not exist.",
    RolePath "role-path": "The live role has another path than the declared one.",
    NoSafeOrder "no-safe-order": "Every order of the calls would widen access for a moment.",
    Circle "circle": "Each object needs another one of them to exist first.",
    NotSelected "not-selected": "`--only` does not select what depends on the object.",
    DependsOnRefused "depends-on-refused": "The object depends on a refused one.",
    NoCluster "no-cluster": "EKS does not have the declared cluster.",
    MissingCluster "missing-cluster": "The role has a binding in a cluster that does not exist.",
    SameIssuer "same-issuer": "Two declared clusters have one issuer.",
    WrongAccount "wrong-account": "The credentials are those of another account.",
    CertificateAuthority "certificate-authority": "The kubeconfig has another certificate authority than EKS reports.",
    WrongCluster "wrong-cluster": "The Kubernetes API has another issuer than the declared cluster.",
    PartlyReadCluster "partly-read-cluster": "A cluster that the role trusts was not read in full.",
    UnreadCluster "unread-cluster": "The role trusts an issuer whose cluster is not declared.",
    UnseenCluster "unseen-cluster": "The role trusts an issuer that may belong to a cluster whose issuer is unknown.",
    UnlistedRoles "unlisted-roles": "The roles of the account could not be listed.",
    HasRefusals "has-refusals": "The plan that is to be applied has refusals.",
    Incomplete "incomplete": "A part of the live state could not be read.",
    NotConfirmed "not-confirmed": "The user did not confirm.",
    NoTerminal "no-terminal": "There is no terminal to confirm on.",
    NoPrompt "no-prompt": "The format does not show the plan before it asks.",
    Locked "locked": "Another run holds the lock.",
}

/// A text that ends with the word that `irsa explain` takes, if there is one.
pub fn with_word(text: &str, word: Option<&str>) -> String {
    word.map_or_else(|| text.to_owned(), |word| format!("{text} ({word})"))
}

impl RefusalKind {
    /// A refusal of this kind: why, and what to do next.
    pub fn because(self, why: impl Into<String>, hint: impl Into<String>) -> Refusal {
        Refusal { why: why.into(), hint: hint.into(), kind: self }
    }
}

/// Why irsa refuses something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// Why.
    pub why: String,
    /// What to do next.
    pub hint: String,
    /// The kind.
    pub kind: RefusalKind,
}
