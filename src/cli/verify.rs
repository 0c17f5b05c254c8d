//! `irsa verify`: proves for each declared ServiceAccount the chain as a pod uses it. Writes nothing but `--json-into`.

use super::Run;
use super::arguments::Verify;
use super::output::Output;
use super::session::{Connected, Session};
use crate::error::{Error, ExitStatus};
use crate::model::address::Address;
use crate::model::evidence::Chain;
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

/// Verifies the ServiceAccounts that an applied plan touched: by itself, through its role, or through a provider.
pub(super) async fn applied(
    session: &Session<'_>,
    connected: &Connected,
    output: &Output<'_>,
    plan: &Plan,
) -> Result<ExitStatus, Error> {
    let judged = Box::pin(judge_applied(session, connected, plan)).await;
    let judged = judged.map_err(|error| match error.status {
        ExitStatus::Interrupted(_) => {
            Error::new(error.status, "interrupted; the plan was applied, and what it touched was not verified")
        }
        _ => error,
    })?;
    output.print_verification(&judged)?;
    Ok(status(session.run, &judged))
}

async fn judge_applied(session: &Session<'_>, connected: &Connected, plan: &Plan) -> Result<Vec<ChainLinks>, Error> {
    // of other shards, the plan has not even the account ids
    let whole = if plan.options.shard.is_some() { Some(session.read().await?) } else { None };
    let (connected, live) = match whole {
        Some((ref connected, live)) => (connected, live),
        None => (connected, session.read_again(connected).await?),
    };
    let touched: BTreeSet<String> = plan.steps.iter().map(|step| step.address.to_string()).collect();
    let mut chains = Chain::all(&connected.desired, &[]);
    for chain in &mut chains {
        let (account, cluster) = (chain.role.account.clone(), chain.binding.cluster.clone());
        let provider = Address::OidcProvider { account, cluster }.to_string();
        chain.is_fresh = touched.contains(&chain.role_address()) || touched.contains(&provider);
    }
    chains.retain(|chain| chain.is_fresh || touched.contains(&chain.address()));
    judge(session, connected, &live, &chains, true).await
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
