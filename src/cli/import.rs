//! `irsa import`: writes a configuration for what is live. Reads only, and never overwrites a file.

mod owner;
mod report;

use super::arguments::Import;
use super::files::NewFiles;
use super::session::{self, offline};
use super::{Run, files, output, signals};
use crate::apply::wait;
use crate::config::{self, Configuration};
use crate::error::{Error, ExitStatus};
use crate::ids::{AccountId, ClusterName, Key, Partition, Region};
use crate::import::{
    self, ClusterKeys, Existing, Feedback, Imported, Scope, Seen, SeenAccount, SeenCluster, account_key, extend, read,
};
use crate::lint;
use crate::model::desired::{Account, Cluster, ClusterState, Desired, KubernetesAccess, PLACEHOLDER_ID};
use crate::model::live::{Access, Extent, Identity, Live, LiveAccount, LiveCluster, Observed};
use crate::model::note::Severity;
use crate::model::origin::Origin;
use crate::model::pattern::Pattern;
use crate::model::refusal::Refusal;
use crate::observe;
use crate::render::Format;
use crate::world::Transports;
use crate::world::aws::{AwsReader, AwsSettings};
use std::collections::{BTreeMap, BTreeSet};

pub(super) async fn run(run: Run<'_>, arguments: &Import) -> Result<ExitStatus, Error> {
    output::no_json(run.global, "import")?;
    if run.global.format != Format::Text {
        return Err(Error::usage("`irsa import` has no `--format`").hint("it writes files and prints a summary"));
    }
    if !run.global.only.is_empty() {
        return Err(Error::usage("`irsa import` has no `--only`").hint("use `--cluster`, `--namespace` and `--role`"));
    }
    let extended = run.global.config.as_deref();
    if extended.is_some() && !arguments.account_profile.is_empty() {
        return Err(Error::usage("`--account-profile` does not go with `--config`")
            .hint("the configuration says how to reach its accounts: declare further ones there"));
    }
    let configuration = extended.map(|_| session::load(run.global)).transpose()?;
    let owner = owner::of(arguments, configuration.as_ref())?;
    let inside = extended.map(|top| files::path_below(top, &arguments.out)).transpose()?;
    // before a folder is made, so that no signal leaves one
    let signals = signals::listen()?;
    let files = NewFiles::begin(&arguments.out, &import::entries(extended.is_some()))?;
    let importer = Importer { run, arguments, configuration, inside };
    // on the heap: the futures of the SDKs are large
    let (seen, result) = tokio::select! {
        done = Box::pin(importer.read(owner)) => done?,
        interrupt = wait::until_set(&signals.first) => {
            return Err(Error::new(ExitStatus::Interrupted(interrupt), "interrupted; nothing was written"));
        }
    };
    // the top file last: with it the result is complete
    files.finish(result.files.iter().rev().map(|(name, text)| (name.as_str(), text.as_str())))?;
    report::print(&importer, &seen, &result);
    let is_complete = seen.unseen.is_empty() || run.global.allow_incomplete;
    Ok(if is_complete { ExitStatus::Success } else { ExitStatus::Refused })
}

struct Importer<'a> {
    run: Run<'a>,
    arguments: &'a Import,
    configuration: Option<Configuration>,
    /// The folder of the result, from that of the configuration to extend.
    inside: Option<String>,
}

