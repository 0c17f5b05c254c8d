use super::*;
use crate::apply::report::{Failure, Interrupt, StepOutcome};
use crate::plan::change::Action;

fn report(outcomes: Vec<Outcome>) -> Report {
    let address = "role/a".parse().unwrap();
    let step = |outcome| StepOutcome { address: Clone::clone(&address), action: Action::Update, outcome, note: None };
    Report { outcomes: outcomes.into_iter().map(step).collect(), interrupted: None, lock_lost: None }
}

fn failure(stale: bool, done: &[&str]) -> Outcome {
    let done = done.iter().map(|name| (*name).to_owned()).collect();
    Outcome::Failed(Failure { stale, done, ..Failure::default() })
}

#[test]
fn exit_status_says_whether_something_was_written() {
    let skipped = || Outcome::Skipped("role/b failed".into());
    assert_eq!(status(&report(vec![])), ExitStatus::Success);
    assert_eq!(status(&report(vec![Outcome::Applied, Outcome::AlreadyDone])), ExitStatus::Success);
    assert_eq!(status(&report(vec![failure(false, &[]), skipped()])), ExitStatus::Failure);
    assert_eq!(status(&report(vec![failure(false, &["iam:CreateRole"])])), ExitStatus::Partial);
    assert_eq!(status(&report(vec![failure(true, &[])])), ExitStatus::Partial);
    assert_eq!(status(&report(vec![Outcome::Applied, failure(false, &[])])), ExitStatus::Partial);
    // skipped because the lock was lost
    let mut lost = report(vec![skipped(), skipped()]);
    lost.lock_lost = Some("`them` holds it now".into());
    assert_eq!(status(&lost), ExitStatus::Failure);
    lost.outcomes.extend(report(vec![Outcome::Applied]).outcomes);
    assert_eq!(status(&lost), ExitStatus::Partial);
    let mut interrupted = report(vec![Outcome::Applied, skipped()]);
    interrupted.interrupted = Some(Interrupt::Terminate);
    assert_eq!(status(&interrupted).code(), 143);
}
