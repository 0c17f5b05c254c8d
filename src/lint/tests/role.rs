//! Rules on roles and bindings.

use super::Case;
use super::fixture::{Fixture, binding, exact, key, on_role, wild};
use crate::model::desired::{ClusterState, Subject};
use crate::model::note::Severity::{High, Low, Medium};
use crate::model::note::{Note, Severity};
use crate::model::pattern::Pattern;

fn bound(subject: Subject) -> Vec<Note> {
    on_role(|role| role.bindings.push(binding("west", subject)))
}

pub(super) fn cases() -> Vec<Case> {
    let case = |rule, severity, bad, good| Case { rule, severity, bad, good };
    let far = |state| {
        let mut fixture = Fixture::new();
        fixture.app().bindings.push(binding("west", exact("apps", "web")));
        fixture.app().bindings.push(binding("far", exact("apps", "web")));
        fixture.desired.clusters.get_mut(&key("far")).unwrap().state = state;
        fixture.declared()
    };
    let ignored = |pattern: &str| on_role(|role| role.ignore_attached = vec![Pattern::new(pattern)]);
    let session = |seconds| on_role(|role| role.max_session_duration = seconds);
    vec![
        case("IRSA004", High, bound(wild("*", "*")), bound(wild("team-*", "*"))),
        case("IRSA005", Medium, bound(wild("team-*", "*")), bound(wild("*", "*"))),
        case("IRSA005", Medium, bound(wild("*", "web")), bound(wild("apps", "*"))),
        case("IRSA006", Low, bound(wild("apps", "*")), bound(exact("apps", "api"))),
        case("IRSA006", Low, bound(wild("apps", "web-*")), bound(wild("*", "web"))),
        case("IRSA021", Medium, far(ClusterState::Active), far(ClusterState::Gone)),
        case("IRSA023", Medium, bound(exact("apps", "default")), bound(exact("default", "web"))),
        case("IRSA040", High, ignored("*"), ignored("arn:aws:iam::*:policy/audit-*")),
        case("IRSA040", High, ignored("arn:aws:iam::*:policy/?*"), ignored("arn:aws:iam::aws:policy/SecurityAudit")),
        case("IRSA041", Low, session(3601), session(3600)),
    ]
}

#[test]
fn wildcard_binding_quotes_its_reason_and_its_line() {
    let notes = bound(wild("apps", "*"));
    let [note] = &notes[..] else { panic!("{notes:?}") };
    assert_eq!((note.address.as_str(), note.origin.as_str()), ("role/app", "irsa.toml:7"));
    assert_eq!(note.text, "`apps/*` in cluster `west` leaves the name open, because: made on demand");
}

#[test]
fn wildcard_binding_below_the_whole_cluster_fails_no_run() {
    for (namespace, name) in [("apps", "*"), ("*", "web"), ("team-*", "*"), ("*-x", "a-*"), ("kube-system", "*")] {
        let notes = bound(wild(namespace, name));
        assert!(!notes.is_empty() && notes.iter().all(|note| note.severity < Severity::High), "{notes:?}");
    }
}

#[test]
fn default_service_account_has_its_own_address() {
    let notes = bound(exact("apps", "default"));
    assert_eq!(notes[0].address, "service-account/west/apps/default");
    assert_eq!(notes[0].origin, "irsa.toml:7");
}
