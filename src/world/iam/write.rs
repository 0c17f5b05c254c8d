//! Writes to IAM: one call of the plan is one call of the API.
//!
//! What is to be gone and is gone already counts as done. What is to be made and is there already is looked at by
//! `twin`. Nothing is decided here, and nothing is written that the call does not say.

use super::{lost_reply, policies};
use crate::ids::PolicyArn;
use crate::model::call::IamCall;
use crate::model::resource::{ManagedPolicy, Provider, Role, StringMap};
use crate::policy::PolicyDocument;
use crate::world::account::{AccountClient, Action, odd};
use crate::world::retry::Facts;
use crate::world::{Answer, CallErrorKind, Written};
use aws_sdk_iam::config::retry::RetryConfig;
use aws_sdk_iam::operation::RequestId;
use aws_sdk_iam::types::Tag;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::error::Error;
use tokio_util::sync::CancellationToken;

/// How often a policy version whose fate is unclear is written.
const VERSION_TRIES: u32 = 3;

/// Makes one call; sends nothing any more once `halt` is cancelled.
pub(crate) async fn write(account: &AccountClient, call: &IamCall, halt: &CancellationToken) -> Answer<Written> {
    let (action, facts) = (Action::iam(call.operation()), account.memory.of_write(call));
    let sender = Sender { account, action, facts, halt };
    let answer = match call {
        IamCall::CreateProvider { .. }
        | IamCall::AddAudience { .. }
        | IamCall::TagProvider { .. }
        | IamCall::UntagProvider { .. }
        | IamCall::DeleteProvider { .. } => sender.provider(call).await,
        IamCall::CreatePolicy { .. }
        | IamCall::CreatePolicyVersion { .. }
        | IamCall::DeletePolicyVersion { .. }
        | IamCall::TagPolicy { .. }
        | IamCall::UntagPolicy { .. }
        | IamCall::DeletePolicy { .. } => sender.policy(call).await,
        IamCall::CreateRole { .. }
        | IamCall::UpdateRole { .. }
        | IamCall::UpdateTrust { .. }
        | IamCall::PutBoundary { .. }
        | IamCall::DeleteBoundary { .. }
        | IamCall::TagRole { .. }
        | IamCall::UntagRole { .. }
        | IamCall::DeleteRole { .. } => sender.role(call).await,
        IamCall::PutInline { .. } | IamCall::DeleteInline { .. } | IamCall::Attach { .. } | IamCall::Detach { .. } => {
            sender.permissions(call).await
        }
    };
    let answer = match answer {
        Err(error) if error.kind == CallErrorKind::NotFound && takes_away(call) => {
            Ok(Written { request_id: error.request_id, already_done: true })
        }
        Err(error) if error.kind == CallErrorKind::AlreadyExists => lost_reply::settle(account, call, error).await,
        other => other,
    };
    if answer.is_ok() {
        account.memory.wrote(call);
    }
    answer
}

/// Whether the call wants something to be gone.
fn takes_away(call: &IamCall) -> bool {
    match call {
        IamCall::UntagProvider { .. }
        | IamCall::DeleteProvider { .. }
        | IamCall::DeletePolicyVersion { .. }
        | IamCall::UntagPolicy { .. }
        | IamCall::DeletePolicy { .. }
        | IamCall::DeleteBoundary { .. }
        | IamCall::DeleteInline { .. }
        | IamCall::Detach { .. }
        | IamCall::UntagRole { .. }
        | IamCall::DeleteRole { .. } => true,
        IamCall::CreateProvider { .. }
        | IamCall::AddAudience { .. }
        | IamCall::TagProvider { .. }
        | IamCall::CreatePolicy { .. }
        | IamCall::CreatePolicyVersion { .. }
        | IamCall::TagPolicy { .. }
        | IamCall::CreateRole { .. }
        | IamCall::UpdateRole { .. }
        | IamCall::UpdateTrust { .. }
        | IamCall::PutBoundary { .. }
        | IamCall::PutInline { .. }
        | IamCall::Attach { .. }
        | IamCall::TagRole { .. } => false,
    }
}

struct Sender<'a> {
    account: &'a AccountClient,
    action: Action,
    facts: Facts,
    halt: &'a CancellationToken,
}

