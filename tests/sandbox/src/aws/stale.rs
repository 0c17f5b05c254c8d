//! Reads that do not see the last write yet: IAM's by account or by item, those of what hangs on clusters by account and
//! region.
//!
//! Only reads over HTTP count. STS, and EKS where it asks whether a role exists, see the state as it is.

use crate::aws::gate::Call;
use crate::aws::iam::{Answer, Item, Kept};
use crate::aws::query::Params;
use crate::aws::{Account, Aws, Iam};
use crate::gate::Stale;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

/// One item that reads see late, whatever they see of all others.
#[derive(Debug)]
pub(super) struct Late {
    item: Item,
    /// How many reads after each write to it.
    reads: u32,
    /// What they see, and how many still do.
    shown: Option<(Kept, u32)>,
}

impl Account {
    pub(super) fn late(&self) -> MutexGuard<'_, Vec<Late>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stale(&self) -> MutexGuard<'_, Stale<Iam>> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Aws {
    /// After every write from now on, so many reads do not see it; 0 ends it for single items, too.
    pub(crate) fn set_stale_reads(&self, reads: u32) {
        self.stale_reads.store(reads, Ordering::SeqCst);
        self.forget_stale();
        if reads == 0 {
            for account in self.accounts.read().unwrap_or_else(PoisonError::into_inner).values() {
                account.late().clear();
            }
        }
        for (place, name) in self.eks.names() {
            if let Some(cluster) = self.eks.kubernetes(&place, &name) {
                cluster.stale_reads(reads);
            }
        }
    }

    /// After every write to this item from now on, so many reads that would show it do not see that write.
    pub(crate) fn set_late(&self, account: Option<&str>, item: Item, reads: u32) {
        let account = self.account(account.unwrap_or(&self.first));
        let mut all = account.late();
        all.retain(|late| late.item != item);
        all.extend((reads > 0).then_some(Late { item, reads, shown: None }));
    }

    pub(crate) fn stale_reads(&self) -> u32 {
        self.stale_reads.load(Ordering::SeqCst)
    }

    /// Every read sees the state as it is, until the next write.
    pub(super) fn forget_stale(&self) {
        for account in self.accounts.read().unwrap_or_else(PoisonError::into_inner).values() {
            account.stale().clear();
            account.late().iter_mut().for_each(|late| late.shown = None);
        }
        self.eks.forget_stale();
    }

    /// One IAM operation past HTTP: its writes are not seen at once either, its reads see all.
    pub(super) fn iam_console(&self, account: &str, action: &str, params: &Params) -> Answer {
        if ["Get", "List"].iter().any(|verb| action.starts_with(verb)) {
            return self.account(account).iam().call(action, params, &self.principals);
        }
        self.iam_write(account, action, params)
    }

    /// One IAM operation of a client.
    pub(super) fn iam_request(&self, account: &str, call: &Call, action: &str, params: &Params) -> Answer {
        if call.is_write() {
            return self.iam_write(account, action, params);
        }
        let account = self.account(account);
        let mut iam = account.iam();
        if let Some(before) = account.stale().read() {
            self.gate.struck(call.number, "stale");
            return before.call(action, params, &self.principals);
        }
        let answer = iam.call(action, params, &self.principals);
        let shown = self.read_late(&account, &iam, action, params, &answer);
        if shown.is_some() {
            self.gate.struck(call.number, "stale");
        }
        shown.unwrap_or(answer)
    }

    /// The answer with the late items as they were, where that is another; only such a read counts for an item.
    fn read_late(
        &self,
        account: &Account,
        iam: &Iam,
        action: &str,
        params: &Params,
        answer: &Answer,
    ) -> Option<Answer> {
        let mut shown = None;
        let mut past = None;
        for late in account.late().iter_mut() {
            let Some((kept, left)) = &mut late.shown else { continue };
            let past: &mut Iam = past.get_or_insert_with(|| iam.clone());
            past.put_back(&late.item, kept.clone());
            let then = past.call(action, params, &self.principals);
            if then != *shown.as_ref().unwrap_or(answer) {
                shown = Some(then);
                *left -= 1;
                if *left == 0 {
                    late.shown = None;
                }
            }
        }
        shown
    }

    fn iam_write(&self, id: &str, action: &str, params: &Params) -> Answer {
        let account = self.account(id);
        let mut iam = account.iam();
        let before: Vec<Kept> = account.late().iter().map(|late| iam.kept(&late.item)).collect();
        let work = |iam: &mut Iam| iam.call(action, params, &self.principals);
        let answer = account.stale().write(self.stale_reads(), &mut iam, work)?;
        for (late, before) in account.late().iter_mut().zip(before) {
            if iam.kept(&late.item) != before {
                late.shown = Some((before, late.reads));
            }
        }
        self.show(id, action, params, &iam);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests;
