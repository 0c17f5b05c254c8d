//! Direct access to an account's IAM state, for STS and for tests.

use super::policy::Managed;
use super::provider::Provider;
use super::tags::{Tag, Tags};
use super::trust::PrincipalLookup;
use super::{Iam, fold, role::Role};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What STS needs to know about a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleFacts {
    /// The ARN.
    pub arn: String,
    /// The unique id, `AROA…`.
    pub role_id: String,
    /// The trust policy as IAM returns it.
    pub trust: Value,
    /// The maximum session duration, in seconds.
    pub max_session_duration: u32,
}

/// What STS needs to know about an OpenID Connect provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderFacts {
    /// The ARN.
    pub arn: String,
    /// The accepted audiences.
    pub client_ids: Vec<String>,
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

impl Iam {
    /// Finds a role by its name or ARN.
    pub fn role_trust(&self, role_name_or_arn: &str) -> Option<RoleFacts> {
        let name = role_name_or_arn.rsplit('/').next()?;
        let role = self.roles.get(&fold(name))?;
        if role_name_or_arn.starts_with("arn:") && role.arn != role_name_or_arn {
            return None;
        }
        Some(RoleFacts {
            arn: role.arn.clone(),
            role_id: role.id.clone(),
            trust: value(&role.trust.text(&self.own_view())),
            max_session_duration: role.max_session,
        })
    }

    /// Finds a provider by its issuer's host and path.
    pub fn provider(&self, issuer_host_path: &str) -> Option<ProviderFacts> {
        let provider = self.providers.get(issuer_host_path)?;
        Some(ProviderFacts { arn: provider.arn.clone(), client_ids: provider.clients.clone() })
    }

    /// The default version of a managed policy, either the account's or AWS's.
    pub fn policy_document(&self, arn: &str) -> Option<String> {
        match self.policy(arn).ok()? {
            Managed::Local(policy) => policy.versions.get(&policy.default).map(|version| version.document.text.clone()),
            Managed::Aws(policy) => Some(policy.text(&self.partition)),
        }
    }

    /// Adds a provider without checking its host and path, like one from a time when IAM checked less.
    pub fn seed_provider(&mut self, host_path: &str, client: &str) {
        let provider = Provider {
            url: host_path.to_owned(),
            arn: self.arn("oidc-provider", "/", host_path),
            created: self.time(),
            clients: vec![client.to_owned()],
            thumbprints: vec!["0".repeat(40)],
            tags: Tags::of(Vec::new()),
        };
        self.providers.insert(host_path.to_owned(), provider);
    }

    /// The names of all roles, in case-insensitive order.
    pub fn role_names(&self) -> Vec<String> {
        self.roles.values().map(|role| role.name.clone()).collect()
    }

    /// Sets when a role was last used. Returns false if the role does not exist.
    pub fn set_last_used(&mut self, role: &str, when: Timestamp) -> bool {
        self.roles.get_mut(&fold(role)).map(|role| role.last_used = Some(when)).is_some()
    }

    /// Tags a role as AWS's services do: with keys that begin with `aws:`, which the API refuses. Returns false if the role
    /// does not exist.
    pub fn tag_by_aws(&mut self, role: &str, tags: &[(&str, &str)]) -> bool {
        let tags = tags.iter().map(|(key, value)| Tag { key: (*key).to_owned(), value: (*value).to_owned() });
        let role = self.roles.get_mut(&fold(role));
        role.is_some_and(|role| role.tags.set(tags.collect()).is_ok())
    }

    /// The whole account without times and ids. Two snapshots are equal exactly if everything that a user can set is.
    pub fn snapshot(&self) -> Value {
        let known = self.own_view();
        let roles = self.roles.values().map(|role| (role.name.clone(), snapshot(role, &known)));
        let policies = self.policies.values().map(|policy| {
            let versions =
                policy.versions.iter().map(|(number, version)| (format!("v{number}"), json!(version.document.text)));
            let shown = json!({
                "arn": policy.arn, "description": policy.description, "tags": policy.tags.snapshot(),
                "default": format!("v{}", policy.default), "versions": versions.collect::<BTreeMap<_, _>>(),
            });
            (policy.name.clone(), shown)
        });
        let providers = self.providers.values().map(|provider| {
            let shown = json!({
                "client-ids": provider.clients, "thumbprints": provider.thumbprints,
                "tags": provider.tags.snapshot(),
            });
            (provider.url.clone(), shown)
        });
        let users =
            self.users.values().map(|user| (user.name.clone(), json!({"arn": user.arn, "tags": user.tags.snapshot()})));
        let profiles = self.profiles.values().map(|profile| {
            let shown = json!({"arn": profile.arn, "role": profile.role, "tags": profile.tags.snapshot()});
            (profile.name.clone(), shown)
        });
        json!({
            "roles": roles.collect::<Map<_, _>>(),
            "policies": policies.collect::<Map<_, _>>(),
            "providers": providers.collect::<Map<_, _>>(),
            "users": users.collect::<Map<_, _>>(),
            "instance-profiles": profiles.collect::<Map<_, _>>(),
        })
    }
}

fn snapshot(role: &Role, known: &dyn PrincipalLookup) -> Value {
    let inline = role.inline.iter().map(|(name, stored)| (name.clone(), json!(stored.text)));
    json!({
        "arn": role.arn,
        "description": role.description,
        "max-session-duration": role.max_session,
        "trust": value(&role.trust.text(known)),
        "boundary": role.boundary,
        "tags": role.tags.snapshot(),
        "attached": role.attached,
        "inline": inline.collect::<Map<_, _>>(),
        "instance-profiles": role.profiles,
    })
}
