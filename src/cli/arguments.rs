//! The command line: flags, values and help texts. Checks single values; the commands check combinations.

use crate::config;
use crate::ids::{ClusterName, Key, Region};
use crate::model::desired::GuardLimits;
use crate::model::durations;
use crate::model::note::Severity;
use crate::model::shard::Shard;
use crate::render::Format;
use crate::ui::ColorChoice;
use clap::builder::PossibleValue;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXIT_CODES: &str = "\
Exit codes:
  0  done, or nothing to do       5  the plan is stale or was changed
  1  unexpected or service error  6  applied in part
  2  changes pending              7  verify: a broken link
  3  configuration invalid        64 wrong usage
  4  refused                      130/143 interrupted";

/// Manage the AWS permissions of Kubernetes pods: compare one TOML file with live IAM, EKS and Kubernetes, show the
/// difference, and apply it.
#[derive(Debug, Parser)]
#[command(name = "irsa", version, styles = STYLES, after_help = EXIT_CODES, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true, infer_long_args = false)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a commented irsa.toml
    Init(Init),
    /// Write a configuration for the roles and ServiceAccounts that exist
    Import(Import),
    /// Check the configuration offline: syntax, references, AWS limits, lint rules
    Validate(Validate),
    /// Read the live objects and show what `irsa apply` would do
    Plan(Plan),
    /// Show the plan, ask, and apply it; or apply a saved plan
    Apply(Apply),
    /// Report changes made outside irsa (for cron: prints nothing if there are none)
    Drift(Drift),
    /// Show a saved plan
    Show(Show),
    /// Show which ServiceAccounts may do an action, or what a role may do
    Access(Access),
    /// Prove for each ServiceAccount that its pods get the role
    Verify(Verify),
    /// Say what a lint rule, a note, a refusal, an exit code or an address means
    Explain(Explain),
    /// Print the JSON Schema (draft-07) of the configuration, a plan or a report
    Schema(Schema),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the man page, or write the page of each command to a folder
    Man(Man),
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The configuration file [default: irsa.toml]
    #[arg(short, long, global = true, env = "IRSA_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Process only objects whose address matches, and what they depend on; repeatable
    #[arg(long, global = true, value_name = "GLOB")]
    pub only: Vec<String>,
    /// Maximum number of concurrent requests to each account and each cluster
    #[arg(long, global = true, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallelism: u16,
    /// Maximum time for one operation, including its retries
    #[arg(long, global = true, value_name = "DURATION", default_value = "120s", value_parser = limit)]
    pub timeout: Duration,
    /// Continue even if some objects could not be read; irsa does not change or delete these
    #[arg(long, global = true)]
    pub allow_incomplete: bool,
    /// Fail on lint findings in declared objects at or above this severity
    #[arg(long, global = true, value_name = "SEVERITY", default_value = "high")]
    pub deny: Deny,
    /// Refuse a plan with more deletes; can only tighten `[guard]`
    #[arg(long, global = true, value_name = "N")]
    pub guard_max_delete: Option<usize>,
    /// Refuse a plan that changes a larger percentage of this owner's objects; can only tighten `[guard]`
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100))]
    pub guard_max_change_percent: Option<u32>,
    /// Output format; not every command has all of them
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
    /// Write the JSON form of the result to this file too; `-` is stdout
    #[arg(long, global = true, value_name = "FILE")]
    pub json_into: Option<PathBuf>,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
    /// Print only results and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Show every field of each change and every note, and print the number of requests to stderr; repeatable
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Format of what `--verbose` prints
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Do not show progress on stderr
    #[arg(long, global = true)]
    pub no_progress: bool,
}

impl Global {
    pub(crate) fn config(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new(config::DEFAULT))
    }

    /// The limits that tighten the file's `[guard]`.
    pub(crate) fn guard(&self) -> GuardLimits {
        GuardLimits { max_delete: self.guard_max_delete, max_change_percent: self.guard_max_change_percent }
    }

    /// The lowest severity of a finding that is an error. None if no finding is.
    pub(crate) fn deny(&self) -> Option<Severity> {
        match self.deny {
            Deny::Info => Some(Severity::Info),
            Deny::Low => Some(Severity::Low),
            Deny::Medium => Some(Severity::Medium),
            Deny::High => Some(Severity::High),
            Deny::Critical => Some(Severity::Critical),
            Deny::None => None,
        }
    }
}

