//! `irsa drift`: `irsa plan` for cron. Prints nothing if nothing differs. A difference counts only if a second read shows
//! it too: IAM is eventually consistent (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html>).

use super::arguments::{Drift, Shape};
use super::files::{Destination, SHARED};
use super::output::{self, Output};
use super::session::{Session, load, plan_status};
use super::{Run, metrics};
use crate::config::Configuration;
use crate::error::{Error, ExitStatus};
use crate::ids::Key;
use crate::model::shard::Shard;
use crate::plan::{self, Options};
use crate::render::Format;
use crate::ui::Ui;
use std::path::Path;
use std::time::Duration;

/// Time limit for writing the metrics of a failed run: a pipe that nobody reads must not delay the exit.
const METRICS_LIMIT: Duration = Duration::from_secs(2);

pub(super) async fn run(run: Run<'_>, arguments: &Drift) -> Result<ExitStatus, Error> {
    let result = compare(run, arguments).await;
    if let (Err(error), Some(path)) = (&result, &arguments.metrics_file) {
        let configuration = load(run.global).ok();
        let owner = configuration.as_ref().and_then(Configuration::owner);
        let labels = (path.as_path(), owner.as_ref().map(Key::as_str), arguments.fleet.shard);
        write_failure_metrics(labels, run.ui, run.context.now(), error.status).await;
    }
    result
}

/// Writes the metrics of a run without a plan: the old file would say that all is well. Leaves a file alone that has no
/// metrics of irsa, and ignores errors, since the run fails anyway.
pub(super) async fn write_failure_metrics(
    (path, owner, shard): (&Path, Option<&str>, Option<Shard>),
    ui: &Ui,
    now: i64,
    status: ExitStatus,
) {
    let Ok(target) = Destination::of(path) else { return };
    let Some(text) = metrics::of_failure(&target.content(), owner, shard, now, status.code()) else { return };
    let _ = tokio::time::timeout(METRICS_LIMIT, target.write(ui, &text, SHARED)).await;
}

async fn compare(run: Run<'_>, arguments: &Drift) -> Result<ExitStatus, Error> {
    let file = arguments.metrics_file.as_deref().map(|path| ("--metrics-file", path));
    let output = Output::open(run, "drift", output::NEW_PLAN, file)?;
    let session = Session::open(run)?;
    output.spares(session.files())?;
    let options = Options { report_only: true, ..session.options(&Shape::default(), arguments.fleet)? };
    let (_, mut plan, _) = session.plan(&options).await?;
    if plan.differs() || !plan.refused.is_empty() {
        let pause = tokio::time::sleep(run.context.scaled(arguments.confirm_after));
        session.unless_interrupted(pause).await?;
        // connects again: credentials and endpoints may have changed
        let (_, second, _) = session.plan(&options).await?;
        plan = plan::confirm(&plan, second);
    }
    let status = plan_status(&plan)?.or(if plan.differs() { ExitStatus::Changes } else { ExitStatus::Success });
    let frozen = session.freeze(&plan);
    if let Some(file) = &output.file {
        let text = metrics::of_plan(&frozen, run.context.now(), status.code());
        session.unless_interrupted(file.write(run.ui, &text, SHARED)).await??;
    }
    session.unless_interrupted(output.write_plan_json(&frozen)).await??;
    if status != ExitStatus::Success || run.global.format != Format::Text {
        output.print_plan(&frozen, &plan.names)?;
    }
    Ok(status)
}
