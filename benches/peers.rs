//! Runs terraform with its AWS provider, and boto3 scripts, on the same roles, to compare them with irsa.

use crate::figures::Walls;
use crate::fleet::{Fleet, account_id};
use crate::world::{Cost, World, ended};
use crate::{Arguments, needed};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// The number of roles in the comparison.
pub(crate) const ROLES: usize = 100;

/// A plan in the account of the credentials.
pub(crate) const IRSA: &str = "irsa plan";
/// The same plan after a pause.
pub(crate) const COLD: &str = "irsa plan, after two idle seconds";
/// A plan in an account with a declared id, which irsa checks before it sends anything else.
pub(crate) const CHECKED: &str = "irsa plan, the account's id declared";
/// A plan by terraform.
pub(crate) const TERRAFORM: &str = "terraform plan";

/// The time limit for starting another program.
const READY: Duration = Duration::from_mins(2);

/// The programs that run beside irsa.
#[derive(Default)]
pub(crate) struct Peers {
    pub terraform: Option<Ready>,
    pub python: Option<PathBuf>,
}

impl Peers {
    /// Looks for the programs that the arguments name, and tries each.
    ///
    /// # Errors
    /// If something is missing.
    pub(crate) async fn find(arguments: &Arguments) -> io::Result<Self> {
        let terraform = if arguments.terraform { Some(Ready::find().await?) } else { None };
        let python = arguments.boto3.as_ref().map(|python| anywhere(python)).transpose()?;
        if let Some(python) = &python {
            let mut command = Command::new(python);
            command.args(["-c", "import boto3"]).stdin(Stdio::null()).kill_on_drop(true);
            tried(command)
                .await
                .map_err(|error| io::Error::other(format!("{} has no boto3: {error}", python.display())))?;
        }
        Ok(Self { terraform, python })
    }
}

/// The absolute path of a program that runs in other folders too.
fn anywhere(program: &Path) -> io::Result<PathBuf> {
    // does not resolve a link, because Python finds its virtual environment by it
    if program.components().count() > 1 { std::path::absolute(program) } else { Ok(program.to_owned()) }
}

async fn tried(mut command: Command) -> io::Result<()> {
    let output = tokio::time::timeout(READY, command.output()).await;
    ended(&output.map_err(|_| io::Error::other(format!("it takes more than {} s", READY.as_secs())))??, 0)
}

/// terraform with its provider, in a new folder.
pub(crate) struct Ready {
    found: needed::Terraform,
    folder: tempfile::TempDir,
}

impl Ready {
    async fn find() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("irsa-bench-").tempdir()?;
        let found = needed::Terraform::find(&|name| std::env::var_os(name), folder.path()).map_err(io::Error::other)?;
        fs::write(folder.path().join("main.tf"), source(ROLES))?;
        let mut command = Command::new(&found.program);
        command.args(["init", "-input=false", "-no-color"]).current_dir(folder.path()).stdin(Stdio::null());
        command.env("TF_CLI_CONFIG_FILE", &found.configuration).env("CHECKPOINT_DISABLE", "1").kill_on_drop(true);
        let lacking = |error| io::Error::other(format!("`terraform init` finds no AWS provider: {error}"));
        tried(command).await.map_err(lacking)?;
        Ok(Self { found, folder })
    }
}

/// terraform, with a sandbox of its own and the same number of roles as irsa.
pub(crate) struct Terraform<'a> {
    pub world: World,
    ready: &'a Ready,
}

impl<'a> Terraform<'a> {
    /// Creates the roles.
    pub(crate) async fn with(ready: &'a Ready) -> io::Result<Self> {
        let world = World::of(&Fleet { files: 0, clusters: 0, ..Fleet::of(0) }).await?;
        let this = Self { world, ready };
        ended(&this.command(&["apply", "-auto-approve", "-input=false"]).output().await?, 0)?;
        Ok(this)
    }

    /// A plan without changes. Exit code 2 would mean changes.
    pub(crate) async fn plan(&self) -> io::Result<Cost> {
        self.world.measured(self.command(&["plan", "-detailed-exitcode", "-input=false", "-no-color"]), 0).await
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command(&self.ready.found.program, arguments);
        command.current_dir(self.ready.folder.path()).env("CHECKPOINT_DISABLE", "1");
        command.env("TF_CLI_CONFIG_FILE", &self.ready.found.configuration);
        command
    }
}

/// An OIDC provider, and roles with trust, tags, one inline and one attached policy each.
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

/// Runs a boto3 script over the roles.
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

/// The figures of one program at one latency.
#[derive(Debug)]
pub(crate) struct Beside {
    pub name: String,
    pub latency: u64,
    pub calls: usize,
    pub walls: Walls,
}
