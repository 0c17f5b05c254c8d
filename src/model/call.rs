//! The calls that change the world, one value each. A plan is made of them, apply hands them to the world unchanged.
//!
//! A call on an existing object carries what it replaces (`from`) beside what it writes (`to`), so that apply can
//! re-read that field right before the write and tell the same, the already done and the stale.

#![expect(missing_docs, reason = "the fields of each call are named as the API names them")]

use super::resource::{ManagedPolicy, Provider, Role, ServiceAccount, StringMap};
use crate::ids::{Key, PolicyArn, PolicyName, ProviderArn, RoleName};
use crate::policy::PolicyDocument;

/// One write, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// To IAM, in the account of this key.
    Iam(Key, IamCall),
    /// To Kubernetes, in the cluster of this key.
    Kubernetes(Key, KubernetesCall),
}

/// A write to IAM; each is one API call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IamCall {
    /// CreateOpenIDConnectProvider, with tags, without thumbprints.
    CreateProvider { arn: ProviderArn, provider: Provider },
    /// AddClientIDToOpenIDConnectProvider
    AddAudience { arn: ProviderArn, audience: String },
    /// TagOpenIDConnectProvider: `from` has the old values of those of the keys that existed.
    TagProvider { arn: ProviderArn, from: StringMap, to: StringMap },
    /// UntagOpenIDConnectProvider
    UntagProvider { arn: ProviderArn, from: StringMap },
    /// DeleteOpenIDConnectProvider
    DeleteProvider { arn: ProviderArn },
    /// CreatePolicy, with tags.
    CreatePolicy { arn: PolicyArn, policy: ManagedPolicy },
    /// CreatePolicyVersion, as the default version.
    CreatePolicyVersion { arn: PolicyArn, from: PolicyDocument, to: PolicyDocument },
    /// DeletePolicyVersion
    DeletePolicyVersion { arn: PolicyArn, version: String },
    /// TagPolicy
    TagPolicy { arn: PolicyArn, from: StringMap, to: StringMap },
    /// UntagPolicy
    UntagPolicy { arn: PolicyArn, from: StringMap },
    /// DeletePolicy
    DeletePolicy { arn: PolicyArn },
    /// CreateRole with path, description, session, boundary, tags and trust; attachments and inline policies follow.
    CreateRole { role: Box<Role> },
    /// UpdateRole; always with both, for a missing duration would set 3,600
    /// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRole.html>).
    UpdateRole { name: RoleName, from: RoleSettings, to: RoleSettings },
    /// UpdateAssumeRolePolicy
    UpdateTrust { name: RoleName, from: PolicyDocument, to: PolicyDocument },
    /// PutRolePermissionsBoundary
    PutBoundary { name: RoleName, from: Option<PolicyArn>, to: PolicyArn },
    /// DeleteRolePermissionsBoundary
    DeleteBoundary { name: RoleName, from: PolicyArn },
    /// PutRolePolicy
    PutInline { name: RoleName, policy: PolicyName, from: Option<PolicyDocument>, to: PolicyDocument },
    /// DeleteRolePolicy
    DeleteInline { name: RoleName, policy: PolicyName, from: PolicyDocument },
    /// AttachRolePolicy
    Attach { name: RoleName, arn: PolicyArn },
    /// DetachRolePolicy
    Detach { name: RoleName, arn: PolicyArn },
    /// TagRole
    TagRole { name: RoleName, from: StringMap, to: StringMap },
    /// UntagRole
    UntagRole { name: RoleName, from: StringMap },
    /// DeleteRole
    DeleteRole { name: RoleName },
}

/// What UpdateRole writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSettings {
    /// The description, empty when there is none.
    pub description: String,
    /// The longest session, in seconds.
    pub max_session_duration: u32,
}

/// A write to the Kubernetes API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubernetesCall {
    /// Makes a `ServiceAccount` that is not there, with its mark `irsa/created`, in one request.
    Create { service_account: ServiceAccount },
    /// Applies our fields to an existing object: exactly `to`, so that what is in `from` alone is given up.
    Apply { uid: String, from: ServiceAccount, to: ServiceAccount, force: bool },
    /// Gives up all our fields.
    Release { uid: String, from: ServiceAccount },
    /// Takes exactly these labels and annotations off, whoever holds them.
    Remove { uid: String, from: ServiceAccount },
    /// Deletes the object of this uid.
    Delete { uid: String, from: ServiceAccount },
}

