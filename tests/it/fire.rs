//! Fault injection: everything that can go wrong, at every request, with a clock that stands still.

mod crowd;
mod drift;
mod matrix;
mod order;
mod process;
mod stage;
mod watch;
