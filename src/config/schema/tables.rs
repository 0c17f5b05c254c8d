//! Each kind of table, from TOML to its raw form.

use super::statements::statements;
use super::{
    RawAccount, RawBinding, RawCluster, RawDocument, RawKubernetes, RawLock, RawPolicy, RawRole, RoleDefaults,
};
use crate::config::reader::{TableReader, id};
use crate::ids::{
    AccountId, ClusterName, IamPath, IssuerUrl, Key, LeaseName, Namespace, PolicyName, Region, RoleArn, RoleName,
};
use crate::model::origin::Origin;

pub(super) fn role_defaults(table: &mut TableReader<'_, '_>) -> RoleDefaults {
    RoleDefaults {
        path: table.id("path", IamPath::parse),
        max_session_duration: table.text("max-session-duration"),
        permissions_boundary: table.text("permissions-boundary"),
        tags: table.pairs("tags").unwrap_or_default(),
    }
}

pub(super) fn lock(table: &mut TableReader<'_, '_>) -> RawLock {
    let mut lock = RawLock {
        origin: table.origin.clone(),
        flawed: false,
        cluster: table.text("cluster"),
        namespace: table.id("namespace", Namespace::parse),
        name: table.id("name", LeaseName::parse),
        duration: table.text("duration"),
    };
    lock.flawed = table.finish();
    lock
}

pub(super) fn account(table: &mut TableReader<'_, '_>, origin: Origin) -> RawAccount {
    let mut account = RawAccount {
        origin,
        flawed: false,
        id: table.id("id", AccountId::parse),
        profile: table.text("profile"),
        assume_role: table.id("assume-role", RoleArn::parse),
        external_id: table.text("external-id"),
    };
    account.flawed = table.finish();
    account
}

pub(super) fn cluster(table: &mut TableReader<'_, '_>, origin: Origin) -> RawCluster {
    let mut cluster = RawCluster {
        origin,
        flawed: false,
        account: table.text("account"),
        region: table.id("region", Region::parse),
        name: table.id("name", ClusterName::parse),
        issuer: table.id("issuer", IssuerUrl::parse),
        state: table.text("state"),
        kubernetes: kubernetes(table),
    };
    cluster.flawed = table.finish();
    cluster
}

fn kubernetes(table: &mut TableReader<'_, '_>) -> Option<RawKubernetes> {
    if table.is_text("kubernetes") {
        let word = table.text("kubernetes")?;
        let origin = word.origin.clone();
        let word = Some(word);
        return Some(RawKubernetes { origin, flawed: false, word, kubeconfig: None, context: None, unverified: None });
    }
    let mut table = table.table("kubernetes")?;
    let mut kubernetes = RawKubernetes {
        origin: table.origin.clone(),
        flawed: false,
        word: None,
        kubeconfig: table.text("kubeconfig"),
        context: table.text("context"),
        unverified: table.flag("unverified"),
    };
    kubernetes.flawed = table.finish();
    Some(kubernetes)
}

pub(super) fn policy(table: &mut TableReader<'_, '_>, origin: Origin) -> RawPolicy {
    let mut policy = RawPolicy {
        origin,
        flawed: false,
        name: table.id("name", PolicyName::parse),
        description: table.text("description"),
        path: table.id("path", IamPath::parse),
        tags: table.pairs("tags").unwrap_or_default(),
        document: document(table),
        adopt: table.flag("adopt"),
        adopt_from: table.id("adopt-from", Key::parse),
        prevent_destroy: table.flag("prevent-destroy"),
    };
    policy.flawed = table.finish();
    policy.document.flawed = policy.flawed;
    policy
}

fn document(table: &mut TableReader<'_, '_>) -> RawDocument {
    RawDocument {
        flawed: false,
        file: table.text("file"),
        json: table.text("json"),
        statements: statements(table, "statements"),
    }
}

pub(super) fn role(table: &mut TableReader<'_, '_>, origin: Origin) -> RawRole {
    let inline = table.entries("inline").into_iter().filter_map(|(name, value)| {
        let origin = name.origin.clone();
        let name = id(table.gather, name, PolicyName::parse)?;
        let mut reader = TableReader::of(table.gather, value, format!("inline policy `{}`", name.value), origin)?;
        let mut document = document(&mut reader);
        document.flawed = reader.finish();
        Some((name, document))
    });
    let inline = inline.collect();
    let mut role = RawRole {
        origin,
        flawed: false,
        name: table.id("name", RoleName::parse),
        account: table.text("account"),
        cluster: table.one_or_more("cluster"),
        path: table.id("path", IamPath::parse),
        description: table.text("description"),
        max_session_duration: table.text("max-session-duration"),
        permissions_boundary: table.text("permissions-boundary"),
        tags: table.pairs("tags").unwrap_or_default(),
        attach: table.texts("attach").unwrap_or_default(),
        ignore_attached: table.texts("ignore-attached").unwrap_or_default(),
        inline,
        trust: statements(table, "trust").map(|spot| spot.value).unwrap_or_default(),
        service_accounts: table.texts("service-accounts").unwrap_or_default(),
        adopt: table.flag("adopt"),
        adopt_from: table.id("adopt-from", Key::parse),
        prevent_destroy: table.flag("prevent-destroy"),
    };
    table.reserved(&["state"]);
    role.flawed = table.finish();
    role
}

pub(super) fn binding(table: &mut TableReader<'_, '_>, origin: Origin) -> RawBinding {
    let mut binding = RawBinding {
        origin,
        flawed: false,
        role: table.text("role"),
        cluster: table.one_or_more("cluster"),
        namespace: table.text("namespace"),
        name: table.one_or_more("name"),
        manage: table.text("manage"),
        audience: table.text("audience"),
        token_expiration: table.text("token-expiration"),
        sts_regional_endpoints: table.flag("sts-regional-endpoints"),
        labels: table.pairs("labels").unwrap_or_default(),
        annotations: table.pairs("annotations").unwrap_or_default(),
        allow_wildcard: table.text("allow-wildcard"),
    };
    table.reserved(&["state"]);
    binding.flawed = table.finish();
    binding
}
