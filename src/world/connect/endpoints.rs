//! Where the services are, where that is not left to the SDK.

use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use std::collections::BTreeMap;

/// Addresses by service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Endpoints(BTreeMap<&'static str, String>);

impl Endpoints {
    /// The services that irsa talks to, as the variables have them.
    pub(super) const SERVICES: [&'static str; 3] = ["IAM", "STS", "EKS"];

    pub(super) fn set(&mut self, service: &'static str, address: String) {
        self.0.insert(service, address);
    }

    /// The address of STS.
    pub(crate) fn sts(&self) -> Option<&str> {
        self.0.get("STS").map(String::as_str)
    }
}

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        (key.env() == "AWS_ENDPOINT_URL").then(|| self.0.get(key.service_id()).cloned())?
    }
}
