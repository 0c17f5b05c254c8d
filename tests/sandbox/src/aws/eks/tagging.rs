//! Tags of EKS resources, by ARN (<https://docs.aws.amazon.com/eks/latest/APIReference/API_TagResource.html>).

use super::route::Route;
use super::{Region, input};
use crate::aws::query::AwsError;
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl Region {
    fn tags_of(&mut self, arn: &str) -> Option<&mut BTreeMap<String, String>> {
        let (kind, rest) = arn.splitn(6, ':').nth(5)?.split_once('/')?;
        let cluster = self.clusters.get_mut(rest.split('/').next()?)?;
        match kind {
            "cluster" if cluster.arn == arn => Some(cluster.tags()),
            "podidentityassociation" => {
                cluster.associations.get_mut(rest.split('/').nth(1)?).map(|association| &mut association.tags)
            }
            "addon" => cluster.addons.values_mut().find(|addon| addon.arn == arn).map(|addon| &mut addon.tags),
            "access-entry" => cluster.entries.values_mut().find(|entry| entry.arn == arn).map(|entry| &mut entry.tags),
            _ => None,
        }
    }

    pub(super) fn tagging(&mut self, route: &Route, query: &str, body: &Value) -> Result<Value, AwsError> {
        let missing = || AwsError::new(404, "NotFoundException", format!("Resource not found: {}", route.cluster));
        let tags = self.tags_of(&route.cluster).ok_or_else(missing)?;
        match route.action {
            "TagResource" => tags.extend(input::tags(body)?),
            "UntagResource" => {
                for (_, key) in form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "tagKeys") {
                    tags.remove(key.as_ref());
                }
            }
            _ => return Ok(json!({"tags": tags})),
        }
        Ok(json!({}))
    }
}
