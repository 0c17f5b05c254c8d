//! `irsa drift`: `plan` for cron. Quiet when clean; a difference counts only if a second look shows it too, since IAM
//! answers from replicas that lag behind (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html>).

use super::Machine;
use super::arguments::{Drift, FormatName, Global, Shape};
use super::session::{Session, verdict};
use super::{files, metrics, output};
use crate::error::{Error, ExitStatus};
use crate::plan::{self, Options};
use crate::ui::Ui;
use std::path::Path;

pub(crate) async fn run(machine: &Machine, ui: &Ui, global: &Global, arguments: &Drift) -> Result<ExitStatus, Error> {
    let looked = look(machine, ui, global, arguments).await;
    if let (Err(error), Some(path)) = (&looked, &arguments.metrics_file) {
        note_failure(path, machine.context.now(), error.status);
    }
    looked
}

/// Writes metrics of a run that came to no plan: what is there says that all was well at the last one. That it cannot be
/// written is the lesser trouble.
pub(crate) fn note_failure(path: &Path, now: i64, status: ExitStatus) {
    let before = if path.is_file() { files::read(path).unwrap_or_default() } else { String::new() };
    let _ = files::replace(path, &metrics::of_failure(&before, now, status.code()), files::SHARED);
}

async fn look(machine: &Machine, ui: &Ui, global: &Global, arguments: &Drift) -> Result<ExitStatus, Error> {
    output::allow(global, "drift", output::PLAN)?;
    let session = Session::open(machine, ui, global)?;
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
    if let Some(path) = &arguments.metrics_file {
        files::replace(path, &metrics::text(&frozen, machine.context.now(), status.code()), files::SHARED)?;
    }
    if status != ExitStatus::Success || global.format != FormatName::Text {
        output::plan(ui, global, &frozen)?;
    }
    Ok(status)
}
