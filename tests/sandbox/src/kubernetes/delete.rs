//! DELETE: preconditions, finalizers, and namespaces, whose contents are deleted with them.
//!
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/>. The propagation policy is ignored,
//! because no served object owns another. There is no grace period.

use crate::kubernetes::admission::Operation;
use crate::kubernetes::resource::Resource;
use crate::kubernetes::status::Refusal;
use crate::kubernetes::store::Store;
use crate::kubernetes::write::metadata;
use serde_json::{Value, json};

/// The preconditions of a delete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// The object must have this uid.
    pub uid: Option<String>,
    /// The object must have this resourceVersion.
    pub resource_version: Option<String>,
}

impl Store {
    /// DELETE, and for a namespace also its controller's work. Returns the object's last state.
    pub fn delete(
        &mut self,
        resource: Resource,
        namespace: &str,
        name: &str,
        preconditions: &Preconditions,
        dry_run: bool,
    ) -> Result<Value, Refusal> {
        let object = self.begin_delete(resource, namespace, name, preconditions, dry_run)?;
        if resource == Resource::Namespaces && !dry_run {
            self.empty(name)?;
        }
        Ok(object)
    }

    /// DELETE alone. A namespace stays until its controller has deleted the contents.
    pub(crate) fn begin_delete(
        &mut self,
        resource: Resource,
        namespace: &str,
        name: &str,
        preconditions: &Preconditions,
        dry_run: bool,
    ) -> Result<Value, Refusal> {
        let mut object = self.live(resource, namespace, name)?;
        let has = metadata(&object, "uid").to_owned();
        if let Some(asked) = preconditions.uid.as_deref().filter(|asked| *asked != has) {
            let why = format!(
                "the UID in the precondition ({asked}) does not match the UID in record ({has}). The object might \
                 have been deleted and then recreated"
            );
            return Err(Refusal::conflict(&resource.qualified_kind(), name, why));
        }
        let version = metadata(&object, "resourceVersion").to_owned();
        if let Some(asked) = preconditions.resource_version.as_deref().filter(|asked| *asked != version) {
            let why = format!(
                "the ResourceVersion in the precondition ({asked}) does not match the ResourceVersion in record \
                 ({version}). The object might have been modified"
            );
            return Err(Refusal::conflict(&resource.qualified_kind(), name, why));
        }
        let immortal = ["default", "kube-system", "kube-public"];
        if resource == Resource::Namespaces && immortal.contains(&name) {
            return Err(Refusal::forbidden("namespaces", name, "this namespace may not be deleted"));
        }
        self.admit(Operation::Delete, resource, namespace, name, &mut Value::Null, Some(&object), dry_run)?;
        let waits = resource == Resource::Namespaces || object.pointer("/metadata/finalizers").is_some();
        if !waits {
            if dry_run {
                return Ok(object);
            }
            self.take(resource, namespace, name);
            self.settle(namespace)?;
            return Ok(object);
        }
        if object.pointer("/metadata/deletionTimestamp").is_none() {
            object["metadata"]["deletionTimestamp"] = json!(self.now());
            if resource == Resource::Namespaces {
                object["status"]["phase"] = json!("Terminating");
            } else {
                object["metadata"]["deletionGracePeriodSeconds"] = json!(0);
            }
            if dry_run {
                return Ok(object);
            }
            object = self.put(resource, namespace, name, object);
        }
        Ok(object)
    }

    /// Deletes the contents of a namespace, and the namespace once it is empty.
    pub(crate) fn empty(&mut self, namespace: &str) -> Result<(), Refusal> {
        for resource in Resource::in_namespaces() {
            for name in self.names(resource, namespace) {
                self.delete(resource, namespace, &name, &Preconditions::default(), false)?;
                if self.get(Resource::Namespaces, "", namespace).is_none() {
                    return Ok(());
                }
            }
        }
        self.settle(namespace)
    }
}
