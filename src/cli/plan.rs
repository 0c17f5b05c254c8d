//! `irsa plan`: reads live state and shows what `apply` would do. Writes nothing but the file of `-o`.

use super::Machine;
use super::arguments::{Global, Plan};
use super::session::{Session, verdict};
use super::{files, output, saved_plan};
use crate::error::{Error, ExitStatus};
use crate::ui::Ui;

pub(crate) async fn run(machine: &Machine, ui: &Ui, global: &Global, arguments: &Plan) -> Result<ExitStatus, Error> {
    output::allow(global, "plan", output::PLAN)?;
    let session = Session::open(machine, ui, global)?;
    let options = session.options(&arguments.shape, arguments.fleet)?;
    let (_, plan) = session.plan(&options).await?;
    let verdict = verdict(&plan)?;
    let frozen = session.freeze(&plan);
    if let Some(path) = &arguments.out {
        files::replace(path, &frozen.to_text(), files::PRIVATE)?;
    }
    output::plan(ui, global, &frozen)?;
    if let Some(path) = &arguments.out {
        let flags = saved_plan::flags(&frozen);
        ui.message(&format!("saved; apply exactly this with `irsa apply {flags}{}`", path.display()));
    }
    let changes = arguments.detailed_exitcode && plan.differs();
    Ok(verdict.or(if changes { ExitStatus::Changes } else { ExitStatus::Success }))
}
