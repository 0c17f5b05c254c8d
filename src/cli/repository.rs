//! Places as GitHub finds them: files are named from the root of the repository, where annotations belong to
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>).

use crate::context::Context;
use crate::model::origin::file_and_line;
use crate::plan::PlanV2;
use std::path::{Component, Path, PathBuf};

/// The repository that a configuration lies in, if it lies in one.
pub(crate) struct Repository {
    /// The folder of the top file, as the user named it.
    named: PathBuf,
    /// The root and that folder, both without links.
    real: Option<(PathBuf, PathBuf)>,
}

impl Repository {
    /// `GITHUB_WORKSPACE` where the configuration lies in it, else the nearest folder above that has a `.git`.
    pub(crate) fn of(context: &Context, config: &Path) -> Self {
        let named = config.parent().unwrap_or(Path::new("")).to_owned();
        let folder = Path::new(".").join(&named).canonicalize().ok();
        let real = folder.and_then(|folder| {
            let workspace = context.variable("GITHUB_WORKSPACE").and_then(|path| Path::new(path).canonicalize().ok());
            let workspace = workspace.filter(|root| folder.starts_with(root));
            // a file in worktrees and submodules
            let top = || folder.ancestors().find(|above| above.join(".git").exists()).map(Path::to_owned);
            Some((workspace.or_else(top)?, folder))
        });
        Self { named, real }
    }

    /// A file that is named relative to the folder of the top file. A link is shown as the file that it leads to: that one
    /// has the line.
    pub(crate) fn path(&self, file: &str) -> String {
        let shown = match &self.real {
            Some((root, folder)) => {
                let below = |path: PathBuf| path.strip_prefix(root).map(Path::to_owned).ok();
                let linked = folder.join(file);
                linked.canonicalize().ok().and_then(below).or_else(|| below(linked))
            }
            None => None,
        };
        let shown = shown.unwrap_or_else(|| self.named.join(file));
        shown.components().filter(|part| *part != Component::CurDir).collect::<PathBuf>().display().to_string()
    }

    /// The plan, whose notes name files so. For annotations alone: its digest is still that of the plan as it was.
    pub(crate) fn placed(&self, plan: &PlanV2) -> PlanV2 {
        let mut plan = plan.clone();
        for note in &mut plan.notes {
            if let Some((file, line)) = file_and_line(&note.origin) {
                note.origin = format!("{}:{line}", self.path(file));
            }
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::os::unix::fs::symlink;

    #[test]
    fn files_are_named_from_the_root_of_the_repository() {
        let all = tempfile::tempdir().unwrap();
        let path = |name: &str| all.path().join(name);
        for folder in ["repo/.git", "repo/deploy/teams", "loose"] {
            std::fs::create_dir_all(path(folder)).unwrap();
        }
        #[expect(clippy::disallowed_methods, reason = "tests write what is read")]
        std::fs::write(path("repo/deploy/teams/real.toml"), "").unwrap();
        symlink("teams/real.toml", path("repo/deploy/link.toml")).unwrap();
        symlink("../loose", path("repo/out")).unwrap();
        let named = |workspace: &str, config: &str, file: &str| {
            let workspace = path(workspace).display().to_string();
            let variables = BTreeMap::from([("GITHUB_WORKSPACE".to_owned(), workspace)]);
            Repository::of(&Context::fixed(variables, 0, 1), &path(config)).path(file)
        };
        for (workspace, config, file, expected) in [
            ("none", "repo/deploy/irsa.toml", "irsa.toml", "deploy/irsa.toml"),
            ("none", "repo/irsa.toml", "teams/x.toml", "teams/x.toml"),
            ("none", "repo/deploy/irsa.toml", "link.toml", "deploy/teams/real.toml"),
            ("repo/deploy", "repo/deploy/irsa.toml", "irsa.toml", "irsa.toml"),
            ("", "repo/deploy/irsa.toml", "irsa.toml", "repo/deploy/irsa.toml"),
            ("loose", "repo/deploy/irsa.toml", "irsa.toml", "deploy/irsa.toml"),
        ] {
            assert_eq!(named(workspace, config, file), expected, "{workspace}, {config}, {file}");
        }
        let loose = path("loose/irsa.toml").display().to_string();
        assert_eq!(
            named("repo", "loose/irsa.toml", "irsa.toml"),
            loose,
            "as it was named, outside of all repositories"
        );
    }
}
