//! Compares a policy document that a step may write more than once. Before the new document, a plan may write the part
//! that the old and the new document have in common.

use super::Finding;
use crate::model::call::{Field, FieldWrite};
use crate::plan::Step;
use crate::policy::PolicyDocument;

/// The document before and after one write.
pub(super) type DocumentWrite<'p> = (Option<&'p PolicyDocument>, Option<&'p PolicyDocument>);

/// Compares the live document with one write of the step. IAM may still show the document before an earlier write
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html>), or already the document of a later write.
pub(super) fn document(
    name: &str,
    step: &Step,
    field: Field<'_>,
    live: Option<&PolicyDocument>,
    write: DocumentWrite<'_>,
) -> Finding {
    let finding = Finding::field(name, &live, &write.0, &write.1);
    if !matches!(finding, Finding::Stale(_)) {
        return finding;
    }
    let writes = writes_of(step, field);
    let Some(at) = writes.iter().position(|other| *other == write) else { return finding };
    if writes[at + 1..].iter().any(|(_, to)| *to == live) {
        Finding::Done
    } else if writes[..at].iter().any(|(from, _)| *from == live) {
        Finding::Write
    } else {
        finding
    }
}

/// The writes of a step to one document, in order.
pub(super) fn writes_of<'p>(step: &'p Step, field: Field<'_>) -> Vec<DocumentWrite<'p>> {
    let calls = step.parts.iter().filter_map(|part| part.call.iam()).map(|(_, call)| call);
    let calls = calls.filter(|call| call.field() == field);
    let writes = calls.filter_map(|call| match call.write() {
        FieldWrite::Trust(from, to) | FieldWrite::Document(from, to) => Some((Some(from), Some(to))),
        FieldWrite::Inline(_, from, to) => Some((from, to)),
        _ => None,
    });
    writes.collect()
}
