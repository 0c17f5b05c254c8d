//! Pod identity associations, which give a role to the pods of a ServiceAccount without an annotation
//! (<https://docs.aws.amazon.com/eks/latest/APIReference/API_PodIdentityAssociation.html>).

use super::cluster::EksCluster;
use super::page::page;
use super::{Context, in_use, input, invalid, letters, not_found, seconds};
use crate::aws::query::{AwsError, Params};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// An association.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Association {
    arn: String,
    namespace: String,
    service_account: String,
    role_arn: String,
    target_role_arn: Option<String>,
    disable_session_tags: bool,
    policy: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
    created: Timestamp,
    modified: Timestamp,
    /// The ARN of the add-on that created the association.
    owner_arn: Option<String>,
    request_token: Option<String>,
}

impl Association {
    /// Reads an association from a request, or from an add-on's request in the add-on's namespace.
    pub(super) fn read(
        context: &Context<'_>,
        namespace: &str,
        body: &Value,
        owner_arn: Option<&str>,
    ) -> Result<Self, AwsError> {
        let service_account = input::required(body, "serviceAccount")?;
        let role_arn = input::required(body, "roleArn")?;
        check_role_exists(context, role_arn)?;
        let association = Self {
            arn: String::new(),
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
            role_arn: role_arn.to_owned(),
            target_role_arn: input::text(body, "targetRoleArn").map(str::to_owned),
            disable_session_tags: body["disableSessionTags"].as_bool().unwrap_or(false),
            policy: input::text(body, "policy").map(str::to_owned),
            tags: input::tags(body)?,
            created: context.now,
            modified: context.now,
            owner_arn: owner_arn.map(str::to_owned),
            request_token: input::text(body, "clientRequestToken").map(str::to_owned),
        };
        association.check_policy()?;
        Ok(association)
    }

    /// A session policy requires that session tags are disabled
    /// (<https://docs.aws.amazon.com/eks/latest/APIReference/API_CreatePodIdentityAssociation.html>).
    fn check_policy(&self) -> Result<(), AwsError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        if !self.disable_session_tags {
            return Err(invalid("disableSessionTags must be true when policy is specified."));
        }
        match serde_json::from_str(policy) {
            Ok(Value::Object(_)) => Ok(()),
            _ => Err(invalid("The policy is not a valid JSON policy document.")),
        }
    }

    /// Whether the other is a retry of the same request, by its client request token.
    fn same_request(&self, other: &Self) -> bool {
        let asked =
            |one: &Self| Self { arn: String::new(), created: self.created, modified: self.created, ..one.clone() };
        self.request_token.is_some() && asked(self) == asked(other)
    }

    pub(super) fn is_of(&self, namespace: &str, service_account: &str) -> bool {
        self.namespace == namespace && self.service_account == service_account
    }

    /// Rejects changes to an association that an add-on owns. Only UpdateAddon and DeleteAddon may change and delete
    /// it.
    fn check_not_owned(&self) -> Result<(), AwsError> {
        match &self.owner_arn {
            None => Ok(()),
            Some(owner) => Err(AwsError::new(
                400,
                "InvalidRequestException",
                format!("The pod identity association is owned by the add-on {owner} and cannot be modified directly."),
            )),
        }
    }
}

/// Checks that the role exists in IAM. EKS ignores the role's path.
fn check_role_exists(context: &Context<'_>, role_arn: &str) -> Result<(), AwsError> {
    if (context.role_exists)(role_arn) {
        return Ok(());
    }
    Err(invalid("Role provided in the request does not exist."))
}

fn no_association(id: &str) -> AwsError {
    not_found(format!("The pod identity association with id {id} was not found."))
}

impl EksCluster {
    fn summary(&self, id: &str, association: &Association) -> Value {
        json!({
            "clusterName": self.name,
            "namespace": association.namespace,
            "serviceAccount": association.service_account,
            "associationArn": association.arn,
            "associationId": id,
            "ownerArn": association.owner_arn,
        })
    }

    fn show_association(&self, id: &str) -> Result<Value, AwsError> {
        let association = self.associations.get(id).ok_or_else(|| no_association(id))?;
        let mut shown = self.summary(id, association);
        shown["roleArn"] = json!(association.role_arn);
        shown["tags"] = json!(association.tags);
        shown["createdAt"] = seconds(association.created);
        shown["modifiedAt"] = seconds(association.modified);
        shown["disableSessionTags"] = json!(association.disable_session_tags);
        if let Some(policy) = &association.policy {
            shown["policy"] = json!(policy);
        }
        if let Some(target) = &association.target_role_arn {
            shown["targetRoleArn"] = json!(target);
            // The target role's trust policy can require this value as `sts:ExternalId`.
            shown["externalId"] = json!(super::unique_id(&association.arn));
        }
        Ok(json!({"association": shown}))
    }

