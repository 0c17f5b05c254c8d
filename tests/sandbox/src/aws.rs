//! An AWS stand-in: the IAM, STS and EKS of any number of accounts behind one endpoint.
//!
//! The access key identifies a caller; the signature is not verified. Every caller is an administrator of its account.
//! Trust policies decide who may assume which role. Missing permissions are faults that tests set at the [`Gate`],
//! which also has the request log.

mod credentials;
mod eks;
mod evaluate;
mod gate;
mod iam;
mod issuers;
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
pub(crate) use eks::{AccountRegion, NewCluster};
pub(crate) use issuers::Issuers;
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

/// The only partition of the sandbox.
pub(crate) const PARTITION: &str = "aws";

/// The name of the user behind an account's own access key.
const USER: &str = "sandbox";

struct Account {
    iam: Mutex<Iam>,
    stale: Mutex<Stale<Iam>>,
    late: Mutex<Vec<stale::StaleItem>>,
    user: Caller,
}

/// All accounts, their clusters and the gate.
pub(crate) struct Aws {
    first: String,
    clock: Clock,
    gate: Gate,
    credentials: Credentials,
    principals: Principals,
    accounts: RwLock<BTreeMap<String, Arc<Account>>>,
    eks: eks::Eks,
    /// What the hosts of issuers answer in place of the clusters' documents: a status and a body, by URL.
    published: Mutex<BTreeMap<String, (u16, String)>>,
    /// How many reads after a write do not see the write.
    stale_reads: AtomicU32,
    /// The callback that sees every IAM write.
    witness: RwLock<Option<Witness>>,
    /// The snapshots that were taken over HTTP.
    snapshots: Mutex<Vec<Snapshot>>,
    /// Sends for how long the port is to refuse connections.
    shut: watch::Sender<Duration>,
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws").field("first", &self.first).field("gate", &self.gate).finish_non_exhaustive()
    }
}

/// The text of the first element of this name.
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
    /// Creates these accounts. The first one answers to the access key `test`.
    pub(crate) fn new(accounts: &[String], clock: Clock) -> Self {
        let aws = Self {
            first: accounts.first().cloned().unwrap_or_else(|| "123456789012".to_owned()),
            clock,
            gate: Gate::default(),
            credentials: Credentials::default(),
            principals: Principals::default(),
            accounts: RwLock::default(),
            eks: eks::Eks::default(),
            published: Mutex::default(),
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

    /// Makes the port refuse connections for this time.
    pub(crate) fn shut(&self, time: Duration) {
        self.shut.send_replace(time);
    }

    /// Receives the durations that `shut` sends.
    pub(crate) fn shutting(&self) -> watch::Receiver<Duration> {
        self.shut.subscribe()
    }

    /// An account. Creates it if it does not exist.
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

    /// The request log and the faults.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The clusters.
    pub(crate) fn eks(&self) -> &eks::Eks {
        &self.eks
    }

    /// Reads or changes an account's IAM directly. No request of that account runs meanwhile.
    pub(crate) fn with_iam<T>(&self, account: &str, work: impl FnOnce(&mut Iam) -> T) -> T {
        work(&mut self.account(account).iam())
    }

    /// Calls one IAM operation without HTTP and the gate. Returns the response XML.
    pub(crate) fn iam_call(&self, account: &str, action: &str, fields: &[(&str, &str)]) -> Result<String, Refusal> {
        let result = self.iam_console(account, action, &form(fields))?;
        Ok(respond(action, server::IAM_NAMESPACE, result, "none"))
    }
}
