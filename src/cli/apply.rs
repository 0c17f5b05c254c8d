//! `irsa apply`: plans, or takes a saved plan; asks; applies. The only command that builds writers.

use super::Machine;
use super::arguments::{Apply, FormatName, Global};
use super::output::Output;
use super::session::{Connected, Session, verdict};
use super::{lock, saved_plan};
use crate::apply::wait;
use crate::apply::lock::Held;
use crate::apply::report::{Outcome, Report, Stop};
use crate::apply::{self, Clients, Pace};
use crate::error::{Error, ExitStatus};
use crate::plan::saved::{self, Stale};
use crate::plan::{Plan, PlanV2};
use crate::ui::{Answer, Ui};
use crate::world::aws::{AwsReader, AwsWriter};
use crate::world::kubernetes::{KubernetesReader, KubernetesWriter};
use futures::FutureExt;
use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a write in flight may take after a signal. Runners of CI kill what has not ended some 7 seconds behind the
/// first one (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation>): by then the
/// report must be out and the lock given back.
const GRACE: Duration = Duration::from_secs(5);

/// How long what was written is looked for where IAM does not show it at once.
const SETTLE: Duration = Duration::from_secs(10);

const FORMS: &[FormatName] = &[FormatName::Text, FormatName::Json, FormatName::Jsonl, FormatName::Github];

type World<'a> = Clients<'a, AwsReader, AwsWriter, KubernetesReader, KubernetesWriter>;

pub(crate) async fn run(machine: &Machine, ui: &Ui, global: &Global, arguments: &Apply) -> Result<ExitStatus, Error> {
    let started = Instant::now();
    let output = Output::open(&machine.context, ui, global, ("apply", FORMS), None)?;
    if arguments.file.is_some() {
        nothing_selected(global, arguments)?;
    }
    // the saved plan is kept too, unless it is stdin
    output.spares(arguments.file.as_ref())?;
    let session = Session::open(machine, ui, global)?;
    output.spares(session.files())?;
    // on the heap: what they hold is large
    match &arguments.file {
        Some(path) => Box::pin(apply_saved(&session, &output, arguments, path, started)).await,
        None => Box::pin(apply_now(&session, &output, arguments, started)).await,
    }
}

/// A saved plan says itself what is selected.
fn nothing_selected(global: &Global, arguments: &Apply) -> Result<(), Error> {
    if !global.only.is_empty() {
        return Err(Error::usage("`--only` and a saved plan do not go together")
            .hint("the saved plan says what is selected; make another with `irsa plan --only GLOB -o FILE`"));
    }
    if arguments.fleet.shard.is_some() {
        return Err(Error::usage("`--shard` and a saved plan do not go together")
            .hint("the saved plan says which shard it is of; make another with `irsa plan --shard I/N -o FILE`"));
    }
    Ok(())
}

async fn apply_now(
    session: &Session<'_>,
    output: &Output<'_>,
    arguments: &Apply,
    started: Instant,
) -> Result<ExitStatus, Error> {
    let format = session.global.format;
    let options = session.options(&arguments.shape, arguments.fleet)?;
    let (connected, plan) = session.plan(&options).await?;
    let verdict = verdict(&plan)?;
    let frozen = session.freeze(&plan);
    expect(arguments, &frozen)?;
    // to a program the plan is said only where it is all that comes of the run
    if format == FormatName::Text || verdict != ExitStatus::Success {
        output.print_plan(&frozen, &plan.names)?;
    }
    if verdict != ExitStatus::Success {
        session.unless_interrupted(output.keep_plan(&frozen)).await??;
        return Err(held_back(&plan, verdict));
    }
    if plan.is_empty() {
        return end(session, output, &Report::default()).await;
    }
    match (arguments.auto_approve, format) {
        (true, FormatName::Text) => writeln!(output.people().0)?,
        (true, _) => {}
        (false, FormatName::Text) => ask(session).await?,
        (false, _) => {
            let message = "only `--format text` shows the plan that is to be confirmed; nothing was written";
            return Err(Error::new(ExitStatus::Refused, message).hint("use `--auto-approve`, or apply a saved plan"));
        }
    }
    let held = lock::take(session, &connected, arguments, started).await?;
    let overtaken = held.as_ref().is_some_and(|held| held.overtaken);
    let look = if overtaken { Some(changed as Staleness) } else { None };
    under_lock((session, output), &connected, &plan, held, look).await
}

