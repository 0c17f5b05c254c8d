//! Access entries: IAM principals that may use a cluster's API. Here they matter only for principals of other accounts,
//! because principals of the cluster's account have access without one
//! (<https://docs.aws.amazon.com/eks/latest/APIReference/API_AccessEntry.html>).

use super::cluster::EksCluster;
use super::page::page;
use super::{Context, in_use, input, invalid, not_found, seconds, unique_id};
use crate::aws::query::{AwsError, Params};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// An access entry.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AccessEntry {
    pub(super) arn: String,
    groups: Value,
    username: String,
    kind: String,
    pub(super) tags: BTreeMap<String, String>,
    created: Timestamp,
}

impl EksCluster {
    fn show_entry(&self, principal: &str) -> Result<Value, AwsError> {
        let entry = self
            .entries
            .get(principal)
            .ok_or_else(|| not_found(format!("The specified access entry resource could not be found: {principal}")))?;
        Ok(json!({"accessEntry": {
            "clusterName": self.name,
            "principalArn": principal,
            "kubernetesGroups": entry.groups,
            "accessEntryArn": entry.arn,
            "createdAt": seconds(entry.created),
            "modifiedAt": seconds(entry.created),
            "tags": entry.tags,
            "username": entry.username,
            "type": entry.kind,
        }}))
    }

    pub(super) fn create_entry(&mut self, context: &Context<'_>, body: &Value) -> Result<Value, AwsError> {
        let principal = input::required(body, "principalArn")?;
        if self.mode() == "CONFIG_MAP" {
            let text = "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform \
                        this operation.";
            return Err(AwsError::new(400, "InvalidRequestException", text));
        }
        let parts: Vec<&str> = principal.splitn(6, ':').collect();
        let ["arn", _, "iam", "", account, resource] = parts[..] else {
            return Err(invalid("The specified principalArn is invalid: invalid principal."));
        };
        let Some((kind @ ("role" | "user"), name)) = resource.split_once('/') else {
            return Err(invalid("The specified principalArn is invalid: invalid principal."));
        };
        if self.entries.contains_key(principal) {
            return Err(in_use("The specified access entry resource is already in use on this cluster."));
        }
        self.made += 1;
        let id = unique_id(&format!("{}/{principal}/{}", self.arn, self.made));
        let entry = AccessEntry {
            arn: context.place.arn(format_args!("access-entry/{}/{kind}/{account}/{name}/{id}", self.name)),
            groups: json!(body["kubernetesGroups"].as_array().cloned().unwrap_or_default()),
            username: input::text(body, "username").unwrap_or(principal).to_owned(),
            kind: input::text(body, "type").unwrap_or("STANDARD").to_owned(),
            tags: input::tags(body)?,
            created: context.now,
        };
        self.entries.insert(principal.to_owned(), entry);
        self.grant_access(principal);
        self.show_entry(principal)
    }

    pub(super) fn list_entries(&self, query: &Params) -> Result<Value, AwsError> {
        page("accessEntries", &self.entries, query, |principal, _| Some(json!(principal)))
    }

    pub(super) fn describe_entry(&self, principal: &str) -> Result<Value, AwsError> {
        self.show_entry(principal)
    }

    pub(super) fn delete_entry(&mut self, principal: &str) -> Result<Value, AwsError> {
        self.show_entry(principal)?;
        self.entries.remove(principal);
        self.turn_away(principal);
        Ok(json!({}))
    }
}
