//! The index of the roles and users of all accounts, which trust policies are checked against and rendered with.
//!
//! All accounts share one index; each account's IAM adds and removes its own principals. An account that was never
//! called is not in the index. Trust policies may name any principal in such an account.

use super::trust::{PrincipalLookup, PrincipalState};
use super::{Iam, fold};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The index over all accounts.
#[derive(Debug, Default)]
pub(crate) struct Principals {
    state: RwLock<State>,
}

/// The content of the index.
#[derive(Debug, Default, Clone)]
pub(crate) struct State {
    accounts: BTreeSet<String>,
    ids: HashMap<String, Entry>,
    arns: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Entry {
    id: String,
    /// How many more requests that name the principal fail, as if it were not visible yet.
    unsettled: AtomicU32,
}

impl Clone for Entry {
    fn clone(&self) -> Self {
        Self { id: self.id.clone(), unsettled: AtomicU32::new(self.unsettled.load(Ordering::SeqCst)) }
    }
}

impl Principals {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn save(&self) -> State {
        self.read().clone()
    }

    pub(crate) fn restore(&self, state: &State) {
        self.write().clone_from(state);
    }

    /// Adds an account to the index.
    pub(crate) fn add_account(&self, account: &str) {
        if !self.read().accounts.contains(account) {
            self.write().accounts.insert(account.to_owned());
        }
    }

    pub(super) fn enter(&self, arn: &str, id: &str, unsettled: u32) {
        let mut state = self.write();
        state.ids.insert(arn.to_owned(), Entry { id: id.to_owned(), unsettled: AtomicU32::new(unsettled) });
        state.arns.insert(id.to_owned(), arn.to_owned());
    }

    pub(super) fn leave(&self, arn: &str) {
        let mut state = self.write();
        if let Some(entry) = state.ids.remove(arn) {
            state.arns.remove(&entry.id);
        }
    }

    /// Whether a new principal is not visible yet. Each call counts down.
    pub(crate) fn is_unsettled(&self, arn: &str) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        let state = self.read();
        let entry = state.ids.get(arn);
        entry.is_some_and(|entry| entry.unsettled.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok())
    }
}

/// The principals that one account sees.
pub(super) struct View<'a> {
    iam: &'a Iam,
    directory: Option<&'a Principals>,
}

impl Iam {
    pub(super) fn view<'a>(&'a self, directory: &'a Principals) -> View<'a> {
        View { iam: self, directory: Some(directory) }
    }

    /// A view of only the account's own principals.
    pub(super) fn own_view(&self) -> View<'_> {
        View { iam: self, directory: None }
    }

    fn own_entity(&self, arn: &str) -> Option<&str> {
        let name = fold(arn.rsplit('/').next()?);
        let role = self.roles.get(&name).filter(|role| role.arn == arn).map(|role| role.id.as_str());
        role.or_else(|| self.users.get(&name).filter(|user| user.arn == arn).map(|user| user.id.as_str()))
    }
}

impl PrincipalLookup for View<'_> {
    fn partition(&self) -> &str {
        &self.iam.partition
    }

    fn entity(&self, account: &str, arn: &str) -> PrincipalState {
        if account == self.iam.account {
            return self
                .iam
                .own_entity(arn)
                .map_or(PrincipalState::Missing, |id| PrincipalState::Exists(id.to_owned()));
        }
        let Some(state) = self.directory.map(Principals::read) else { return PrincipalState::Unknown };
        match state.ids.get(arn) {
            Some(entry) => PrincipalState::Exists(entry.id.clone()),
            None if state.accounts.contains(account) => PrincipalState::Missing,
            None => PrincipalState::Unknown,
        }
    }

    fn named(&self, account: &str, arn: &str) -> PrincipalState {
        if self.directory.is_some_and(|directory| directory.is_unsettled(arn)) {
            return PrincipalState::Missing;
        }
        self.entity(account, arn)
    }

    fn arn_of(&self, id: &str) -> Option<String> {
        self.directory?.read().arns.get(id).cloned()
    }
}
