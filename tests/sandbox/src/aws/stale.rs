//! Reads that do not see the last write yet: IAM's by account, those of what hangs on clusters by account and region.
//!
//! Only reads over HTTP count. STS, and EKS where it asks whether a role exists, see the state as it is.

use crate::aws::gate::Call;
use crate::aws::iam::Answer;
use crate::aws::query::Params;
use crate::aws::{Account, Aws, Iam};
use crate::gate::Stale;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

impl Account {
    pub(super) fn stale(&self) -> MutexGuard<'_, Stale<Iam>> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Aws {
    /// After every write from now on, so many reads do not see it.
    pub(crate) fn set_stale_reads(&self, reads: u32) {
        self.stale_reads.store(reads, Ordering::SeqCst);
        self.forget_stale();
        for (place, name) in self.eks.names() {
            if let Some(cluster) = self.eks.kubernetes(&place, &name) {
                cluster.stale_reads(reads);
            }
        }
    }

    pub(crate) fn stale_reads(&self) -> u32 {
        self.stale_reads.load(Ordering::SeqCst)
    }

    /// Every read sees the state as it is, until the next write.
    pub(super) fn forget_stale(&self) {
        for account in self.accounts.read().unwrap_or_else(PoisonError::into_inner).values() {
            account.stale().clear();
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
        match account.stale().read() {
            None => iam.call(action, params, &self.principals),
            Some(before) => {
                self.gate.struck(call.number, "stale");
                before.call(action, params, &self.principals)
            }
        }
    }

    fn iam_write(&self, id: &str, action: &str, params: &Params) -> Answer {
        let account = self.account(id);
        let mut iam = account.iam();
        let work = |iam: &mut Iam| iam.call(action, params, &self.principals);
        let answer = account.stale().write(self.stale_reads(), &mut iam, work)?;
        self.show(id, action, params, &iam);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests;