async fn apply_saved(
    session: &Session<'_>,
    output: &Output<'_>,
    arguments: &Apply,
    path: &Path,
    started: Instant,
) -> Result<ExitStatus, Error> {
    let ui = session.ui;
    let saved = saved_plan::read_to_apply(path)?;
    let options = saved_plan::options(&saved, &session.options(&arguments.shape, arguments.fleet)?, ui, path)?;
    expect(arguments, &saved)?;
    if saved.config_digest != session.digest() {
        return Err(Error::new(
            ExitStatus::Stale,
            "the saved plan is of another configuration, or it was changed since",
        )
        .hint("make a new one with `irsa plan -o FILE`"));
    }
    let (connected, plan) = {
        let (connected, fresh, live) = session.plan_and_live(&options).await?;
        saved_plan::same_run(&saved, &fresh)?;
        let plan = saved::recheck(&saved, fresh, &connected.desired, &live).map_err(|list| stale(&list))?;
        (connected, plan)
    };
    saved_plan::not_refused(&saved, &plan)?;
    let skipped = saved_plan::refusals(&saved, &plan);
    for (address, why) in &skipped {
        ui.message(&format!("{address}: refused and skipped: {why}"));
    }
    if plan.is_empty() {
        let asked = saved.changes.iter().any(|change| !skipped.contains_key(&change.address));
        let text = match (skipped.len(), asked) {
            (0, _) => "nothing to do: all that the saved plan asks for is done already".to_owned(),
            (count, true) => format!("nothing to do: the rest is done already; {count} refused and skipped"),
            (count, false) => format!("nothing was done: {count} refused and skipped"),
        };
        ui.message(&text);
        return end(session, output, &Report::default()).await;
    }
    let held = lock::take(session, &connected, arguments, started).await?;
    under_lock((session, output), &connected, &plan, held, Some(stale)).await
}

fn expect(arguments: &Apply, plan: &PlanV2) -> Result<(), Error> {
    match &arguments.expect {
        Some(expected) if expected != &plan.plan_digest => Err(Error::new(
            ExitStatus::Stale,
            format!("the plan has digest `{}`, not the expected one", plan.plan_digest),
        )
        .hint("something has changed since that plan was made; review the new one")),
        _ => Ok(()),
    }
}

fn stale(list: &[Stale]) -> Error {
    Error::new(ExitStatus::Stale, "the saved plan is stale; nothing was written")
        .details(list.iter().map(|item| format!("{}: {}", item.address, item.why)))
        .hint("make a new one with `irsa plan -o FILE`")
}

fn changed(list: &[Stale]) -> Error {
    let message = "the plan is stale: another run held the lock since it was made; nothing was written";
    Error::new(ExitStatus::Stale, message)
        .details(list.iter().map(|item| format!("{}: {}", item.address, item.why)))
        .hint("apply again: what the other run has done is no longer planned then")
}

fn held_back(plan: &Plan, verdict: ExitStatus) -> Error {
    let refused = !plan.refused.is_empty() && !plan.options.skip_refused;
    let (what, hint) = if refused {
        ("the plan has refusals", "resolve them, or apply the rest with `--skip-refused`")
    } else {
        ("a part of the live state could not be read", "make it readable, or go on with `--allow-incomplete`")
    };
    Error::new(verdict, format!("{what}; nothing was written")).hint(hint)
}

