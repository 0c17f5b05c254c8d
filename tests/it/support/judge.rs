//! Judges from outside the guarantee in README that access is never widened: at no moment of an apply does anybody hold
//! a permission that they hold neither before nor after it. Also finds dips: permissions that somebody holds before and
//! after, and loses for a moment.
//!
//! The judge reads the sandbox's own state after every write, and nothing that irsa knows. A permission consists of a
//! subject (which the trust policy allows, and whose OIDC provider must exist and accept the audience), a role,
//! something that the role's policies allow (with denies, boundaries, conditions and the role's own tags), and the
//! length of a session. Each role is judged alone: a grant through one role does not excuse the same grant through
//! another, because others refer to roles by name.

mod document;
mod grants;
mod pattern;
mod role;
mod search;
mod tests;

pub(crate) use grants::Grant;
pub(crate) use role::{Role, Roles, all_roles, roles};
pub(crate) use search::smooth_order;

use super::world::{FIRST, SECOND};
use irsa_sandbox::Sandbox;
use irsa_sandbox::aws::Written;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Both accounts of a sandbox.
pub(crate) const ACCOUNTS: [&str; 2] = [FIRST, SECOND];

/// Cached judgements: of a role in one state.
type Known = HashMap<(String, Role), Arc<Vec<Grant>>>;

/// The permissions that are allowed: those that at least one of these states grants. Caches its judgements, because
/// states repeat.
pub(crate) struct Law {
    ends: Vec<Roles>,
    known: Mutex<Known>,
}

impl Law {
    pub(crate) fn of(ends: Vec<Roles>) -> Self {
        Self { ends, known: Mutex::default() }
    }

    /// The grants of these roles that no allowed state has.
    pub(crate) fn broken(&self, roles: &Roles) -> Vec<Grant> {
        let mut all = Vec::new();
        for (name, role) in roles {
            let key = (name.clone(), role.clone());
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
            let found = known.unwrap_or_else(|| {
                let ends: Vec<_> = self.ends.iter().map(|end| end.get(name)).collect();
                let found = Arc::new(grants::wider(name, &ends, role));
                self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&found));
                found
            });
            all.extend(found.iter().cloned());
        }
        all
    }
}

/// One write, and the roles of its account right after it.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub(crate) account: String,
    pub(crate) action: String,
    pub(crate) object: String,
    /// The changed parts of the object: an inline policy, an attached policy, tags except irsa's own.
    pub(crate) parts: Vec<String>,
    /// The fields of the request, to repeat it.
    fields: Vec<(String, String)>,
    pub(crate) roles: Arc<Roles>,
}

impl Moment {
    fn of(written: Written<'_>) -> Self {
        let mut parts: Vec<String> = Vec::new();
        for name in ["PolicyName", "PolicyArn", "ClientID"] {
            parts.extend(written.field(name).filter(|text| *text != written.object).map(str::to_owned));
        }
        for number in 1..=50 {
            for key in [format!("Tags.member.{number}.Key"), format!("TagKeys.member.{number}")] {
                parts.extend(written.field(&key).filter(|key| !key.starts_with("irsa/")).map(str::to_owned));
            }
        }
        Self {
            account: written.account.to_owned(),
            action: written.action.to_owned(),
            object: written.object.to_owned(),
            parts,
            fields: written.fields().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            roles: Arc::new(roles(written.account, written.iam)),
        }
    }

    /// For example `PutRolePolicy web own`.
    pub(crate) fn what(&self) -> String {
        let object = self.object.rsplit('/').next().unwrap_or_default();
        let parts = self.parts.iter().map(|part| part.rsplit(":policy/").next().unwrap_or(part));
        [self.action.as_str(), object].into_iter().chain(parts).collect::<Vec<_>>().join(" ")
    }
}

/// All writes to a sandbox since `begin`.
pub(crate) struct Trail {
    before: Roles,
    moments: Arc<Mutex<Vec<Moment>>>,
}

impl Trail {
    /// Records every write from now on, in the order in which they are carried out.
    pub(crate) fn begin(sandbox: &Sandbox) -> Self {
        let before = all_roles(sandbox, &ACCOUNTS);
        let moments: Arc<Mutex<Vec<Moment>>> = Arc::default();
        let kept = Arc::clone(&moments);
        sandbox.witness(Some(Arc::new(move |written| {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(Moment::of(written));
        })));
        Self { before, moments }
    }

    /// The roles at the start.
    pub(crate) fn before(&self) -> &Roles {
        &self.before
    }

    pub(crate) fn moments(&self) -> Vec<Moment> {
        self.moments.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Grants at any moment that none of these states has, with the writes before that moment.
    pub(crate) fn broken(&self, ends: Vec<Roles>) -> Vec<String> {
        self.broken_by(&Law::of(ends))
    }

    /// Like `broken`, for a `Law` that keeps its cache between trails.
    pub(crate) fn broken_by(&self, law: &Law) -> Vec<String> {
        told(&self.moments(), |moment| law.broken(&moment.roles))
    }

    /// Grants that are missing at some moment, although they exist before and `after`.
    pub(crate) fn dips(&self, after: &Roles) -> Vec<String> {
        let mut known: HashMap<(String, Option<&Role>), Vec<Grant>> = HashMap::new();
        let moments = self.moments();
        let mut all = Vec::new();
        for (index, moment) in moments.iter().enumerate() {
            let prefix = format!("{}/", moment.account);
            for (name, before) in self.before.iter().filter(|(name, _)| name.starts_with(&prefix)) {
                let Some(after) = after.get(name) else { continue };
                let now = moment.roles.get(name);
                let missing =
                    known.entry((name.clone(), now)).or_insert_with(|| grants::dips(name, [before, after], now));
                all.extend(missing.iter().map(|grant| told_at(&moments, index, grant)));
            }
        }
        all
    }
}

/// Describes each violation and the writes before it.
fn told(moments: &[Moment], wrong: impl Fn(&Moment) -> Vec<Grant>) -> Vec<String> {
    let mut all = Vec::new();
    for (index, moment) in moments.iter().enumerate() {
        all.extend(wrong(moment).iter().map(|grant| told_at(moments, index, grant)));
    }
    all
}

fn told_at(moments: &[Moment], index: usize, grant: &Grant) -> String {
    let writes: Vec<String> = moments[..=index].iter().map(Moment::what).collect();
    format!("after {}: {grant}", writes.join(", "))
}
