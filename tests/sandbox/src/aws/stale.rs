//! Stale reads: reads that do not see the last write yet. IAM reads are stale by account or by item. EKS reads of
//! associations, add-ons and access entries are stale by account and region.
//!
//! Only HTTP reads are stale. STS always sees the current state, and so does EKS when it checks that a role exists.

use crate::aws::gate::Call;
use crate::aws::iam::{Answer, Item, SavedItem};
use crate::aws::query::Params;
use crate::aws::{Account, Aws, Iam};
use crate::gate::Stale;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

/// One item with stale reads of its own.
#[derive(Debug)]
pub(super) struct StaleItem {
    item: Item,
    /// How many reads after each write to the item are stale.
    reads: u32,
    /// The state that stale reads show, and how many more reads show it.
    shown: Option<(SavedItem, u32)>,
}

impl Account {
    pub(super) fn late(&self) -> MutexGuard<'_, Vec<StaleItem>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stale(&self) -> MutexGuard<'_, Stale<Iam>> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Aws {
    /// Hides every later write from the next `reads` reads after it. 0 turns this off, also for single items.
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

    /// Hides every later write to this item from the next `reads` reads that would show it.
    pub(crate) fn set_late(&self, account: Option<&str>, item: Item, reads: u32) {
        let account = self.account(account.unwrap_or(&self.first));
        let mut all = account.late();
        all.retain(|late| late.item != item);
        all.extend((reads > 0).then_some(StaleItem { item, reads, shown: None }));
    }

    pub(crate) fn stale_reads(&self) -> u32 {
        self.stale_reads.load(Ordering::SeqCst)
    }

    /// Makes every read see the current state, until the next write.
    pub(super) fn forget_stale(&self) {
        for account in self.accounts.read().unwrap_or_else(PoisonError::into_inner).values() {
            account.stale().clear();
            account.late().iter_mut().for_each(|late| late.shown = None);
        }
        self.eks.forget_stale();
    }

    /// Executes an IAM operation without HTTP. Its writes are hidden from stale HTTP reads too; its own reads are
    /// current.
    pub(super) fn iam_console(&self, account: &str, action: &str, params: &Params) -> Answer {
        if ["Get", "List"].iter().any(|verb| action.starts_with(verb)) {
            return self.account(account).iam().call(action, params, &self.principals);
        }
        self.iam_write(account, action, params)
    }

    /// Executes an IAM operation of an HTTP client.
    pub(super) fn iam_request(&self, account: &str, call: &Call, action: &str, params: &Params) -> Answer {
        if call.is_write() {
            return self.iam_write(account, action, params);
        }
        let account = self.account(account);
        let mut iam = account.iam();
        if let Some(before) = account.stale().read() {
            self.gate.record_fault(call.number, "stale");
            return before.call(action, params, &self.principals);
        }
        let answer = iam.call(action, params, &self.principals);
        let shown = self.read_late(&account, &iam, action, params, &answer);
        if shown.is_some() {
            self.gate.record_fault(call.number, "stale");
        }
        shown.unwrap_or(answer)
    }

    /// The answer with the old states of items whose reads are stale, if it differs from the current answer. Only a
    /// read whose answer differs counts as a stale read of the item.
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
        let before: Vec<SavedItem> = account.late().iter().map(|late| iam.kept(&late.item)).collect();
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
