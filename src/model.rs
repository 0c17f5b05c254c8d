//! The data that all rooms share: the resolved configuration (`desired`), the live objects (`live`), the fields that are
//! compared (`resource`), the API calls (`call`), and the printed names of objects (`address`).
//!
//! No IO, no clock, no SDK types, no Serialize: wire and file formats live where they are read or written.

pub mod address;
pub mod call;
pub mod desired;
pub(crate) mod durations;
pub mod evidence;
pub mod lease;
pub mod live;
pub mod marks;
pub mod note;
pub mod origin;
pub mod pattern;
pub(crate) mod quoted;
pub mod refusal;
pub mod resource;
pub mod sanitize;
pub mod shard;
