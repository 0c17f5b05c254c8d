//! The owner of the result, which must lose nothing that it has already.

use crate::cli::arguments::Import;
use crate::config::Configuration;
use crate::error::Error;
use crate::ids::Key;
use crate::import::{Imported, Scope};
use crate::model::refusal::RefusalKind;

/// The owner: that of the configuration, or that of `--owner`.
pub(super) fn of(arguments: &Import, configuration: Option<&Configuration>) -> Result<Key, Error> {
    match (&arguments.owner, configuration.and_then(Configuration::owner)) {
        (Some(named), Some(declared)) if *named != declared => {
            Err(Error::usage(format!("`--owner` is `{named}`, and the configuration has owner `{declared}`"))
                .hint("leave `--owner` out"))
        }
        (_, Some(owner)) => Ok(owner),
        (Some(owner), None) => Ok(owner.clone()),
        (None, None) => Err(Error::usage("`--owner` is missing")
            .hint("choose a name for this configuration, which no other configuration uses: `--owner NAME`")),
    }
}

/// Fails if a plan of the result would delete or release objects, because they have the owner's marks.
pub(super) fn check(arguments: &Import, scope: &Scope, imported: &Imported) -> Result<(), Error> {
    if imported.undeclared.is_empty() {
        return Ok(());
    }
    let message = format!(
        "owner `{}` has objects that the result would not declare, so that `irsa apply` would delete or release them; \
         nothing was written",
        scope.owner
    );
    let error = Error::refused(RefusalKind::OwnerInUse, message).details(imported.undeclared.clone());
    let error = error
        .hint("if a configuration declares them, extend it: `--config FILE`")
        .hint("if not, choose an owner that no configuration has: `--owner NAME`");
    let limits = [
        ("`--role`", arguments.role.is_empty()),
        ("`--namespace`", arguments.namespace.is_empty()),
        ("`--cluster`", arguments.cluster.is_empty()),
    ];
    let limits: Vec<&str> = limits.iter().filter(|(_, is_empty)| !is_empty).map(|(option, _)| *option).collect();
    Err(if limits.is_empty() {
        error.hint("or delete what nothing needs, or remove its tag `irsa/owner`")
    } else {
        error.hint(format!("or import them too: leave out {}", limits.join(" and ")))
    })
}