impl Sender<'_> {
    async fn send<T, E, Sent>(&self, send: impl Fn() -> Sent + Send + Sync) -> Answer<Written>
    where
        T: RequestId + Send,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        Sent: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    {
        let answer = self.account.caller.call_unless(self.halt, self.action, self.facts, send).await?;
        Ok(Written { request_id: answer.request_id().map(str::to_owned), already_done: false })
    }

    fn tags(&self, pairs: &StringMap) -> Answer<Option<Vec<Tag>>> {
        let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
        let tags = pairs.iter().map(tag).collect::<Result<Vec<_>, _>>();
        tags.map(Some).map_err(|error| odd(self.action, error.to_string()))
    }

    fn unknown(&self) -> Answer<Written> {
        Err(odd(self.action, "the call is not one of this kind of object"))
    }

    async fn provider(&self, call: &IamCall) -> Answer<Written> {
        let iam = &self.account.iam;
        match call {
            IamCall::CreateProvider { provider, .. } => {
                let Provider { url, audiences, tags } = provider;
                let request = iam
                    .create_open_id_connect_provider()
                    .url(url.as_str())
                    .set_client_id_list(Some(audiences.iter().cloned().collect()))
                    .set_tags(self.tags(tags)?);
                self.send(|| request.clone().send()).await
            }
            IamCall::AddAudience { arn, audience } => {
                let request = iam
                    .add_client_id_to_open_id_connect_provider()
                    .open_id_connect_provider_arn(arn.as_str())
                    .client_id(audience);
                self.send(|| request.clone().send()).await
            }
            IamCall::TagProvider { arn, from: _, to } => {
                let request = iam
                    .tag_open_id_connect_provider()
                    .open_id_connect_provider_arn(arn.as_str())
                    .set_tags(self.tags(to)?);
                self.send(|| request.clone().send()).await
            }
            IamCall::UntagProvider { arn, from } => {
                let request = iam
                    .untag_open_id_connect_provider()
                    .open_id_connect_provider_arn(arn.as_str())
                    .set_tag_keys(Some(from.keys().cloned().collect()));
                self.send(|| request.clone().send()).await
            }
            IamCall::DeleteProvider { arn } => {
                let request = iam.delete_open_id_connect_provider().open_id_connect_provider_arn(arn.as_str());
                self.send(|| request.clone().send()).await
            }
            _ => self.unknown(),
        }
    }

    async fn policy(&self, call: &IamCall) -> Answer<Written> {
        let iam = &self.account.iam;
        match call {
            IamCall::CreatePolicy { policy, .. } => {
                let ManagedPolicy { name, path, description, document, tags } = policy;
                let request = iam
                    .create_policy()
                    .policy_name(name.as_str())
                    .path(path.as_str())
                    .set_description(said(description))
                    .policy_document(document.minified())
                    .set_tags(self.tags(tags)?);
                self.send(|| request.clone().send()).await
            }
            IamCall::CreatePolicyVersion { arn, from: _, to } => self.version(arn, to).await,
            IamCall::DeletePolicyVersion { arn, version } => {
                let request = iam.delete_policy_version().policy_arn(arn.as_str()).version_id(version);
                self.send(|| request.clone().send()).await
            }
            IamCall::TagPolicy { arn, from: _, to } => {
                let request = iam.tag_policy().policy_arn(arn.as_str()).set_tags(self.tags(to)?);
                self.send(|| request.clone().send()).await
            }
            IamCall::UntagPolicy { arn, from } => {
                let keys = from.keys().cloned().collect();
                let request = iam.untag_policy().policy_arn(arn.as_str()).set_tag_keys(Some(keys));
                self.send(|| request.clone().send()).await
            }
            IamCall::DeletePolicy { arn } => {
                let request = iam.delete_policy().policy_arn(arn.as_str());
                self.send(|| request.clone().send()).await
            }
            _ => self.unknown(),
        }
    }

    /// Writes a version as the default one. A version written twice would take two of the five places, so an unclear
    /// outcome is looked up before it is tried again.
    async fn version(&self, arn: &PolicyArn, document: &PolicyDocument) -> Answer<Written> {
        let request = self
            .account
            .iam
            .create_policy_version()
            .policy_arn(arn.as_str())
            .policy_document(document.minified())
            .set_as_default(true);
        let once = || aws_sdk_iam::Config::builder().retry_config(RetryConfig::disabled());
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = self.send(|| request.clone().customize().config_override(once()).send()).await;
            let Err(error) = answer else { return answer };
            if !matches!(error.kind, CallErrorKind::Unavailable | CallErrorKind::Limit) {
                return Err(error);
            }
            let live = policies::whole_knowing(self.account, arn, self.facts).await?;
            if live.is_some_and(|live| live.policy.document == *document) {
                return Ok(Written { request_id: error.request_id, already_done: true });
            }
            if error.kind == CallErrorKind::Limit || tries == VERSION_TRIES {
                return Err(error);
            }
        }
    }

    async fn role(&self, call: &IamCall) -> Answer<Written> {
        let iam = &self.account.iam;
        match call {
            IamCall::CreateRole { role } => self.new_role(role).await,
            IamCall::UpdateRole { name, from: _, to } => {
                let request = iam
                    .update_role()
                    .role_name(name.as_str())
                    .description(&to.description)
                    .max_session_duration(session(to.max_session_duration));
                self.send(|| request.clone().send()).await
            }
            IamCall::UpdateTrust { name, from: _, to } => {
                let request = iam.update_assume_role_policy().role_name(name.as_str()).policy_document(to.minified());
                self.send(|| request.clone().send()).await
            }
            IamCall::PutBoundary { name, from: _, to } => {
                let request =
                    iam.put_role_permissions_boundary().role_name(name.as_str()).permissions_boundary(to.as_str());
                self.send(|| request.clone().send()).await
            }
            IamCall::DeleteBoundary { name, from: _ } => {
                let request = iam.delete_role_permissions_boundary().role_name(name.as_str());
                self.send(|| request.clone().send()).await
            }
            IamCall::TagRole { name, from: _, to } => {
                let request = iam.tag_role().role_name(name.as_str()).set_tags(self.tags(to)?);
                self.send(|| request.clone().send()).await
            }
            IamCall::UntagRole { name, from } => {
                let keys = from.keys().cloned().collect();
                let request = iam.untag_role().role_name(name.as_str()).set_tag_keys(Some(keys));
                self.send(|| request.clone().send()).await
            }
            IamCall::DeleteRole { name } => {
                let request = iam.delete_role().role_name(name.as_str());
                self.send(|| request.clone().send()).await
            }
            _ => self.unknown(),
        }
    }

    /// Tags, boundary and trust go in the very call, so that the role is ours and bounded from its first instant.
    async fn new_role(&self, role: &Role) -> Answer<Written> {
        let Role {
            name,
            path,
            description,
            max_session_duration,
            permissions_boundary,
            tags,
            trust,
            // these follow in calls of their own
            attached: _,
            inline: _,
        } = role;
        let request = self
            .account
            .iam
            .create_role()
            .role_name(name.as_str())
            .path(path.as_str())
            .set_description(said(description))
            .max_session_duration(session(*max_session_duration))
            .set_permissions_boundary(permissions_boundary.as_ref().map(ToString::to_string))
            .set_tags(self.tags(tags)?)
            .assume_role_policy_document(trust.minified());
        self.send(|| request.clone().send()).await
    }

    async fn permissions(&self, call: &IamCall) -> Answer<Written> {
        let iam = &self.account.iam;
        match call {
            IamCall::PutInline { name, policy, from: _, to } => {
                let request = iam
                    .put_role_policy()
                    .role_name(name.as_str())
                    .policy_name(policy.as_str())
                    .policy_document(to.minified());
                self.send(|| request.clone().send()).await
            }
            IamCall::DeleteInline { name, policy, from: _ } => {
                let request = iam.delete_role_policy().role_name(name.as_str()).policy_name(policy.as_str());
                self.send(|| request.clone().send()).await
            }
            IamCall::Attach { name, arn } => {
                let request = iam.attach_role_policy().role_name(name.as_str()).policy_arn(arn.as_str());
                self.send(|| request.clone().send()).await
            }
            IamCall::Detach { name, arn } => {
                let request = iam.detach_role_policy().role_name(name.as_str()).policy_arn(arn.as_str());
                self.send(|| request.clone().send()).await
            }
            _ => self.unknown(),
        }
    }
}

/// A description, if there is one.
fn said(description: &str) -> Option<String> {
    (!description.is_empty()).then(|| description.to_owned())
}

fn session(seconds: u32) -> i32 {
    i32::try_from(seconds).unwrap_or(i32::MAX)
}
