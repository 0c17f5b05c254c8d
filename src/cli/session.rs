//! What plan, apply and drift have in common: load, resolve, lint, find out who the credentials are, read, plan.
//!
//! Builds no writer: `apply` asks the connected readers for one when everything is decided.

use super::Machine;
use super::arguments::{Fleet, Global, Shape};
use super::signals::{self, Signals};
use crate::apply::wait;
use crate::config::{self, Configuration, Diagnostics, Identities};
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::event::Listen;
use crate::ids::{Key, Region};
use crate::lint;
use crate::model::desired::{Account, Cluster, Desired};
use crate::model::live::{Access, Identity, Live};
use crate::model::note::{Note, Severity};
use crate::model::shard::{Scope, Shard};
use crate::observe::{self, Early, ReadOptions};
use crate::plan::{self, Options, Plan, PlanV2};
use crate::ui::Ui;
use crate::world::Transports;
use crate::world::aws::{AwsReader, AwsSettings};
use crate::world::kubernetes::{KubernetesReader, KubernetesSettings, TokenSource};
use futures::FutureExt;
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A configuration that is sound, and what the run was asked.
pub(crate) struct Session<'a> {
    pub context: &'a Context,
    wires: &'a Transports,
    pub ui: &'a Ui,
    pub global: &'a Global,
    pub signals: Signals,
    configuration: Configuration,
    /// The places as they are offline, with placeholders for what only AWS can tell.
    accounts: BTreeMap<Key, Account>,
    clusters: BTreeMap<Key, Cluster>,
    /// How many roles are declared.
    roles: usize,
    listener: Arc<dyn Listen>,
    /// What API servers warned of, as far as it was told.
    warned: Mutex<BTreeSet<String>>,
}

/// The readers, and the configuration as it is for these accounts.
pub(crate) struct Connected {
    pub desired: Desired,
    pub aws: AwsReader,
    pub kubernetes: KubernetesReader,
    pub identities: BTreeMap<Key, Access<Identity>>,
}

/// Reads the configuration, on all processors.
pub(crate) fn load(global: &Global) -> Result<Configuration, Diagnostics> {
    match &global.config {
        Some(path) => config::load(path),
        None => config::load_default(),
    }
}

impl<'a> Session<'a> {
    /// Loads, resolves and lints, offline.
    pub(crate) fn open(machine: &'a Machine, ui: &'a Ui, global: &'a Global) -> Result<Self, Error> {
        let Machine { context, wires } = machine;
        let configuration = load(global)?;
        let declared = configuration.resolve(&Identities { provisional: true, ..offline(context) })?;
        deny(&lint::declared(&declared), global.deny())?;
        let signals = signals::listen()?;
        // what else is declared is resolved for the accounts that are found: no run needs it twice
        let Desired { accounts, clusters, roles, .. } = declared;
        let (roles, listener) = (roles.len(), ui.listener());
        Ok(Self {
            context,
            wires,
            ui,
            global,
            signals,
            configuration,
            accounts,
            clusters,
            roles,
            listener,
            warned: Mutex::default(),
        })
    }

    pub(crate) fn listener(&self) -> &dyn Listen {
        self.listener.as_ref()
    }

    /// `sha256:…` of the configuration.
    pub(crate) fn digest(&self) -> &str {
        self.configuration.digest()
    }

