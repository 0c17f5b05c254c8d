//! `irsa apply`: plans, or reads a saved plan; asks; applies. The only command that creates writers.

use super::arguments::Apply;
use super::output::Output;
use super::session::{Connected, Session, plan_status, refusal};
use super::{Run, files, lock, saved_plan, verify};
use crate::apply::lock::HeldLock;
use crate::apply::report::{Outcome, Report, Stop};
use crate::apply::{self, Clients, Pace, wait};
use crate::error::{Error, ExitStatus};
use crate::model::refusal::RefusalKind;
use crate::plan::saved::{self, Stale};
use crate::plan::{Plan, PlanV2};
use crate::render::Format;
use crate::ui::Confirmation;
use futures::FutureExt;
use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long a write in flight may take after a signal. CI runners kill a process about 7 seconds after the first signal
/// (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation>): before that, irsa must
/// print the report and release the lock.
const GRACE: Duration = Duration::from_secs(5);

/// How long to wait until IAM shows what was written.
const VERIFY_LIMIT: Duration = Duration::from_secs(10);

const FORMATS: &[Format] = &[Format::Text, Format::Json, Format::Jsonl, Format::Github];

pub(super) async fn run(run: Run<'_>, arguments: &Apply) -> Result<ExitStatus, Error> {
    let output = Output::open(run, "apply", FORMATS, None)?;
    if arguments.file.is_some() {
        no_selection(run, arguments)?;
    }
    // the saved plan must not be overwritten either
    output.spares(arguments.file.as_ref())?;
    let session = Session::open(run)?;
    output.spares(session.files())?;
    // on the heap: the futures are large
    let approved = match &arguments.file {
        Some(path) => Box::pin(read_plan(&session, arguments, path)).await?,
        None => Box::pin(make_plan(&session, &output, arguments)).await?,
    };
    let Some((connected, plan)) = approved else {
        return end(&session, &output, &Report::default()).await;
    };
    Box::pin(apply_locked(&session, &output, arguments, &connected, &plan)).await
}

/// A saved plan has its own selection.
fn no_selection(run: Run<'_>, arguments: &Apply) -> Result<(), Error> {
    if !run.global.only.is_empty() {
        return Err(Error::usage("`--only` and a saved plan do not go together")
            .hint("the saved plan has its own selection; create another one with `irsa plan --only GLOB -o FILE`"));
    }
    if arguments.fleet.shard.is_some() {
        return Err(Error::usage("`--shard` and a saved plan do not go together")
            .hint("the saved plan has its own shard; create another one with `irsa plan --shard I/N -o FILE`"));
    }
    Ok(())
}

/// Plans, shows the plan, and asks. Returns None if there is nothing to do.
async fn make_plan(
    session: &Session<'_>,
    output: &Output<'_>,
    arguments: &Apply,
) -> Result<Option<(Connected, Plan)>, Error> {
    let is_text = session.run.global.format == Format::Text;
    let options = session.options(&arguments.shape, arguments.fleet)?;
    let (connected, plan, _) = session.plan(&options).await?;
    let status = plan_status(&plan)?;
    let frozen = session.freeze(&plan);
    expect(arguments, &frozen)?;
    // other formats print the report, or the plan if that is all there is
    if is_text || status != ExitStatus::Success {
        output.print_plan(&frozen, &plan.names)?;
    }
    if status != ExitStatus::Success {
        session.unless_interrupted(output.write_plan_json(&frozen)).await??;
        return Err(refusal(plan.is_stopped_by_refusals()));
    }
    if plan.is_empty() {
        return Ok(None);
    }
    match (arguments.auto_approve, is_text) {
        (true, true) => writeln!(output.people().0)?,
        (true, false) => {}
        (false, true) => ask(session).await?,
        (false, false) => {
            let message = "only `--format text` shows the plan before it asks; nothing was written";
            let hint = "use `--auto-approve`, or apply a saved plan";
            return Err(Error::refused(RefusalKind::NoPrompt, message).hint(hint));
        }
    }
    Ok(Some((connected, plan)))
}

