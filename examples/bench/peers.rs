//! What others take for the same roles, beside irsa in one run: terraform with its AWS provider, and boto3 scripts.

use crate::figures::Walls;
use crate::fleet::{Fleet, account_id};
use crate::world::{Cost, World, ended};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// A plan in the ambient credentials' own account.
pub(crate) const IRSA: &str = "irsa plan";
/// The same when nothing was run for a while.
pub(crate) const COLD: &str = "irsa plan, after two seconds of nothing";
/// A plan in an account that declares its id, which is checked before anything else is asked.
pub(crate) const CHECKED: &str = "irsa plan, the account's id declared";
/// A plan of terraform's.
pub(crate) const TERRAFORM: &str = "terraform plan";

/// terraform, with a sandbox of its own and as many roles as it was asked for.
pub(crate) struct Terraform {
    pub world: World,
    folder: tempfile::TempDir,
    program: PathBuf,
    configuration: Option<std::ffi::OsString>,
}

impl Terraform {
    /// Makes the roles. It needs `terraform` in PATH, and a mirror of the AWS provider that `TF_CLI_CONFIG_FILE` names.
    pub(crate) async fn with(roles: usize) -> io::Result<Self> {
        let world = World::of(&Fleet { files: 0, clusters: 0, ..Fleet::of(0) }).await?;
        let folder = tempfile::Builder::new().prefix("irsa-bench-").tempdir()?;
        fs::write(folder.path().join("main.tf"), source(roles))?;
        let configuration = std::env::var_os("TF_CLI_CONFIG_FILE");
        let this = Self { world, folder, program: found("terraform")?, configuration };
        for arguments in [&["init", "-input=false"][..], &["apply", "-auto-approve", "-input=false"]] {
            ended(&this.command(arguments).output().await?, 0)?;
        }
        Ok(this)
    }

    /// A plan that finds no change: 2 would be changes.
    pub(crate) async fn plan(&self) -> io::Result<Cost> {
        self.world.measured(self.command(&["plan", "-detailed-exitcode", "-input=false", "-no-color"]), 0).await
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command(&self.program, arguments);
        command.current_dir(self.folder.path()).env("CHECKPOINT_DISABLE", "1");
        if let Some(configuration) = &self.configuration {
            command.env("TF_CLI_CONFIG_FILE", configuration);
        }
        command
    }
}

/// A role with trust, tags, one inline and one attached policy, so many times, and a provider.
fn source(roles: usize) -> String {
    let mut text = String::from(
        r#"provider "aws" {
  region = "eu-west-1"
}

resource "aws_iam_openid_connect_provider" "cluster" {
  url            = "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
  client_id_list = ["sts.amazonaws.com"]
}
"#,
    );
    let account = account_id(0);
    for number in 0..roles {
        // writing to a String cannot fail
        let _ = write!(
            text,
            r#"
resource "aws_iam_role" "role_{number}" {{
  name = "role-{number:05}"
  path = "/irsa/fleet/"
  tags = {{ team = "team-000", cost = "fleet" }}
  assume_role_policy = jsonencode({{
    Version = "2012-10-17"
    Statement = [{{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = {{ Federated = aws_iam_openid_connect_provider.cluster.arn }}
      Condition = {{ StringEquals = {{
        "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF:aud" = "sts.amazonaws.com"
        "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF:sub" = "system:serviceaccount:team-000:worker-{number:05}-0"
      }} }}
    }}]
  }})
}}

resource "aws_iam_role_policy" "queue_{number}" {{
  name   = "queue"
  role   = aws_iam_role.role_{number}.name
  policy = jsonencode({{
    Version   = "2012-10-17"
    Statement = [{{ Effect = "Allow", Action = "sqs:SendMessage", Resource = "arn:aws:sqs:eu-west-1:{account}:queue-{number:05}" }}]
  }})
}}

resource "aws_iam_role_policy_attachment" "read_{number}" {{
  role       = aws_iam_role.role_{number}.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess"
}}
"#
        );
    }
    text
}

/// A boto3 script's run over the roles.
pub(crate) async fn boto3(world: &World, python: &Path, way: &str, names: &[String]) -> io::Result<Cost> {
    let script = world.folder().join("readers.py");
    let list = world.folder().join("names.txt");
    fs::write(&script, include_str!("readers.py"))?;
    fs::write(&list, names.join("\n"))?;
    let (script, list) = (script.display().to_string(), list.display().to_string());
    let cost = world.measured(world.command(python, &[&script, way, &list]), 0).await?;
    if cost.printed.trim() == names.len().to_string() {
        Ok(cost)
    } else {
        Err(io::Error::other(format!("boto3 read {} of {} roles", cost.printed.trim(), names.len())))
    }
}

/// A program in PATH.
fn found(name: &str) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
    places.find(|path| path.is_file()).ok_or_else(|| io::Error::other(format!("no `{name}` in PATH")))
}

/// What one took beside irsa, at a latency.
#[derive(Debug)]
pub(crate) struct Beside {
    pub name: String,
    pub latency: u64,
    pub calls: usize,
    pub walls: Walls,
}
