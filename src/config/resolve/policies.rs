//! Resolves customer managed policies: one object in each account that attaches the policy.

use super::Resolver;
use super::infrastructure::Infrastructure;
use crate::config::schema::RawPolicy;
use crate::config::templates::Variables;
use crate::ids::{Key, PolicyName};
use crate::model::desired::Policy;
use crate::policy::PolicyDocument;
use crate::policy::budget::MANAGED_SIZE;
use std::collections::{BTreeMap, BTreeSet};

/// By policy and account: the clusters of the roles that attach it.
pub(super) type PolicyUsers<'a> = BTreeMap<&'a Key, BTreeMap<Key, BTreeSet<Key>>>;

impl Resolver<'_> {
    pub(super) fn policies(&mut self, infrastructure: &Infrastructure) -> BTreeMap<(Key, Key), Policy> {
        let mut policies = BTreeMap::new();
        let users = std::mem::take(&mut self.policy_users);
        let all = &self.raw.policies;
        // also those of policies whose document is refused
        let mut names = Vec::new();
        for (key, raw) in all {
            let what = format!("policy `{key}`");
            let prevent_destroy = raw.prevent_destroy.as_ref().is_some_and(|flag| flag.value);
            let name = name_of(key, raw);
            let path = raw.path.as_ref().map_or_else(|| self.default_path(), |path| path.value.clone());
            let description = self.description(raw.description.as_ref());
            let tags = self.tags((&what, &raw.origin), &raw.tags, None, 2 + usize::from(prevent_destroy));
            let adopt = self.adopt(raw.adopt.as_ref(), raw.adopt_from.as_ref());
            let Some(accounts) = users.get(key) else {
                // no object follows from an unused policy, but its errors are reported
                let variables = infrastructure.placeholder_variables(&self.owner);
                self.policy_document(&what, raw, &variables);
                continue;
            };
            for (account, clusters) in accounts {
                names.push(((account, name.lower_case()), key, &raw.origin));
                let variables = infrastructure.variables(&self.owner, Some(account), clusters.iter());
                let document = self.policy_document(&what, raw, &variables);
                let Some(document) = document else { continue };
                let policy = Policy {
                    name: name.clone(),
                    path: path.clone(),
                    description: description.clone(),
                    document,
                    tags: tags.clone(),
                    adopt: adopt.clone(),
                    prevent_destroy,
                    origin: raw.origin.clone(),
                };
                policies.insert((account.clone(), key.clone()), policy);
            }
        }
        self.refuse_duplicates(
            names.into_iter(),
            |other, key, _| {
                let name = name_of(key, &all[key]);
                format!("policies `{other}` and `{key}` have the same name, `{name}`, in the same account")
            },
            "IAM ignores case in names: give one of them another `name`",
        );
        policies
    }

    fn policy_document(&mut self, what: &str, raw: &RawPolicy, variables: &Variables) -> Option<PolicyDocument> {
        let document = self.documents.permissions(&raw.document, what, &raw.origin, variables)?;
        let size = document.size();
        if size > MANAGED_SIZE {
            self.refuse(&raw.origin, format!("{what} has {size} characters, but the limit is {MANAGED_SIZE}")).hint =
                Some("split it into two policies".to_owned());
        }
        Some(document)
    }
}

/// The IAM name of a policy.
fn name_of(key: &Key, raw: &RawPolicy) -> PolicyName {
    let name = raw.name.as_ref().map(|name| name.value.clone());
    // every key is a valid policy name
    name.or_else(|| PolicyName::parse(key.as_str()).ok()).unwrap_or_else(|| unreachable!("{key}"))
}
