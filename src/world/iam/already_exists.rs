//! Finds out why a create failed with EntityAlreadyExists: irsa's own first attempt, another run, or somebody else
//! created the object.
//!
//! If the reply to a create is lost, the SDK sends the create again and gets EntityAlreadyExists for its own object. If
//! the owner tags differ, the object is somebody else's. If path, trust policy, boundary or document differ, or an
//! audience is missing, another run created it. irsa must not continue then, because later calls would add permissions
//! to a role with a wider trust policy or without its boundary.

use super::{policies, providers, roles};
use crate::model::call::IamCall;
use crate::model::marks;
use crate::model::resource::StringMap;
use crate::world::account::AccountClient;
use crate::world::retry::RetryFacts;
use crate::world::{Answer, CallError, CallErrorKind, Written};

/// Returns success if the live object is what the call would have created, a conflict if it has the same owner tags and
/// differs otherwise, and `error` if somebody else owns it.
pub(crate) async fn resolve(account: &AccountClient, call: &IamCall, error: CallError) -> Answer<Written> {
    // the object exists, so a "not found" comes from a replica that does not have it yet
    let exists = RetryFacts { created: true, reached: true, ..RetryFacts::default() };
    // None if somebody else owns the object, otherwise whether it is the same
    let same = if let IamCall::CreateRole { role } = call {
        let live = roles::attributes(account, &role.name, exists).await?;
        live.filter(|live| has_owner_tags(&live.tags, &role.tags)).map(|live| {
            live.summary.path == role.path.as_str()
                && live.summary.trust == role.trust
                && live.permissions_boundary == role.permissions_boundary
        })
    } else if let IamCall::CreatePolicy { arn, policy } = call {
        // a policy name is unique across paths, so the existing policy may have another path and owner, and this ARN
        // may not exist
        let live = policies::with_versions(account, arn, RetryFacts { created: false, ..exists }).await?;
        live.filter(|live| has_owner_tags(&live.policy.tags, &policy.tags))
            .map(|live| live.policy.document == policy.document)
    } else if let IamCall::CreateProvider { arn, provider } = call {
        let live = providers::get_provider(account, arn, exists).await?;
        live.filter(|live| has_owner_tags(&live.provider.tags, &provider.tags))
            .map(|live| provider.audiences.is_subset(&live.provider.audiences))
    } else {
        None
    };
    match same {
        Some(true) => Ok(Written { request_id: error.request_id, already_done: true }),
        Some(false) => Err(CallError {
            kind: CallErrorKind::Conflict,
            message: "another run created it meanwhile, with other content".to_owned(),
            ..error
        }),
        None => Err(error),
    }
}

/// Whether both have the same owner tag and the same address tag.
fn has_owner_tags(live: &StringMap, expected: &StringMap) -> bool {
    [marks::OWNER, marks::ADDRESS].iter().all(|tag| expected.contains_key(*tag) && live.get(*tag) == expected.get(*tag))
}
