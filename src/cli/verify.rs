//! `irsa verify`: proves for each declared ServiceAccount the chain as a pod uses it. Writes nothing but `--json-into`.

use super::Run;
use super::arguments::Verify;
use super::output::Output;
use super::session::{Connected, Session};
use crate::error::{Error, ExitStatus};
use crate::model::evidence::Chain;
use crate::model::live::Live;
use crate::model::pattern::Pattern;
use crate::observe;
use crate::plan::Plan;
use crate::render::{Format, verification};
use crate::verify::{self, ChainLinks, Status};

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
pub(super) async fn applied(session: &Session<'_>, output: &Output<'_>, plan: &Plan) -> Result<ExitStatus, Error> {
    let touched: Vec<String> = plan.steps.iter().map(|step| step.address.to_string()).collect();
    let (connected, live) = session.read().await?;
    let mut chains = Chain::all(&connected.desired, &[]);
    chains.retain(|chain| {
        let (role, cluster) = (chain.role, &chain.binding.cluster);
        let depends_on =
            [chain.address(), format!("role/{}", chain.role_key), format!("oidc-provider/{}/{cluster}", role.account)];
        depends_on.iter().any(|address| touched.contains(address))
    });
    let judged = Box::pin(judge(session, &connected, &live, &chains, true)).await?;
    output.print_verification(&judged)?;
    Ok(status(session.run, &judged))
}

/// The chains that `--only` selects.
fn selected<'a>(only: &[String], connected: &'a Connected) -> Result<Vec<Chain<'a>>, Error> {
    let patterns: Vec<Pattern> = only.iter().map(Pattern::new).collect();
    let unmatched = patterns.iter().find(|one| Chain::all(&connected.desired, std::slice::from_ref(one)).is_empty());
    if let Some(unmatched) = unmatched {
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
    let evidence = observe::prove(desired, live, chains, aws, kubernetes, assume);
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
