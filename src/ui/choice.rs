//! Colour, width and progress from what was asked, the terminal and the environment. Pure.

use super::ColorChoice;
use crate::context::Context;
use crate::render::Style;

/// Wider lines are not read, narrower terminals break them themselves.
const WIDTHS: std::ops::RangeInclusive<usize> = 60..=160;
/// Where the terminal does not say.
const WIDTH: usize = 100;

/// What holds for every stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Looks {
    pub color: ColorChoice,
    /// The width of the terminal, if there is one.
    pub columns: Option<usize>,
}

impl Looks {
    /// The looks of a stream that is a terminal, or is not. A log is not broken into lines.
    pub(crate) fn style(&self, terminal: bool, context: &Context) -> Style {
        let style = if colored(self.color, terminal, context) { Style::colored() } else { Style::plain() };
        let columns = context.variable("COLUMNS").and_then(|text| text.parse().ok()).or(self.columns);
        style.with_width(terminal.then(|| columns.unwrap_or(WIDTH).clamp(*WIDTHS.start(), *WIDTHS.end())))
    }
}

/// <https://no-color.org>, <https://bixense.com/clicolors/>
fn colored(color: ColorChoice, terminal: bool, context: &Context) -> bool {
    let is = |name: &str, value: &str| context.variable(name) == Some(value);
    let set = |name: &str| context.variable(name).is_some();
    match color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto if set("NO_COLOR") => false,
        ColorChoice::Auto if set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0") => true,
        ColorChoice::Auto if is("CLICOLOR", "0") || is("TERM", "dumb") => false,
        ColorChoice::Auto => terminal && (cfg!(windows) || set("TERM") || set("CLICOLOR")),
    }
}

/// How progress is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    None,
    Bar,
    Lines,
}

/// A bar on a terminal, lines in a CI job. Elsewhere nothing: cron sends mail for every line.
pub(crate) fn progress(quiet: bool, wanted: bool, terminal: bool, context: &Context) -> Progress {
    let ci = context.variable("CI").is_some_and(|value| value != "false" && value != "0");
    if quiet || !wanted {
        Progress::None
    } else if terminal && context.variable("TERM") != Some("dumb") {
        Progress::Bar
    } else if ci {
        Progress::Lines
    } else {
        Progress::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn context(variables: &[(&str, &str)]) -> Context {
        let variables: BTreeMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Context::fixed(variables, 0, 1)
    }

    #[test]
    fn colour_is_decided_by_flag_then_environment_then_terminal() {
        let auto = |terminal, variables: &[(&str, &str)]| colored(ColorChoice::Auto, terminal, &context(variables));
        assert!(auto(true, &[("TERM", "xterm")]));
        assert!(!auto(false, &[("TERM", "xterm")]));
        assert!(!auto(true, &[("TERM", "dumb")]));
        assert!(!auto(true, &[("TERM", "xterm"), ("NO_COLOR", "1")]));
        assert!(auto(true, &[("TERM", "xterm"), ("NO_COLOR", "")]));
        assert!(!auto(true, &[("TERM", "xterm"), ("CLICOLOR", "0")]));
        assert!(auto(false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!auto(false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!auto(false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
        assert!(colored(ColorChoice::Always, false, &context(&[("NO_COLOR", "1")])));
        assert!(!colored(ColorChoice::Never, true, &context(&[("CLICOLOR_FORCE", "1")])));
    }

    #[test]
    fn lines_are_broken_on_a_terminal_only() {
        let looks = |columns| Looks { color: ColorChoice::Never, columns };
        let none = context(&[]);
        assert_eq!(looks(Some(80)).style(false, &none), Style::plain());
        assert_eq!(looks(Some(80)).style(true, &none), Style::plain().with_width(Some(80)));
        assert_eq!(looks(Some(20)).style(true, &none), Style::plain().with_width(Some(60)));
        assert_eq!(looks(Some(400)).style(true, &none), Style::plain().with_width(Some(160)));
        assert_eq!(looks(None).style(true, &none), Style::plain().with_width(Some(100)));
        assert_eq!(looks(Some(80)).style(true, &context(&[("COLUMNS", "120")])), Style::plain().with_width(Some(120)));
    }

    #[test]
    fn progress_is_a_bar_lines_or_nothing() {
        let (ci, none) = (context(&[("CI", "true")]), context(&[]));
        assert_eq!(progress(false, true, true, &none), Progress::Bar);
        assert_eq!(progress(false, true, true, &ci), Progress::Bar);
        assert_eq!(progress(false, true, false, &ci), Progress::Lines);
        assert_eq!(progress(false, true, false, &none), Progress::None);
        assert_eq!(progress(false, true, false, &context(&[("CI", "false")])), Progress::None);
        assert_eq!(progress(false, true, true, &context(&[("TERM", "dumb")])), Progress::None);
        assert_eq!(progress(true, true, true, &none), Progress::None);
        assert_eq!(progress(false, false, true, &ci), Progress::None);
    }
}