/// A duration in which something can happen.
fn limit(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("it must be longer than zero".to_owned()),
        time => Ok(time),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    durations::parse(text)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Deny {
    Info,
    Low,
    Medium,
    High,
    Critical,
    /// Never fail on a finding
    None,
}

/// Makes an enum of another module the value of a flag.
macro_rules! flag_value {
    ($type:ty { $($name:literal => $value:expr,)* }) => {
        impl ValueEnum for $type {
            fn value_variants<'a>() -> &'a [Self] {
                &[$($value),*]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                let names = [$(($value, $name)),*];
                names.into_iter().find(|(value, _)| value == self).map(|(_, name)| PossibleValue::new(name))
            }
        }
    };
}

flag_value!(Format {
    "text" => Self::Text,
    "json" => Self::Json,
    "jsonl" => Self::Jsonl,
    "markdown" => Self::Markdown,
    "github" => Self::Github,
    "html" => Self::Html,
    "sarif" => Self::Sarif,
    "junit" => Self::Junit,
});

flag_value!(ColorChoice {
    "auto" => Self::Auto,
    "always" => Self::Always,
    "never" => Self::Never,
});

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Init {}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Search this region for EKS clusters; repeatable [default: AWS_REGION, then the profile's]
    #[arg(long, value_name = "REGION")]
    pub region: Vec<Region>,
    /// Import only this EKS cluster, or the cluster of this key in --config; repeatable [default: all in the regions]
    #[arg(long, value_name = "NAME")]
    pub cluster: Vec<ClusterName>,
    /// Import the account of this profile of the shared AWS configuration; repeatable [default: the account of the
    /// credentials]
    #[arg(long, value_name = "PROFILE")]
    pub account_profile: Vec<String>,
    /// Import only ServiceAccounts of matching namespaces, and their roles; repeatable
    #[arg(long, value_name = "GLOB")]
    pub namespace: Vec<String>,
    /// Import only roles with a matching name; repeatable
    #[arg(long, value_name = "GLOB")]
    pub role: Vec<String>,
    /// The owner of the new configuration. With --config, the result is added to that configuration and has its owner
    #[arg(long, value_name = "NAME")]
    pub owner: Option<Key>,
    /// The folder for the new files, which is created; existing files are never overwritten
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Save the plan for `irsa apply FILE`; `-` is stdout, and the text goes to stderr
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exit 2 if there are changes
    #[arg(long)]
    pub detailed_exitcode: bool,
    #[command(flatten)]
    pub fleet: Fleet,
    #[command(flatten)]
    pub shape: Shape,
}

#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Fleet {
    /// Process only shard I of N: a fixed subset of clusters and their objects
    #[arg(long, value_name = "I/N", value_parser = Shard::from_str)]
    pub shard: Option<Shard>,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Shape {
    /// Plan to delete every object of this owner
    #[arg(long)]
    pub destroy: bool,
    /// Adopt existing roles and policies that have no owner tag
    #[arg(long)]
    pub adopt: bool,
    /// Apply even if the plan exceeds `[guard]`
    #[arg(long)]
    pub force: bool,
    /// Take conflicting ServiceAccount fields from other field managers
    #[arg(long)]
    pub force_conflicts: bool,
    /// Skip refused objects and apply the rest
    #[arg(long)]
    pub skip_refused: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// A plan saved by `irsa plan -o FILE`, or `-` for stdin; irsa applies it without asking. If it was made with --destroy,
    /// --adopt, --force, --force-conflicts, --skip-refused or --allow-incomplete, repeat these flags
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Apply without asking
    #[arg(long)]
    pub auto_approve: bool,
    /// Apply only if the plan has this `plan-digest`
    #[arg(long, value_name = "DIGEST")]
    pub expect: Option<String>,
    /// After the writes, verify the ServiceAccounts they touched (exit 7 if a link is broken)
    #[arg(long)]
    pub verify: bool,
    /// How long to wait if another run holds the lock of `[lock]`
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub lock_timeout: Duration,
    /// Do not take the lock of `[lock]`
    #[arg(long, conflicts_with = "lock_timeout")]
    pub no_lock: bool,
    #[command(flatten)]
    pub fleet: Fleet,
    #[command(flatten)]
    pub shape: Shape,
}

#[derive(Debug, Args)]
pub(crate) struct Drift {
    /// Read again after this time, and report only what both reads show
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub confirm_after: Duration,
    /// Write metrics to this file, for Prometheus' textfile collector; `-` is stdout, and the text goes to stderr
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
    #[command(flatten)]
    pub fleet: Fleet,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// A plan saved by `irsa plan -o FILE`, or `-` for stdin
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Access {
    /// An action such as `s3:GetObject` or `s3:*`; or an address such as `role/reports`, for all that it may do
    #[arg(value_name = "ACTION|ADDRESS")]
    pub what: String,
    /// The resource, as an ARN with or without wildcards
    #[arg(value_name = "RESOURCE", default_value = "*")]
    pub resource: String,
    /// Judge the configuration instead of the live objects, offline
    #[arg(long)]
    pub declared: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// `IRSA004`, a word that a plan prints (`foreign-trust`, `no-owner`), `exit-4`, or an address such as `role/reports`,
    /// for which irsa reads the live object. Without it, irsa lists all words
    #[arg(value_name = "WHAT")]
    pub what: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Do not call STS: leave out the link `assume`
    #[arg(long)]
    pub no_assume: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// What to print the schema of
    #[arg(value_name = "WHAT", default_value = "config")]
    pub of: SchemaOf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// `irsa.toml`
    Config,
    /// A plan, as saved and as `--format json` prints it
    Plan,
    /// The report that `irsa apply --format json` prints
    Report,
    /// What `irsa validate --format json` prints
    Validation,
    /// What `irsa verify --format json` prints
    Verification,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write a page for each command to this folder
    #[arg(short, long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
}
