//! Tests of what users rely on: the real binary, over HTTP, against the sandbox and against stand-ins and clients by
//! other authors.
//!
//! All tests are one binary, so that the AWS SDKs are linked only once.

#![expect(clippy::disallowed_methods, reason = "tests read and write files and their own environment")]

mod access;
mod budgets;
mod clients;
mod clusters;
mod conformance;
mod corpus;
mod docs;
mod exits;
mod explain;
mod fire;
mod forged;
mod glance;
mod guards;
mod hostile;
mod house;
mod ignore;
mod import;
mod kill;
mod lies;
mod life;
mod lint;
mod lock;
mod outages;
mod outputs;
mod ownership;
mod pacing;
mod pairs;
mod panics;
mod pull_request;
mod refused;
mod rooms;
mod sarif;
mod saved;
mod secrets;
mod service_accounts;
mod settings;
mod settled;
mod shards;
mod signals;
mod support;
mod tampered;
mod trust_only;
mod verify;
mod write_order;
