//! irsa under fire: everything that can go wrong, at every request, on a clock that stands still.

mod access;
mod matrix;
mod stage;
mod watch;
