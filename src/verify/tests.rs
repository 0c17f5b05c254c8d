//! Rules that need no world: sessions of a role, and the worst link of a chain.

use super::*;
use crate::ids::RoleArn;
use crate::model::evidence::{ClusterEvidence, Webhook, WebhookList, is_session_of};
use crate::model::live::Observed;
use crate::plan::tests::kit::{Kit, binding, key};
use crate::plan::tests::simulate;
use std::collections::BTreeMap;

#[test]
fn session_belongs_to_the_role_of_its_account_and_name() {
    let role = RoleArn::parse("arn:aws:iam::111122223333:role/irsa/me/app").expect("an ARN");
    for (caller, expected) in [
        ("arn:aws:sts::111122223333:assumed-role/app/irsa-verify", true),
        ("arn:aws:sts::444455556666:assumed-role/app/irsa-verify", false),
        ("arn:aws:sts::111122223333:assumed-role/app2/irsa-verify", false),
        ("arn:aws-cn:sts::111122223333:assumed-role/app/irsa-verify", false),
        ("arn:aws:iam::111122223333:user/app", false),
        ("", false),
    ] {
        assert_eq!(is_session_of(caller, &role), expected, "{caller}");
    }
}

#[test]
fn broken_link_decides_over_an_unseen_one() {
    let mut statuses = [Status::Failed, Status::Ok, Status::Unknown, Status::NotApplicable];
    statuses.sort();
    assert_eq!(statuses, [Status::Ok, Status::NotApplicable, Status::Unknown, Status::Failed]);
}

/// The role `app` for one ServiceAccount of the cluster `east`, applied.
fn applied() -> Kit {
    let mut kit = Kit::new();
    kit.role("app", |role| role.bindings = vec![binding("east", "worker")]);
    let plan = kit.plan();
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    kit
}

#[test]
fn chain_whose_account_or_cluster_was_not_read_keeps_its_row() {
    let mut kit = applied();
    let chains = Chain::all(&kit.desired, &[]);
    let evidence = Evidence::default();
    let first = |live: &Live| verify(&kit.desired, live, &evidence, &chains).swap_remove(0);
    assert!(first(&kit.live).links.iter().any(|link| link.status == Status::Ok));
    let cluster = kit.live.clusters.remove(&key("east"));
    let row = first(&kit.live);
    assert_eq!(row.links.len(), LinkKind::ALL.len());
    for link in &row.links {
        assert_eq!((link.status, link.text.as_str()), (Status::Unknown, "cluster `east` was not read"));
    }
    kit.live.clusters.extend(cluster.map(|cluster| (key("east"), cluster)));
    kit.live.accounts.clear();
    assert_eq!(first(&kit.live).links[0].text, "account `default` was not read");
}

#[test]
fn account_with_other_credentials_is_unseen_with_a_hint() {
    let mut kit = applied();
    kit.wrong_account();
    let row = verify(&kit.desired, &kit.live, &Evidence::default(), &Chain::all(&kit.desired, &[])).swap_remove(0);
    let provider = row.links.iter().find(|link| link.kind == LinkKind::Provider).expect("the link");
    assert_eq!(provider.status, Status::Unknown, "{}", provider.text);
    assert!(!provider.hints.is_empty() && !provider.hints[0].is_empty(), "{}", provider.text);
}

#[test]
fn authority_that_was_not_read_is_no_stale_bundle() {
    let kit = applied();
    let webhook = Webhook {
        configuration: "pod-identity-webhook".to_owned(),
        name: "iam-for-pods.amazonaws.com".to_owned(),
        index: 0,
        in_cluster: false,
        ca_bundle: Some(vec![vec![1]]),
        namespace_selector: crate::model::evidence::Selector::default(),
        object_selector: crate::model::evidence::Selector::default(),
        covers_pods: true,
        has_conditions: false,
    };
    let judged = |authority: Observed<Vec<Vec<u8>>>| {
        let cluster = ClusterEvidence {
            authority,
            webhooks: Observed::Present(WebhookList { items: vec![webhook.clone()], malformed: Vec::new() }),
            namespace_labels: Observed::Present(BTreeMap::new()),
            pods: BTreeMap::new(),
            replica_sets: BTreeMap::new(),
            associations: Observed::Absent,
        };
        let evidence = Evidence { clusters: [(key("east"), cluster)].into(), ..Evidence::default() };
        let mut rows = verify(&kit.desired, &kit.live, &evidence, &Chain::all(&kit.desired, &[]));
        let link = rows.swap_remove(0).links.into_iter().find(|link| link.kind == LinkKind::Webhook).unwrap();
        (link.status, link.text)
    };
    assert_eq!(judged(Observed::Present(vec![vec![1]])).0, Status::Ok);
    assert_eq!(judged(Observed::Present(vec![vec![2]])).0, Status::Failed);
    let (status, text) = judged(Observed::Unknown("why".to_owned()));
    assert_eq!((status, text.as_str()), (Status::Unknown, "the cluster's authority: why"));
}

#[test]
fn names_in_command_lines_are_quoted_where_a_shell_needs_it() {
    for (text, expected) in [
        ("deployment/web", "deployment/web"),
        ("arn:aws:eks:eu-west-1:111122223333:cluster/main", "arn:aws:eks:eu-west-1:111122223333:cluster/main"),
        ("web; reboot", "'web; reboot'"),
        ("$(reboot)", "'$(reboot)'"),
        ("it's", "'it'\\''s'"),
        ("", "''"),
    ] {
        assert_eq!(shell_word(text), expected);
    }
}
