//! `irsa verify`: proves for each declared ServiceAccount the chain as a pod uses it. Writes nothing but `--json-into`.

use super::Run;
use super::arguments::Verify;
use super::output::Output;
use super::session::{Connected, Session};
use crate::apply::report::{Outcome, Report, StepOutcome};
use crate::error::{Error, ExitStatus};
use crate::model::address::Address;
use crate::model::evidence::{Chain, StsLag};
use crate::model::live::Live;
use crate::model::pattern::Pattern;
use crate::observe;
use crate::plan::Plan;
use crate::render::{Format, verification};
use crate::verify::{self, ChainLinks, Status};
use std::collections::BTreeSet;

const FORMATS: &[Format] = &[Format::Text, Format::Json, Format::Junit];

pub(super) async fn run(run: Run<'_>, arguments: &Verify) -> Result<ExitStatus, Error> {
    let output = Output::open(run, "verify", FORMATS, None)?;
    let session = Session::open(run)?;
    output.spares(session.files())?;
    let (connected, live) = session.read().await?;
    let chains = selected(&run.global.only, &connected)?;
    // on the heap: the futures of the SDKs are large
    let judged = Box::pin(judge(&session, &connected, &live, &chains, !arguments.no_assume)).await?;
    session.unless_interrupted(output.write_json(|mut out| verification::json(&judged, &mut out))).await??;
    output.print_verification(&judged)?;
    Ok(status(run, &judged))
}

/// Verifies the ServiceAccounts that an applied plan touched: by itself, through its role, or through a provider. Leaves
/// out those of which a step did not succeed, and says how many. After `--destroy`, nothing that the plan touched is to
/// exist.
pub(super) async fn applied(
    session: &Session<'_>,
    connected: &Connected,
    output: &Output<'_>,
    plan: &Plan,
    report: &Report,
) -> Result<ExitStatus, Error> {
    if plan.options.destroy {
        output.print_verification(&[])?;
        return Ok(ExitStatus::Success);
    }
    let judged = Box::pin(judge_applied(session, connected, plan, report)).await;
    let judged = judged.map_err(|error| match error.status {
        ExitStatus::Interrupted(_) => {
            Error::new(error.status, "interrupted; the plan was applied, and what it touched was not verified")
        }
        _ => error,
    })?;
    output.print_verification(&judged)?;
    Ok(status(session.run, &judged))
}

async fn judge_applied(
    session: &Session<'_>,
    connected: &Connected,
    plan: &Plan,
    report: &Report,
) -> Result<Vec<ChainLinks>, Error> {
    // of other shards, the plan has not even the account ids
    let whole = if plan.options.shard.is_some() { Some(session.read().await?) } else { None };
    let (connected, live) = match whole {
        Some((ref connected, live)) => (connected, live),
        None => (connected, session.read_again(connected).await?),
    };
    let is_done = |step: &&StepOutcome| matches!(step.outcome, Outcome::Applied | Outcome::AlreadyDone);
    let (done, rest): (Vec<&StepOutcome>, Vec<&StepOutcome>) = report.outcomes.iter().partition(is_done);
    let addresses = |steps: Vec<&StepOutcome>| -> BTreeSet<String> {
        steps.into_iter().map(|step| step.address.to_string()).collect()
    };
    let (touched, unfinished) = (addresses(done), addresses(rest));
    let mut chains = Chain::all(&connected.desired, &[]);
    let all = chains.len();
    let uses = |chain: &Chain<'_>| [chain.address(), chain.role_address(), provider_address(chain)];
    chains.retain(|chain| uses(chain).iter().all(|address| !unfinished.contains(address)));
    let left_out = all - chains.len();
    if left_out > 0 {
        let noun = if left_out == 1 { "ServiceAccount" } else { "ServiceAccounts" };
        session.run.ui.message(&format!("not verified: {left_out} {noun} whose changes were not all applied"));
    }
    for chain in &mut chains {
        let provider = provider_address(chain);
        if touched.contains(&chain.role_address()) || touched.contains(&provider) {
            let is_open = verify::is_trust_open(&connected.desired, &live, chain);
            chain.sts_lag = if is_open { StsLag::NotDenials } else { StsLag::All };
        }
    }
    chains.retain(|chain| chain.sts_lag != StsLag::None || touched.contains(&chain.address()));
    judge(session, connected, &live, &chains, true).await
}

fn provider_address(chain: &Chain<'_>) -> String {
    let (account, cluster) = (chain.role.account.clone(), chain.binding.cluster.clone());
    Address::OidcProvider { account, cluster }.to_string()
}

/// The chains that `--only` selects.
fn selected<'a>(only: &[String], connected: &'a Connected) -> Result<Vec<Chain<'a>>, Error> {
    let patterns: Vec<Pattern> = only.iter().map(Pattern::new).collect();
    if let Some(unmatched) = Chain::unmatched(&connected.desired, &patterns) {
        let message = format!("`--only '{}'` matches no ServiceAccount", unmatched.as_str());
        return Err(Error::usage(message)
            .hint("`irsa verify` takes addresses like `service-account/CLUSTER/NAMESPACE/NAME` or `role/KEY`"));
    }
    Ok(Chain::all(&connected.desired, &patterns))
}

async fn judge(
    session: &Session<'_>,
    connected: &Connected,
    live: &Live,
    chains: &[Chain<'_>],
    assume: bool,
) -> Result<Vec<ChainLinks>, Error> {
    let Connected { desired, aws, kubernetes, .. } = connected;
    let evidence = observe::read_evidence(desired, live, chains, aws, kubernetes, assume, session.listener());
    let evidence = session.unless_interrupted(evidence).await?;
    tracing::info!(aws = aws.requests(), kubernetes = kubernetes.requests(), "requests sent");
    session.print_warnings(kubernetes);
    Ok(verify::verify(desired, live, &evidence, chains))
}

fn status(run: Run<'_>, judged: &[ChainLinks]) -> ExitStatus {
    let has = |wanted: Status| judged.iter().flat_map(|chain| &chain.links).any(|link| link.status == wanted);
    let broken = if has(Status::Failed) { ExitStatus::Broken } else { ExitStatus::Success };
    let unseen = has(Status::Unknown) && !run.global.allow_incomplete;
    broken.or(if unseen { ExitStatus::Refused } else { ExitStatus::Success })
}
