//! No access is widened on the way. Each test changes a configuration and applies it once with the real binary; a judge
//! checks the live roles after every write.
//!
//! Each change is applied with one call at a time and with ten. Calls that remove access are delayed, so that any call
//! that does not wait for them overtakes them.

mod courtesy;
mod lagging;
mod points;
mod random;
mod scene;
mod table;
mod tags;
mod views;