/// Reads a saved plan, and derives its changes again from the configuration and the live state. Returns None if there
/// is nothing to do.
async fn read_plan(session: &Session<'_>, arguments: &Apply, path: &Path) -> Result<Option<(Connected, Plan)>, Error> {
    let ui = session.run.ui;
    let saved = saved_plan::read_to_apply(path)?;
    let options = saved_plan::options(&saved, &session.options(&arguments.shape, arguments.fleet)?, ui, path)?;
    expect(arguments, &saved)?;
    if saved.config_digest != session.digest() {
        let message = "the saved plan was made from another configuration, or the configuration has changed since";
        return Err(Error::new(ExitStatus::Stale, message).hint(files::MAKE_A_NEW_ONE));
    }
    let (connected, fresh, live) = session.plan(&options).await?;
    saved_plan::same_run(&saved, &fresh)?;
    let plan = saved::recheck(&saved, fresh, &connected.desired, &live).map_err(|list| stale(&list, true))?;
    saved_plan::not_refused(&saved, &plan)?;
    let skipped = saved_plan::refusals(&saved, &plan);
    for (address, why) in &skipped {
        ui.message(&format!("{address}: refused and skipped: {why}"));
    }
    if !plan.is_empty() {
        return Ok(Some((connected, plan)));
    }
    let all_skipped = saved.changes.iter().all(|change| skipped.contains_key(&change.address));
    ui.message(&match (skipped.len(), all_skipped) {
        (0, _) => "nothing to do: every change of the saved plan is already done".to_owned(),
        (count, false) => format!("nothing to do: the rest is already done; {count} refused and skipped"),
        (count, true) => format!("nothing was done: {count} refused and skipped"),
    });
    Ok(None)
}

fn expect(arguments: &Apply, plan: &PlanV2) -> Result<(), Error> {
    if arguments.expect.as_ref().is_none_or(|expected| *expected == plan.plan_digest) {
        return Ok(());
    }
    let message = format!("the plan has digest `{}`, not the expected one", plan.plan_digest);
    Err(Error::new(ExitStatus::Stale, message)
        .hint("something has changed since that plan was made; review the new one"))
}

fn stale(list: &[Stale], is_saved: bool) -> Error {
    let (message, hint) = if is_saved {
        ("the saved plan is stale; nothing was written", files::MAKE_A_NEW_ONE)
    } else {
        (
            "the plan is stale: another run held the lock since it was made; nothing was written",
            "apply again: irsa plans again, without what the other run has done",
        )
    };
    let details = list.iter().map(|item| format!("{}: {}", item.address, item.why));
    Error::new(ExitStatus::Stale, message).details(details).hint(hint)
}

async fn ask(session: &Session<'_>) -> Result<(), Error> {
    let ui = session.run.ui.clone();
    // in a thread, so that a signal is handled while the prompt waits
    let answer = tokio::task::spawn_blocking(move || ui.confirm("Do you want to apply these changes?"));
    let answer = session.unless_interrupted(answer).await.inspect_err(|_| {
        // the cursor is behind the question and the terminal's `^C`
        session.run.ui.message("");
    })?;
    match answer.map_err(|error| Error::failure(format!("the prompt failed: {error}")))? {
        Confirmation::Yes => Ok(()),
        Confirmation::No => Err(Error::refused(RefusalKind::NotConfirmed, "not confirmed; nothing was written")),
        Confirmation::NoTerminal => {
            let message = "there is no terminal to confirm on; nothing was written";
            Err(Error::refused(RefusalKind::NoTerminal, message).hint("use `--auto-approve`, or apply a saved plan"))
        }
    }
}

