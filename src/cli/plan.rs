//! `irsa plan`: reads live state and shows what `apply` would do. Writes nothing but the file of `-o`.

use super::Machine;
use super::arguments::{Global, Plan};
use super::files::{Destination, PRIVATE};
use super::output::{self, Output};
use super::saved_plan;
use super::session::{Session, verdict};
use crate::error::{Error, ExitStatus};
use crate::ui::Ui;

pub(crate) async fn run(machine: &Machine, ui: &Ui, global: &Global, arguments: &Plan) -> Result<ExitStatus, Error> {
    let file = arguments.out.as_deref().map(|path| ("-o", path));
    let output = Output::open(&machine.context, ui, global, ("plan", output::PLAN), file)?;
    let session = Session::open(machine, ui, global)?;
    output.spares(session.files())?;
    let options = session.options(&arguments.shape, arguments.fleet)?;
    let (_, plan) = session.plan(&options).await?;
    let verdict = verdict(&plan)?;
    let frozen = session.freeze(&plan);
    if let Some(file) = &output.file {
        session.unless_interrupted(file.write(ui, &frozen.to_text(), PRIVATE)).await??;
    }
    session.unless_interrupted(output.keep_plan(&frozen)).await??;
    output.print_plan(&frozen, &plan.names)?;
    if let (Some(Destination::File(_)), Some(path)) = (&output.file, &arguments.out) {
        ui.message(&saved_plan::next(&frozen, verdict, path));
    }
    let changes = arguments.detailed_exitcode && plan.differs();
    Ok(verdict.or(if changes { ExitStatus::Changes } else { ExitStatus::Success }))
}