async fn ask(session: &Session<'_>) -> Result<(), Error> {
    let question = "Do you want to apply these changes?";
    let ui = session.ui.clone();
    // a signal must be heard while the prompt waits for a line
    let answer = tokio::task::spawn_blocking(move || ui.confirm(question));
    let answer = session.unless_interrupted(answer).await.inspect_err(|_| {
        // the cursor still stands behind the question and the terminal's `^C`
        session.ui.message("");
    })?;
    match answer.map_err(|error| Error::failure(format!("the prompt failed: {error}")))? {
        Answer::Yes => Ok(()),
        Answer::No => Err(Error::new(ExitStatus::Refused, "not confirmed; nothing was written")),
        Answer::NoTerminal => {
            Err(Error::new(ExitStatus::Refused, "there is no terminal to confirm on; nothing was written")
                .hint("use `--auto-approve`, or apply a saved plan"))
        }
    }
}

fn hands<'a>(connected: &'a Connected, write_aws: &'a AwsWriter, write_kubernetes: &'a KubernetesWriter) -> World<'a> {
    Clients { read_aws: &connected.aws, write_aws, read_kubernetes: &connected.kubernetes, write_kubernetes }
}

/// What is said of a plan that no longer holds.
type Staleness = fn(&[Stale]) -> Error;

/// Carries the plan out, after a look at all of it where one is wanted, and gives the lock back however that ends.
async fn under_lock(
    (session, output): (&Session<'_>, &Output<'_>),
    connected: &Connected,
    plan: &Plan,
    held: Option<Held>,
    look: Option<Staleness>,
) -> Result<ExitStatus, Error> {
    let keeper = held.as_ref().map(|held| held.lost.clone());
    let applied = AssertUnwindSafe(carry_out(session, connected, plan, keeper, look)).catch_unwind().await;
    if let Some(held) = held {
        lock::release(session, connected, held).await;
    }
    session.tell_warnings(&connected.kubernetes);
    let report = applied.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    end(session, output, &report?).await
}

async fn carry_out(
    session: &Session<'_>,
    connected: &Connected,
    plan: &Plan,
    keeper: Option<watch::Receiver<Option<String>>>,
    look: Option<Staleness>,
) -> Result<Report, Error> {
    let idle = CancellationToken::new();
    let write_aws = connected.aws.writer().halted_by(&idle);
    let write_kubernetes = connected.kubernetes.writer().halted_by(&idle);
    let hands = hands(connected, &write_aws, &write_kubernetes);
    if let Some(stale) = look {
        let list = session.unless_interrupted(apply::recheck(plan, &hands)).await?;
        if !list.is_empty() {
            return Err(stale(&list));
        }
    }
    let pace = Pace { parallelism: usize::from(session.global.parallelism), grace: session.context.scaled(GRACE) };
    let (halt, stop) = watch::channel(None);
    let settle = session.context.scaled(SETTLE);
    let applying = async {
        let report = apply::apply(plan, &hands, &pace, stop.clone(), session.listener()).await;
        apply::verify_writes(plan, report, &connected.aws, settle, &stop).await
    };
    tokio::pin!(applying);
    let interrupt = tokio::select! {
        // before a write may begin, what speaks against it is heard
        biased;
        interrupt = wait::until_set(&session.signals.first) => interrupt,
        why = loss(keeper) => {
            session.ui.warning(&format!("the lock was lost: {why}; the writes in flight end, no other starts"));
            idle.cancel();
            halt.send_replace(Some(Stop::LockLost(why)));
            tokio::select! {
                biased;
                interrupt = wait::until_set(&session.signals.first) => interrupt,
                report = &mut applying => return Ok(report),
            }
        }
        report = &mut applying => return Ok(report),
    };
    idle.cancel();
    halt.send_replace(Some(Stop::Signal(interrupt)));
    session.ui.warning("interrupted: the writes in flight end, no other starts; a second signal ends at once");
    tokio::select! {
        biased;
        report = &mut applying => return Ok(report),
        _ = wait::until_set(&session.signals.second) => {}
    }
    halt.send_replace(Some(Stop::Hurried(interrupt)));
    Ok(applying.await)
}

