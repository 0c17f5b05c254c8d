//! The fields that a run has written, each with the value that it wrote last.

use crate::apply::report::{Outcome, Report};
use crate::ids::{Key, PolicyArn, PolicyName, ProviderArn, RoleName};
use crate::model::call::{Call, IamCall, RoleSettings, Target};
use crate::model::resource::{Role, StringMap};
use crate::plan::Plan;
use crate::policy::PolicyDocument;
use crate::world::{Answer, ReadAws, RoleAttributes};
use futures::future::{join3, try_join_all};
use std::collections::{BTreeMap, BTreeSet};

/// An object of an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Object {
    /// By folded name.
    Role(String),
    Policy(PolicyArn),
    Provider(ProviderArn),
}

/// What was written to each object.
pub(super) type Wanted<'p> = BTreeMap<(&'p Key, Object), Fields<'p>>;

/// What was written to one object; what is empty or None was not.
#[derive(Debug, Default)]
pub(super) struct Fields<'p> {
    /// The positions of the steps that wrote.
    pub writers: BTreeSet<usize>,
    role: Option<&'p RoleName>,
    /// A role's trust, or a policy's document.
    document: Option<&'p PolicyDocument>,
    settings: Option<RoleSettings>,
    boundary: Option<Bound<'p>>,
    tags: BTreeMap<&'p str, Option<&'p str>>,
    inline: BTreeMap<&'p PolicyName, Option<&'p PolicyDocument>>,
    attached: BTreeMap<&'p PolicyArn, bool>,
    audiences: BTreeSet<&'p str>,
}

/// A boundary, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bound<'p>(Option<&'p PolicyArn>);

/// What the steps of a plan wrote that the report says were done. What was deleted has no fields.
pub(super) fn of<'p>(plan: &'p Plan, report: &Report) -> Wanted<'p> {
    let mut wanted = Wanted::new();
    for (position, (step, ended)) in plan.steps.iter().zip(&report.outcomes).enumerate() {
        let done = match &ended.outcome {
            Outcome::Applied => step.parts.len(),
            Outcome::Failed(failure) => failure.done.len(),
            Outcome::AlreadyDone | Outcome::Skipped(_) => 0,
        };
        for part in step.parts.iter().take(done) {
            if let Call::Iam(account, call) = &part.call {
                note(&mut wanted, position, account, call);
            }
        }
    }
    wanted
}

fn note<'p>(wanted: &mut Wanted<'p>, position: usize, account: &'p Key, call: &'p IamCall) {
    let (object, role) = object(call);
    let place = (account, object);
    if matches!(call, IamCall::DeleteRole { .. } | IamCall::DeletePolicy { .. } | IamCall::DeleteProvider { .. }) {
        wanted.remove(&place);
        return;
    }
    let fields = wanted.entry(place).or_default();
    fields.writers.insert(position);
    fields.role = role;
    fields.add(call);
}

fn object(call: &IamCall) -> (Object, Option<&RoleName>) {
    match call.target() {
        Target::Provider(arn) => (Object::Provider(arn.clone()), None),
        Target::Policy(arn) => (Object::Policy(arn.clone()), None),
        Target::Role(name) => (Object::Role(name.case_insensitive()), Some(name)),
    }
}

