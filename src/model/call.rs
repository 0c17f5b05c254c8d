//! The API calls that a plan consists of, and what each of them does: operation, object, field, values.
//!
//! A call on an existing object carries the old value (`from`) beside the new one (`to`). Apply reads the field again
//! right before the write: it skips the call if the new value is there already, and stops if it finds a third value.

#![expect(missing_docs, reason = "calls, objects and fields have the names of the API")]

use super::address::Place;
use super::resource::{ManagedPolicy, Provider, Role, ServiceAccount, StringMap};
use crate::ids::{Key, PolicyArn, PolicyName, ProviderArn, RoleName};
use crate::policy::PolicyDocument;

/// One write, with the key of its account or cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    Iam(Key, IamCall),
    Kubernetes(Key, KubernetesCall),
}

/// One API call to IAM. [`IamCall::operation`] is its name there.
///
/// - Creations include tags. `CreateProvider` has no thumbprints, `CreateRole` has no policies except the boundary.
/// - `CreatePolicyVersion` makes the new version the default.
/// - `UpdateRole` always has both settings: without a duration, IAM sets 3,600
///   (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRole.html>).
/// - In calls that set tags, `from` has the old values of the keys that existed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IamCall {
    CreateProvider { arn: ProviderArn, provider: Provider },
    AddAudience { arn: ProviderArn, audience: String },
    TagProvider { arn: ProviderArn, from: StringMap, to: StringMap },
    UntagProvider { arn: ProviderArn, from: StringMap },
    DeleteProvider { arn: ProviderArn },
    CreatePolicy { arn: PolicyArn, policy: ManagedPolicy },
    CreatePolicyVersion { arn: PolicyArn, from: PolicyDocument, to: PolicyDocument },
    DeletePolicyVersion { arn: PolicyArn, version: String },
    TagPolicy { arn: PolicyArn, from: StringMap, to: StringMap },
    UntagPolicy { arn: PolicyArn, from: StringMap },
    DeletePolicy { arn: PolicyArn },
    CreateRole { role: Box<Role> },
    UpdateRole { name: RoleName, from: RoleSettings, to: RoleSettings },
    UpdateTrust { name: RoleName, from: PolicyDocument, to: PolicyDocument },
    PutBoundary { name: RoleName, from: Option<PolicyArn>, to: PolicyArn },
    DeleteBoundary { name: RoleName, from: PolicyArn },
    PutInline { name: RoleName, policy: PolicyName, from: Option<PolicyDocument>, to: PolicyDocument },
    DeleteInline { name: RoleName, policy: PolicyName, from: PolicyDocument },
    Attach { name: RoleName, arn: PolicyArn },
    Detach { name: RoleName, arn: PolicyArn },
    TagRole { name: RoleName, from: StringMap, to: StringMap },
    UntagRole { name: RoleName, from: StringMap },
    DeleteRole { name: RoleName },
}

/// What UpdateRole writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSettings {
    /// Empty for a role without one.
    pub description: String,
    /// In seconds.
    pub max_session_duration: u32,
}

/// A write to the Kubernetes API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubernetesCall {
    /// Creates a `ServiceAccount`, with the annotation `irsa/created`, in one request.
    Create { service_account: ServiceAccount },
    /// Applies exactly the fields in `to` to an existing object, which releases those that only `from` has.
    Apply { uid: String, from: ServiceAccount, to: ServiceAccount, force: bool },
    /// Releases all fields that irsa manages.
    Release { uid: String, from: ServiceAccount },
    /// Removes exactly these labels and annotations, whichever manager owns them.
    Remove { uid: String, from: ServiceAccount },
    /// Deletes the object if it still has this uid.
    Delete { uid: String, from: ServiceAccount },
}

