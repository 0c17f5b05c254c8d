//! Looks for the programs of the comparison before anything is measured.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// terraform, and a CLI configuration with which it finds its AWS provider on this machine, without a registry
/// (<https://developer.hashicorp.com/terraform/cli/config/config-file#provider-installation>).
#[derive(Debug, Clone)]
pub(crate) struct Terraform {
    pub program: PathBuf,
    pub configuration: PathBuf,
}

impl Terraform {
    /// Finds the program in PATH, and the configuration in `TF_CLI_CONFIG_FILE`. Without that, writes one into `folder` for
    /// the first of the usual folders with a mirror.
    ///
    /// # Errors
    /// If something is missing, with what to do.
    pub(crate) fn find(variable: &dyn Fn(&str) -> Option<OsString>, folder: &Path) -> Result<Self, String> {
        let program = in_path("terraform", variable)?;
        let named = variable("TF_CLI_CONFIG_FILE").map(PathBuf::from);
        if let Some(named) = named.clone().filter(|path| path.is_file()) {
            return Ok(Self { program, configuration: named });
        }
        let user = variable("HOME").map(|home| Path::new(&home).join(".terraform.d/plugins"));
        let system = ["/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins"].map(PathBuf::from);
        let folders: Vec<PathBuf> = user.into_iter().chain(system).collect();
        let Some(mirror) = folders.iter().find(|path| path.join("registry.terraform.io/hashicorp/aws").is_dir()) else {
            let list: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
            let dangling =
                named.map(|path| format!("TF_CLI_CONFIG_FILE names `{}`, which is no file, and ", path.display()));
            return Err(format!(
                "{}there is no mirror of terraform's AWS provider: make one with `terraform providers mirror {}`, or let \
                 TF_CLI_CONFIG_FILE name a configuration with one; looked for `registry.terraform.io/hashicorp/aws` in {}",
                dangling.unwrap_or_default(),
                list[0],
                list.join(", ")
            ));
        };
        let configuration = folder.join("terraformrc");
        let text = format!("provider_installation {{\n  filesystem_mirror {{ path = \"{}\" }}\n}}\n", mirror.display());
        std::fs::write(&configuration, text).map_err(|error| format!("{}: {error}", configuration.display()))?;
        Ok(Self { program, configuration })
    }
}

fn in_path(name: &str, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<PathBuf, String> {
    let path = variable("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| format!("no `{name}` in PATH"))
}
