//! `irsa init`: writes a commented starter file that passes `irsa validate`.

use super::arguments::{Global, Init};
use super::files;
use crate::config;
use crate::error::{Error, ExitStatus};
use crate::ui::Ui;

pub(crate) fn run(ui: &Ui, global: &Global, arguments: &Init) -> Result<ExitStatus, Error> {
    let Init {} = arguments;
    files::create(global.config(), config::starter())?;
    let name = global.config().display();
    ui.message(&format!("wrote `{name}`; edit it, then run `irsa validate` and `irsa plan`"));
    Ok(ExitStatus::Success)
}
