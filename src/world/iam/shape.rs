//! From what IAM sends to model types. What our types refuse is an error of the call or, in a list, an entry that is
//! told apart: never left out, since a role that is not seen would be taken for absent.

use crate::ids::{IamPath, IdError, PolicyArn, PolicyName, RoleArn, RoleName};
use crate::model::address::OrphanKind;
use crate::model::live::{Identity, Malformed, RoleSummary};
use crate::model::resource::{InlinePolicies, Role, StringMap};
use crate::policy::PolicyDocument;
use crate::world::account::{AccountClient, Action, odd};
use crate::world::bounds::{Endless, Listing};
use crate::world::connect::LONG_ATTEMPT;
use crate::world::scrub::clean;
use crate::world::{Answer, Listed, RoleAttributes, sts};
use aws_sdk_iam::types;
use aws_smithy_types::timeout::TimeoutConfig;
use tokio::time::Instant;

/// The session length of a role that none was set for.
const DEFAULT_SESSION: i32 = 3_600;

/// Reads a name, path or ARN that IAM sent.
pub(crate) fn parsed<T>(action: Action, text: Option<&str>, parse: impl Fn(String) -> Result<T, IdError>) -> Answer<T> {
    let Some(text) = text else { return missing(action) };
    parse(text.to_owned()).map_err(|error| odd(action, format!("`{text}`: {error}")))
}

/// That something has no name at all.
pub(crate) fn missing<T>(action: Action) -> Answer<T> {
    Err(odd(action, "the answer lacks a name, path or ARN"))
}

/// One page of a list.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) truncated: bool,
    pub(crate) marker: Option<String>,
}

/// How much room an entry of a list takes, more or less.
pub(crate) trait Size {
    /// In bytes.
    fn size(&self) -> usize;
}

impl Size for String {
    fn size(&self) -> usize {
        self.len()
    }
}

impl Size for (String, String) {
    fn size(&self) -> usize {
        self.0.len() + self.1.len()
    }
}

impl Size for PolicyName {
    fn size(&self) -> usize {
        self.as_str().len()
    }
}

impl Size for PolicyArn {
    fn size(&self) -> usize {
        self.as_str().len()
    }
}

impl<T: Size> Size for Result<T, Malformed> {
    fn size(&self) -> usize {
        match self {
            Ok(item) => item.size(),
            Err(odd) => odd.name.len() + odd.why.len(),
        }
    }
}

/// Reads a list to its end, as far as irsa reads a list. A page that says that there is more and not where is an error:
/// half a list would make the other half look absent.
pub(crate) async fn pages<T: Size, Fetched>(
    account: &AccountClient,
    action: Action,
    fetch: impl Fn(Option<String>) -> Fetched,
) -> Answer<Vec<T>>
where
    Fetched: Future<Output = Answer<Page<T>>>,
{
    let endless = |endless: Endless| odd(action, endless.to_string());
    let mut listing = Listing::new(account.caller.budget());
    let mut all = Vec::new();
    let mut marker = None;
    loop {
        // on the heap: a call is large
        let page = listing.within(Box::pin(fetch(marker))).await.map_err(endless)??;
        let next = page.truncated.then_some(page.marker);
        if next == Some(None) {
            return Err(odd(action, "a page of the list is missing"));
        }
        marker = next.flatten();
        let bytes = page.items.iter().map(Size::size).sum();
        listing.page(Instant::now(), page.items.len(), bytes, marker.as_deref()).map_err(endless)?;
        all.extend(page.items);
        if marker.is_none() {
            return Ok(all);
        }
    }
}

/// The entries of a list, those that were understood apart from the others.
pub(crate) fn listed<T>(entries: Vec<Result<T, Malformed>>) -> Listed<T> {
    let mut listed = Listed { items: Vec::with_capacity(entries.len()), odd: Vec::new() };
    for entry in entries {
        match entry {
            Ok(item) => listed.items.push(item),
            Err(odd) => listed.odd.push(odd),
        }
    }
    listed
}

/// An entry of a list; `name` is for display.
pub(crate) fn judged<T>(kind: OrphanKind, name: Option<&str>, entry: Answer<T>) -> Result<T, Malformed> {
    entry.map_err(|error| Malformed { kind, name: clean(name.unwrap_or_default()), why: error.to_string() })
}

