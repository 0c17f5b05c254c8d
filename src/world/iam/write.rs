//! Writes to IAM: each [`IamCall`] is one API call.
//!
//! Removing a field or object that is already gone counts as done. `already_exists` resolves EntityAlreadyExists.

use super::{already_exists, policies};
use crate::ids::PolicyArn;
use crate::model::call::IamCall;
use crate::model::resource::{ManagedPolicy, Provider, Role, StringMap};
use crate::policy::PolicyDocument;
use crate::world::account::{AccountClient, Action, SdkFailure, SdkFuture, WriteKind, other};
use crate::world::retry::RetryFacts;
use crate::world::{Answer, CallErrorKind, Written};
use aws_sdk_iam::config::retry::RetryConfig;
use aws_sdk_iam::operation::RequestId;
use aws_sdk_iam::types::Tag;
use tokio_util::sync::CancellationToken;

/// How many times irsa sends CreatePolicyVersion, at most, if its outcome is unclear.
const VERSION_TRIES: u32 = 3;

/// Makes one call. Sends nothing once `halt` is cancelled.
pub(crate) async fn write(account: &AccountClient, call: &IamCall, halt: &CancellationToken) -> Answer<Written> {
    let (action, facts) = (Action::iam(call.operation()), account.recent_writes.facts_for_write(call));
    let writer = Writer { account, action, facts, halt };
    let answer = match Box::pin(writer.write(call)).await {
        Err(error) if error.kind == CallErrorKind::NotFound && WriteKind::of(call) == WriteKind::Remove => {
            Ok(Written { request_id: error.request_id, already_done: true })
        }
        Err(error) if error.kind == CallErrorKind::AlreadyExists => already_exists::resolve(account, call, error).await,
        other => other,
    };
    if answer.is_ok() {
        account.recent_writes.remember(call);
    }
    answer
}

struct Writer<'a> {
    account: &'a AccountClient,
    action: Action,
    facts: RetryFacts,
    halt: &'a CancellationToken,
}

/// Sends an SDK request.
macro_rules! send {
    ($writer:expr, $request:expr) => {{
        let request = $request;
        $writer.send(|| request.clone().send()).await
    }};
}

