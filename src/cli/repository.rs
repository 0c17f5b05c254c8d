//! Paths as GitHub annotations need them: relative to the root of the repository
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>).

use crate::context::Context;
use crate::model::origin::file_and_line;
use crate::plan::PlanV2;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// The repository that contains the configuration.
pub(super) struct Repository {
    /// The folder of the top file, as the user wrote it.
    folder: PathBuf,
    /// The name of the top file.
    top: String,
    /// The root and that folder, without links. None outside of a repository.
    resolved: Option<(PathBuf, PathBuf)>,
}

impl Repository {
    /// The root is `GITHUB_WORKSPACE` if it contains the configuration, else the nearest folder above with a `.git`.
    pub(super) fn of(context: &Context, config: &Path) -> Self {
        let folder = config.parent().unwrap_or(Path::new("")).to_owned();
        let resolved = Path::new(".").join(&folder).canonicalize().ok().and_then(|folder| {
            let workspace = context.variable("GITHUB_WORKSPACE").and_then(|path| Path::new(path).canonicalize().ok());
            let workspace = workspace.filter(|root| folder.starts_with(root));
            // `.git` is a file in worktrees and submodules
            let root = || folder.ancestors().find(|above| above.join(".git").exists()).map(Path::to_owned);
            Some((workspace.or_else(root)?, folder))
        });
        let top = config.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { folder, top, resolved }
    }

    /// The path of a file that is named relative to the folder of the top file. Links are resolved, since the annotation
    /// belongs to the file with the line.
    pub(super) fn path(&self, file: &str) -> String {
        let path = self.resolved.as_ref().and_then(|(root, folder)| {
            let below_root = |path: PathBuf| path.strip_prefix(root).map(Path::to_owned).ok();
            let linked = folder.join(file);
            linked.canonicalize().ok().and_then(below_root).or_else(|| below_root(linked))
        });
        let path = path.unwrap_or_else(|| {
            let path = self.folder.join(file);
            // no reader could tell what `..` is relative to
            let leaves = path.components().any(|part| part == Component::ParentDir);
            if leaves { path.canonicalize().unwrap_or(path) } else { path }
        });
        path.components().filter(|part| *part != Component::CurDir).collect::<PathBuf>().display().to_string()
    }

    /// The path of the top file.
    pub(super) fn top_file(&self) -> String {
        self.path(&self.top)
    }

    /// The plan with such paths in its notes and reasons; its digest is not updated.
    pub(super) fn with_paths(&self, plan: &PlanV2) -> PlanV2 {
        let mut plan = plan.clone();
        let origins = plan.notes.iter_mut().map(|note| &mut note.origin);
        for origin in origins.chain(plan.ignored.iter_mut().map(|note| &mut note.origin)) {
            if let Some(in_repository) = self.origin(origin) {
                *origin = in_repository;
            }
        }
        for reason in plan.changes.iter_mut().flat_map(|change| &mut change.reasons) {
            if let Some((words, origin)) = reason.rsplit_once("declared at ")
                && let Some(origin) = self.origin(origin)
            {
                *reason = format!("{words}declared at {origin}");
            }
        }
        plan
    }

    /// These places (address to `file:line`) with such paths.
    pub(super) fn origins(&self, origins: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let of = |(address, origin): (&String, &String)| Some((address.clone(), self.origin(origin)?));
        origins.iter().filter_map(of).collect()
    }

    fn origin(&self, origin: &str) -> Option<String> {
        file_and_line(origin).map(|(file, line)| format!("{}:{line}", self.path(file)))
    }
}

#[cfg(test)]
mod tests;