impl Importer<'_> {
    async fn read(&self, owner: Key) -> Result<(Seen, Imported), Error> {
        let Run { context, transports, ui, global } = self.run;
        let parallelism = usize::from(global.parallelism);
        let patterns = |texts: &[String]| texts.iter().map(Pattern::new).collect();
        let scope =
            Scope { owner, namespaces: patterns(&self.arguments.namespace), roles: patterns(&self.arguments.role) };
        let declared = self.configuration.as_ref().map(|file| file.resolve(&offline(context))).transpose()?;
        let accounts = declared.as_ref().map_or_else(|| self.accounts(), |declared| declared.accounts.clone());
        let settings = AwsSettings { timeout: global.timeout, parallelism };
        let transports = Transports { ask: Some(ui.ask()), ..transports.clone() };
        let hints = self.region_hints(&accounts, declared.as_ref());
        let aws = AwsReader::connect(context, &transports, &accounts, &hints, settings, ui.listener()).await;
        let mut identities = observe::identify(&accounts, &aws).await;
        if declared.is_none() {
            self.leave_out_repeated(&mut identities);
        }
        let existing = self.configuration.as_ref().map(|file| existing(file, &aws, &identities)).transpose()?;
        some_account(&identities)?;
        let regions = self.regions(&aws, &identities)?;
        let named = self.named(existing.as_ref());
        let (found, unlisted) = if self.arguments.cluster.is_empty() {
            read::cluster_names(&regions, &aws).await
        } else {
            let wanted = &named.names;
            let named = regions.iter().flat_map(|(account, region)| {
                wanted.iter().map(move |name| (account.clone(), region.clone(), (*name).clone()))
            });
            (named.collect(), Vec::new())
        };
        let clusters = self.clusters(found, &named.keys, &identities, existing.as_ref());
        let aws = aws.with_clusters(&clusters);
        let kubernetes = session::kubernetes(self.run, &aws, &scope.owner, &clusters);
        let is_new = existing.is_none();
        let targets =
            read::Targets { accounts: &accounts, identities: &identities, clusters: &clusters, parallelism, is_new };
        let listener = ui.listener();
        let (mut seen, missing) = read::world(targets, &scope, &aws, &kubernetes, listener.as_ref()).await;
        for text in kubernetes.take_warnings() {
            ui.warning(&text);
        }
        self.check_named(&named.names, &seen, &clusters, &missing)?;
        if let Some(existing) = &existing {
            seen.unseen.extend(extend::missing(existing, &missing));
            extend::leave_out_declared(&mut seen, existing);
            self.check_references(existing, &seen.clusters)?;
        }
        seen.unseen.splice(0..0, unlisted);
        if let (Some(option), true) = (seen.unmatched.first(), seen.unseen.is_empty()) {
            let message = format!("`{option}` matches nothing in these clusters; nothing was written");
            return Err(Error::usage(message).hint(
                "`--namespace` takes the namespaces of ServiceAccounts, `--role` the names of roles that ServiceAccounts \
                 name or that trust a cluster",
            ));
        }
        let mut feedback = Feedback::default();
        loop {
            let imported = import::import(&seen, &scope, existing.as_ref(), &feedback);
            match self.findings(&seen, &imported, &aws, &identities) {
                Ok(findings) => {
                    // an `ignore` makes no mistake, so the second result needs no check
                    let imported = if feedback.ignore(findings) {
                        import::import(&seen, &scope, existing.as_ref(), &feedback)
                    } else {
                        imported
                    };
                    return owner::check(self.arguments, &scope, &imported).map(|()| (seen, imported));
                }
                Err(Error { diagnostics: Some(errors), .. })
                    if feedback.refuse(&imported, |name| self.name(name), &errors) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The name of a file of the result in the configuration.
    fn name(&self, file: &str) -> String {
        let below = self.inside.as_deref().filter(|inside| !inside.is_empty());
        below.map_or_else(|| file.to_owned(), |below| format!("{below}/{file}"))
    }

    /// The findings on the result, address and rule, that would make `irsa validate` or `irsa plan` fail.
    ///
    /// # Errors
    /// The mistakes in the result.
    fn findings(
        &self,
        seen: &Seen,
        imported: &Imported,
        aws: &AwsReader,
        identities: &BTreeMap<Key, Access<Identity>>,
    ) -> Result<Vec<(String, String)>, Error> {
        let texts = imported.files.iter().map(|(path, text)| (self.name(path), text.as_str()));
        let configuration = config::of_texts(self.configuration.as_ref(), texts)?;
        let live = live(seen);
        let offline = configuration.resolve(&offline(self.run.context))?;
        let online = session::resolve(&configuration, aws, identities)?;
        let findings = lint::declared(&offline).into_iter().chain(lint::declared(&online));
        let findings = findings.chain(lint::declared_against(&online, &live));
        let denied = findings.filter(|finding| finding.severity >= Severity::High && finding.ignored.is_none());
        Ok(denied.map(|finding| (finding.address, finding.rule)).collect())
    }

    /// The profiles with the key of each account, or the ambient credentials.
    fn profiles(&self) -> Vec<(Key, Option<&String>)> {
        let profiles: Vec<Option<&String>> = match &self.arguments.account_profile[..] {
            [] => vec![None],
            profiles => profiles.iter().map(Some).collect(),
        };
        let mut taken = BTreeSet::new();
        let keyed = profiles.into_iter().map(|profile| {
            let key = account_key(profile.map(String::as_str), &taken);
            taken.insert(key.clone());
            (key, profile)
        });
        keyed.collect()
    }

    fn accounts(&self) -> BTreeMap<Key, Account> {
        self.profiles().into_iter().map(|(key, profile)| (key, ambient(profile.cloned()))).collect()
    }

    /// Drops the accounts that an earlier profile has too. A configuration declares each once.
    fn leave_out_repeated(&self, identities: &mut BTreeMap<Key, Access<Identity>>) {
        let mut first: BTreeMap<AccountId, &str> = BTreeMap::new();
        for (key, profile) in self.profiles() {
            let (Some(profile), Some(Access::Granted(identity))) = (profile, identities.get(&key)) else { continue };
            if let Some(earlier) = first.get(&identity.account) {
                self.run.ui.warning(&format!("profile `{profile}` is of the same account as `{earlier}`"));
                identities.remove(&key);
            } else {
                first.insert(identity.account.clone(), profile);
            }
        }
    }

    /// Fails if entries of the configuration would also hold for a cluster that it does not declare yet.
    fn check_references(&self, existing: &Existing, clusters: &BTreeMap<Key, SeenCluster>) -> Result<(), Error> {
        let Some(file) = &self.configuration else { return Ok(()) };
        let declared = &existing.desired.clusters;
        let new: Vec<&Key> = clusters.keys().filter(|key| !declared.contains_key(*key)).collect();
        let lines = extend::lines_to_change(file, declared, &new);
        let (Some(first), false) = (new.first(), lines.is_empty()) else { return Ok(()) };
        let message = format!("cluster `{first}` is not declared yet, and these entries would hold for it too");
        let error = Error::new(ExitStatus::Invalid, message).details(lines);
        let error = error.hint("change these lines, and run the same command again; nothing was written");
        let names: Vec<String> = extend::active_names(declared).map(|name| format!("`--cluster {name}`")).collect();
        Err(if names.is_empty() { error } else { error.hint(format!("or leave it out: {}", names.join(" "))) })
    }

    /// Declared or invented clusters with a region for each account, to make requests before the real clusters are
    /// known.
    fn region_hints(&self, accounts: &BTreeMap<Key, Account>, declared: Option<&Desired>) -> BTreeMap<Key, Cluster> {
        let mut hints = declared.map(|declared| declared.clusters.clone()).unwrap_or_default();
        if let (Some(region), None) = (self.arguments.region.first(), declared) {
            let hint = |key: &Key| (key.clone(), cluster(key.clone(), region.clone(), None));
            hints.extend(accounts.keys().map(hint));
        }
        hints
    }

    /// The regions of each account that can be used.
    fn regions(
        &self,
        aws: &AwsReader,
        identities: &BTreeMap<Key, Access<Identity>>,
    ) -> Result<Vec<(Key, Region)>, Error> {
        let usable = identities.iter().filter(|(_, access)| matches!(access, Access::Granted(_)));
        let mut regions = Vec::new();
        for (key, _) in usable {
            if !self.arguments.region.is_empty() {
                let named: BTreeSet<&Region> = self.arguments.region.iter().collect();
                regions.extend(named.into_iter().map(|region| (key.clone(), region.clone())));
                continue;
            }
            let default = aws.default_region().map_err(|why| Error::new(ExitStatus::Invalid, why))?;
            let Some(region) = aws.region_of(key).or(default) else {
                return Err(Error::usage(format!("the region of account `{key}` is unknown"))
                    .hint("add `--region`, set AWS_REGION, or give the profile a region"));
            };
            regions.push((key.clone(), region));
        }
        Ok(regions)
    }

    /// What `--cluster` names: a cluster of the configuration by its EKS name or its key, or a further one.
    fn named(&self, existing: Option<&Existing>) -> Named<'_> {
        let mut named = Named::default();
        for name in &self.arguments.cluster {
            let declared = existing.map(|existing| &existing.desired.clusters).into_iter().flatten();
            let mut active = declared.filter(|(_, cluster)| cluster.state == ClusterState::Active);
            let is_name = active.clone().any(|(_, cluster)| cluster.name.as_ref() == Some(name));
            match active.find(|(key, _)| !is_name && key.as_str() == name.as_str()) {
                Some((key, _)) => drop(named.keys.insert(key.clone())),
                None => drop(named.names.insert(name)),
            }
        }
        named
    }

    /// The clusters to read, by key: those that were found, and those of the configuration. `keys` are those that
    /// `--cluster` names.
    fn clusters(
        &self,
        found: Vec<(Key, Region, ClusterName)>,
        keys: &BTreeSet<Key>,
        identities: &BTreeMap<Key, Access<Identity>>,
        existing: Option<&Existing>,
    ) -> BTreeMap<Key, Cluster> {
        let mut clusters: BTreeMap<Key, Cluster> = BTreeMap::new();
        let declared = existing.map(|existing| &existing.desired.clusters);
        let is_active = |cluster: &&Cluster| cluster.state == ClusterState::Active;
        let all = self.arguments.cluster.is_empty();
        let active = declared.into_iter().flatten().filter(|(_, cluster)| is_active(cluster));
        let wanted = active.filter(|(key, _)| all || keys.contains(*key));
        clusters.extend(wanted.map(|(key, cluster)| (key.clone(), cluster.clone())));
        let mut keys =
            ClusterKeys { taken: existing.map(|existing| existing.surroundings.keys.clone()).unwrap_or_default() };
        for (account, region, name) in found {
            let same = |cluster: &Cluster| {
                cluster.account == account
                    && cluster.name.as_ref() == Some(&name)
                    && cluster.region.as_ref() == Some(&region)
            };
            let known = declared.into_iter().flatten().find(|(_, cluster)| same(cluster) && is_active(cluster));
            if let Some((key, cluster)) = known {
                clusters.insert(key.clone(), cluster.clone());
            } else if let Some(Access::Granted(identity)) = identities.get(&account) {
                let key = keys.choose(&name, &region, &identity.account);
                clusters.insert(key, cluster(account, region, Some(name)));
            }
        }
        clusters
    }

    /// Fails if a cluster of `--cluster` exists in none of the regions. It need not exist in all of them.
    fn check_named(
        &self,
        names: &BTreeSet<&ClusterName>,
        seen: &Seen,
        clusters: &BTreeMap<Key, Cluster>,
        missing: &[Key],
    ) -> Result<(), Error> {
        let is_named =
            |key: &Key, name: &ClusterName| clusters.get(key).is_some_and(|one| one.name.as_ref() == Some(name));
        for name in names.iter().copied() {
            let exists = seen.clusters.keys().any(|key| is_named(key, name));
            if !exists && missing.iter().any(|key| is_named(key, name)) {
                let error = Error::failure(format!("there is no cluster `{name}` in these accounts and regions"));
                let account =
                    if self.configuration.is_some() { "" } else { ", and its account with `--account-profile`" };
                return Err(error.hint(format!("name its region with `--region`{account}")));
            }
        }
        Ok(())
    }
}

/// What `--cluster` names, each once.
#[derive(Default)]
struct Named<'a> {
    /// EKS names.
    names: BTreeSet<&'a ClusterName>,
    /// Keys of the configuration.
    keys: BTreeSet<Key>,
}