    /// The files that the run reads: those of the configuration, and the kubeconfigs that it names.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = self.configuration.files();
        let named = self.clusters.values().filter_map(|cluster| cluster.kubernetes.kubeconfig.as_ref());
        files.extend(named.map(|kubeconfig| kubeconfig.path.clone()));
        files
    }

    /// The options of a plan made now.
    ///
    /// # Errors
    /// Wrong usage, if a shard of everything is to go.
    pub(crate) fn options(&self, shape: &Shape, fleet: Fleet) -> Result<Options, Error> {
        if shape.destroy && fleet.shard.is_some() {
            return Err(Error::usage("`--shard` and `--destroy` do not go together")
                .hint("a shard never takes roles, policies or providers away: run it without `--shard`"));
        }
        let Shape { destroy, adopt, force, force_conflicts, skip_refused } = *shape;
        Ok(Options {
            only: self.global.only.clone(),
            destroy,
            adopt,
            force,
            force_conflicts,
            allow_incomplete: self.global.allow_incomplete,
            skip_refused,
            shard: fleet.shard,
            report_only: false,
            now: self.context.now(),
        })
    }

    /// Finds out who the credentials are, resolves the configuration for them, reads everything and plans; of a shard only
    /// what it needs.
    pub(crate) async fn plan(&self, options: &Options) -> Result<(Connected, Plan), Error> {
        let (connected, plan, _) = self.plan_and_live(options).await?;
        Ok((connected, plan))
    }

    /// The same, with what was read.
    pub(crate) async fn plan_and_live(&self, options: &Options) -> Result<(Connected, Plan, Live), Error> {
        // on the heap: what the SDKs keep is large
        Box::pin(self.unless_interrupted(self.plan_now(options))).await?
    }

    async fn plan_now(&self, options: &Options) -> Result<(Connected, Plan, Live), Error> {
        let Self { accounts, clusters, .. } = self;
        let parallelism = usize::from(self.global.parallelism);
        let settings = AwsSettings { timeout: self.global.timeout, parallelism };
        let listener = Arc::clone(&self.listener);
        let wires = Transports { ask: Some(self.ui.ask()), ..self.wires.clone() };
        let aws = AwsReader::connect(self.context, &wires, accounts, clusters, settings, listener).await;
        let mut early = match options.shard {
            // what a shard needs is known later
            Some(_) => Early::default(),
            None => Early::of(accounts, clusters, self.roles, &aws),
        };
        let identities = early.during(self.identify(&aws, options.shard)).await?;
        let desired = self.resolve(&aws, &identities)?;
        // the real ids show more than the offline placeholders do
        let mut findings = lint::declared(&desired);
        deny(&findings, self.global.deny())?;
        let kubernetes = self.kubernetes(&aws, &desired);
        let looks = ReadOptions { parallelism, destroy: options.destroy, shard: options.shard };
        let live = observe::observe(&desired, &identities, early, &aws, &kubernetes, &looks, self.listener()).await;
        tracing::info!(aws = aws.requests(), kubernetes = kubernetes.requests(), "requests sent");
        self.tell_warnings(&kubernetes);
        if options.allow_incomplete
            && !identities.is_empty()
            && identities.values().all(|identity| matches!(identity, Access::Unknown(_)))
        {
            return Err(no_account(&identities));
        }
        let against = lint::declared_against(&desired, &live);
        deny(&against, self.global.deny())?;
        findings.extend(against);
        findings.extend(lint::live(&desired, &live));
        let plan = plan::plan(&desired, &live, options, findings);
        Ok((Connected { desired, aws, kubernetes, identities }, plan, live))
    }

    /// Asks who the credentials are, of a shard only in its accounts.
    async fn identify(&self, aws: &AwsReader, shard: Option<Shard>) -> Result<BTreeMap<Key, Access<Identity>>, Error> {
        let identities = Identities { provisional: true, ..offline(self.context) };
        let offline = |shard| self.configuration.resolve(&identities).map(|all| Scope::of(shard, &all));
        let scope = shard.map(offline).transpose()?;
        let mut asked = self.accounts.clone();
        asked.retain(|key, _| scope.as_ref().is_none_or(|scope| scope.accounts.contains(key)));
        Ok(observe::identify(&asked, aws).await)
    }

    /// The configuration as it is for these accounts.
    fn resolve(&self, aws: &AwsReader, identities: &BTreeMap<Key, Access<Identity>>) -> Result<Desired, Error> {
        let known = identities.iter().filter_map(|(key, identity)| match identity {
            Access::Granted(identity) => Some((key.clone(), (identity.account.clone(), identity.partition.clone()))),
            Access::Wrong(..) | Access::Unknown(_) => None,
        });
        let region = aws.default_region();
        let default_region = region.as_ref().ok().cloned().flatten();
        let facts = Identities { accounts: known.collect(), default_region, online: true, provisional: false };
        let resolved = self.configuration.resolve(&facts).map_err(|mistakes| match region {
            // what is amiss then is no mistake of the file
            Err(why) => Error::new(ExitStatus::Invalid, why),
            Ok(_) => mistakes.into(),
        });
        let mut desired: Desired = resolved?;
        desired.guard.at_most = self.global.guard();
        Ok(desired)
    }

    fn kubernetes(&self, aws: &AwsReader, desired: &Desired) -> KubernetesReader {
        let tokens: TokenSource = {
            let aws = aws.clone();
            Arc::new(move |cluster: Key| {
                let aws = aws.clone();
                async move { aws.eks_token(&cluster).await.map(|token| (token.token, token.expires)) }.boxed()
            })
        };
        let parallelism = usize::from(self.global.parallelism);
        let interactive = std::io::stdin().is_terminal();
        let settings = KubernetesSettings { timeout: self.global.timeout, parallelism, interactive };
        KubernetesReader::new(self.context, self.wires, &desired.owner, &desired.clusters, tokens, settings)
    }

    /// Says what the API servers have warned of, each once in a run.
    pub(crate) fn tell_warnings(&self, kubernetes: &KubernetesReader) {
        let mut told = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        for text in kubernetes.take_warnings() {
            if !self.global.quiet && told.insert(text.clone()) {
                self.ui.warning(&text);
            }
        }
    }

    /// Runs `work` unless a signal ends the run first; to be used for reading only.
    pub(crate) async fn unless_interrupted<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            done = work => Ok(done),
            interrupt = wait::until_set(&self.signals.first) => {
                Err(Error::new(ExitStatus::Interrupted(interrupt), "interrupted; nothing was written"))
            }
        }
    }

    /// The frozen form of a plan.
    pub(crate) fn freeze(&self, plan: &Plan) -> PlanV2 {
        PlanV2::of(plan, &rfc3339(self.context.now()))
    }
}

