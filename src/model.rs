//! The nouns of irsa: what is wanted (`desired`), what is there (`live`), the fields in which the two are compared
//! (`resource`), the calls that change them (`call`), and the names of it all (`address`).
//!
//! Plain data: no IO, no clock, no SDK types, no Serialize. Wire and file forms live where they are read or written.

pub mod address;
pub mod call;
pub mod desired;
pub mod lease;
pub mod live;
pub mod marks;
pub mod note;
pub mod origin;
pub mod pattern;
pub mod resource;
pub mod sanitize;
pub mod shard;
