//! What this run did in one account, as far as AWS may not have heard of it everywhere yet.
//!
//! Kept for one question alone: may a "no such thing" or a conflict be an echo of our own write? Nothing is decided
//! from it but whether to ask again.

use crate::ids::{PolicyArn, PolicyName, ProviderArn, RoleName};
use crate::model::call::IamCall;
use crate::policy::{PolicyDocument, Statement};
use crate::world::retry::Facts;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What this run did.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<RecentWrites>);

#[derive(Debug, Default)]
struct RecentWrites {
    /// Folded names of roles made.
    roles: BTreeSet<String>,
    policies: BTreeSet<PolicyArn>,
    providers: BTreeSet<ProviderArn>,
    /// Inline policies written: folded role name, policy name.
    inline: BTreeSet<(String, PolicyName)>,
    /// Folded names of roles that something was taken off, and ARNs of policies that were taken off something or lost
    /// a version.
    detached_roles: BTreeSet<String>,
    detached_policies: BTreeSet<PolicyArn>,
}

impl Memory {
    fn deeds(&self) -> MutexGuard<'_, RecentWrites> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The facts of a read of a role.
    pub(crate) fn of_role(&self, name: &RoleName) -> Facts {
        Facts { made: self.deeds().roles.contains(&name.case_insensitive()), ..Facts::default() }
    }

    /// The facts of a read of an inline policy: that the role is new says nothing of it.
    pub(crate) fn of_inline(&self, name: &RoleName, policy: &PolicyName) -> Facts {
        Facts { made: self.deeds().inline.contains(&(name.case_insensitive(), policy.clone())), ..Facts::default() }
    }

    /// The facts of a read of a managed policy.
    pub(crate) fn of_policy(&self, arn: &PolicyArn) -> Facts {
        Facts { made: self.deeds().policies.contains(arn), ..Facts::default() }
    }

    /// The facts of a read of a provider.
    pub(crate) fn of_provider(&self, arn: &ProviderArn) -> Facts {
        Facts { made: self.deeds().providers.contains(arn), ..Facts::default() }
    }

    /// The facts of a write. What takes something away needs no object: `made` stays false, so that what is gone
    /// already is told at once.
    pub(crate) fn of_write(&self, call: &IamCall) -> Facts {
        let deeds = self.deeds();
        let role = |name: &RoleName| deeds.roles.contains(&name.case_insensitive());
        let none = Facts::default();
        match call {
            IamCall::CreateRole { role } => Facts {
                policy: role.permissions_boundary.as_ref().is_some_and(|arn| deeds.policies.contains(arn)),
                principal: deeds.made_principal(&role.trust),
                ..none
            },
            IamCall::UpdateTrust { name, to, .. } => {
                Facts { made: role(name), principal: deeds.made_principal(to), ..none }
            }
            IamCall::UpdateRole { name, .. } | IamCall::PutInline { name, .. } | IamCall::TagRole { name, .. } => {
                Facts { made: role(name), ..none }
            }
            IamCall::PutBoundary { name, to, .. } => {
                Facts { made: role(name), policy: deeds.policies.contains(to), ..none }
            }
            IamCall::Attach { name, arn } => Facts { made: role(name), policy: deeds.policies.contains(arn), ..none },
            IamCall::DeleteRole { name } => {
                Facts { detached: deeds.detached_roles.contains(&name.case_insensitive()), ..none }
            }
            IamCall::CreatePolicyVersion { arn, .. } => {
                Facts { made: deeds.policies.contains(arn), once: true, ..none }
            }
            IamCall::TagPolicy { arn, .. } => Facts { made: deeds.policies.contains(arn), ..none },
            IamCall::DeletePolicy { arn } => Facts { detached: deeds.detached_policies.contains(arn), ..none },
            IamCall::AddAudience { arn, .. } | IamCall::TagProvider { arn, .. } => {
                Facts { made: deeds.providers.contains(arn), ..none }
            }
            IamCall::CreateProvider { .. }
            | IamCall::CreatePolicy { .. }
            | IamCall::UntagProvider { .. }
            | IamCall::DeleteProvider { .. }
            | IamCall::DeletePolicyVersion { .. }
            | IamCall::UntagPolicy { .. }
            | IamCall::DeleteBoundary { .. }
            | IamCall::DeleteInline { .. }
            | IamCall::Detach { .. }
            | IamCall::UntagRole { .. } => none,
        }
    }

