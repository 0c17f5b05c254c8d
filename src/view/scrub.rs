//! Texts from outside, on their way into a view: each becomes one line in which nothing is obeyed or hides.

pub(crate) use crate::model::unseen::{scrub, unobeyed};

#[cfg(test)]
pub(crate) use crate::model::unseen::is_unseen;