/// What is known before anything is asked: the region that the environment names.
pub(crate) fn offline(context: &Context) -> Identities {
    let region = context.variable("AWS_REGION").or_else(|| context.variable("AWS_DEFAULT_REGION"));
    Identities { default_region: region.and_then(|region| Region::parse(region).ok()), ..Identities::default() }
}

fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

/// Nothing at all could be read: an empty plan would look like good news.
fn no_account(identities: &BTreeMap<Key, Access<Identity>>) -> Error {
    let whys = identities.iter().filter_map(|(key, identity)| match identity {
        Access::Unknown(why) => Some(format!("account `{key}`: {why}")),
        Access::Granted(_) | Access::Wrong(..) => None,
    });
    let whys: Vec<String> = whys.collect();
    Error::failure(format!("no account could be used: {}", whys.join("; ")))
}

/// Refuses findings at or above the severity.
pub(crate) fn deny(findings: &[Note], severity: Option<Severity>) -> Result<(), Error> {
    let Some(severity) = severity else { return Ok(()) };
    let denied: Vec<&Note> = findings.iter().filter(|finding| finding.severity >= severity).collect();
    if denied.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = denied.iter().map(|finding| super::output::finding(finding)).collect();
    let count =
        if list.len() == 1 { "a lint finding is".to_owned() } else { format!("{} lint findings are", list.len()) };
    let message = format!("{count} at or above `--deny {}`", severity.as_str());
    let error =
        Error::new(ExitStatus::Invalid, message).details(list).hint("docs/lint-rules.md says what each rule wants");
    Err(Error { findings: denied.into_iter().cloned().collect(), ..error })
}

/// What a plan alone says of how the run ends: refused, incomplete, or a selection that selects nothing.
///
/// # Errors
/// Wrong usage, if a glob of `--only` matches nothing.
pub(crate) fn verdict(plan: &Plan) -> Result<ExitStatus, Error> {
    if let Some(glob) = plan.unmatched.first() {
        return Err(Error::usage(format!("`--only '{glob}'` matches no object")).hint(
            "addresses look like `role/KEY` or `service-account/CLUSTER/NAMESPACE/NAME`; `irsa plan` shows them",
        ));
    }
    let refused = !plan.refused.is_empty() && !plan.options.skip_refused;
    let incomplete = !plan.complete() && !plan.options.allow_incomplete;
    Ok(if refused || incomplete { ExitStatus::Refused } else { ExitStatus::Success })
}
