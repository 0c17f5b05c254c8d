//! `irsa show`: renders a saved plan; reads neither the configuration nor the network.

use super::arguments::{Global, Show};
use super::output::{self, Output};
use super::saved_plan;
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::ui::Ui;
use crate::view;

pub(crate) async fn run(context: &Context, ui: &Ui, global: &Global, arguments: &Show) -> Result<ExitStatus, Error> {
    let output = Output::open(context, ui, global, ("show", output::PLAN), None)?;
    output.spares([&arguments.file])?;
    let plan = saved_plan::read_to_show(&arguments.file, ui)?;
    output.keep_plan(&plan).await?;
    output.print_plan(&plan, &view::config_keys(&plan))?;
    ui.message(&format!(
        "reasons, refusals and notes are as the file has them; `irsa apply {}{}` derives all of it again",
        saved_plan::flags(&plan),
        arguments.file.display()
    ));
    Ok(ExitStatus::Success)
}
