//! A role with everything that decides who may do what as the role.

use super::document::{Tags, list, texts};
use irsa_sandbox::Sandbox;
use irsa_sandbox::aws::Iam;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A role at one moment. Documents are kept as text, so that equal ones are parsed only once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Role {
    pub(super) trust: String,
    /// The existing OIDC providers that it trusts, with their audiences.
    pub(super) providers: BTreeMap<String, BTreeSet<String>>,
    /// Inline policies by name, and attached policies by ARN.
    pub(super) own: BTreeMap<String, String>,
    pub(super) boundary: Option<String>,
    /// Without irsa's own tags, which may be written at any time.
    pub(super) tags: Tags,
    /// The longest session, in seconds.
    pub(super) session: u64,
}

/// All roles, by `account/name`.
pub(crate) type Roles = BTreeMap<String, Role>;

/// The roles of an account at this moment.
pub(crate) fn roles(account: &str, iam: &Iam) -> Roles {
    let all = iam.snapshot();
    let roles = all["roles"].as_object().into_iter().flatten();
    roles.map(|(name, role)| (format!("{account}/{name}"), Role::read(role, &all["providers"], iam))).collect()
}

/// The roles of all accounts at this moment.
pub(crate) fn all_roles(sandbox: &Sandbox, accounts: &[&str]) -> Roles {
    accounts.iter().flat_map(|account| sandbox.iam(account, |iam| roles(account, iam))).collect()
}

impl Role {
    fn read(role: &Value, providers: &Value, iam: &Iam) -> Self {
        let managed = |arn: &str| iam.policy_document(arn).unwrap_or_else(|| panic!("there is no policy {arn}"));
        let inline = role["inline"].as_object().into_iter().flatten();
        let mut own: BTreeMap<String, String> =
            inline.map(|(name, text)| (name.clone(), text.as_str().expect("a policy").to_owned())).collect();
        own.extend(texts(&role["attached"]).into_iter().map(|arn| (arn.clone(), managed(&arn))));
        let tags = role["tags"].as_object().into_iter().flatten();
        let tags = tags.map(|(key, value)| (key.to_lowercase(), value.as_str().unwrap_or_default().to_owned()));
        let trusted: BTreeSet<String> = list(&role["trust"]["Statement"])
            .iter()
            .flat_map(|statement| texts(&statement["Principal"]["Federated"]))
            .collect();
        let audiences = |arn: String| {
            let host = host(&arn);
            let known = providers.get(&host)?;
            Some((arn, texts(&known["client-ids"]).into_iter().collect()))
        };
        Self {
            trust: role["trust"].to_string(),
            providers: trusted.into_iter().filter_map(audiences).collect(),
            own,
            boundary: role["boundary"].as_str().map(managed),
            tags: tags.filter(|(key, _)| !key.starts_with("irsa/")).collect(),
            session: role["max-session-duration"].as_u64().expect("seconds"),
        }
    }
}

/// The host and path of the issuer in a provider's ARN.
pub(super) fn host(arn: &str) -> String {
    arn.split_once(":oidc-provider/").unwrap_or_else(|| panic!("no OIDC provider: {arn}")).1.to_owned()
}
