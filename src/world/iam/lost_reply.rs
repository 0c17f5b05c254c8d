//! What to make of an object that is there although we were to make it.
//!
//! A create whose answer was lost is sent again by the SDK and then finds its own work. That is told from a stranger's
//! by the marks, which are in the creating call, and from another run's by what decides who may do what: permissions
//! that follow must never land on a role with a wider trust or without its boundary.

use super::{policies, providers, roles};
use crate::ids::PolicyArn;
use crate::model::call::IamCall;
use crate::model::marks;
use crate::model::resource::{ManagedPolicy, Provider, Role, StringMap};
use crate::world::account::AccountClient;
use crate::world::retry::Facts;
use crate::world::{Answer, CallError, CallErrorKind, Written};

/// We know that it is there: a "no such thing" is a replica that has not heard of it.
const THERE: Facts =
    Facts { made: true, policy: false, principal: false, detached: false, reached: true, again: false, once: false };

enum LostReply {
    /// It is what the call would have made.
    Same,
    /// It carries our marks and is otherwise.
    Other,
    /// It is not ours.
    Foreign,
}

/// ReadOptions at what is there: ours and the same is done, ours and otherwise is a conflict, anything else stays an error.
pub(crate) async fn settle(account: &AccountClient, call: &IamCall, error: CallError) -> Answer<Written> {
    let lost_reply = match call {
        IamCall::CreateRole { role } => role_twin(account, role).await?,
        IamCall::CreatePolicy { arn, policy } => policy_twin(account, arn, policy).await?,
        IamCall::CreateProvider { arn, provider } => {
            let live = providers::whole_knowing(account, arn, THERE).await?;
            live.map_or(LostReply::Foreign, |live| provider_twin(&live.provider, provider))
        }
        _ => return Err(error),
    };
    match lost_reply {
        LostReply::Same => Ok(Written { request_id: error.request_id, already_done: true }),
        LostReply::Foreign => Err(error),
        LostReply::Other => Err(CallError {
            kind: CallErrorKind::Conflict,
            message: "another run made it meanwhile, with other content".to_owned(),
            ..error
        }),
    }
}

async fn role_twin(account: &AccountClient, wanted: &Role) -> Answer<LostReply> {
    let Some(live) = roles::head_knowing(account, &wanted.name, THERE).await? else { return Ok(LostReply::Foreign) };
    if !same_marks(&live.tags, &wanted.tags) {
        return Ok(LostReply::Foreign);
    }
    let same = live.summary.path == wanted.path.as_str()
        && live.summary.trust == wanted.trust
        && live.permissions_boundary == wanted.permissions_boundary;
    Ok(if same { LostReply::Same } else { LostReply::Other })
}

/// Policy names are unique whatever their path: under another path it is not at `arn`, and not ours. That answer is not
/// waited for, since it is the likelier one.
async fn policy_twin(account: &AccountClient, arn: &PolicyArn, wanted: &ManagedPolicy) -> Answer<LostReply> {
    let Some(live) = policies::whole_knowing(account, arn, Facts { made: false, ..THERE }).await? else {
        return Ok(LostReply::Foreign);
    };
    if !same_marks(&live.policy.tags, &wanted.tags) {
        return Ok(LostReply::Foreign);
    }
    Ok(if live.policy.document == wanted.document { LostReply::Same } else { LostReply::Other })
}

fn provider_twin(live: &Provider, wanted: &Provider) -> LostReply {
    if !same_marks(&live.tags, &wanted.tags) {
        return LostReply::Foreign;
    }
    if wanted.audiences.is_subset(&live.audiences) { LostReply::Same } else { LostReply::Other }
}

/// Whether both carry the same owner and the same address; no marks are never the same.
fn same_marks(live: &StringMap, wanted: &StringMap) -> bool {
    [marks::OWNER, marks::ADDRESS].iter().all(|mark| {
        let (live, wanted) = (live.get(*mark), wanted.get(*mark));
        wanted.is_some() && live == wanted
    })
}
