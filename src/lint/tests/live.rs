//! Rules on live accounts, and which live objects are checked.

use super::Case;
use super::fixture::{EAST, Fixture, binding, document, exact, key, on_live};
use crate::model::desired::ClusterState;
use crate::model::live::{Access, Observed};
use crate::model::marks::{ADDRESS, OWNER};
use crate::model::note::Note;
use crate::model::note::Severity::{Info, Medium};
use crate::model::refusal::RefusalKind;
use crate::policy::PolicyDocument;
use serde_json::json;

const OLD: &str = "oidc.example.com/id/old";

/// A provider with another issuer and the address tag of a cluster.
fn old(cluster: &str, change: impl FnOnce(&mut Fixture)) -> Vec<Note> {
    on_live(|fixture| {
        fixture.provider(OLD, |provider| {
            provider.tags.insert(ADDRESS.to_owned(), format!("oidc-provider/default/{cluster}"));
        });
        change(fixture);
    })
}

pub(super) fn cases() -> Vec<Case> {
    let foreign = |fixture: &mut Fixture| fixture.provider(OLD, |provider| provider.tags.clear());
    let unseen = |fixture: &mut Fixture| {
        fixture.live.clusters.get_mut(&key("west")).unwrap().issuer = Observed::Unknown("timed out".into());
    };
    let absent = |fixture: &mut Fixture| fixture.live.clusters.get_mut(&key("west")).unwrap().issuer = Observed::Absent;
    let gone =
        |fixture: &mut Fixture| fixture.desired.clusters.get_mut(&key("west")).unwrap().state = ClusterState::Gone;
    let stale = |bad, good| Case { rule: "IRSA017", severity: Medium, bad, good };
    let many = |count: usize| {
        on_live(|fixture| {
            (2..count).for_each(|index| {
                fixture.provider(&format!("oidc.example.com/id/{index}"), |provider| provider.tags.clear());
            });
        })
    };
    let audience = |bound: bool, asked: bool| {
        on_live(|fixture| {
            fixture.provider(EAST, |provider| {
                provider.audiences.insert("vault".into());
            });
            fixture.app().bindings.clear();
            if bound {
                fixture.app().bindings.push(binding("east", exact("apps", "web")));
                fixture.app().bindings[0].audience = asked.then(|| "vault".to_owned());
            }
        })
    };
    vec![
        stale(old("west", |_| {}), old("west", foreign)),
        stale(old("west", absent), old("west", unseen)),
        stale(old("west", gone), old("west", unseen)),
        stale(old("undeclared", |_| {}), old("undeclared", unseen)),
        Case { rule: "IRSA019", severity: Info, bad: many(81), good: many(80) },
        Case { rule: "IRSA020", severity: Medium, bad: audience(true, false), good: audience(true, true) },
        Case { rule: "IRSA020", severity: Medium, bad: audience(true, false), good: audience(false, false) },
    ]
}

fn open_trust() -> PolicyDocument {
    document(&json!({"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}))
}

#[test]
fn only_declared_and_owned_roles_are_checked() {
    let notes = on_live(|fixture| {
        fixture.live_role("stranger", |role| role.trust = open_trust());
        fixture.live_role("left", |role| {
            role.trust = open_trust();
            role.tags.insert(OWNER.to_owned(), "team".to_owned());
        });
        fixture.live_role("theirs", |role| {
            role.trust = open_trust();
            role.tags.insert(OWNER.to_owned(), "others".to_owned());
        });
        fixture.live_role("app", |role| role.trust = open_trust());
    });
    let seen: Vec<(&str, &str)> = notes.iter().map(|note| (note.address.as_str(), note.text.as_str())).collect();
    let text = "principal `*` is everyone in every account, and no condition limits that";
    assert_eq!(
        seen,
        [
            ("account/default", format!("role `left`: live trust: statement 1: {text}").as_str()),
            ("role/app", format!("live trust: statement 1: {text}").as_str()),
        ]
    );
}

#[test]
fn default_service_account_of_a_binding_is_reported_once() {
    let mut fixture = Fixture::new();
    fixture.provider(EAST, |_| {});
    fixture.app().bindings = vec![binding("east", exact("apps", "default"))];
    fixture.live_role("app", |_| {});
    assert_eq!(fixture.live(), []);
    let of_default = fixture.declared().into_iter().filter(|note| note.rule == "IRSA023").count();
    assert_eq!(of_default, 1);
    fixture.app().bindings = vec![binding("east", exact("apps", "web"))];
    let told: Vec<String> = fixture.live().into_iter().map(|note| note.rule).collect();
    assert_eq!(told, ["IRSA023"], "what is live and not declared is found");
}

#[test]
fn provider_without_audiences_is_reported() {
    let mut fixture = Fixture::new();
    fixture.live_role("app", |_| {});
    for issuer in [EAST, super::fixture::WEST] {
        fixture.provider(issuer, |provider| provider.audiences.clear());
    }
    let notes = fixture.live();
    let found = notes.iter().find(|note| note.rule == "IRSA003").expect("a finding");
    assert!(found.text.ends_with("does not accept audience `sts.amazonaws.com` (it accepts none)"));
}

#[test]
fn unknown_state_has_no_findings() {
    let mut fixture = Fixture::new();
    fixture.live_role("app", |_| {});
    fixture.account().providers.clear();
    assert_eq!(fixture.live().len(), 1, "the provider is missing");
    fixture.account().providers_listed = Observed::Unknown("denied".into());
    assert_eq!(fixture.live(), []);
    fixture.account().providers_listed = Observed::Present(());
    fixture.account().identity = Access::Wrong(RefusalKind::WrongAccount.because("another account", ""));
    assert_eq!(fixture.live(), []);
    fixture.live.accounts.clear();
    assert_eq!(fixture.live(), []);
}