/// Takes the lock, applies the plan, and releases the lock however that ends.
async fn apply_locked(
    session: &Session<'_>,
    output: &Output<'_>,
    arguments: &Apply,
    connected: &Connected,
    plan: &Plan,
) -> Result<ExitStatus, Error> {
    let lock = lock::take(session, connected, arguments).await?;
    let applied = AssertUnwindSafe(write(session, arguments, connected, plan, lock.as_ref())).catch_unwind().await;
    if let Some(lock) = lock {
        lock::release(session, connected, lock).await;
    }
    session.print_warnings(&connected.kubernetes);
    let report = applied.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let report = report?;
    let status = end(session, output, &report).await?;
    if !arguments.verify || !matches!(status, ExitStatus::Success | ExitStatus::Partial) {
        return Ok(status);
    }
    let verified = verify::applied(session, connected, output, plan, &report).await;
    let verified = verified.map_err(|error| Error { status: status.or(error.status), ..error })?;
    Ok(status.or(verified))
}

/// Applies the plan, up to a signal or the loss of the lock.
async fn write(
    session: &Session<'_>,
    arguments: &Apply,
    connected: &Connected,
    plan: &Plan,
    lock: Option<&HeldLock>,
) -> Result<Report, Error> {
    let Run { context, ui, global, .. } = session.run;
    let stop_sending = CancellationToken::new();
    let clients = Clients {
        read_aws: &connected.aws,
        write_aws: &connected.aws.writer().halted_by(&stop_sending),
        read_kubernetes: &connected.kubernetes,
        write_kubernetes: &connected.kubernetes.writer().halted_by(&stop_sending),
    };
    let is_saved = arguments.file.is_some();
    if is_saved || lock.is_some_and(|lock| lock.overtaken) {
        let list = session.unless_interrupted(apply::recheck(plan, &connected.aws, &connected.kubernetes)).await?;
        if !list.is_empty() {
            return Err(stale(&list, is_saved));
        }
    }
    let pace = Pace { parallelism: usize::from(global.parallelism), grace: context.scaled(GRACE) };
    let (send_stop, stop) = watch::channel(None);
    let applying = async {
        let report = apply::apply(plan, &clients, &pace, stop.clone(), session.listener()).await;
        apply::verify_writes(plan, report, &connected.aws, context.scaled(VERIFY_LIMIT), &stop).await
    };
    let lock_lost = async {
        match lock {
            Some(lock) => wait::until_set(&lock.lost).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(applying, lock_lost);
    let mut has_lock = true;
    let interrupt = loop {
        tokio::select! {
            // a signal and the loss of the lock come before the next write
            biased;
            interrupt = wait::until_set(&session.signals.first) => break interrupt,
            why = &mut lock_lost, if has_lock => {
                has_lock = false;
                ui.warning(&format!("the lock was lost: {why}; the writes in flight end, and no other write starts"));
                stop_sending.cancel();
                send_stop.send_replace(Some(Stop::LockLost(why)));
            }
            report = &mut applying => return Ok(report),
        }
    };
    stop_sending.cancel();
    send_stop.send_replace(Some(Stop::Signal(interrupt)));
    ui.warning("interrupted: the writes in flight end, and no other write starts; a second signal ends at once");
    tokio::select! {
        biased;
        report = &mut applying => return Ok(report),
        _ = wait::until_set(&session.signals.second) => {}
    }
    send_stop.send_replace(Some(Stop::SecondSignal(interrupt)));
    Ok(applying.await)
}

async fn end(session: &Session<'_>, output: &Output<'_>, report: &Report) -> Result<ExitStatus, Error> {
    let status = status(report);
    // the file is written even if the terminal is gone
    let printed = output.print_report(report);
    let written = tokio::select! {
        biased;
        written = output.write_report_json(report) => written,
        _ = wait::until_set(&session.signals.second) => {
            Err(Error::new(status, "interrupted; the report was not written"))
        }
    };
    printed.and(written).map_err(|error| Error { status: status.or(error.status), ..error })?;
    Ok(status)
}

/// 0 on success, 1 if nothing was written, 6 if something was; a signal has precedence.
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
mod tests;