/// The object that a call to IAM writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target<'a> {
    Provider(&'a ProviderArn),
    Policy(&'a PolicyArn),
    Role(&'a RoleName),
}

impl Target<'_> {
    /// An ARN, or the name of a role in lower case.
    pub fn id(self) -> String {
        match self {
            Self::Provider(arn) => arn.to_string(),
            Self::Policy(arn) => arn.to_string(),
            Self::Role(name) => name.lower_case(),
        }
    }
}

/// The field of an object that a call to IAM writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    /// The object as a whole: it is created or deleted.
    Object,
    Settings,
    Trust,
    Boundary,
    Inline(&'a PolicyName),
    Attached(&'a PolicyArn),
    Document,
    Version(&'a str),
    Audience(&'a str),
    /// All tags are one field.
    Tags,
}

/// What a call to IAM does to the field that it writes: its value before the call, and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldWrite<'a> {
    Create(Created<'a>),
    Delete,
    Settings(&'a RoleSettings, &'a RoleSettings),
    Trust(&'a PolicyDocument, &'a PolicyDocument),
    Boundary(Option<&'a PolicyArn>, Option<&'a PolicyArn>),
    Inline(&'a PolicyName, Option<&'a PolicyDocument>, Option<&'a PolicyDocument>),
    Attach(&'a PolicyArn),
    Detach(&'a PolicyArn),
    Document(&'a PolicyDocument, &'a PolicyDocument),
    DeleteVersion(&'a str),
    AddAudience(&'a str),
    SetTags(&'a StringMap, &'a StringMap),
    RemoveTags(&'a StringMap),
}

/// The object that a call to IAM creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created<'a> {
    Provider(&'a Provider),
    Policy(&'a ManagedPolicy),
    Role(&'a Role),
}

impl IamCall {
    /// The table of all calls: operation, object, field with its values. The methods below read it.
    fn row(&self) -> (&'static str, Target<'_>, FieldWrite<'_>) {
        use FieldWrite as W;
        use Target::{Policy, Provider, Role};
        match self {
            Self::CreateProvider { arn, provider } => {
                ("CreateOpenIDConnectProvider", Provider(arn), W::Create(Created::Provider(provider)))
            }
            Self::AddAudience { arn, audience } => {
                ("AddClientIDToOpenIDConnectProvider", Provider(arn), W::AddAudience(audience))
            }
            Self::TagProvider { arn, from, to } => ("TagOpenIDConnectProvider", Provider(arn), W::SetTags(from, to)),
            Self::UntagProvider { arn, from } => ("UntagOpenIDConnectProvider", Provider(arn), W::RemoveTags(from)),
            Self::DeleteProvider { arn } => ("DeleteOpenIDConnectProvider", Provider(arn), W::Delete),
            Self::CreatePolicy { arn, policy } => ("CreatePolicy", Policy(arn), W::Create(Created::Policy(policy))),
            Self::CreatePolicyVersion { arn, from, to } => ("CreatePolicyVersion", Policy(arn), W::Document(from, to)),
            Self::DeletePolicyVersion { arn, version } => {
                ("DeletePolicyVersion", Policy(arn), W::DeleteVersion(version))
            }
            Self::TagPolicy { arn, from, to } => ("TagPolicy", Policy(arn), W::SetTags(from, to)),
            Self::UntagPolicy { arn, from } => ("UntagPolicy", Policy(arn), W::RemoveTags(from)),
            Self::DeletePolicy { arn } => ("DeletePolicy", Policy(arn), W::Delete),
            Self::CreateRole { role } => ("CreateRole", Role(&role.name), W::Create(Created::Role(role))),
            Self::UpdateRole { name, from, to } => ("UpdateRole", Role(name), W::Settings(from, to)),
            Self::UpdateTrust { name, from, to } => ("UpdateAssumeRolePolicy", Role(name), W::Trust(from, to)),
            Self::PutBoundary { name, from, to } => {
                ("PutRolePermissionsBoundary", Role(name), W::Boundary(from.as_ref(), Some(to)))
            }
            Self::DeleteBoundary { name, from } => {
                ("DeleteRolePermissionsBoundary", Role(name), W::Boundary(Some(from), None))
            }
            Self::PutInline { name, policy, from, to } => {
                ("PutRolePolicy", Role(name), W::Inline(policy, from.as_ref(), Some(to)))
            }
            Self::DeleteInline { name, policy, from } => {
                ("DeleteRolePolicy", Role(name), W::Inline(policy, Some(from), None))
            }
            Self::Attach { name, arn } => ("AttachRolePolicy", Role(name), W::Attach(arn)),
            Self::Detach { name, arn } => ("DetachRolePolicy", Role(name), W::Detach(arn)),
            Self::TagRole { name, from, to } => ("TagRole", Role(name), W::SetTags(from, to)),
            Self::UntagRole { name, from } => ("UntagRole", Role(name), W::RemoveTags(from)),
            Self::DeleteRole { name } => ("DeleteRole", Role(name), W::Delete),
        }
    }

    /// The name of the API operation.
    pub fn operation(&self) -> &'static str {
        self.row().0
    }

    /// The object that it writes to.
    pub fn target(&self) -> Target<'_> {
        self.row().1
    }

    /// What it does to the field that it writes.
    pub fn write(&self) -> FieldWrite<'_> {
        self.row().2
    }

    /// The field that it writes.
    pub fn field(&self) -> Field<'_> {
        match self.write() {
            FieldWrite::Create(_) | FieldWrite::Delete => Field::Object,
            FieldWrite::Settings(..) => Field::Settings,
            FieldWrite::Trust(..) => Field::Trust,
            FieldWrite::Boundary(..) => Field::Boundary,
            FieldWrite::Inline(policy, ..) => Field::Inline(policy),
            FieldWrite::Attach(arn) | FieldWrite::Detach(arn) => Field::Attached(arn),
            FieldWrite::Document(..) => Field::Document,
            FieldWrite::DeleteVersion(version) => Field::Version(version),
            FieldWrite::AddAudience(audience) => Field::Audience(audience),
            FieldWrite::SetTags(..) | FieldWrite::RemoveTags(..) => Field::Tags,
        }
    }

    pub fn creates(&self) -> bool {
        matches!(self.write(), FieldWrite::Create(_))
    }

    pub fn deletes(&self) -> bool {
        self.write() == FieldWrite::Delete
    }

    /// Makes the change of this call to its role. Creation and deletion leave `role` as it is.
    pub fn apply_to(&self, role: &mut Role) {
        match self.write() {
            FieldWrite::Settings(_, to) => {
                role.description.clone_from(&to.description);
                role.max_session_duration = to.max_session_duration;
            }
            FieldWrite::Trust(_, to) => role.trust = to.clone(),
            FieldWrite::Boundary(_, to) => role.permissions_boundary = to.cloned(),
            FieldWrite::Inline(policy, _, Some(to)) => drop(role.inline.insert(policy.clone(), to.clone())),
            FieldWrite::Inline(policy, _, None) => drop(role.inline.remove(policy)),
            FieldWrite::Attach(arn) => drop(role.attached.insert(arn.clone())),
            FieldWrite::Detach(arn) => drop(role.attached.remove(arn)),
            FieldWrite::SetTags(_, to) => role.tags.extend(to.iter().map(|(key, value)| (key.clone(), value.clone()))),
            FieldWrite::RemoveTags(from) => role.tags.retain(|key, _| !from.contains_key(key)),
            FieldWrite::Create(_)
            | FieldWrite::Delete
            | FieldWrite::Document(..)
            | FieldWrite::DeleteVersion(_)
            | FieldWrite::AddAudience(_) => {}
        }
    }
}

impl KubernetesCall {
    /// The operation in the words of kubectl.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create ServiceAccount",
            Self::Apply { .. } => "apply ServiceAccount",
            Self::Release { .. } => "release ServiceAccount",
            Self::Remove { .. } => "patch ServiceAccount",
            Self::Delete { .. } => "delete ServiceAccount",
        }
    }

    /// The object that the call writes to: its state after the call for a creation, and its state before any other
    /// call.
    pub fn object(&self) -> &ServiceAccount {
        match self {
            Self::Create { service_account: item }
            | Self::Apply { from: item, .. }
            | Self::Release { from: item, .. }
            | Self::Remove { from: item, .. }
            | Self::Delete { from: item, .. } => item,
        }
    }
}

impl Call {
    /// The name of the operation in reports and events, for example `iam:CreateRole`.
    pub fn operation(&self) -> String {
        match self {
            Self::Iam(_, call) => format!("iam:{}", call.operation()),
            Self::Kubernetes(_, call) => call.operation().to_owned(),
        }
    }

    /// Identifies the object that it writes to.
    pub fn object(&self) -> String {
        match self {
            Self::Iam(account, call) => match call.target() {
                role @ Target::Role(_) => format!("{account} {}", role.id()),
                other => other.id(),
            },
            Self::Kubernetes(cluster, call) => {
                let ServiceAccount { namespace, name, .. } = call.object();
                format!("{cluster} {namespace}/{name}")
            }
        }
    }

    /// The account or cluster that it is sent to.
    pub fn place(&self) -> Place<&Key> {
        match self {
            Self::Iam(account, _) => Place::Account(account),
            Self::Kubernetes(cluster, _) => Place::Cluster(cluster),
        }
    }

    /// Whether it creates the object that it writes to.
    pub fn creates(&self) -> bool {
        match self {
            Self::Iam(_, call) => call.creates(),
            Self::Kubernetes(_, call) => matches!(call, KubernetesCall::Create { .. }),
        }
    }

    /// The account and the call, if it is one to IAM.
    pub fn iam(&self) -> Option<(&Key, &IamCall)> {
        match self {
            Self::Iam(account, call) => Some((account, call)),
            Self::Kubernetes(..) => None,
        }
    }
}
