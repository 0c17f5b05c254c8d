use super::*;
use crate::ids::IamPath;
use crate::model::desired::GuardLimits;
use crate::plan::tests::kit::{Kit, origin};
use std::time::Duration;

fn texts(desired: &Desired) -> Vec<(String, Severity, String)> {
    notes(desired).into_iter().map(|note| (note.address, note.severity, note.text)).collect()
}

#[test]
fn defaults_give_no_note() {
    assert_eq!(texts(&Kit::new().desired), []);
}

#[test]
fn changed_limits_are_noted_and_looser_ones_are_medium() {
    let mut desired = Kit::new().desired;
    desired.guard.max_delete = 2;
    assert_eq!(texts(&desired), [("guard".to_owned(), Severity::Info, "`max-delete` = 2 (5 by default)".to_owned())]);
    for loosen in [
        (|guard| guard.max_delete = 500) as fn(&mut Guard),
        |guard| guard.max_change_percent = 100,
        |guard| guard.min_existing = usize::MAX,
        |guard| guard.recent_use = Duration::ZERO,
    ] {
        let mut desired = Kit::new().desired;
        loosen(&mut desired.guard);
        assert!(matches!(&texts(&desired)[..], [(_, Severity::Medium, _)]), "{:?}", desired.guard);
    }
    desired.guard.max_delete = 500;
    desired.guard.recent_use = Duration::from_mins(90);
    desired.guard.at_most = GuardLimits { max_delete: Some(3), max_change_percent: None };
    let text =
        "`max-delete` = 500 (5 by default), `recent-use` = 90m (24h by default), limited by `--guard-max-delete` = 3";
    assert_eq!(texts(&desired), [("guard".to_owned(), Severity::Medium, text.to_owned())]);
}

#[test]
fn exceptions_are_noted_with_the_broadest_first() {
    let mut kit = Kit::new();
    kit.role("app", |role| {
        role.ignore_attached = vec![Pattern::new("arn:aws:iam::*:policy/audit-*"), Pattern::new("*")];
    });
    let mut desired = kit.desired;
    desired.ignore_tags = (0..50).map(|number| Pattern::new(format!("tag-{number:02}"))).collect();
    desired.ignore_tags.push(Pattern::new("x".repeat(500)));
    desired.ignore_tags.push(Pattern::new("?*"));
    desired.prune_paths = [IamPath::parse("/legacy/").unwrap()].into();
    desired.forget = vec![("role/old".parse().unwrap(), origin())];
    desired.clusters.values_mut().for_each(|cluster| cluster.kubernetes.unverified = true);
    let notes = texts(&desired);
    let of = |address: &str| &notes.iter().find(|note| note.0 == address).unwrap().2;
    assert_eq!(
        of("ignore-attached"),
        "policies that others may attach: `*` (`role/app`), `arn:aws:iam::*:policy/audit-*` (`role/app`)"
    );
    assert!(of("ignore-tags").contains(": `?*`, `tag-00`") && of("ignore-tags").ends_with(" and 42 more"));
    assert!(of("ignore-tags").len() < 300);
    assert!(of("prune").contains("`/legacy/`") && of("forget").contains("`role/old`"));
    assert!(of("kubernetes.unverified").contains("`east`"));
}