impl<'p> Fields<'p> {
    fn add(&mut self, call: &'p IamCall) {
        match call {
            IamCall::CreateProvider { provider, .. } => {
                self.tag(&provider.tags);
                self.audiences.extend(provider.audiences.iter().map(String::as_str));
            }
            IamCall::AddAudience { audience, .. } => {
                self.audiences.insert(audience);
            }
            IamCall::CreatePolicy { policy, .. } => {
                self.document = Some(&policy.document);
                self.tag(&policy.tags);
            }
            IamCall::CreatePolicyVersion { to, .. } | IamCall::UpdateTrust { to, .. } => self.document = Some(to),
            IamCall::CreateRole { role } => {
                self.document = Some(&role.trust);
                self.settings = Some(settings(role));
                self.boundary = Some(Bound(role.permissions_boundary.as_ref()));
                self.tag(&role.tags);
            }
            IamCall::UpdateRole { to, .. } => self.settings = Some(to.clone()),
            IamCall::PutBoundary { to, .. } => self.boundary = Some(Bound(Some(to))),
            IamCall::DeleteBoundary { .. } => self.boundary = Some(Bound(None)),
            IamCall::PutInline { policy, to, .. } => {
                self.inline.insert(policy, Some(to));
            }
            IamCall::DeleteInline { policy, .. } => {
                self.inline.insert(policy, None);
            }
            IamCall::Attach { arn, .. } => {
                self.attached.insert(arn, true);
            }
            IamCall::Detach { arn, .. } => {
                self.attached.insert(arn, false);
            }
            IamCall::TagRole { to, .. } | IamCall::TagPolicy { to, .. } | IamCall::TagProvider { to, .. } => {
                self.tag(to);
            }
            IamCall::UntagRole { from, .. }
            | IamCall::UntagPolicy { from, .. }
            | IamCall::UntagProvider { from, .. } => {
                self.tags.extend(from.keys().map(|key| (key.as_str(), None)));
            }
            // a version that is no longer the default gives nobody anything
            IamCall::DeletePolicyVersion { .. }
            | IamCall::DeleteProvider { .. }
            | IamCall::DeletePolicy { .. }
            | IamCall::DeleteRole { .. } => {}
        }
    }

    fn tag(&mut self, tags: &'p StringMap) {
        self.tags.extend(tags.iter().map(|(key, value)| (key.as_str(), Some(value.as_str()))));
    }

    fn has_head(&self) -> bool {
        self.document.is_some() || self.settings.is_some() || self.boundary.is_some() || !self.tags.is_empty()
    }

    /// How many calls a look at this role alone takes.
    pub(super) fn calls(&self) -> usize {
        usize::from(self.has_head()) + usize::from(!self.attached.is_empty()) + self.inline.len()
    }

    /// What a role that was read in full does not show, if something.
    pub(super) fn missing(&self, role: Option<&Role>) -> Option<String> {
        let Some(role) = role else { return told(&["the role itself".to_owned()]) };
        let mut fields = self.head(&role.trust, &settings(role), role.permissions_boundary.as_ref(), &role.tags);
        fields.extend(self.attachments(&role.attached));
        fields.extend(self.inline.iter().filter_map(|(name, wanted)| inline(name, role.inline.get(*name), *wanted)));
        told(&fields)
    }

    /// Reads what was written, and tells what does not show or could not be read.
    pub(super) async fn look<A: ReadAws>(&self, (account, object): &(&Key, Object), aws: &A) -> Option<String> {
        let answer = match (object, self.role) {
            (Object::Role(_), Some(name)) => self.role(account, name, aws).await,
            (Object::Role(_), None) => return None,
            (Object::Policy(arn), _) => self.policy(account, arn, aws).await,
            (Object::Provider(arn), _) => self.provider(account, arn, aws).await,
        };
        match answer {
            Ok(fields) => told(&fields),
            Err(error) => Some(format!("it could not be read once more: {error}")),
        }
    }

    async fn role<A: ReadAws>(&self, account: &Key, name: &RoleName, aws: &A) -> Answer<Vec<String>> {
        let head =
            async { if self.has_head() { aws.role_attributes(account, name).await.map(Some) } else { Ok(None) } };
        let attached =
            async { if self.attached.is_empty() { Ok(None) } else { aws.attached(account, name).await.map(Some) } };
        let inlines = try_join_all(self.inline.iter().map(|(policy, wanted)| async move {
            Ok(inline(policy, aws.inline(account, name, policy).await?.as_ref(), *wanted))
        }));
        let (head, attached, inlines) = join3(head, attached, inlines).await;
        let mut fields = match head? {
            Some(None) => return Ok(vec!["the role itself".to_owned()]),
            Some(Some(RoleAttributes { summary, tags, permissions_boundary, .. })) => {
                let settings = RoleSettings {
                    description: summary.description,
                    max_session_duration: summary.max_session_duration,
                };
                self.head(&summary.trust, &settings, permissions_boundary.as_ref(), &tags)
            }
            None => Vec::new(),
        };
        if let Some(attached) = attached? {
            fields.extend(self.attachments(&attached.unwrap_or_default()));
        }
        fields.extend(inlines?.into_iter().flatten());
        Ok(fields)
    }

