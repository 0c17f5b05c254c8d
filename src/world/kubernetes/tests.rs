//! The Kubernetes half against the API stand-in, over TLS and HTTP in process.

mod conflicts;
mod kit;
mod leases;
mod named;
mod odd;
mod plugins;
mod reads;
mod retries;
mod verify;
mod writes;
