//! What a run wrote to each IAM object: each field, with the value that the run wrote last. Reads the object again, and
//! names the fields that IAM does not show yet.

use crate::apply::report::{Outcome, Report};
use crate::ids::{Key, PolicyArn, PolicyName, RoleName};
use crate::model::call::{Call, Created, FieldWrite, IamCall, Target};
use crate::model::live::RoleSummary;
use crate::model::resource::{Role, StringMap};
use crate::plan::Plan;
use crate::policy::PolicyDocument;
use crate::world::{Answer, ReadAws};
use futures::future::{join3, try_join_all};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// An object of an account.
pub(super) type Object<'p> = (&'p Key, Target<'p>);

/// What a run wrote to one object.
#[derive(Debug, Default)]
pub(super) struct Expected<'p> {
    /// The indexes of the steps that wrote.
    pub writers: BTreeSet<usize>,
    fields: Fields<'p>,
}

/// Fields with their values. None if the field must be absent.
type Fields<'a> = BTreeMap<WrittenField<'a>, Option<Value<'a>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum WrittenField<'a> {
    Trust,
    Document,
    Description,
    MaxSessionDuration,
    Boundary,
    Audience(&'a str),
    Tag(&'a str),
    Attached(&'a PolicyArn),
    Inline(&'a PolicyName),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Value<'a> {
    Document(&'a PolicyDocument),
    Text(&'a str),
    Number(u32),
    Present,
}

/// The written fields of each object, from the calls that the report says are done. A deleted object has none.
pub(super) fn of<'p>(plan: &'p Plan, report: &Report) -> BTreeMap<Object<'p>, Expected<'p>> {
    let mut expected: BTreeMap<Object<'p>, Expected<'p>> = BTreeMap::new();
    for (index, (step, ended)) in plan.steps.iter().zip(&report.outcomes).enumerate() {
        let done = match &ended.outcome {
            Outcome::Applied => step.parts.len(),
            Outcome::Failed(failure) => failure.done.len(),
            Outcome::AlreadyDone | Outcome::Skipped(_) => 0,
        };
        for part in step.parts.iter().take(done) {
            let Call::Iam(account, call) = &part.call else { continue };
            let object = (account, call.target());
            if call.deletes() {
                expected.remove(&object);
                continue;
            }
            let written = expected.entry(object).or_default();
            written.writers.insert(index);
            written.add(call);
        }
    }
    expected
}

impl<'p> Expected<'p> {
    fn add(&mut self, call: &'p IamCall) {
        let fields = &mut self.fields;
        let document = |document| Some(Value::Document(document));
        let (field, value) = match call.write() {
            FieldWrite::Create(Created::Provider(provider)) => {
                return fields.extend(tags(&provider.tags).chain(audiences(&provider.audiences)));
            }
            FieldWrite::Create(Created::Policy(policy)) => {
                fields.extend(tags(&policy.tags));
                (WrittenField::Document, document(&policy.document))
            }
            FieldWrite::Create(Created::Role(role)) => return fields.extend(attributes(role).chain(tags(&role.tags))),
            FieldWrite::Settings(_, to) => return fields.extend(settings(&to.description, to.max_session_duration)),
            FieldWrite::SetTags(_, to) => return fields.extend(tags(to)),
            FieldWrite::RemoveTags(from) => {
                return fields.extend(from.keys().map(|key| (WrittenField::Tag(key), None)));
            }
            // a version that is not the default grants nothing
            FieldWrite::Delete | FieldWrite::DeleteVersion(_) => return,
            FieldWrite::AddAudience(audience) => (WrittenField::Audience(audience), Some(Value::Present)),
            FieldWrite::Document(_, to) => (WrittenField::Document, document(to)),
            FieldWrite::Trust(_, to) => (WrittenField::Trust, document(to)),
            FieldWrite::Boundary(_, to) => (WrittenField::Boundary, to.map(|arn| Value::Text(arn.as_str()))),
            FieldWrite::Inline(policy, _, to) => (WrittenField::Inline(policy), to.map(Value::Document)),
            FieldWrite::Attach(arn) => (WrittenField::Attached(arn), Some(Value::Present)),
            FieldWrite::Detach(arn) => (WrittenField::Attached(arn), None),
        };
        fields.insert(field, value);
    }

    fn has(&self, kind: impl Fn(&WrittenField<'p>) -> bool) -> bool {
        self.fields.keys().any(kind)
    }

    fn inline_names(&self) -> impl Iterator<Item = &'p PolicyName> {
        self.fields.keys().filter_map(|field| match field {
            WrittenField::Inline(name) => Some(*name),
            _ => None,
        })
    }

    /// How many calls it takes to read the fields of this role.
    pub(super) fn calls(&self) -> usize {
        usize::from(self.has(in_get_role)) + usize::from(self.has(is_attachment)) + self.inline_names().count()
    }

    /// Compares with a role of which all fields were read. Returns a note about the written fields that it does not
    /// show.
    pub(super) fn missing_in(&self, role: Option<&Role>) -> Option<String> {
        let Some(role) = role else { return note(["the role itself".to_owned()]) };
        let live = attributes(role);
        let inline =
            self.inline_names().map(|name| (WrittenField::Inline(name), role.inline.get(name).map(Value::Document)));
        let live = live.chain(tags(&role.tags)).chain(attachments(&role.attached)).chain(inline);
        note(self.differences(live))
    }

    /// Reads what was written. Returns a note about the fields that do not show, or about the read that failed.
    pub(super) async fn read<A: ReadAws>(&self, (account, target): &Object<'_>, aws: &A) -> Option<String> {
        let missing = match target {
            Target::Role(name) => self.read_role(account, name, aws).await,
            Target::Policy(arn) => self.read_policy(account, arn, aws).await,
            Target::Provider(arn) => aws.provider(account, arn).await.map(|live| {
                let Some(live) = live else { return vec!["the provider itself".to_owned()] };
                self.differences(tags(&live.provider.tags).chain(audiences(&live.provider.audiences)))
            }),
        };
        missing.map_or_else(|error| Some(format!("it was written, but irsa could not read it again: {error}")), note)
    }

    async fn read_role<A: ReadAws>(&self, account: &Key, name: &RoleName, aws: &A) -> Answer<Vec<String>> {
        let head =
            async { if self.has(in_get_role) { aws.role_attributes(account, name).await.map(Some) } else { Ok(None) } };
        let attached =
            async { if self.has(is_attachment) { aws.attached(account, name).await.map(Some) } else { Ok(None) } };
        let inline = try_join_all(
            self.inline_names().map(|policy| async move { Ok((policy, aws.inline(account, name, policy).await?)) }),
        );
        let (head, attached, inline) = join3(head, attached, inline).await;
        let head = head?;
        if matches!(head, Some(None)) {
            return Ok(vec!["the role itself".to_owned()]);
        }
        let (attached, inline) = (attached?.flatten().unwrap_or_default(), inline?);
        let head = head.flatten();
        let live = head.iter().flat_map(|head| {
            let RoleSummary { trust, description, max_session_duration, .. } = &head.summary;
            let boundary = head.permissions_boundary.as_ref();
            attributes_of(trust, description, *max_session_duration, boundary).chain(tags(&head.tags))
        });
        let inline = inline.iter().map(|(name, live)| (WrittenField::Inline(name), live.as_ref().map(Value::Document)));
        Ok(self.differences(live.chain(attachments(&attached)).chain(inline)))
    }

    async fn read_policy<A: ReadAws>(&self, account: &Key, arn: &PolicyArn, aws: &A) -> Answer<Vec<String>> {
        let gone = || vec!["the policy itself".to_owned()];
        if self.has(|field| *field == WrittenField::Document) {
            let Some(live) = aws.policy(account, arn).await? else { return Ok(gone()) };
            let document = (WrittenField::Document, Some(Value::Document(&live.policy.document)));
            return Ok(self.differences(tags(&live.policy.tags).chain([document])));
        }
        if self.fields.is_empty() {
            return Ok(Vec::new());
        }
        let tags_now = aws.policy_tags(account, arn).await?;
        Ok(tags_now.map_or_else(gone, |live| self.differences(tags(&live))))
    }

    /// The names of the fields whose live value is not the expected one.
    fn differences<'a>(&self, live: impl Iterator<Item = (WrittenField<'a>, Option<Value<'a>>)>) -> Vec<String> {
        let live: Fields<'_> = live.collect();
        let differ = self.fields.iter().filter(|(field, value)| live.get(*field).copied().flatten() != **value);
        differ.map(|(field, _)| field.to_string()).collect()
    }
}

fn in_get_role(field: &WrittenField<'_>) -> bool {
    !is_attachment(field) && !matches!(field, WrittenField::Inline(_))
}

fn is_attachment(field: &WrittenField<'_>) -> bool {
    matches!(field, WrittenField::Attached(_))
}

fn attributes(role: &Role) -> impl Iterator<Item = (WrittenField<'_>, Option<Value<'_>>)> {
    let boundary = role.permissions_boundary.as_ref();
    attributes_of(&role.trust, &role.description, role.max_session_duration, boundary)
}

fn attributes_of<'a>(
    trust: &'a PolicyDocument,
    description: &'a str,
    max_session_duration: u32,
    boundary: Option<&'a PolicyArn>,
) -> impl Iterator<Item = (WrittenField<'a>, Option<Value<'a>>)> {
    let trust = (WrittenField::Trust, Some(Value::Document(trust)));
    let boundary = (WrittenField::Boundary, boundary.map(|arn| Value::Text(arn.as_str())));
    settings(description, max_session_duration).into_iter().chain([trust, boundary])
}

fn settings(description: &str, max_session_duration: u32) -> [(WrittenField<'_>, Option<Value<'_>>); 2] {
    [
        (WrittenField::Description, Some(Value::Text(description))),
        (WrittenField::MaxSessionDuration, Some(Value::Number(max_session_duration))),
    ]
}

fn tags(tags: &StringMap) -> impl Iterator<Item = (WrittenField<'_>, Option<Value<'_>>)> {
    tags.iter().map(|(key, value)| (WrittenField::Tag(key), Some(Value::Text(value))))
}

fn audiences(audiences: &BTreeSet<String>) -> impl Iterator<Item = (WrittenField<'_>, Option<Value<'_>>)> {
    audiences.iter().map(|audience| (WrittenField::Audience(audience), Some(Value::Present)))
}

fn attachments(attached: &BTreeSet<PolicyArn>) -> impl Iterator<Item = (WrittenField<'_>, Option<Value<'_>>)> {
    attached.iter().map(|arn| (WrittenField::Attached(arn), Some(Value::Present)))
}

impl fmt::Display for WrittenField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trust => f.write_str("`trust`"),
            Self::Document => f.write_str("`document`"),
            Self::Description => f.write_str("`description`"),
            Self::MaxSessionDuration => f.write_str("`max-session-duration`"),
            Self::Boundary => f.write_str("`permissions-boundary`"),
            Self::Audience(audience) => write!(f, "audience `{audience}`"),
            Self::Tag(key) => write!(f, "`tags.{key}`"),
            Self::Attached(arn) => write!(f, "attached policy `{arn}`"),
            Self::Inline(name) => write!(f, "`inline.{name}`"),
        }
    }
}

fn note(fields: impl IntoIterator<Item = String>) -> Option<String> {
    let fields: Vec<String> = fields.into_iter().collect();
    (!fields.is_empty()).then(|| format!("written, but IAM does not show it yet: {}", fields.join(", ")))
}
