//! Texts from outside, on their way into a view: each becomes one line in which nothing is obeyed or hides.

pub(crate) use crate::model::sanitize::{inert, scrub};

#[cfg(test)]
pub(crate) use crate::model::sanitize::is_invisible;
