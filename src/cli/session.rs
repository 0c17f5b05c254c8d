//! What plan, apply and drift share: load, resolve and lint the configuration, identify the credentials, read, plan.
//!
//! Creates no writer: `apply` gets one from the readers after everything is decided.

use super::Run;
use super::arguments::{Fleet, Global, Shape};
use super::signals::{self, Signals};
use crate::apply::wait;
use crate::config::{self, Configuration, Diagnostics, Identities};
use crate::context::Context;
use crate::error::{Error, ExitStatus, LintFindings};
use crate::event::Listen;
use crate::ids::{Key, Region};
use crate::lint;
use crate::model::desired::{Account, Cluster, Desired};
use crate::model::live::{Access, Identity, Live};
use crate::model::note::{Note, Severity};
use crate::model::origin::Origin;
use crate::model::refusal::RefusalKind;
use crate::model::shard::{Scope, Shard};
use crate::observe::{self, EarlyCalls, ReadOptions};
use crate::plan::{self, Options, Plan, PlanV2};
use crate::world::Transports;
use crate::world::aws::{AwsReader, AwsSettings};
use crate::world::kubernetes::{KubernetesReader, KubernetesSettings, TokenSource};
use futures::FutureExt;
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// A valid configuration, and the arguments of the run.
pub(super) struct Session<'a> {
    pub run: Run<'a>,
    /// The monotonic time that belongs to `run.context.now()`. The lock computes the current time from both.
    pub started: Instant,
    pub signals: Signals,
    configuration: Configuration,
    /// As resolved offline, with placeholders for what only AWS knows.
    accounts: BTreeMap<Key, Account>,
    clusters: BTreeMap<Key, Cluster>,
    /// The number of declared roles.
    roles: usize,
    listener: Arc<dyn Listen>,
    /// The warnings of API servers that were printed.
    warned: Mutex<BTreeSet<String>>,
}

/// The readers, and the configuration resolved for their accounts.
pub(super) struct Connected {
    pub desired: Desired,
    pub aws: AwsReader,
    pub kubernetes: KubernetesReader,
    pub identities: BTreeMap<Key, Access<Identity>>,
}

pub(super) fn load(global: &Global) -> Result<Configuration, Diagnostics> {
    match &global.config {
        Some(path) => config::load(path),
        None => config::load_default(),
    }
}

impl<'a> Session<'a> {
    /// Loads, resolves and lints the configuration, offline.
    pub(super) fn open(run: Run<'a>) -> Result<Self, Error> {
        let started = Instant::now();
        let configuration = load(run.global)?;
        let declared = configuration.resolve(&Identities { provisional: true, ..offline(run.context) })?;
        deny(&lint::declared(&declared), run.global.deny())?;
        let signals = signals::listen()?;
        // the rest is resolved again for the accounts that are found
        let Desired { accounts, clusters, roles, .. } = declared;
        let (roles, listener) = (roles.len(), run.ui.listener());
        let warned = Mutex::default();
        Ok(Self { run, started, signals, configuration, accounts, clusters, roles, listener, warned })
    }

    pub(super) fn listener(&self) -> &dyn Listen {
        self.listener.as_ref()
    }

    /// `sha256:…` of the configuration.
    pub(super) fn digest(&self) -> &str {
        self.configuration.digest()
    }

    /// Where a policy of `[policies]` is declared, also one that no role attaches.
    pub(super) fn policy_origin(&self, key: &Key) -> Option<&Origin> {
        self.configuration.policies().find(|(declared, _)| *declared == key).map(|(_, origin)| origin)
    }

    /// The keys of `[policies]`.
    pub(super) fn policy_keys(&self) -> impl Iterator<Item = &Key> {
        self.configuration.policies().map(|(key, _)| key)
    }

