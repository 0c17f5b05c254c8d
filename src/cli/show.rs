//! `irsa show`: renders a saved plan; reads neither the configuration nor the network.

use super::arguments::{Global, Show};
use super::{files, output};
use crate::error::{Error, ExitStatus};
use crate::plan::PlanV1;
use crate::ui::Ui;
use std::path::Path;

pub(crate) fn run(ui: &Ui, global: &Global, arguments: &Show) -> Result<ExitStatus, Error> {
    output::allow(global, "show", output::PLAN)?;
    let plan = read(&arguments.file)?;
    output::plan(ui, global.format, &plan)?;
    Ok(ExitStatus::Success)
}

/// Reads a saved plan; one that is not as it was written ends the run with 5.
pub(crate) fn read(path: &Path) -> Result<PlanV1, Error> {
    PlanV1::read(&files::read(path)?).map_err(|error| {
        Error::new(ExitStatus::Stale, format!("`{}`: {error}", path.display()))
            .hint("make a new one with `irsa plan -o FILE`")
    })
}
