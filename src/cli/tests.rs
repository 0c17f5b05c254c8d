use super::*;
use clap::CommandFactory;

#[test]
fn clap_accepts_the_definition() {
    Cli::command().debug_assert();
}

#[test]
fn usage_error_is_64_and_help_is_0() {
    let status = |line: &[&str]| Cli::try_parse_from(line).map(|_| ()).map_err(|error| print_usage(&error).code());
    assert_eq!(status(&["irsa", "--help"]), Err(0));
    assert_eq!(status(&["irsa", "--version"]), Err(0));
    assert_eq!(status(&["irsa"]), Err(64));
    assert_eq!(status(&["irsa", "plan", "--no-such"]), Err(64));
    assert_eq!(status(&["irsa", "plan", "--parallelism", "0"]), Err(64));
    assert_eq!(status(&["irsa", "plan", "--timeout", "soon"]), Err(64));
    assert_eq!(status(&["irsa", "verify", "--timeout", "0s"]), Err(64));
    assert_eq!(status(&["irsa", "graph"]), Err(64), "a future command");
    assert_eq!(status(&["irsa", "plan"]), Ok(()));
}
