//! `irsa show`: renders a saved plan; reads neither the configuration nor the network.

use super::arguments::{Global, Show};
use super::{output, saved_plan};
use crate::error::{Error, ExitStatus};
use crate::ui::Ui;

pub(crate) fn run(ui: &Ui, global: &Global, arguments: &Show) -> Result<ExitStatus, Error> {
    output::allow(global, "show", output::PLAN)?;
    let plan = saved_plan::read_to_show(&arguments.file, ui)?;
    output::plan(ui, global, &plan)?;
    ui.message(&format!(
        "reasons, refusals and notes are as the file has them; `irsa apply {}{}` derives all of it again",
        saved_plan::flags(&plan),
        arguments.file.display()
    ));
    Ok(ExitStatus::Success)
}
