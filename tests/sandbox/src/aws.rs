//! AWS of one's own: the IAM, STS and EKS of any number of accounts behind one endpoint.
//!
//! Callers are told apart by their access key, not by their signature, and all are administrators of their account: a
//! trust policy decides who becomes whom, and [`Gate`], where tests read the log and set faults, whether someone lacks
//! a permission.

mod credentials;
mod eks;
mod evaluate;
mod gate;
mod iam;
mod query;
pub(crate) mod server;
mod snapshot;
mod stale;
mod sts;
mod witness;

pub use evaluate::Facts;
pub use gate::{Call, Decision, Fault, Gate, Match, Record, Refusal};
pub use iam::{Iam, Item, ProviderFacts, RoleFacts};

#[cfg(test)]
pub(crate) use eks::Route;
pub(crate) use eks::{NewCluster, Place};
#[cfg(test)]
pub(crate) use server::tests as bench;
pub(crate) use server::{Server, connection};
pub use snapshot::Snapshot;
pub use witness::{Witness, Written};

use crate::gate::Stale;
use crate::kubernetes::Clock;
use credentials::{Caller, Credentials};
use iam::Principals;
use query::{Params, respond};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// The only partition there is.
pub(crate) const PARTITION: &str = "aws";

/// The user that an account's own access key speaks for.
const USER: &str = "sandbox";

struct Account {
    iam: Mutex<Iam>,
    stale: Mutex<Stale<Iam>>,
    late: Mutex<Vec<stale::Late>>,
    user: Caller,
}

/// All accounts.
pub(crate) struct Aws {
    first: String,
    clock: Clock,
    gate: Gate,
    credentials: Credentials,
    principals: Principals,
    accounts: RwLock<BTreeMap<String, Arc<Account>>>,
    eks: eks::Eks,
    /// How many reads after a write do not see it.
    stale_reads: AtomicU32,
    /// Who is shown every write to IAM.
    witness: RwLock<Option<Witness>>,
    /// Those that were taken over HTTP.
    snapshots: Mutex<Vec<Snapshot>>,
    /// For how long the port is to refuse connections, each time that it is said.
    shut: watch::Sender<Duration>,
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws").field("first", &self.first).field("gate", &self.gate).finish_non_exhaustive()
    }
}

/// The text between the first two tags of this name.
pub(crate) fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

fn form(fields: &[(&str, &str)]) -> Params {
    Params::parse(form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().as_bytes())
}

impl Account {
    fn new(id: &str, clock: &Clock, principals: &Principals) -> Self {
        let mut iam = Iam::new(PARTITION, id, Arc::clone(clock));
        let made = iam.call("CreateUser", &form(&[("UserName", USER)]), principals);
        let answer = respond("CreateUser", "", made.ok().flatten(), "");
        let user_id = element(&answer, "UserId").unwrap_or_default();
        Self {
            iam: Mutex::new(iam),
            stale: Mutex::default(),
            late: Mutex::default(),
            user: Caller::user(id, USER, user_id),
        }
    }

    fn iam(&self) -> MutexGuard<'_, Iam> {
        self.iam.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Aws {
    /// The accounts, of which the first one answers to the key `test`.
    pub(crate) fn new(accounts: &[String], clock: Clock) -> Self {
        let aws = Self {
            first: accounts.first().cloned().unwrap_or_else(|| "123456789012".to_owned()),
            clock,
            gate: Gate::default(),
            credentials: Credentials::default(),
            principals: Principals::default(),
            accounts: RwLock::default(),
            eks: eks::Eks::default(),
            stale_reads: AtomicU32::new(0),
            witness: RwLock::default(),
            snapshots: Mutex::default(),
            shut: watch::Sender::default(),
        };
        aws.account(&aws.first);
        for id in accounts {
            aws.account(id);
        }
        aws
    }

    /// Has the port refuse connections for so long.
    pub(crate) fn shut(&self, time: Duration) {
        self.shut.send_replace(time);
    }

    /// What `shut` is told.
    pub(crate) fn shutting(&self) -> watch::Receiver<Duration> {
        self.shut.subscribe()
    }

    /// An account, made if it is new.
    fn account(&self, id: &str) -> Arc<Account> {
        if let Some(account) = self.existing(id) {
            return account;
        }
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Account::new(id, &self.clock, &self.principals));
        Arc::clone(accounts.entry(id.to_owned()).or_insert_with(new))
    }

    fn existing(&self, id: &str) -> Option<Arc<Account>> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// The log and the faults.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The clusters.
    pub(crate) fn eks(&self) -> &eks::Eks {
        &self.eks
    }

    /// Works on an account's IAM itself; no request of the account runs meanwhile.
    pub(crate) fn with_iam<T>(&self, account: &str, work: impl FnOnce(&mut Iam) -> T) -> T {
        work(&mut self.account(account).iam())
    }

    /// One IAM operation past HTTP and the gate; the answer's XML.
    pub(crate) fn iam_call(&self, account: &str, action: &str, fields: &[(&str, &str)]) -> Result<String, Refusal> {
        let result = self.iam_console(account, action, &form(fields))?;
        Ok(respond(action, server::IAM_NAMESPACE, result, "none"))
    }
}
