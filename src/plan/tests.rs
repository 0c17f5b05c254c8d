//! The planner's laws and rules, on a world that is simulated in memory.

mod guards;
mod kit;
mod laws;
mod rules;
mod simulate;