    /// Remembers a write that was acknowledged.
    pub(crate) fn wrote(&self, call: &IamCall) {
        let mut deeds = self.deeds();
        match call {
            IamCall::CreateProvider { arn, .. } => {
                deeds.providers.insert(arn.clone());
            }
            IamCall::DeleteProvider { arn } => {
                deeds.providers.remove(arn);
            }
            IamCall::CreatePolicy { arn, .. } => {
                deeds.policies.insert(arn.clone());
            }
            IamCall::DeletePolicyVersion { arn, .. } => {
                deeds.detached_policies.insert(arn.clone());
            }
            IamCall::DeletePolicy { arn } => {
                deeds.policies.remove(arn);
            }
            IamCall::CreateRole { role } => {
                deeds.roles.insert(role.name.case_insensitive());
            }
            IamCall::PutInline { name, policy, .. } => {
                deeds.inline.insert((name.case_insensitive(), policy.clone()));
            }
            IamCall::DeleteInline { name, policy, .. } => {
                deeds.inline.remove(&(name.case_insensitive(), policy.clone()));
                deeds.detached_roles.insert(name.case_insensitive());
            }
            IamCall::Detach { name, arn } => {
                deeds.detached_roles.insert(name.case_insensitive());
                deeds.detached_policies.insert(arn.clone());
            }
            IamCall::DeleteRole { name } => {
                deeds.roles.remove(&name.case_insensitive());
                deeds.inline.retain(|(role, _)| *role != name.case_insensitive());
            }
            IamCall::DeleteBoundary { from, .. } | IamCall::PutBoundary { from: Some(from), .. } => {
                deeds.detached_policies.insert(from.clone());
            }
            IamCall::AddAudience { .. }
            | IamCall::TagProvider { .. }
            | IamCall::UntagProvider { .. }
            | IamCall::CreatePolicyVersion { .. }
            | IamCall::TagPolicy { .. }
            | IamCall::UntagPolicy { .. }
            | IamCall::UpdateRole { .. }
            | IamCall::UpdateTrust { .. }
            | IamCall::PutBoundary { from: None, .. }
            | IamCall::Attach { .. }
            | IamCall::TagRole { .. }
            | IamCall::UntagRole { .. } => {}
        }
    }
}

impl RecentWrites {
    /// Whether a trust policy names a role or provider that this run made.
    fn made_principal(&self, trust: &PolicyDocument) -> bool {
        trust.statements().iter().flat_map(Statement::principals).any(|principal| self.made_this(principal.text()))
    }

    fn made_this(&self, principal: &str) -> bool {
        if self.providers.iter().any(|arn| arn.as_str() == principal) {
            return true;
        }
        let role = principal.split_once(":role/").and_then(|(_, path)| path.rsplit('/').next());
        role.is_some_and(|name| self.roles.contains(&name.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str) -> RoleName {
        RoleName::parse(name).unwrap()
    }

    fn arn(name: &str) -> PolicyArn {
        PolicyArn::parse(format!("arn:aws:iam::111122223333:policy/{name}")).unwrap()
    }

    fn trust(principal: &str) -> PolicyDocument {
        PolicyDocument::live(&format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}]}}"#
        ))
    }

    fn update(principal: &str) -> IamCall {
        IamCall::UpdateTrust { name: role("a"), from: trust("\"*\""), to: trust(principal) }
    }

    #[test]
    fn a_principal_counts_only_if_this_run_made_it() {
        let memory = Memory::default();
        let provider = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/x";
        let federated = update(&format!(r#"{{"Federated":"{provider}"}}"#));
        let assumed = update(r#"{"AWS":["arn:aws:iam::111122223333:root","arn:aws:iam::111122223333:role/p/Made"]}"#);
        assert!(!memory.of_write(&federated).principal);
        assert!(!memory.of_write(&assumed).principal);
        memory.deeds().providers.insert(ProviderArn::parse(provider).unwrap());
        memory.deeds().roles.insert("made".to_owned());
        assert!(memory.of_write(&federated).principal);
        assert!(memory.of_write(&assumed).principal);
        assert!(!memory.of_write(&update(r#"{"AWS":"arn:aws:iam::111122223333:role/other"}"#)).principal);
    }

    #[test]
    fn conflicts_are_ours_only_after_a_detach() {
        let memory = Memory::default();
        let delete_role = IamCall::DeleteRole { name: role("A") };
        let delete_policy = IamCall::DeletePolicy { arn: arn("p") };
        assert!(!memory.of_write(&delete_role).detached && !memory.of_write(&delete_policy).detached);
        memory.wrote(&IamCall::Detach { name: role("a"), arn: arn("p") });
        assert!(memory.of_write(&delete_role).detached && memory.of_write(&delete_policy).detached);
        assert!(!memory.of_write(&IamCall::DeletePolicy { arn: arn("q") }).detached);
    }

    #[test]
    fn a_new_role_makes_no_inline_policy_expected() {
        let memory = Memory::default();
        memory.deeds().roles.insert("a".to_owned());
        let policy = PolicyName::parse("p").unwrap();
        assert!(memory.of_role(&role("A")).made);
        assert!(!memory.of_inline(&role("a"), &policy).made);
        let document = trust("\"*\"");
        memory.wrote(&IamCall::PutInline { name: role("a"), policy: policy.clone(), from: None, to: document.clone() });
        assert!(memory.of_inline(&role("A"), &policy).made);
        memory.wrote(&IamCall::DeleteInline { name: role("a"), policy: policy.clone(), from: document });
        assert!(!memory.of_inline(&role("a"), &policy).made);
    }
}
