//! The one place that every request passes, twice: before it is carried out and before it is answered.
//!
//! Here requests are logged, held, delayed, refused or lost. A fault before leaves the cluster as it was; a fault after
//! loses or replaces the answer to something that has happened.

use crate::kubernetes::status::Refusal;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One request, as it is known once the caller is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// Counts from 1 in the order of arrival.
    pub number: u64,
    /// `get`, `list`, `create`, `update`, `patch`, `delete`, …
    pub verb: String,
    /// `serviceaccounts`, …; empty for paths that are no resources.
    pub resource: String,
    /// The namespace; of a namespace, its own name.
    pub namespace: String,
    /// The object's name; empty for collections.
    pub name: String,
    /// The user; empty when not known.
    pub user: String,
    /// The path.
    pub path: String,
    /// The query.
    pub query: String,
    /// Who the client says that it is.
    pub user_agent: String,
    /// The body's type: tells an apply from other patches.
    pub content_type: String,
    /// The body.
    pub body: String,
}

impl Call {
    /// Whether this is a server-side apply.
    pub fn is_apply(&self) -> bool {
        self.content_type.starts_with("application/apply-patch")
    }

    /// Whether this would change something.
    pub fn is_write(&self) -> bool {
        ["create", "update", "patch", "delete", "deletecollection"].contains(&self.verb.as_str())
            && !self.resource.starts_with("selfsubject")
    }
}

/// A request and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The request.
    pub call: Call,
    /// The status that was sent; None while it is under way, or when the answer was lost.
    pub answer: Option<u16>,
    /// The status that the cluster itself gave; None where a fault came first.
    pub outcome: Option<u16>,
}

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Before anything is done.
    Before,
    /// When it is done, before the answer goes out.
    After,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// 403, as if RBAC did not allow it.
    Deny,
    /// This refusal.
    Refuse(Refusal),
    /// Takes so long, then goes on.
    Delay(Duration),
    /// Never answers.
    Hang,
    /// Closes the connection (under HTTP/2, resets the stream) without an answer.
    Drop,
}

/// Which requests a fault is for; what is None matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Match {
    /// The verb.
    pub verb: Option<String>,
    /// The plural name.
    pub resource: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
    /// The object.
    pub name: Option<String>,
    /// The user.
    pub user: Option<String>,
}

impl Match {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// This verb on this resource.
    pub fn on(verb: &str, resource: &str) -> Self {
        Self { verb: Some(verb.to_owned()), resource: Some(resource.to_owned()), ..Self::default() }
    }

    /// In this namespace only.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// For this name only.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// For this user only.
    #[must_use]
    pub fn by(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    fn matches(&self, call: &Call) -> bool {
        let fits = |asked: &Option<String>, has: &str| asked.as_deref().is_none_or(|asked| asked == has);
        fits(&self.verb, &call.verb)
            && fits(&self.resource, &call.resource)
            && fits(&self.namespace, &call.namespace)
            && fits(&self.name, &call.name)
            && fits(&self.user, &call.user)
    }
}

/// A future that can be kept in a box.
pub type Decision<'a> = Pin<Box<dyn Future<Output = Option<Fault>> + Send + 'a>>;

/// Something of the test's own that decides about requests; it may wait as long as it likes.
pub trait Admission: Send + Sync {
    /// Called at both stages. `outcome` is the cluster's status, known at the second.
    fn decide<'a>(&'a self, stage: Stage, call: &'a Call, outcome: Option<u16>) -> Decision<'a>;
}

struct Rule {
    what: Match,
    stage: Stage,
    fault: Fault,
    left: Option<u32>,
}

#[derive(Default)]
struct State {
    log: VecDeque<Record>,
    count: u64,
    rules: Vec<Rule>,
    admission: Option<Arc<dyn Admission>>,
}

/// Where requests are logged and faults are set.
#[derive(Default)]
pub struct Gate {
    state: Mutex<State>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("log", &self.log().len()).finish_non_exhaustive()
    }
}

/// What remains of a request at a stage.
pub(crate) enum Passed {
    On,
    Refused(Refusal),
    Lost,
}

const LOG: usize = 100_000;

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a fault, for so many requests or, with None, for all. Of several that match, the first set strikes.
    pub fn fault(&self, stage: Stage, what: Match, fault: Fault, times: Option<u32>) {
        self.state().rules.push(Rule { what, stage, fault, left: times });
    }

    /// Takes all faults away.
    pub fn heal(&self) {
        self.state().rules.clear();
    }

    /// Puts something in charge that sees every request, before the faults.
    pub fn admit_by(&self, admission: Option<Arc<dyn Admission>>) {
        self.state().admission = admission;
    }

    /// All requests, in order of arrival.
    pub fn log(&self) -> Vec<Record> {
        self.state().log.iter().cloned().collect()
    }

    /// The requests that changed something or tried to, without dry runs.
    pub fn writes(&self) -> Vec<Record> {
        let mut log = self.log();
        log.retain(|record| record.call.is_write() && !record.call.query.contains("dryRun=All"));
        log
    }

    /// Empties the log.
    pub fn forget(&self) {
        self.state().log.clear();
    }

    pub(crate) fn arrived(&self, call: &mut Call) {
        let mut state = self.state();
        state.count += 1;
        call.number = state.count;
        if state.log.len() == LOG {
            state.log.pop_front();
        }
        state.log.push_back(Record { call: call.clone(), answer: None, outcome: None });
    }

    pub(crate) fn note(&self, number: u64, change: impl FnOnce(&mut Record)) {
        if let Some(record) = self.state().log.iter_mut().rev().find(|record| record.call.number == number) {
            change(record);
        }
    }

    fn next(&self, stage: Stage, call: &Call) -> Option<Fault> {
        let mut held = self.state();
        let rule = held
            .rules
            .iter_mut()
            .find(|rule| rule.stage == stage && rule.left != Some(0) && rule.what.matches(call))?;
        if let Some(left) = &mut rule.left {
            *left -= 1;
        }
        Some(rule.fault.clone())
    }

    pub(crate) async fn pass(&self, stage: Stage, call: &Call, outcome: Option<u16>) -> Passed {
        let watcher = self.state().admission.clone();
        let decided = match watcher {
            Some(watcher) => watcher.decide(stage, call, outcome).await,
            None => None,
        };
        match decided.or_else(|| self.next(stage, call)) {
            None => Passed::On,
            Some(Fault::Deny) => Passed::Refused(denied(call)),
            Some(Fault::Refuse(refusal)) => Passed::Refused(refusal),
            Some(Fault::Delay(time)) => {
                tokio::time::sleep(time).await;
                Passed::On
            }
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Drop) => Passed::Lost,
        }
    }
}

fn denied(call: &Call) -> Refusal {
    if call.resource.is_empty() {
        return Refusal::forbidden_path(&call.user, &call.verb, &call.path);
    }
    let nobody = crate::kubernetes::access::User::limited(&call.user, []);
    crate::kubernetes::access::check(&nobody, &call.verb, &call.resource, &call.namespace, &call.name)
        .err()
        .unwrap_or_else(|| Refusal::forbidden(&call.resource, &call.name, "denied"))
}