/// Fails if no account can be used.
fn some_account(identities: &BTreeMap<Key, Access<Identity>>) -> Result<(), Error> {
    let (mut wrong, mut whys) = (None, Vec::new());
    for identity in identities.values() {
        match identity {
            Access::Granted(_) => return Ok(()),
            Access::Wrong(refusal) => {
                whys.push(refusal.why.clone());
                wrong = Some(refusal);
            }
            Access::Unknown(why) => whys.push(why.clone()),
        }
    }
    let message = "no account could be used";
    Err(match wrong {
        Some(Refusal { kind, hint, .. }) => Error::refused(*kind, message).details(whys).hint(hint.clone()),
        None => Error::failure(message).details(whys),
    })
}

/// What lint needs to know of the live world: the providers and the issuers.
fn live(seen: &Seen) -> Live {
    let account = |account: &SeenAccount| {
        let listed = match &account.listed_providers {
            Some(_) => Observed::Present(()),
            None => Observed::Unknown("the providers were not listed".to_owned()),
        };
        let providers = account.listed_providers.iter().flatten();
        LiveAccount {
            providers: providers.map(|arn| (arn.clone(), Observed::Unknown("it was not read".to_owned()))).collect(),
            ..LiveAccount::without_objects(Access::Granted(account.identity.clone()), listed)
        }
    };
    let cluster = |cluster: &SeenCluster| LiveCluster {
        issuer: Observed::Present(cluster.issuer.clone()),
        other_issuer: None,
        api: Access::Granted(()),
        extent: Extent::Named,
        namespaces: BTreeMap::new(),
        service_accounts: BTreeMap::new(),
    };
    Live {
        accounts: seen.accounts.iter().map(|(key, item)| (key.clone(), account(item))).collect(),
        clusters: seen.clusters.iter().map(|(key, item)| (key.clone(), cluster(item))).collect(),
    }
}

/// The configuration to extend, resolved for its real accounts.
fn existing(
    file: &Configuration,
    aws: &AwsReader,
    identities: &BTreeMap<Key, Access<Identity>>,
) -> Result<Existing, Error> {
    Ok(Existing { desired: session::resolve(file, aws, identities)?, surroundings: file.surroundings() })
}

/// The account of a profile, or of the ambient credentials, before STS is asked for its id.
fn ambient(profile: Option<String>) -> Account {
    let (id, partition) = (AccountId::parse(PLACEHOLDER_ID), Partition::parse("aws"));
    let (Ok(id), Ok(partition)) = (id, partition) else { unreachable!("both are valid") };
    Account { declared_id: None, id, partition, profile, assume_role: None, external_id: None, origin: None }
}

fn cluster(account: Key, region: Region, name: Option<ClusterName>) -> Cluster {
    Cluster {
        account,
        region: Some(region),
        name,
        issuer: None,
        state: ClusterState::Active,
        kubernetes: KubernetesAccess { kubeconfig: None, context: None, unverified: false },
        unmanaged: false,
        origin: Origin { file: "".into(), line: 0, column: 0, span: 0..0 },
    }
}