    /// The files that the run reads: the configuration and its kubeconfigs.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files = self.configuration.files();
        let kubeconfigs = self.clusters.values().filter_map(|cluster| cluster.kubernetes.kubeconfig.as_ref());
        files.extend(kubeconfigs.map(|kubeconfig| kubeconfig.path.clone()));
        files
    }

    /// The options of a plan that is made now.
    ///
    /// # Errors
    /// Wrong usage, for `--destroy` with `--shard`.
    pub(super) fn options(&self, shape: &Shape, fleet: Fleet) -> Result<Options, Error> {
        if shape.destroy && fleet.shard.is_some() {
            return Err(Error::usage("`--shard` and `--destroy` do not go together")
                .hint("a shard never deletes roles, policies or providers: run it without `--shard`"));
        }
        let Shape { destroy, adopt, force, force_conflicts, skip_refused } = *shape;
        Ok(Options {
            only: self.run.global.only.clone(),
            destroy,
            adopt,
            force,
            force_conflicts,
            allow_incomplete: self.run.global.allow_incomplete,
            skip_refused,
            shard: fleet.shard,
            report_only: false,
            now: self.run.context.now(),
        })
    }

    /// Identifies the credentials, resolves the configuration for their accounts, reads, and plans. With `--shard`, only
    /// what the shard needs.
    pub(super) async fn plan(&self, options: &Options) -> Result<(Connected, Plan, Live), Error> {
        let (connected, live, mut findings) = self.read_for(options).await?;
        let desired = &connected.desired;
        findings.extend(lint::live(desired, &live));
        findings.extend(lint::unused(desired, &findings, Some(&live)));
        let plan = plan::plan(desired, &live, options, findings);
        Ok((connected, plan, live))
    }

    /// Reads what a plan reads, for a command that needs no plan.
    pub(super) async fn read(&self) -> Result<(Connected, Live), Error> {
        let (connected, live, _) = self.read_for(&self.options(&Shape::default(), Fleet::default())?).await?;
        Ok((connected, live))
    }

    /// Reads it again with the same clients: they know what this run wrote, and are signed in.
    pub(super) async fn read_again(&self, connected: &Connected) -> Result<Live, Error> {
        let Connected { desired, aws, kubernetes, identities } = connected;
        let read = ReadOptions { parallelism: self.run.global.parallelism.into(), destroy: false, shard: None };
        let early = EarlyCalls::default();
        let live = observe::observe(desired, identities, early, aws, kubernetes, &read, self.listener());
        Box::pin(self.unless_interrupted(live)).await
    }

    /// Also returns the findings on declared objects, none of which is denied.
    async fn read_for(&self, options: &Options) -> Result<(Connected, Live, Vec<Note>), Error> {
        // on the heap: the futures of the SDKs are large
        Box::pin(self.unless_interrupted(self.read_uninterrupted(options))).await?
    }

    async fn read_uninterrupted(&self, options: &Options) -> Result<(Connected, Live, Vec<Note>), Error> {
        let Self { accounts, clusters, .. } = self;
        let Run { context, transports, ui, global } = self.run;
        let parallelism = usize::from(global.parallelism);
        let settings = AwsSettings { timeout: global.timeout, parallelism };
        let listener = Arc::clone(&self.listener);
        let transports = Transports { ask: Some(ui.ask()), ..transports.clone() };
        let aws = AwsReader::connect(context, &transports, accounts, clusters, settings, listener).await;
        let mut early = match options.shard {
            // what a shard needs is known later
            Some(_) => EarlyCalls::default(),
            None => EarlyCalls::of(accounts, clusters, self.roles, &aws),
        };
        let identities = early.during(self.identify(&aws, options.shard)).await?;
        let desired = self.resolve(&aws, &identities)?;
        // the real account ids show more than the offline placeholders
        let mut findings = lint::declared(&desired);
        deny(&findings, global.deny())?;
        let kubernetes = kubernetes(self.run, &aws, &desired.owner, &desired.clusters);
        let read = ReadOptions { parallelism, destroy: options.destroy, shard: options.shard };
        let live = observe::observe(&desired, &identities, early, &aws, &kubernetes, &read, self.listener()).await;
        tracing::info!(aws = aws.requests(), kubernetes = kubernetes.requests(), "requests sent");
        self.print_warnings(&kubernetes);
        if options.allow_incomplete {
            some_account(&identities)?;
        }
        findings.extend(lint::declared_against(&desired, &live));
        deny(&findings, global.deny())?;
        Ok((Connected { desired, aws, kubernetes, identities }, live, findings))
    }

    /// Calls STS in every account, with `--shard` only in the accounts of the shard.
    async fn identify(&self, aws: &AwsReader, shard: Option<Shard>) -> Result<BTreeMap<Key, Access<Identity>>, Error> {
        let mut accounts = self.accounts.clone();
        if let Some(shard) = shard {
            let offline = Identities { provisional: true, ..offline(self.run.context) };
            let scope = Scope::of(shard, &self.configuration.resolve(&offline)?);
            accounts.retain(|key, _| scope.accounts.contains(key));
        }
        Ok(observe::identify(&accounts, aws).await)
    }

    /// Resolves the configuration for these accounts.
    fn resolve(&self, aws: &AwsReader, identities: &BTreeMap<Key, Access<Identity>>) -> Result<Desired, Error> {
        let mut desired = resolve(&self.configuration, aws, identities)?;
        desired.guard.at_most = self.run.global.guard();
        Ok(desired)
    }

    /// Prints the warnings of the API servers, each once in a run.
    pub(super) fn print_warnings(&self, kubernetes: &KubernetesReader) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        for text in kubernetes.take_warnings() {
            if !self.run.global.quiet && warned.insert(text.clone()) {
                self.run.ui.warning(&text);
            }
        }
    }

    /// Awaits work that writes nothing, and drops it when a signal comes.
    pub(super) async fn unless_interrupted<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            done = work => Ok(done),
            interrupt = wait::until_set(&self.signals.first) => {
                Err(Error::new(ExitStatus::Interrupted(interrupt), "interrupted; nothing was written"))
            }
        }
    }

    /// The plan in its file format.
    pub(super) fn freeze(&self, plan: &Plan) -> PlanV2 {
        let now = jiff::Timestamp::from_second(self.run.context.now());
        PlanV2::of(plan, &now.map(|time| time.to_string()).unwrap_or_default())
    }
}

