//! Tests of the planner, on a live state that is simulated in memory.

mod accounts_and_clusters;
mod calls;
mod deletes;
mod field_ownership;
mod file;
mod forged;
mod guards;
pub(crate) mod kit;
pub(crate) mod laws;
mod limits;
mod ordering;
mod other_shards;
mod refusals;
mod reported;
mod rules;
mod saved;
mod shards;
pub(crate) mod simulate;
mod unread;
mod write_order;
