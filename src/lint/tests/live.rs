//! Rules on live accounts, and who is looked at.

use super::Case;
use super::kit::{EAST, Kit, binding, document, exact, key, on_live};
use crate::model::desired::ClusterState;
use crate::model::live::{Access, Observed};
use crate::model::marks::{ADDRESS, OWNER};
use crate::model::note::Note;
use crate::model::note::Severity::{Info, Medium};
use crate::policy::PolicyDocument;
use serde_json::json;

const OLD: &str = "oidc.example.com/id/old";

/// An old provider, marked as that of a cluster.
fn old(cluster: &str, change: impl FnOnce(&mut Kit)) -> Vec<Note> {
    on_live(|kit| {
        kit.provider(OLD, |provider| {
            provider.tags.insert(ADDRESS.to_owned(), format!("oidc-provider/default/{cluster}"));
        });
        change(kit);
    })
}

pub(super) fn cases() -> Vec<Case> {
    let foreign = |kit: &mut Kit| kit.provider(OLD, |provider| provider.tags.clear());
    let unseen = |kit: &mut Kit| {
        kit.live.clusters.get_mut(&key("west")).unwrap().issuer = Observed::Unknown("timed out".into());
    };
    let absent = |kit: &mut Kit| kit.live.clusters.get_mut(&key("west")).unwrap().issuer = Observed::Absent;
    let gone = |kit: &mut Kit| kit.desired.clusters.get_mut(&key("west")).unwrap().state = ClusterState::Gone;
    let stale = |bad, good| Case { rule: "IRSA017", severity: Medium, bad, good };
    let many = |count: usize| {
        on_live(|kit| {
            (2..count).for_each(|index| {
                kit.provider(&format!("oidc.example.com/id/{index}"), |provider| provider.tags.clear());
            });
        })
    };
    let audience = |bound: bool, asked: bool| {
        on_live(|kit| {
            kit.provider(EAST, |provider| {
                provider.audiences.insert("vault".into());
            });
            kit.app().bindings.clear();
            if bound {
                kit.app().bindings.push(binding("east", exact("apps", "web")));
                kit.app().bindings[0].audience = asked.then(|| "vault".to_owned());
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
fn declared_and_owned_roles_are_looked_at_and_no_others() {
    let notes = on_live(|kit| {
        kit.live_role("stranger", |role| role.trust = open_trust());
        kit.live_role("left", |role| {
            role.trust = open_trust();
            role.tags.insert(OWNER.to_owned(), "team".to_owned());
        });
        kit.live_role("theirs", |role| {
            role.trust = open_trust();
            role.tags.insert(OWNER.to_owned(), "others".to_owned());
        });
        kit.live_role("app", |role| role.trust = open_trust());
    });
    let seen: Vec<(&str, &str)> = notes.iter().map(|note| (note.address.as_str(), note.text.as_str())).collect();
    let text = "principal `*` is everyone in every account, and no condition says who";
    assert_eq!(
        seen,
        [
            ("account/default", format!("role `left`: live trust: statement 1: {text}").as_str()),
            ("role/app", format!("live trust: statement 1: {text}").as_str()),
        ]
    );
}

#[test]
fn a_binding_of_the_default_service_account_is_found_once() {
    let mut kit = Kit::new();
    kit.provider(EAST, |_| {});
    kit.app().bindings = vec![binding("east", exact("apps", "default"))];
    kit.live_role("app", |_| {});
    assert_eq!(kit.live(), []);
    let of_default = kit.declared().into_iter().filter(|note| note.rule == "IRSA023").count();
    assert_eq!(of_default, 1);
    kit.app().bindings = vec![binding("east", exact("apps", "web"))];
    let told: Vec<String> = kit.live().into_iter().map(|note| note.rule).collect();
    assert_eq!(told, ["IRSA023"], "what is live and not declared is found");
}

#[test]
fn a_provider_that_takes_no_audience_is_told_as_such() {
    let mut kit = Kit::new();
    kit.live_role("app", |_| {});
    for issuer in [EAST, super::kit::WEST] {
        kit.provider(issuer, |provider| provider.audiences.clear());
    }
    let notes = kit.live();
    let found = notes.iter().find(|note| note.rule == "IRSA003").expect("a finding");
    assert!(found.text.ends_with("audience `sts.amazonaws.com` is none of the provider's, which takes none at all"));
}

#[test]
fn what_could_not_be_seen_is_not_judged() {
    let mut kit = Kit::new();
    kit.live_role("app", |_| {});
    kit.account().providers.clear();
    assert_eq!(kit.live().len(), 1, "the provider is missing");
    kit.account().providers_listed = Observed::Unknown("denied".into());
    assert_eq!(kit.live(), []);
    kit.account().providers_listed = Observed::Present(());
    kit.account().identity = Access::Wrong("another account".into(), String::new());
    assert_eq!(kit.live(), []);
    kit.live.accounts.clear();
    assert_eq!(kit.live(), []);
}
