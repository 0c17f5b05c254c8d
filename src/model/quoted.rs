//! Lists of names in texts.

use std::fmt::Display;

/// Each name in backticks.
pub(crate) fn quoted(names: impl IntoIterator<Item = impl Display>) -> Vec<String> {
    names.into_iter().map(|name| format!("`{name}`")).collect()
}
