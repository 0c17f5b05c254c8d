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
