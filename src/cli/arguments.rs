//! The command line: what may be said, with its help. Values are checked here, meanings elsewhere.

use crate::config::{self, durations};
use crate::model::desired::GuardLimits;
use crate::model::note::Severity;
use crate::model::share::Share;
use crate::render::Format;
use crate::ui::ColorChoice;
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
  0  done, or nothing to do       5  the saved plan is stale or was changed
  1  unexpected or service error  6  applied in part
  2  changes pending              64 wrong usage
  3  configuration invalid        130/143 interrupted
  4  refused";

/// Declarative AWS permissions for Kubernetes pods: one TOML file, diffed against live IAM, EKS and Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "irsa", version, styles = STYLES, after_help = EXIT_CODES, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true, infer_long_args = false)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a commented starter file
    Init(Init),
    /// Check the configuration, offline: syntax, references, AWS limits, lint rules
    Validate(Validate),
    /// Read live state and show what `apply` would do
    Plan(Plan),
    /// Plan (or take a saved plan), ask, and apply
    Apply(Apply),
    /// `plan` for cron: quiet when clean, exit 2 when something differs
    Drift(Drift),
    /// Show a saved plan
    Show(Show),
    /// Print a JSON Schema (draft-07)
    Schema(Schema),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the man page, or write all of them into a folder
    Man(Man),
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The configuration [default: irsa.toml]
    #[arg(short, long, global = true, env = "IRSA_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Only the objects whose address matches, with their dependencies; repeatable
    #[arg(long, global = true, value_name = "GLOB")]
    pub only: Vec<String>,
    /// Requests at a time, for each account and each cluster
    #[arg(long, global = true, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallelism: u16,
    /// The longest that one operation may take, retries included
    #[arg(long, global = true, value_name = "DURATION", default_value = "120s", value_parser = duration)]
    pub timeout: Duration,
    /// Go on although a part of the live state could not be read
    #[arg(long, global = true)]
    pub allow_incomplete: bool,
    /// Lint findings on what is declared, from this severity on, are errors
    #[arg(long, global = true, value_name = "SEVERITY", default_value = "high")]
    pub deny: Deny,
    /// Refuse plans with more deletes; tightens the file's `[guard]`, never loosens it
    #[arg(long, global = true, value_name = "N")]
    pub guard_max_delete: Option<usize>,
    /// Refuse plans that change a larger part of our live objects; tightens the file's `[guard]`, never loosens it
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100))]
    pub guard_max_change_percent: Option<u32>,
    /// The form of the output, where a command has more than one
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub format: FormatName,
    /// When to colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Say nothing but results and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more: each role of others in a plan, on stderr which way live state was read; repeatable
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// The form of what `--verbose` says
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// No progress on stderr
    #[arg(long, global = true)]
    pub no_progress: bool,
}

impl Global {
    /// The path of the configuration.
    pub(crate) fn config(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new(config::DEFAULT))
    }

    pub(crate) fn color(&self) -> ColorChoice {
        match self.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        }
    }

    /// The limits that tighten the file's `[guard]`.
    pub(crate) fn guard(&self) -> GuardLimits {
        GuardLimits { max_delete: self.guard_max_delete, max_change_percent: self.guard_max_change_percent }
    }

    /// From which severity on a finding is an error; nothing if none is.
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
    /// No finding is an error
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatName {
    Text,
    Json,
    Jsonl,
    Markdown,
    Github,
    Html,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Text => Self::Text,
            FormatName::Json => Self::Json,
            FormatName::Jsonl => Self::Jsonl,
            FormatName::Markdown => Self::Markdown,
            FormatName::Github => Self::Github,
            FormatName::Html => Self::Html,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// `irsa init`
#[derive(Debug, Args)]
pub(crate) struct Init {}

/// `irsa validate`
#[derive(Debug, Args)]
pub(crate) struct Validate {}

/// `irsa plan`
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Save the plan for `irsa apply FILE`
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exit with 2 when there are changes
    #[arg(long)]
    pub detailed_exitcode: bool,
    #[command(flatten)]
    pub fleet: Fleet,
    #[command(flatten)]
    pub shape: Shape,
}

/// What is planned of a fleet.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Fleet {
    /// Only share I of N: a stable part of the clusters, with what belongs to them
    #[arg(long, value_name = "I/N", value_parser = Share::from_str)]
    pub shard: Option<Share>,
}

/// What shapes a plan.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Shape {
    /// Plan that everything of this configuration's owner goes away
    #[arg(long)]
    pub destroy: bool,
    /// Take over existing objects that carry no owner
    #[arg(long)]
    pub adopt: bool,
    /// Past the limits of `[guard]`
    #[arg(long)]
    pub force: bool,
    /// Take fields of ServiceAccounts from whichever manager holds them
    #[arg(long)]
    pub force_conflicts: bool,
    /// Leave out what is refused and go on with the rest
    #[arg(long)]
    pub skip_refused: bool,
}

/// `irsa apply`
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// A plan saved by `irsa plan -o FILE`; it asks nothing. What widens it must be said again: --destroy, --adopt,
    /// --force, --force-conflicts, --skip-refused, --allow-incomplete
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Do not ask
    #[arg(long)]
    pub auto_approve: bool,
    /// Apply only if the plan has this `plan-digest`
    #[arg(long, value_name = "DIGEST")]
    pub expect: Option<String>,
    /// How long to wait while another run holds the lock of `[lock]`
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

/// `irsa drift`
#[derive(Debug, Args)]
pub(crate) struct Drift {
    /// A difference counts if a second look this much later shows it too
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub confirm_after: Duration,
    /// Write metrics for Prometheus' textfile collector
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
    #[command(flatten)]
    pub fleet: Fleet,
}

/// `irsa show`
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// A plan saved by `irsa plan -o FILE`
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// `irsa schema`
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Of what
    #[arg(value_name = "WHAT", default_value = "config")]
    pub of: SchemaOf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// `irsa.toml`
    Config,
    /// A plan, as saved and as `--format json` prints it
    Plan,
    /// What `irsa apply --format json` prints
    Report,
}

/// `irsa completions`
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `irsa man`
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write a page for each command into this folder
    #[arg(short, long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
}
