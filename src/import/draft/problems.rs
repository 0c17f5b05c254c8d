//! Why an object cannot be declared so that it stays as it is.

use super::{Drafter, own_tags, owner};
use crate::ids::Key;
use crate::import::{Existing, text};
use crate::model::address::{Address, OrphanKind};
use crate::model::live::LiveRole;
use crate::model::marks::{TAG_LIMIT, TRANSITION, is_protected};
use crate::model::resource::StringMap;

/// Whether the configuration has the role of this name in `forget`, by its key or as an orphan.
fn is_forgotten(existing: &Existing, of: &Key, role: &str) -> bool {
    existing.desired.forget.iter().any(|(address, _)| match address {
        Address::Role { key } => key.as_str().eq_ignore_ascii_case(role),
        Address::Orphan { account, kind: OrphanKind::Role, name } => account == of && name.eq_ignore_ascii_case(role),
        _ => false,
    })
}

impl Drafter<'_> {
    /// Why a role cannot be declared so that it stays as it is.
    pub(super) fn problem(&self, account: &Key, live: &LiveRole) -> Option<String> {
        let role = &live.role;
        if role.path.as_str().starts_with("/aws-service-role/") {
            return Some("it is a service-linked role, which only AWS changes".to_owned());
        }
        if let Some(problem) = self.ownership(&role.tags) {
            return Some(problem);
        }
        if let Some(problem) = role.trust.problem() {
            return Some(format!("its trust policy cannot be parsed: {problem}"));
        }
        if !role.trust.is_current() {
            let why = "its trust policy is of version 2008-10-17, and irsa writes 2012-10-17: change the version first";
            let more = if role.trust.carries_over() {
                "which changes nothing else, since the policy has no `${…}`"
            } else {
                "and see that `${…}` in it is a variable from then on"
            };
            return Some(format!("{why}, {more}"));
        }
        if role.trust.statements().is_empty() {
            return Some("its trust policy has no statement".to_owned());
        }
        if role.inline.keys().any(|name| name.as_str() == TRANSITION) {
            return Some(format!("irsa reserves the name of its inline policy `{TRANSITION}`"));
        }
        let unreadable = role.inline.iter().find(|(_, document)| text::json(document).is_none());
        if let Some((name, _)) = unreadable {
            return Some(format!("its inline policy `{name}` is not a valid policy for irsa: correct it first"));
        }
        if let Some(why) = self.refusal(live.arn.as_str()) {
            return Some(why);
        }
        let existing = self.existing?;
        if is_forgotten(existing, account, role.name.as_str()) {
            return Some("`forget` names it".to_owned());
        }
        // IAM takes two keys that differ in case for the same, and `config` refuses them
        let missing = existing.surroundings.role_tags.iter().find(|(tag, _)| !role.tags.contains_key(tag.as_str()));
        missing.map(|(tag, _)| format!("`[defaults.role]` would give it the tag `{tag}`: set that tag first"))
    }

    pub(super) fn refusal(&self, arn: &str) -> Option<String> {
        self.refused.get(arn).map(|why| format!("irsa would not accept its declaration: {why}"))
    }

    /// Why the marks on an object keep it from being imported.
    pub(super) fn ownership(&self, tags: &StringMap) -> Option<String> {
        let added = 2 + usize::from(is_protected(tags));
        if own_tags(tags, None).count() > TAG_LIMIT - added {
            return Some(format!(
                "it has more than {} tags, and irsa needs {added} of at most {TAG_LIMIT}: remove some first",
                TAG_LIMIT - added
            ));
        }
        match owner(tags) {
            Some(other) if other != self.scope.owner.as_str() => {
                Some(format!("it belongs to owner `{other}`: release it there first (`forget`)"))
            }
            Some(_) if self.existing.is_some() => {
                Some("it has this owner's tag and is not declared: `irsa plan` shows what happens to it".to_owned())
            }
            _ => None,
        }
    }
}
