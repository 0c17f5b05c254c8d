//! Never wider, in every case: one change of a configuration, one apply by the real binary, and the judge at every write.
//!
//! Each change is applied one call at a time and ten at a time; the calls that take something away are held up, so that
//! whatever does not wait for them overtakes them.

mod courtesy;
mod lagging;
mod points;
mod random;
mod scene;
mod table;
mod tags;
mod views;