impl Writer<'_> {
    async fn send<T: RequestId + Send, E: SdkFailure, Sent: SdkFuture<T, E>>(
        &self,
        send: impl Fn() -> Sent + Send + Sync,
    ) -> Answer<Written> {
        let answer = self.account.sender.call_unless(self.halt, self.action, self.facts, send).await?;
        Ok(Written { request_id: answer.request_id().map(str::to_owned), already_done: false })
    }

    fn tags(&self, tags: &StringMap) -> Answer<Option<Vec<Tag>>> {
        let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
        let tags = tags.iter().map(tag).collect::<Result<Vec<_>, _>>();
        tags.map(Some).map_err(|error| other(self.action, error.to_string()))
    }

    async fn write(&self, call: &IamCall) -> Answer<Written> {
        let iam = &self.account.iam;
        match call {
            IamCall::CreateProvider { arn: _, provider: Provider { url, audiences, tags } } => send!(
                self,
                iam.create_open_id_connect_provider()
                    .url(url)
                    .set_client_id_list(Some(audiences.iter().cloned().collect()))
                    .set_tags(self.tags(tags)?)
            ),
            IamCall::AddAudience { arn, audience } => send!(
                self,
                iam.add_client_id_to_open_id_connect_provider()
                    .open_id_connect_provider_arn(arn.as_str())
                    .client_id(audience)
            ),
            IamCall::TagProvider { arn, from: _, to } => send!(
                self,
                iam.tag_open_id_connect_provider().open_id_connect_provider_arn(arn.as_str()).set_tags(self.tags(to)?)
            ),
            IamCall::UntagProvider { arn, from } => send!(
                self,
                iam.untag_open_id_connect_provider()
                    .open_id_connect_provider_arn(arn.as_str())
                    .set_tag_keys(Some(from.keys().cloned().collect()))
            ),
            IamCall::DeleteProvider { arn } => {
                send!(self, iam.delete_open_id_connect_provider().open_id_connect_provider_arn(arn.as_str()))
            }
            IamCall::CreatePolicy { arn: _, policy: ManagedPolicy { name, path, description, document, tags } } => {
                send!(
                    self,
                    iam.create_policy()
                        .policy_name(name.as_str())
                        .path(path.as_str())
                        .set_description(not_empty(description))
                        .policy_document(document.minified())
                        .set_tags(self.tags(tags)?)
                )
            }
            IamCall::CreatePolicyVersion { arn, from: _, to } => self.create_version(arn, to).await,
            IamCall::DeletePolicyVersion { arn, version } => {
                send!(self, iam.delete_policy_version().policy_arn(arn.as_str()).version_id(version))
            }
            IamCall::TagPolicy { arn, from: _, to } => {
                send!(self, iam.tag_policy().policy_arn(arn.as_str()).set_tags(self.tags(to)?))
            }
            IamCall::UntagPolicy { arn, from } => {
                let keys = from.keys().cloned().collect();
                send!(self, iam.untag_policy().policy_arn(arn.as_str()).set_tag_keys(Some(keys)))
            }
            IamCall::DeletePolicy { arn } => send!(self, iam.delete_policy().policy_arn(arn.as_str())),
            IamCall::CreateRole { role } => self.create_role(role).await,
            IamCall::UpdateRole { name, from: _, to } => send!(
                self,
                iam.update_role()
                    .role_name(name.as_str())
                    .description(&to.description)
                    .max_session_duration(seconds(to.max_session_duration))
            ),
            IamCall::UpdateTrust { name, from: _, to } => {
                send!(self, iam.update_assume_role_policy().role_name(name.as_str()).policy_document(to.minified()))
            }
            IamCall::PutBoundary { name, from: _, to } => send!(
                self,
                iam.put_role_permissions_boundary().role_name(name.as_str()).permissions_boundary(to.as_str())
            ),
            IamCall::DeleteBoundary { name, from: _ } => {
                send!(self, iam.delete_role_permissions_boundary().role_name(name.as_str()))
            }
            IamCall::PutInline { name, policy, from: _, to } => send!(
                self,
                iam.put_role_policy()
                    .role_name(name.as_str())
                    .policy_name(policy.as_str())
                    .policy_document(to.minified())
            ),
            IamCall::DeleteInline { name, policy, from: _ } => {
                send!(self, iam.delete_role_policy().role_name(name.as_str()).policy_name(policy.as_str()))
            }
            IamCall::Attach { name, arn } => {
                send!(self, iam.attach_role_policy().role_name(name.as_str()).policy_arn(arn.as_str()))
            }
            IamCall::Detach { name, arn } => {
                send!(self, iam.detach_role_policy().role_name(name.as_str()).policy_arn(arn.as_str()))
            }
            IamCall::TagRole { name, from: _, to } => {
                send!(self, iam.tag_role().role_name(name.as_str()).set_tags(self.tags(to)?))
            }
            IamCall::UntagRole { name, from } => {
                let keys = from.keys().cloned().collect();
                send!(self, iam.untag_role().role_name(name.as_str()).set_tag_keys(Some(keys)))
            }
            IamCall::DeleteRole { name } => send!(self, iam.delete_role().role_name(name.as_str())),
        }
    }

    /// CreateRole with tags, boundary and trust policy, so that the role has its owner and its boundary from the start.
    async fn create_role(&self, role: &Role) -> Answer<Written> {
        let Role {
            name,
            path,
            description,
            max_session_duration,
            permissions_boundary,
            tags,
            trust,
            // other calls of the plan write these
            attached: _,
            inline: _,
        } = role;
        send!(
            self,
            self.account
                .iam
                .create_role()
                .role_name(name.as_str())
                .path(path.as_str())
                .set_description(not_empty(description))
                .max_session_duration(seconds(*max_session_duration))
                .set_permissions_boundary(permissions_boundary.as_ref().map(ToString::to_string))
                .set_tags(self.tags(tags)?)
                .assume_role_policy_document(trust.minified())
        )
    }

    /// CreatePolicyVersion as the default version. A policy has room for five versions, so after an unclear outcome
    /// irsa reads the policy before it sends the call again.
    async fn create_version(&self, arn: &PolicyArn, document: &PolicyDocument) -> Answer<Written> {
        let request = self
            .account
            .iam
            .create_policy_version()
            .policy_arn(arn.as_str())
            .policy_document(document.minified())
            .set_as_default(true);
        let without_retries = || aws_sdk_iam::Config::builder().retry_config(RetryConfig::disabled());
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = self.send(|| request.clone().customize().config_override(without_retries()).send()).await;
            let Err(error) = answer else { return answer };
            if !matches!(error.kind, CallErrorKind::Unavailable | CallErrorKind::Limit) {
                return Err(error);
            }
            let live = policies::with_versions(self.account, arn, self.facts).await?;
            if live.is_some_and(|live| live.policy.document == *document) {
                return Ok(Written { request_id: error.request_id, already_done: true });
            }
            if error.kind == CallErrorKind::Limit || tries == VERSION_TRIES {
                return Err(error);
            }
        }
    }
}

fn not_empty(description: &str) -> Option<String> {
    (!description.is_empty()).then(|| description.to_owned())
}

fn seconds(duration: u32) -> i32 {
    i32::try_from(duration).unwrap_or(i32::MAX)
}
