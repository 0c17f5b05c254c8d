//! Resolves `ignore`: which lint findings of an object do not count, and why.

use super::Resolver;
use crate::config::reader::StringTable;
use crate::config::suggest::suggestion;
use crate::lint::RULES;
use crate::model::desired::{Ignore, IgnoreScope};

impl Resolver<'_> {
    /// The `ignore` tables of all roles, inline policies, policies and entries of `[[service-accounts]]`.
    pub(super) fn ignores(&mut self) -> Vec<Ignore> {
        let raw = self.raw;
        let mut ignores = Vec::new();
        for (key, role) in &raw.roles {
            self.add_ignores(&mut ignores, &role.ignore, &IgnoreScope::Role(key.clone()));
            for (name, policy) in &role.inline {
                let scope = IgnoreScope::Inline(key.clone(), name.value.clone());
                self.add_ignores(&mut ignores, &policy.ignore, &scope);
            }
        }
        for (key, policy) in &raw.policies {
            self.add_ignores(&mut ignores, &policy.ignore, &IgnoreScope::Policy(key.clone()));
        }
        for entry in &raw.service_accounts {
            self.add_ignores(&mut ignores, &entry.ignore, &IgnoreScope::Entry(entry.origin.clone()));
        }
        ignores
    }

    fn add_ignores(&mut self, ignores: &mut Vec<Ignore>, table: &StringTable, scope: &IgnoreScope) {
        for (rule, reason) in table {
            if !RULES.iter().any(|known| known.id == rule) {
                let known: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
                let hint = suggestion(&rule.to_uppercase(), &known, "the rules are");
                self.refuse(&reason.origin, format!("`{rule}` is not a lint rule")).hint = Some(hint);
            } else if reason.value.trim().is_empty() {
                self.refuse(&reason.origin, format!("`ignore` of {rule} has no reason")).hint =
                    Some(format!("write why the finding is acceptable here: `{rule} = \"…\"`"));
            } else {
                ignores.push(Ignore {
                    rule: rule.clone(),
                    reason: reason.value.clone(),
                    scope: scope.clone(),
                    origin: reason.origin.clone(),
                });
            }
        }
    }
}
