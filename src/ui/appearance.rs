//! Chooses colour, width and progress from the flags, the terminal and the environment.

use super::ColorChoice;
use crate::context::Context;
use crate::render::Style;
use std::ops::RangeInclusive;

/// Longer lines are hard to read; a narrower terminal wraps lines itself.
const WIDTHS: RangeInclusive<usize> = 60..=160;
const DEFAULT_WIDTH: usize = 100;

/// The style of a stream. `columns` is the width of the terminal, if known. Only lines on a terminal are wrapped.
pub(super) fn style(color: ColorChoice, columns: Option<usize>, is_terminal: bool, context: &Context) -> Style {
    let style = if has_color(color, is_terminal, context) { Style::colored() } else { Style::plain() };
    let columns = context.variable("COLUMNS").and_then(|text| text.parse().ok()).or(columns);
    let width = columns.unwrap_or(DEFAULT_WIDTH).clamp(*WIDTHS.start(), *WIDTHS.end());
    style.with_width(is_terminal.then_some(width))
}

/// Follows <https://no-color.org> and <https://bixense.com/clicolors/>.
fn has_color(color: ColorChoice, is_terminal: bool, context: &Context) -> bool {
    let is = |name: &str, value: &str| context.variable(name) == Some(value);
    let set = |name: &str| context.variable(name).is_some();
    match color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto if set("NO_COLOR") => false,
        ColorChoice::Auto if set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0") => true,
        ColorChoice::Auto if is("CLICOLOR", "0") || is("TERM", "dumb") => false,
        ColorChoice::Auto => is_terminal && (cfg!(windows) || set("TERM") || set("CLICOLOR")),
    }
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProgressMode {
    None,
    Bar,
    Lines,
}

/// A bar on a terminal, lines in a CI job, else nothing: cron mails every line.
pub(super) fn progress(is_hidden: bool, is_terminal: bool, context: &Context) -> ProgressMode {
    let is_ci = context.variable("CI").is_some_and(|value| value != "false" && value != "0");
    if is_hidden {
        ProgressMode::None
    } else if is_terminal && context.variable("TERM") != Some("dumb") {
        ProgressMode::Bar
    } else if is_ci {
        ProgressMode::Lines
    } else {
        ProgressMode::None
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
    fn flag_then_environment_then_terminal_decide_on_colour() {
        let auto = |terminal, variables: &[(&str, &str)]| has_color(ColorChoice::Auto, terminal, &context(variables));
        assert!(auto(true, &[("TERM", "xterm")]));
        assert!(!auto(false, &[("TERM", "xterm")]));
        assert!(!auto(true, &[("TERM", "dumb")]));
        assert!(!auto(true, &[("TERM", "xterm"), ("NO_COLOR", "1")]));
        assert!(auto(true, &[("TERM", "xterm"), ("NO_COLOR", "")]));
        assert!(!auto(true, &[("TERM", "xterm"), ("CLICOLOR", "0")]));
        assert!(auto(false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!auto(false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!auto(false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
        assert!(has_color(ColorChoice::Always, false, &context(&[("NO_COLOR", "1")])));
        assert!(!has_color(ColorChoice::Never, true, &context(&[("CLICOLOR_FORCE", "1")])));
    }

    #[test]
    fn only_a_terminal_has_a_width() {
        let style = |columns, is_terminal, context: &Context| style(ColorChoice::Never, columns, is_terminal, context);
        let none = context(&[]);
        assert_eq!(style(Some(80), false, &none), Style::plain());
        assert_eq!(style(Some(80), true, &none), Style::plain().with_width(Some(80)));
        assert_eq!(style(Some(20), true, &none), Style::plain().with_width(Some(60)));
        assert_eq!(style(Some(400), true, &none), Style::plain().with_width(Some(160)));
        assert_eq!(style(None, true, &none), Style::plain().with_width(Some(100)));
        assert_eq!(style(Some(80), true, &context(&[("COLUMNS", "120")])), Style::plain().with_width(Some(120)));
    }

    #[test]
    fn progress_is_a_bar_on_a_terminal_and_lines_in_ci() {
        let (ci, none) = (context(&[("CI", "true")]), context(&[]));
        assert_eq!(progress(false, true, &none), ProgressMode::Bar);
        assert_eq!(progress(false, true, &ci), ProgressMode::Bar);
        assert_eq!(progress(false, false, &ci), ProgressMode::Lines);
        assert_eq!(progress(false, false, &none), ProgressMode::None);
        assert_eq!(progress(false, false, &context(&[("CI", "false")])), ProgressMode::None);
        assert_eq!(progress(false, true, &context(&[("TERM", "dumb")])), ProgressMode::None);
        assert_eq!(progress(true, true, &none), ProgressMode::None);
        assert_eq!(progress(true, true, &ci), ProgressMode::None);
    }
}