/// The settings of a call that reads a page of up to a thousand roles.
pub(crate) fn patient(account: &AccountClient) -> aws_sdk_iam::config::Builder {
    let attempt = account.context.scaled(LONG_ATTEMPT);
    aws_sdk_iam::Config::builder().timeout_config(TimeoutConfig::builder().operation_attempt_timeout(attempt).build())
}

/// Tags.
pub(crate) fn pairs(tags: &[types::Tag]) -> StringMap {
    tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()
}

/// The boundary. Its type reads `Policy` or `PermissionsBoundaryPolicy` depending on who answers; only the ARN matters.
pub(crate) fn boundary(
    action: Action,
    boundary: Option<&types::AttachedPermissionsBoundary>,
) -> Answer<Option<PolicyArn>> {
    let arn = boundary.and_then(types::AttachedPermissionsBoundary::permissions_boundary_arn);
    arn.map(|arn| parsed(action, Some(arn), PolicyArn::parse)).transpose()
}

/// When a role was last used.
pub(crate) fn last_used(used: Option<&types::RoleLastUsed>) -> Option<i64> {
    used.and_then(types::RoleLastUsed::last_used_date).map(aws_smithy_types::DateTime::secs)
}

/// What ListRoles and GetRole have in common.
pub(crate) fn summary(action: Action, role: &types::Role) -> Answer<RoleSummary> {
    let session = role.max_session_duration().unwrap_or(DEFAULT_SESSION);
    Ok(RoleSummary {
        name: parsed(action, Some(role.role_name()), RoleName::parse)?,
        path: role.path().to_owned(),
        trust: PolicyDocument::live(role.assume_role_policy_document().unwrap_or_default()),
        description: role.description().unwrap_or_default().to_owned(),
        max_session_duration: u32::try_from(session).unwrap_or_default(),
    })
}

/// A role as GetRole shows it.
pub(crate) fn head(action: Action, role: &types::Role) -> Answer<RoleAttributes> {
    Ok(RoleAttributes {
        summary: summary(action, role)?,
        tags: pairs(role.tags()),
        permissions_boundary: boundary(action, role.permissions_boundary())?,
        last_used: last_used(role.role_last_used()),
    })
}

/// A role without its policies, from its head.
pub(crate) fn bare(action: Action, head: RoleAttributes) -> Answer<Role> {
    let RoleAttributes { summary, tags, permissions_boundary, last_used: _ } = head;
    let RoleSummary { name, path, trust, description, max_session_duration } = summary;
    Ok(Role {
        name,
        path: parsed(action, Some(&path), IamPath::parse)?,
        description,
        max_session_duration,
        permissions_boundary,
        tags,
        trust,
        attached: std::collections::BTreeSet::new(),
        inline: InlinePolicies::new(),
    })
}

/// The ARN of a role. A young role may read back with its unique id (`AROA…`) in place of the ARN, so what is none is
/// put together from the identity, as AWS does.
pub(crate) async fn role_arn(account: &AccountClient, read: Option<&str>, role: &Role) -> Answer<RoleArn> {
    if let Some(arn) = arn(read, None, role) {
        return Ok(arn);
    }
    let Identity { account: id, partition, .. } = sts::identity(account).await?;
    Ok(RoleArn::of(&partition, &id, &role.path, &role.name))
}

/// The same with an identity at hand; nothing if that is needed and not there.
pub(crate) fn arn(read: Option<&str>, identity: Option<&Identity>, role: &Role) -> Option<RoleArn> {
    read.and_then(|read| RoleArn::parse(read).ok()).or_else(|| {
        identity.map(|identity| RoleArn::of(&identity.partition, &identity.account, &role.path, &role.name))
    })
}

/// The ARNs of attached policies.
pub(crate) fn attached(action: Action, policies: &[types::AttachedPolicy]) -> Answer<Vec<PolicyArn>> {
    policies.iter().map(|policy| parsed(action, policy.policy_arn(), PolicyArn::parse)).collect()
}

/// The names of inline policies.
pub(crate) fn inline_names(action: Action, names: &[String]) -> Answer<Vec<PolicyName>> {
    names.iter().map(|name| parsed(action, Some(name), PolicyName::parse)).collect()
}
