//! `irsa init`: writes a commented starter file that passes `irsa validate`.

use super::arguments::{Global, Init};
use super::files::{self, Destination};
use super::output;
use crate::config;
use crate::error::{Error, ExitStatus};
use crate::ui::Ui;
use std::io::Write;

pub(crate) fn run(ui: &Ui, global: &Global, arguments: &Init) -> Result<ExitStatus, Error> {
    let Init {} = arguments;
    output::no_json(global, "init")?;
    if Destination::of(global.config()).is_ok_and(|target| target == Destination::Stdout) {
        ui.stdout().write_all(config::starter().as_bytes())?;
        return Ok(ExitStatus::Success);
    }
    files::create(global.config(), config::starter())?;
    let name = global.config().display();
    ui.message(&format!("wrote `{name}`; edit it, then run `irsa validate` and `irsa plan`"));
    Ok(ExitStatus::Success)
}
