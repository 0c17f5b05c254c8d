//! `irsa plan`: reads live state and shows what `irsa apply` would do. Writes nothing but the file of `-o`.

use super::arguments::Plan;
use super::files::{Destination, PRIVATE};
use super::output::{self, Output};
use super::session::{Session, plan_status};
use super::{Run, saved_plan};
use crate::error::{Error, ExitStatus};

pub(super) async fn run(run: Run<'_>, arguments: &Plan) -> Result<ExitStatus, Error> {
    let file = arguments.out.as_deref().map(|path| ("-o", path));
    let output = Output::open(run, "plan", output::NEW_PLAN, file)?;
    let session = Session::open(run)?;
    output.spares(session.files())?;
    let (_, plan, _) = session.plan(&session.options(&arguments.shape, arguments.fleet)?).await?;
    let status = plan_status(&plan)?;
    let frozen = session.freeze(&plan);
    if let Some(file) = &output.file {
        session.unless_interrupted(file.write(run.ui, &frozen.to_text(), PRIVATE)).await??;
    }
    session.unless_interrupted(output.write_plan_json(&frozen)).await??;
    output.print_plan(&frozen, &plan.names)?;
    if let (Some(Destination::File(_)), Some(path)) = (&output.file, &arguments.out) {
        run.ui.message(&saved_plan::next_command(&frozen, status, path));
    }
    let has_changes = arguments.detailed_exitcode && plan.differs();
    Ok(status.or(if has_changes { ExitStatus::Changes } else { ExitStatus::Success }))
}
