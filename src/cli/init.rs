//! `irsa init`: writes a commented starter file that passes `irsa validate`.

use super::files::{self, Destination};
use super::{Run, output};
use crate::config;
use crate::error::{Error, ExitStatus};
use std::io::Write;

pub(super) fn run(run: Run<'_>) -> Result<ExitStatus, Error> {
    output::no_json(run.global, "init")?;
    let path = run.global.config();
    if Destination::of(path).is_ok_and(|target| target == Destination::Stdout) {
        run.ui.stdout().write_all(config::starter().as_bytes())?;
    } else {
        files::create(path, config::starter())?;
        run.ui.message(&format!("wrote `{}`; edit it, then run `irsa validate` and `irsa plan`", path.display()));
    }
    Ok(ExitStatus::Success)
}
