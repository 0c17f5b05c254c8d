//! `irsa drift`: `plan` for cron. Quiet when clean; a difference counts only if a second look shows it too, since IAM
//! answers from replicas that lag behind (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html>).

use super::Machine;
use super::arguments::{Drift, FormatName, Global, Shape};
use super::files::{Destination, SHARED};
use super::metrics;
use super::output::{self, Output};
use super::session::{Session, load, verdict};
use crate::config::Configuration;
use crate::error::{Error, ExitStatus};
use crate::ids::Key;
use crate::model::shard::Shard;
use crate::plan::{self, Options};
use crate::ui::Ui;
use std::path::Path;
use std::time::Duration;

/// How long metrics of a run that failed are waited for.
const NOTED: Duration = Duration::from_secs(2);

pub(crate) async fn run(machine: &Machine, ui: &Ui, global: &Global, arguments: &Drift) -> Result<ExitStatus, Error> {
    let looked = look(machine, ui, global, arguments).await;
    if let (Err(error), Some(path)) = (&looked, &arguments.metrics_file) {
        let configuration = load(global).ok();
        let owner = configuration.as_ref().and_then(Configuration::owner);
        note_failure(
            (path, owner.as_ref().map(Key::as_str), arguments.fleet.shard),
            ui,
            machine.context.now(),
            error.status,
        )
        .await;
    }
    looked
}

/// Writes metrics of a run that came to no plan: what is there says that all was well at the last one. That it cannot be
/// written is the lesser trouble, and what is no file of metrics is left as it is.
pub(crate) async fn note_failure(
    (path, owner, shard): (&Path, Option<&str>, Option<Shard>),
    ui: &Ui,
    now: i64,
    status: ExitStatus,
) {
    let Ok(target) = Destination::of(path) else { return };
    let Some(text) = metrics::of_failure(&target.before(), owner, shard, now, status.code()) else { return };
    // a pipe that nobody reads must not hold up the end
    let _ = tokio::time::timeout(NOTED, target.write(ui, &text, SHARED)).await;
}

async fn look(machine: &Machine, ui: &Ui, global: &Global, arguments: &Drift) -> Result<ExitStatus, Error> {
    let file = arguments.metrics_file.as_deref().map(|path| ("--metrics-file", path));
    let output = Output::open(&machine.context, ui, global, ("drift", output::PLAN), file)?;
    let session = Session::open(machine, ui, global)?;
    output.spares(session.files())?;
    let options = Options { report_only: true, ..session.options(&Shape::default(), arguments.fleet)? };
    let (_, mut plan) = session.plan(&options).await?;
    if plan.differs() || !plan.refused.is_empty() {
        let pause = tokio::time::sleep(machine.context.scaled(arguments.confirm_after));
        session.unless_interrupted(pause).await?;
        // credentials and clusters may be found anew, so that nothing of the first look is taken over
        let (_, second) = session.plan(&options).await?;
        plan = plan::confirm(&plan, second);
    }
    let verdict = verdict(&plan)?;
    let status = verdict.or(if plan.differs() { ExitStatus::Changes } else { ExitStatus::Success });
    let frozen = session.freeze(&plan);
    if let Some(file) = &output.file {
        let text = metrics::text(&frozen, machine.context.now(), status.code());
        session.unless_interrupted(file.write(ui, &text, SHARED)).await??;
    }
    session.unless_interrupted(output.keep_plan(&frozen)).await??;
    if status != ExitStatus::Success || global.format != FormatName::Text {
        output.print_plan(&frozen, &plan.names)?;
    }
    Ok(status)
}