/// Comes back when the lock is lost.
async fn loss(keeper: Option<watch::Receiver<Option<String>>>) -> String {
    match keeper {
        Some(keeper) => wait::until_set(&keeper).await,
        None => std::future::pending().await,
    }
}

async fn end(session: &Session<'_>, output: &Output<'_>, report: &Report) -> Result<ExitStatus, Error> {
    let status = status(report);
    // a terminal that is gone takes no report: the file does
    let printed = output.print_report(report);
    let kept = tokio::select! {
        biased;
        kept = output.keep_report(report) => kept,
        _ = wait::until_set(&session.signals.second) => Err(Error::new(status, "interrupted; the report was not written")),
    };
    printed.and(kept).map_err(|error| Error { status: status.or(error.status), ..error })?;
    Ok(status)
}

/// 0, 1 if nothing was written, 6 if something was; a signal stands above both.
fn status(report: &Report) -> ExitStatus {
    let written = report.outcomes.iter().any(|step| match &step.outcome {
        Outcome::Applied => true,
        Outcome::Failed(failure) => failure.stale || failure.written || !failure.done.is_empty(),
        Outcome::AlreadyDone | Outcome::Skipped(_) => false,
    });
    let status = match (report.succeeded(), written) {
        (true, _) => ExitStatus::Success,
        (false, true) => ExitStatus::Partial,
        (false, false) => ExitStatus::Failure,
    };
    report.interrupted.map_or(status, |interrupt| status.or(ExitStatus::Interrupted(interrupt)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::report::{Failure, Interrupt, StepOutcome};
    use crate::plan::change::Action;

    fn report(outcomes: Vec<Outcome>) -> Report {
        let address = "role/a".parse().unwrap();
        let step =
            |outcome| StepOutcome { address: Clone::clone(&address), action: Action::Update, outcome, note: None };
        Report { outcomes: outcomes.into_iter().map(step).collect(), interrupted: None, lock_lost: None }
    }

    fn failure(stale: bool, done: &[&str]) -> Outcome {
        Outcome::Failed(Failure {
            operation: "iam:TagRole".into(),
            code: None,
            why: "no".into(),
            request_id: None,
            hint: None,
            stale,
            written: false,
            held_up: false,
            done: done.iter().map(|name| (*name).to_owned()).collect(),
            left: Vec::new(),
        })
    }

    #[test]
    fn a_report_ends_the_run_with_what_was_written() {
        let skipped = || Outcome::Skipped("role/b failed".into());
        assert_eq!(status(&report(vec![])), ExitStatus::Success);
        assert_eq!(status(&report(vec![Outcome::Applied, Outcome::AlreadyDone])), ExitStatus::Success);
        assert_eq!(status(&report(vec![failure(false, &[]), skipped()])), ExitStatus::Failure);
        assert_eq!(status(&report(vec![failure(false, &["iam:CreateRole"])])), ExitStatus::Partial);
        assert_eq!(status(&report(vec![failure(true, &[])])), ExitStatus::Partial);
        assert_eq!(status(&report(vec![Outcome::Applied, failure(false, &[])])), ExitStatus::Partial);
        // what the lock held back
        let mut lost = report(vec![skipped(), skipped()]);
        lost.lock_lost = Some("`them` holds it now".into());
        assert_eq!(status(&lost), ExitStatus::Failure);
        lost.outcomes.extend(report(vec![Outcome::Applied]).outcomes);
        assert_eq!(status(&lost), ExitStatus::Partial);
        let mut interrupted = report(vec![Outcome::Applied, skipped()]);
        interrupted.interrupted = Some(Interrupt::Terminate);
        assert_eq!(status(&interrupted).code(), 143);
    }
}