    fn head(
        &self,
        trust: &PolicyDocument,
        settings: &RoleSettings,
        boundary: Option<&PolicyArn>,
        tags: &StringMap,
    ) -> Vec<String> {
        let RoleSettings { description, max_session_duration } = settings;
        let mut fields = Vec::new();
        let mut check = |differs: bool, field: &str| {
            if differs {
                fields.push(format!("`{field}`"));
            }
        };
        check(self.document.is_some_and(|wanted| wanted != trust), "trust");
        if let Some(wanted) = &self.settings {
            check(wanted.description != *description, "description");
            check(wanted.max_session_duration != *max_session_duration, "max-session-duration");
        }
        check(self.boundary.is_some_and(|wanted| wanted != Bound(boundary)), "permissions-boundary");
        fields.extend(self.tags_that_differ(tags));
        fields
    }

    fn tags_that_differ(&self, tags: &StringMap) -> impl Iterator<Item = String> {
        let differ = self.tags.iter().filter(|(key, wanted)| tags.get(**key).map(String::as_str) != **wanted);
        differ.map(|(key, _)| format!("`tags.{key}`"))
    }

    fn attachments(&self, attached: &BTreeSet<PolicyArn>) -> impl Iterator<Item = String> {
        let differ = self.attached.iter().filter(|(arn, wanted)| attached.contains(**arn) != **wanted);
        differ.map(|(arn, _)| format!("`attached` of `{arn}`"))
    }

    async fn policy<A: ReadAws>(&self, account: &Key, arn: &PolicyArn, aws: &A) -> Answer<Vec<String>> {
        let gone = || vec!["the policy itself".to_owned()];
        let Some(wanted) = self.document else {
            if self.tags.is_empty() {
                return Ok(Vec::new());
            }
            let tags = aws.policy_tags(account, arn).await?;
            return Ok(tags.map_or_else(gone, |tags| self.tags_that_differ(&tags).collect()));
        };
        let Some(live) = aws.policy(account, arn).await? else { return Ok(gone()) };
        let document = (live.policy.document != *wanted).then(|| "`document`".to_owned());
        Ok(document.into_iter().chain(self.tags_that_differ(&live.policy.tags)).collect())
    }

    async fn provider<A: ReadAws>(&self, account: &Key, arn: &ProviderArn, aws: &A) -> Answer<Vec<String>> {
        let Some(live) = aws.provider(account, arn).await? else { return Ok(vec!["the provider itself".to_owned()]) };
        let audiences = self.audiences.iter().filter(|wanted| !live.provider.audiences.contains(**wanted));
        let audiences = audiences.map(|audience| format!("`audiences` of `{audience}`"));
        Ok(audiences.chain(self.tags_that_differ(&live.provider.tags)).collect())
    }
}

fn settings(role: &Role) -> RoleSettings {
    RoleSettings { description: role.description.clone(), max_session_duration: role.max_session_duration }
}

fn inline(name: &PolicyName, live: Option<&PolicyDocument>, wanted: Option<&PolicyDocument>) -> Option<String> {
    (live != wanted).then(|| format!("`inline.{name}`"))
}

fn told(fields: &[String]) -> Option<String> {
    (!fields.is_empty()).then(|| format!("written, but IAM does not show it yet: {}", fields.join(", ")))
}
