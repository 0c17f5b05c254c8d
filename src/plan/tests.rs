//! The planner's laws and rules, on a world that is simulated in memory.

mod calls;
mod deletes;
mod elsewhere;
mod file;
mod forged;
mod guards;
mod held;
pub(crate) mod kit;
pub(crate) mod laws;
mod limits;
mod ordering;
mod places;
mod reported;
mod rules;
mod saved;
mod shares;
pub(crate) mod simulate;
mod write_order;
