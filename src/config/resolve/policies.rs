//! Customer managed policies: one object in each account that attaches it.

use super::places::Places;
use super::{Diagnostic, Documents, Resolver};
use crate::config::schema::RawPolicy;
use crate::config::templates::Variables;
use crate::ids::{IamPath, Key, PolicyName};
use crate::model::desired::{Adopt, Policy};
use crate::model::marks::default_path;
use crate::model::origin::Origin;
use crate::model::resource::StringMap;
use crate::policy::PolicyDocument;
use crate::policy::budget::MANAGED_SIZE;
use std::collections::{BTreeMap, BTreeSet};

/// Who attaches what: the clusters from which a policy is used, by key and account.
pub(super) type Uses<'a> = BTreeMap<&'a Key, BTreeMap<Key, BTreeSet<Key>>>;

/// What a policy is in every account.
struct Common {
    name: PolicyName,
    path: IamPath,
    description: String,
    tags: StringMap,
    adopt: Adopt,
    prevent_destroy: bool,
}

impl<'a> Resolver<'a> {
    pub(super) fn policies(
        &mut self,
        places: &Places,
        uses: &Uses<'a>,
        documents: &mut Documents<'_>,
    ) -> BTreeMap<(Key, Key), Policy> {
        let mut policies = BTreeMap::new();
        let mut names: BTreeMap<(Key, String), (&Key, &Origin)> = BTreeMap::new();
        for (key, raw) in &self.raw.policies {
            let common = self.policy(key, raw);
            let Some(accounts) = uses.get(key) else {
                // nobody attaches it, so that there is no object to be; its mistakes are told all the same
                let variables = places.any_variables(&self.owner);
                self.document(key, raw, &variables, documents);
                continue;
            };
            for (account, clusters) in accounts {
                let variables = places.variables(&self.owner, Some(account), clusters.iter());
                let document = self.document(key, raw, &variables, documents);
                let identity = (account.clone(), common.name.case_insensitive());
                if let Some((other, origin)) = names.get(&identity) {
                    let name = &common.name;
                    let message = format!("policies `{other}` and `{key}` have one name, `{name}`, in one account");
                    let hint = "IAM holds names unique without regard to case: give one another `name`";
                    self.push(Diagnostic::at(&raw.origin, message).and(origin, "the other is here").hint(hint));
                    continue;
                }
                names.insert(identity, (key, &raw.origin));
                let Some(document) = document else { continue };
                let Common { name, path, description, tags, adopt, prevent_destroy } = &common;
                let policy = Policy {
                    name: name.clone(),
                    path: path.clone(),
                    description: description.clone(),
                    document,
                    tags: tags.clone(),
                    adopt: adopt.clone(),
                    prevent_destroy: *prevent_destroy,
                    origin: raw.origin.clone(),
                };
                policies.insert((account.clone(), key.clone()), policy);
            }
        }
        policies
    }

    fn policy(&mut self, key: &Key, raw: &RawPolicy) -> Common {
        let prevent_destroy = raw.prevent_destroy.as_ref().is_some_and(|spot| spot.value);
        let what = format!("policy `{key}`");
        let marks = 2 + usize::from(prevent_destroy);
        Common {
            name: raw.name.as_ref().map_or_else(|| name_of(key), |spot| spot.value.clone()),
            path: raw.path.as_ref().map_or_else(|| self.default_path(), |spot| spot.value.clone()),
            description: self.description(raw.description.as_ref()),
            tags: self.tags((&what, &raw.origin), &raw.tags, None, marks),
            adopt: self.adopt(raw.adopt.as_ref(), raw.adopt_from.as_ref()),
            prevent_destroy,
        }
    }

    fn document(
        &mut self,
        key: &Key,
        raw: &RawPolicy,
        variables: &Variables,
        documents: &mut Documents<'_>,
    ) -> Option<PolicyDocument> {
        let what = format!("policy `{key}`");
        let document = documents.permissions(&raw.document, &what, &raw.origin, variables)?;
        let size = document.size();
        if size > MANAGED_SIZE {
            let message = format!("{what} has {size} characters, the limit is {MANAGED_SIZE}");
            self.refuse(&raw.origin, message).hint = Some("split it into two policies".to_owned());
        }
        Some(document)
    }

    /// `/irsa/<owner>/`, under which what is no longer declared is found again.
    pub(super) fn default_path(&self) -> IamPath {
        IamPath::parse(default_path(self.owner.as_str())).unwrap_or_else(|error| unreachable!("{error}"))
    }
}

/// Every key is a name that IAM takes.
fn name_of(key: &Key) -> PolicyName {
    PolicyName::parse(key.as_str()).unwrap_or_else(|error| unreachable!("{error}"))
}