    /// The id of a ServiceAccount's association.
    fn association_of(&self, namespace: &str, service_account: &str) -> Option<&String> {
        let found = |(_, one): &(&String, &Association)| one.is_of(namespace, service_account);
        self.associations.iter().find(found).map(|(id, _)| id)
    }

    /// Adds an association under a new id.
    pub(super) fn add_association(&mut self, mut association: Association) -> Result<String, AwsError> {
        if let Some(id) = self.association_of(&association.namespace, &association.service_account) {
            if self.associations[id].same_request(&association) {
                return Ok(id.clone());
            }
            return Err(in_use(format!("Association already exists: {id}")));
        }
        self.made += 1;
        let seed = format!("{}/{}", self.arn, self.made);
        let id = format!("a-{}", letters(&seed, b"abcdefghijklmnopqrstuvwxyz0123456789", 17));
        association.arn = self.place.arn(format_args!("podidentityassociation/{}/{id}", self.name));
        self.associations.insert(id.clone(), association);
        Ok(id)
    }

    pub(super) fn create_association(&mut self, context: &Context<'_>, body: &Value) -> Result<Value, AwsError> {
        let namespace = input::required(body, "namespace")?;
        let id = self.add_association(Association::read(context, namespace, body, None)?)?;
        self.show_association(&id)
    }

    /// ListPodIdentityAssociations, whose summaries do not contain the role.
    pub(super) fn list_associations(&self, query: &Params) -> Result<Value, AwsError> {
        let fits = |name: &str, value: &str| query.text(name).is_none_or(|wanted| wanted == value);
        page("associations", &self.associations, query, |id, association| {
            let wanted =
                fits("namespace", &association.namespace) && fits("serviceAccount", &association.service_account);
            wanted.then(|| self.summary(id, association))
        })
    }

    pub(super) fn describe_association(&self, id: &str) -> Result<Value, AwsError> {
        self.show_association(id)
    }

    pub(super) fn update_association(
        &mut self,
        context: &Context<'_>,
        id: &str,
        body: &Value,
    ) -> Result<Value, AwsError> {
        let association = self.associations.get_mut(id).ok_or_else(|| no_association(id))?;
        association.check_not_owned()?;
        let mut changed = association.clone();
        if let Some(role_arn) = input::text(body, "roleArn") {
            check_role_exists(context, role_arn)?;
            role_arn.clone_into(&mut changed.role_arn);
        }
        // An empty target role or policy removes it.
        for (name, field) in [("targetRoleArn", &mut changed.target_role_arn), ("policy", &mut changed.policy)] {
            if let Some(value) = body[name].as_str() {
                *field = Some(value.to_owned()).filter(|value| !value.is_empty());
            }
        }
        if let Some(disable) = body["disableSessionTags"].as_bool() {
            changed.disable_session_tags = disable;
        }
        changed.check_policy()?;
        changed.modified = context.now;
        *association = changed;
        self.show_association(id)
    }

    pub(super) fn delete_association(&mut self, id: &str) -> Result<Value, AwsError> {
        let shown = self.show_association(id)?;
        self.associations[id].check_not_owned()?;
        self.associations.remove(id);
        Ok(shown)
    }

    /// The ARNs of the associations that an add-on owns.
    pub(super) fn associations_of(&self, owner_arn: &str) -> Vec<&str> {
        let owned = self.associations.values().filter(|one| one.owner_arn.as_deref() == Some(owner_arn));
        owned.map(|one| one.arn.as_str()).collect()
    }

    /// Deletes the associations that an add-on owns. With `preserve`, keeps them but removes the owner.
    pub(super) fn drop_associations_of(&mut self, owner_arn: &str, preserve: bool) {
        let owned = |one: &Association| one.owner_arn.as_deref() == Some(owner_arn);
        if preserve {
            for one in self.associations.values_mut().filter(|one| owned(one)) {
                one.owner_arn = None;
            }
        } else {
            self.associations.retain(|_, one| !owned(one));
        }
    }
}
