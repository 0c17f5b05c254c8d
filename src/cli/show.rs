//! `irsa show`: prints a saved plan. Reads neither the configuration nor the network.

use super::arguments::Show;
use super::output::{self, Output};
use super::{Run, saved_plan};
use crate::error::{Error, ExitStatus};
use crate::view;

pub(super) async fn run(run: Run<'_>, arguments: &Show) -> Result<ExitStatus, Error> {
    let output = Output::open(run, "show", output::PLAN, None)?;
    output.spares([&arguments.file])?;
    let plan = saved_plan::read_to_show(&arguments.file, run.ui)?;
    output.write_plan_json(&plan).await?;
    output.print_plan(&plan, &view::config_keys(&plan))?;
    run.ui.message(&format!(
        "reasons, refusals and notes are those of the file; `irsa apply {}{}` derives them again",
        saved_plan::flags(&plan),
        arguments.file.display()
    ));
    Ok(ExitStatus::Success)
}
