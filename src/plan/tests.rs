//! The planner's laws and rules, on a world that is simulated in memory.

mod calls;
mod deletes;
mod elsewhere;
mod guards;
pub(crate) mod kit;
pub(crate) mod laws;
mod places;
mod rules;
mod saved;
mod shares;
pub(crate) mod simulate;