/// Resolves a configuration for the accounts that STS named.
pub(super) fn resolve(
    configuration: &Configuration,
    aws: &AwsReader,
    identities: &BTreeMap<Key, Access<Identity>>,
) -> Result<Desired, Error> {
    let known = identities.iter().filter_map(|(key, identity)| match identity {
        Access::Granted(identity) => Some((key.clone(), (identity.account.clone(), identity.partition.clone()))),
        Access::Wrong(_) | Access::Unknown(_) => None,
    });
    let region = aws.default_region();
    let default_region = region.as_ref().ok().cloned().flatten();
    let facts = Identities { accounts: known.collect(), default_region, online: true, provisional: false };
    configuration.resolve(&facts).map_err(|mistakes| match region {
        // the AWS profile is wrong, not the configuration
        Err(why) => Error::new(ExitStatus::Invalid, why),
        Ok(_) => mistakes.into(),
    })
}

/// A reader of the Kubernetes APIs of these clusters.
pub(super) fn kubernetes(
    run: Run<'_>,
    aws: &AwsReader,
    owner: &Key,
    clusters: &BTreeMap<Key, Cluster>,
) -> KubernetesReader {
    let Run { context, transports, global, .. } = run;
    let aws = aws.clone();
    let tokens: TokenSource = Arc::new(move |cluster: Key| {
        let aws = aws.clone();
        async move { aws.eks_token(&cluster).await.map(|token| (token.token, token.expires)) }.boxed()
    });
    let parallelism = usize::from(global.parallelism);
    let interactive = std::io::stdin().is_terminal();
    let settings = KubernetesSettings { timeout: global.timeout, parallelism, interactive };
    KubernetesReader::new(context, transports, owner, clusters, tokens, settings)
}

/// What is known offline: the region of the environment.
pub(super) fn offline(context: &Context) -> Identities {
    let region = context.variable("AWS_REGION").or_else(|| context.variable("AWS_DEFAULT_REGION"));
    Identities { default_region: region.and_then(|region| Region::parse(region).ok()), ..Identities::default() }
}

/// Fails if no account could be read: an empty plan would look like good news.
fn some_account(identities: &BTreeMap<Key, Access<Identity>>) -> Result<(), Error> {
    let unknown = identities.iter().filter_map(|(key, identity)| match identity {
        Access::Unknown(why) => Some(format!("account `{key}`: {why}")),
        Access::Granted(_) | Access::Wrong(_) => None,
    });
    let unknown: Vec<String> = unknown.collect();
    if unknown.is_empty() || unknown.len() < identities.len() {
        return Ok(());
    }
    Err(Error::failure(format!("no account could be used: {}", unknown.join("; "))))
}

/// Whether a finding counts against `--deny`. Ignored findings and notes that are not findings do not count.
pub(super) fn is_denied(finding: &Note, deny: Severity) -> bool {
    finding.severity >= deny && finding.ignored.is_none() && finding.rule.starts_with("IRSA")
}

/// Fails if there are findings at or above the severity.
pub(super) fn deny(findings: &[Note], severity: Option<Severity>) -> Result<(), Error> {
    let Some(severity) = severity else { return Ok(()) };
    let (denied, allowed): (Vec<Note>, Vec<Note>) =
        findings.iter().cloned().partition(|finding| is_denied(finding, severity));
    let count = match denied.len() {
        0 => return Ok(()),
        1 => "a lint finding is".to_owned(),
        count => format!("{count} lint findings are"),
    };
    let message = format!("{count} at or above `--deny {}`", severity.as_str());
    let error = Error::new(ExitStatus::Invalid, message)
        .details(denied.iter().map(super::output::finding))
        .hint(format!("`irsa explain {}` says what the rule wants", denied[0].rule));
    Err(Error { findings: Box::new(LintFindings { denied, allowed }), ..error })
}

/// The exit status that the plan alone implies: refused if it has refusals or is incomplete.
///
/// # Errors
/// Wrong usage, if a glob of `--only` matches nothing.
pub(super) fn plan_status(plan: &Plan) -> Result<ExitStatus, Error> {
    if let Some(glob) = plan.unmatched.first() {
        return Err(Error::usage(format!("`--only '{glob}'` matches no object")).hint(
            "addresses look like `role/KEY` or `service-account/CLUSTER/NAMESPACE/NAME`; `irsa plan` shows them",
        ));
    }
    let incomplete = !plan.complete() && !plan.options.allow_incomplete;
    Ok(if plan.is_stopped_by_refusals() || incomplete { ExitStatus::Refused } else { ExitStatus::Success })
}

/// The error of a plan that is refused, or else incomplete.
pub(super) fn refusal(is_refused: bool) -> Error {
    let (kind, message, hint) = if is_refused {
        (
            RefusalKind::HasRefusals,
            "the plan has refusals; nothing was written",
            "resolve them and plan again, or apply the rest with `--skip-refused`",
        )
    } else {
        (
            RefusalKind::Incomplete,
            "a part of the live state could not be read; nothing was written",
            "make it readable and plan again, or go on with `--allow-incomplete`",
        )
    };
    Error::refused(kind, message).hint(hint)
}
