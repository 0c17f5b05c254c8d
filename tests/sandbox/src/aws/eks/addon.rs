//! Add-ons, as far as they give roles to ServiceAccounts
//! (<https://docs.aws.amazon.com/eks/latest/APIReference/API_Addon.html>).

use super::association::Association;
use super::cluster::EksCluster;
use super::page::page;
use super::{Context, Making, in_use, input, invalid, not_found, seconds, unique_id};
use crate::aws::query::{AwsError, Params};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The AWS add-ons, each with the namespace that it runs in
/// (<https://docs.aws.amazon.com/eks/latest/userguide/workloads-add-ons-available-eks.html>).
const NAMES: &[(&str, &str)] = &[
    ("adot", "opentelemetry-operator-system"),
    ("amazon-cloudwatch-observability", "amazon-cloudwatch"),
    ("aws-ebs-csi-driver", "kube-system"),
    ("aws-efs-csi-driver", "kube-system"),
    ("aws-guardduty-agent", "amazon-guardduty"),
    ("aws-mountpoint-s3-csi-driver", "kube-system"),
    ("coredns", "kube-system"),
    ("eks-node-monitoring-agent", "kube-system"),
    ("eks-pod-identity-agent", "kube-system"),
    ("kube-proxy", "kube-system"),
    ("metrics-server", "kube-system"),
    ("snapshot-controller", "kube-system"),
    ("vpc-cni", "kube-system"),
];

/// An add-on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addon {
    pub(super) arn: String,
    version: String,
    role_arn: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
    created: Timestamp,
    modified: Timestamp,
    making: Making,
    /// How many times the add-on was updated.
    updates: u64,
}

fn no_addon(name: &str) -> AwsError {
    not_found(format!("No addon: {name} found in cluster"))
}

impl EksCluster {
    fn show_addon(&self, name: &str, status: &str) -> Result<Value, AwsError> {
        let addon = self.addons.get(name).ok_or_else(|| no_addon(name))?;
        let mut shown = json!({
            "addonName": name,
            "clusterName": self.name,
            "status": status,
            "addonVersion": addon.version,
            "health": {"issues": []},
            "addonArn": addon.arn,
            "createdAt": seconds(addon.created),
            "modifiedAt": seconds(addon.modified),
            "tags": addon.tags,
        });
        if let Some(role_arn) = &addon.role_arn {
            shown["serviceAccountRoleArn"] = json!(role_arn);
        }
        let associations = self.associations_of(&addon.arn);
        if !associations.is_empty() {
            shown["podIdentityAssociations"] = json!(associations);
        }
        Ok(json!({"addon": shown}))
    }

    pub(super) fn create_addon(&mut self, context: &Context<'_>, body: &Value) -> Result<Value, AwsError> {
        let name = input::required(body, "addonName")?;
        let (_, namespace) = NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| invalid(format!("Addon {name} specified is not supported")))?;
        if self.addons.contains_key(name) {
            return Err(in_use("Addon already exists."));
        }
        let seed = format!("{}/{name}/{}", self.arn, self.made);
        let arn = context.place.arn(format_args!("addon/{}/{name}/{}", self.name, unique_id(&seed)));
        let wanted = body["podIdentityAssociations"].as_array().into_iter().flatten();
        let wanted: Vec<Association> =
            wanted.map(|one| Association::read(context, namespace, one, Some(&arn))).collect::<Result<_, _>>()?;
        let addon = Addon {
            arn: arn.clone(),
            version: input::text(body, "addonVersion").unwrap_or("v1.0.0-eksbuild.1").to_owned(),
            role_arn: input::text(body, "serviceAccountRoleArn").map(str::to_owned),
            tags: input::tags(body)?,
            created: context.now,
            modified: context.now,
            making: context.making,
            updates: 0,
        };
        for association in wanted {
            if let Err(error) = self.add_association(association) {
                self.drop_associations_of(&arn, false);
                return Err(error);
            }
        }
        self.addons.insert(name.to_owned(), addon);
        self.show_addon(name, "CREATING")
    }

    pub(super) fn list_addons(&self, query: &Params) -> Result<Value, AwsError> {
        page("addons", &self.addons, query, |name, _| Some(json!(name)))
    }

    pub(super) fn describe_addon(&mut self, name: &str) -> Result<Value, AwsError> {
        let addon = self.addons.get_mut(name).ok_or_else(|| no_addon(name))?;
        let status = addon.making.look();
        self.show_addon(name, status)
    }

    /// UpdateAddon. Given associations replace all of the add-on's associations; without the field they stay
    /// (<https://docs.aws.amazon.com/eks/latest/userguide/update-addon-role.html>).
    pub(super) fn update_addon(&mut self, context: &Context<'_>, name: &str, body: &Value) -> Result<Value, AwsError> {
        let addon = self.addons.get(name).ok_or_else(|| no_addon(name))?;
        if addon.making.goes_on() {
            return Err(in_use(format!("Addon {name} is being created.")));
        }
        let (_, namespace) = NAMES.iter().find(|(known, _)| *known == name).ok_or_else(|| no_addon(name))?;
        let arn = addon.arn.clone();
        if let Some(wanted) = body["podIdentityAssociations"].as_array() {
            let read = |one: &Value| Association::read(context, namespace, one, Some(&arn));
            let wanted: Vec<Association> = wanted.iter().map(read).collect::<Result<_, _>>()?;
            let before = self.associations.clone();
            self.drop_associations_of(&arn, false);
            for association in wanted {
                if let Err(error) = self.add_association(association) {
                    self.associations = before;
                    return Err(error);
                }
            }
        }
        let addon = self.addons.get_mut(name).ok_or_else(|| no_addon(name))?;
        if let Some(version) = input::text(body, "addonVersion") {
            version.clone_into(&mut addon.version);
        }
        if let Some(role_arn) = input::text(body, "serviceAccountRoleArn") {
            addon.role_arn = Some(role_arn.to_owned());
        }
        addon.modified = context.now;
        addon.updates += 1;
        Ok(json!({"update": {
            "id": unique_id(&format!("{arn}/{}", addon.updates)),
            "status": "InProgress",
            "type": "AddonUpdate",
            "params": [],
            "createdAt": seconds(context.now),
            "errors": [],
        }}))
    }

    pub(super) fn delete_addon(&mut self, name: &str, query: &Params) -> Result<Value, AwsError> {
        let shown = self.show_addon(name, "DELETING")?;
        if let Some(addon) = self.addons.remove(name) {
            self.drop_associations_of(&addon.arn, query.text("preserve") == Some("true"));
        }
        Ok(shown)
    }
}
