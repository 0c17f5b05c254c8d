//! Conflicts between two bindings of the same ServiceAccount or pattern.

use super::Diagnostic;
use crate::ids::Key;
use crate::model::desired::{Binding, Subject};
use crate::model::quoted::quoted;

/// The error about two bindings that differ in role or settings.
pub(super) fn conflict((first_role, first): (&Key, &Binding), (role, binding): (&Key, &Binding)) -> Option<Diagnostic> {
    let what = match &binding.subject {
        Subject::Exact(namespace, name) => format!("ServiceAccount `{namespace}/{name}`"),
        Subject::Wildcard { namespace, name, .. } => format!("the pattern `{namespace}/{name}`"),
    };
    if first_role != role {
        let message = format!("{what} in cluster `{}` has two roles, `{first_role}` and `{role}`", binding.cluster);
        let diagnostic = Diagnostic::at(&binding.origin, message).label(format!("`{role}` here"));
        let hint = "a ServiceAccount has one role: name another ServiceAccount, or put the permissions into one role";
        return Some(diagnostic.and(&first.origin, format!("`{first_role}` here")).hint(hint));
    }
    let labels = |binding: &Binding| binding.metadata.as_ref().map(|metadata| metadata.labels.clone());
    let annotations = |binding: &Binding| binding.metadata.as_ref().map(|metadata| metadata.annotations.clone());
    let differs = [
        ("manage", first.manage != binding.manage),
        ("audience", first.audience != binding.audience),
        ("token-expiration", first.token_expiration != binding.token_expiration),
        ("sts-regional-endpoints", first.sts_regional_endpoints != binding.sts_regional_endpoints),
        ("labels", labels(first) != labels(binding)),
        ("annotations", annotations(first) != annotations(binding)),
        ("allow-wildcard", first.subject != binding.subject),
    ];
    let keys = quoted(differs.iter().filter(|(_, differs)| *differs).map(|(key, _)| key));
    if keys.is_empty() {
        return None;
    }
    let message =
        format!("{what} in cluster `{}` is bound twice, with different {}", binding.cluster, keys.join(" and "));
    Some(Diagnostic::at(&binding.origin, message).and(&first.origin, "first bound here").hint("keep one of the two"))
}
