//! The Kubernetes half against the API stand-in, over TLS and HTTP in process.

mod conflicts;
mod kit;
mod leases;

mod exec_plugins;
mod malformed;
mod reads;
mod retries;
mod untrusted_kubeconfig;
mod verify;
mod writes;
