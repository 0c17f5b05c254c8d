//! Somebody else in the same account: plain SDK clients that do not use irsa.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_iam::types::Tag;
use std::collections::{BTreeMap, BTreeSet};
use tokio::runtime::Runtime;

/// Clients for one account of a sandbox or stand-in.
pub(crate) struct Someone {
    runtime: Runtime,
    iam: aws_sdk_iam::Client,
    eks: aws_sdk_eks::Client,
    sts: aws_sdk_sts::Client,
}

impl Someone {
    /// Clients with the access key `key` at this endpoint.
    pub(crate) fn at(endpoint: &str, key: &str) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let region = aws_config::Region::new("eu-west-1");
        let credentials = SharedCredentialsProvider::new(Credentials::new(key, "test", None, None, "tests"));
        let config = runtime.block_on(
            aws_config::defaults(aws_config::BehaviorVersion::latest())
                .region(region)
                .http_client(aws_smithy_http_client::Builder::new().build_http())
                .endpoint_url(endpoint)
                .credentials_provider(credentials)
                .app_name(aws_config::AppName::new("tests").expect("a name"))
                .load(),
        );
        let (iam, eks) = (aws_sdk_iam::Client::new(&config), aws_sdk_eks::Client::new(&config));
        Self { runtime, iam, eks, sts: aws_sdk_sts::Client::new(&config) }
    }

    fn wait<T, E: std::error::Error>(&self, call: impl Future<Output = Result<T, E>>) -> T {
        self.runtime.block_on(call).unwrap_or_else(|error| panic!("{}", deep(&error)))
    }

    /// Assumes a role. Returns the access key id, secret key and token of the session.
    pub(crate) fn assume(&self, role: &str, session: &str) -> (String, String, String) {
        let answer = self.wait(self.sts.assume_role().role_arn(role).role_session_name(session).send());
        let credentials = answer.credentials.expect("credentials");
        (credentials.access_key_id, credentials.secret_access_key, credentials.session_token)
    }

    /// Creates an EKS cluster. Returns its issuer.
    pub(crate) fn create_cluster(&self, name: &str) -> String {
        let network = aws_sdk_eks::types::VpcConfigRequest::builder().build();
        let role = "arn:aws:iam::111122223333:role/eks";
        self.wait(self.eks.create_cluster().name(name).role_arn(role).resources_vpc_config(network).send());
        let cluster = self.wait(self.eks.describe_cluster().name(name).send()).cluster.expect("a cluster");
        cluster.identity.and_then(|identity| identity.oidc).and_then(|oidc| oidc.issuer).expect("an issuer")
    }

    /// Creates an EKS Pod Identity association.
    pub(crate) fn associate(&self, cluster: &str, namespace: &str, service_account: &str, role: &str) {
        let call = self.eks.create_pod_identity_association().cluster_name(cluster).namespace(namespace);
        self.wait(call.service_account(service_account).role_arn(role).send());
    }

    pub(crate) fn delete_provider(&self, arn: &str) {
        self.wait(self.iam.delete_open_id_connect_provider().open_id_connect_provider_arn(arn).send());
    }

    pub(crate) fn trust(&self, role: &str) -> serde_json::Value {
        let answer = self.wait(self.iam.get_role().role_name(role).send());
        let text = answer.role.and_then(|role| role.assume_role_policy_document).unwrap_or_default();
        let text = percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned();
        serde_json::from_str(&text).expect("JSON")
    }

    pub(crate) fn set_trust(&self, role: &str, trust: &serde_json::Value) {
        self.wait(self.iam.update_assume_role_policy().role_name(role).policy_document(trust.to_string()).send());
    }

    /// Whether the role exists.
    pub(crate) fn has_role(&self, role: &str) -> bool {
        self.runtime.block_on(self.iam.get_role().role_name(role).send()).is_ok()
    }

    /// The role's id. Each new role of the same name gets a new id.
    pub(crate) fn role_id(&self, role: &str) -> String {
        self.wait(self.iam.get_role().role_name(role).send()).role.expect("a role").role_id
    }

    pub(crate) fn create_role(&self, role: &str, trust: &serde_json::Value, tags: &[(&str, &str)]) {
        let mut call = self.iam.create_role().role_name(role).assume_role_policy_document(trust.to_string());
        for (key, value) in tags {
            call = call.tags(tag(key, value));
        }
        self.wait(call.send());
    }

    pub(crate) fn role_tags(&self, role: &str) -> BTreeMap<String, String> {
        let answer = self.wait(self.iam.list_role_tags().role_name(role).send());
        answer.tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
    }

    pub(crate) fn tag_role(&self, role: &str, key: &str, value: &str) {
        self.wait(self.iam.tag_role().role_name(role).tags(tag(key, value)).send());
    }

    pub(crate) fn untag_role(&self, role: &str, key: &str) {
        self.wait(self.iam.untag_role().role_name(role).tag_keys(key).send());
    }

    pub(crate) fn attach(&self, role: &str, arn: &str) {
        self.wait(self.iam.attach_role_policy().role_name(role).policy_arn(arn).send());
    }

    pub(crate) fn detach(&self, role: &str, arn: &str) {
        self.wait(self.iam.detach_role_policy().role_name(role).policy_arn(arn).send());
    }

    pub(crate) fn attached(&self, role: &str) -> BTreeSet<String> {
        let answer = self.wait(self.iam.list_attached_role_policies().role_name(role).send());
        answer.attached_policies.unwrap_or_default().into_iter().filter_map(|policy| policy.policy_arn).collect()
    }

    pub(crate) fn put_inline(&self, role: &str, name: &str, document: &serde_json::Value) {
        let call = self.iam.put_role_policy().role_name(role).policy_name(name);
        self.wait(call.policy_document(document.to_string()).send());
    }

    pub(crate) fn inline_names(&self, role: &str) -> BTreeSet<String> {
        self.wait(self.iam.list_role_policies().role_name(role).send()).policy_names.into_iter().collect()
    }

    pub(crate) fn create_policy(&self, name: &str, document: &serde_json::Value, tags: &[(&str, &str)]) -> String {
        let mut call = self.iam.create_policy().policy_name(name).policy_document(document.to_string());
        for (key, value) in tags {
            call = call.tags(tag(key, value));
        }
        self.wait(call.send()).policy.and_then(|policy| policy.arn).expect("an ARN")
    }

    pub(crate) fn policy_versions(&self, arn: &str) -> usize {
        self.wait(self.iam.list_policy_versions().policy_arn(arn).send()).versions.unwrap_or_default().len()
    }

    pub(crate) fn has_policy(&self, arn: &str) -> bool {
        self.runtime.block_on(self.iam.get_policy().policy_arn(arn).send()).is_ok()
    }

    pub(crate) fn set_boundary(&self, role: &str, arn: &str) {
        self.wait(self.iam.put_role_permissions_boundary().role_name(role).permissions_boundary(arn).send());
    }

    pub(crate) fn boundary(&self, role: &str) -> Option<String> {
        let role = self.wait(self.iam.get_role().role_name(role).send()).role?;
        role.permissions_boundary?.permissions_boundary_arn
    }

    pub(crate) fn create_provider(&self, issuer: &str, audiences: &[&str]) -> String {
        let call = self.iam.create_open_id_connect_provider().url(issuer);
        let audiences = audiences.iter().map(|audience| (*audience).to_owned()).collect();
        let call = call.set_client_id_list(Some(audiences)).thumbprint_list("9e99a48a9960b14926bb7f3b02e22da2b0ab7280");
        self.wait(call.send()).open_id_connect_provider_arn.expect("an ARN")
    }

    pub(crate) fn providers(&self) -> BTreeSet<String> {
        let answer = self.wait(self.iam.list_open_id_connect_providers().send());
        answer.open_id_connect_provider_list.unwrap_or_default().into_iter().filter_map(|entry| entry.arn).collect()
    }

    pub(crate) fn audiences(&self, arn: &str) -> BTreeSet<String> {
        let answer = self.wait(self.iam.get_open_id_connect_provider().open_id_connect_provider_arn(arn).send());
        answer.client_id_list.unwrap_or_default().into_iter().collect()
    }

    pub(crate) fn provider_tags(&self, arn: &str) -> BTreeMap<String, String> {
        let answer = self.wait(self.iam.get_open_id_connect_provider().open_id_connect_provider_arn(arn).send());
        answer.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect()
    }

    pub(crate) fn remove_audience(&self, arn: &str, audience: &str) {
        let call = self.iam.remove_client_id_from_open_id_connect_provider().open_id_connect_provider_arn(arn);
        self.wait(call.client_id(audience).send());
    }

    /// Whether a ServiceAccount token gets the role.
    pub(crate) fn token_gets_role(&self, role_arn: &str, token: &str) -> bool {
        let call = self.sts.assume_role_with_web_identity().role_arn(role_arn).role_session_name("pod");
        self.runtime.block_on(call.web_identity_token(token).send()).is_ok()
    }

    pub(crate) fn put_in_instance_profile(&self, role: &str) {
        let name = format!("{role}-profile");
        self.wait(self.iam.create_instance_profile().instance_profile_name(&name).send());
        self.wait(self.iam.add_role_to_instance_profile().instance_profile_name(&name).role_name(role).send());
    }
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().expect("a key and a value")
}

/// An SDK error with all its causes.
fn deep(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