/// The object that a call to IAM writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target<'a> {
    Provider(&'a ProviderArn),
    Policy(&'a PolicyArn),
    Role(&'a RoleName),
}

/// The field of an object that a call to IAM writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the calls name them")]
pub enum Field<'a> {
    Object,
    Settings,
    Trust,
    Boundary,
    Inline(&'a PolicyName),
    Attached(&'a PolicyArn),
    Document,
    Version(&'a str),
    Audience(&'a str),
    Tags,
}

impl IamCall {
    /// Which field it writes. Tags are one field.
    pub fn field(&self) -> Field<'_> {
        match self {
            Self::CreateProvider { .. }
            | Self::DeleteProvider { .. }
            | Self::CreatePolicy { .. }
            | Self::DeletePolicy { .. }
            | Self::CreateRole { .. }
            | Self::DeleteRole { .. } => Field::Object,
            Self::AddAudience { audience, .. } => Field::Audience(audience),
            Self::CreatePolicyVersion { .. } => Field::Document,
            Self::DeletePolicyVersion { version, .. } => Field::Version(version),
            Self::UpdateRole { .. } => Field::Settings,
            Self::UpdateTrust { .. } => Field::Trust,
            Self::PutBoundary { .. } | Self::DeleteBoundary { .. } => Field::Boundary,
            Self::PutInline { policy, .. } | Self::DeleteInline { policy, .. } => Field::Inline(policy),
            Self::Attach { arn, .. } | Self::Detach { arn, .. } => Field::Attached(arn),
            Self::TagProvider { .. }
            | Self::UntagProvider { .. }
            | Self::TagPolicy { .. }
            | Self::UntagPolicy { .. }
            | Self::TagRole { .. }
            | Self::UntagRole { .. } => Field::Tags,
        }
    }

    /// What it writes to.
    pub fn target(&self) -> Target<'_> {
        match self {
            Self::CreateProvider { arn, .. }
            | Self::AddAudience { arn, .. }
            | Self::TagProvider { arn, .. }
            | Self::UntagProvider { arn, .. }
            | Self::DeleteProvider { arn } => Target::Provider(arn),
            Self::CreatePolicy { arn, .. }
            | Self::CreatePolicyVersion { arn, .. }
            | Self::DeletePolicyVersion { arn, .. }
            | Self::TagPolicy { arn, .. }
            | Self::UntagPolicy { arn, .. }
            | Self::DeletePolicy { arn } => Target::Policy(arn),
            Self::CreateRole { role } => Target::Role(&role.name),
            Self::UpdateRole { name, .. }
            | Self::UpdateTrust { name, .. }
            | Self::PutBoundary { name, .. }
            | Self::DeleteBoundary { name, .. }
            | Self::PutInline { name, .. }
            | Self::DeleteInline { name, .. }
            | Self::Attach { name, .. }
            | Self::Detach { name, .. }
            | Self::TagRole { name, .. }
            | Self::UntagRole { name, .. }
            | Self::DeleteRole { name } => Target::Role(name),
        }
    }

    /// The name of the API operation.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::CreateProvider { .. } => "CreateOpenIDConnectProvider",
            Self::AddAudience { .. } => "AddClientIDToOpenIDConnectProvider",
            Self::TagProvider { .. } => "TagOpenIDConnectProvider",
            Self::UntagProvider { .. } => "UntagOpenIDConnectProvider",
            Self::DeleteProvider { .. } => "DeleteOpenIDConnectProvider",
            Self::CreatePolicy { .. } => "CreatePolicy",
            Self::CreatePolicyVersion { .. } => "CreatePolicyVersion",
            Self::DeletePolicyVersion { .. } => "DeletePolicyVersion",
            Self::TagPolicy { .. } => "TagPolicy",
            Self::UntagPolicy { .. } => "UntagPolicy",
            Self::DeletePolicy { .. } => "DeletePolicy",
            Self::CreateRole { .. } => "CreateRole",
            Self::UpdateRole { .. } => "UpdateRole",
            Self::UpdateTrust { .. } => "UpdateAssumeRolePolicy",
            Self::PutBoundary { .. } => "PutRolePermissionsBoundary",
            Self::DeleteBoundary { .. } => "DeleteRolePermissionsBoundary",
            Self::PutInline { .. } => "PutRolePolicy",
            Self::DeleteInline { .. } => "DeleteRolePolicy",
            Self::Attach { .. } => "AttachRolePolicy",
            Self::Detach { .. } => "DetachRolePolicy",
            Self::TagRole { .. } => "TagRole",
            Self::UntagRole { .. } => "UntagRole",
            Self::DeleteRole { .. } => "DeleteRole",
        }
    }
}

impl KubernetesCall {
    /// What it does, in kubectl's words.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create ServiceAccount",
            Self::Apply { .. } => "apply ServiceAccount",
            Self::Release { .. } => "release ServiceAccount",
            Self::Remove { .. } => "patch ServiceAccount",
            Self::Delete { .. } => "delete ServiceAccount",
        }
    }

    /// The object that it writes to, with the fields of ours that it finds there or makes.
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
    /// What the call is called in reports.
    pub fn operation(&self) -> String {
        match self {
            Self::Iam(_, call) => format!("iam:{}", call.operation()),
            Self::Kubernetes(_, call) => call.operation().to_owned(),
        }
    }
}
