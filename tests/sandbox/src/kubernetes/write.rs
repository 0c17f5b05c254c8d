//! The write verbs: create, replace, patch, apply and delete. Each runs the checks of kube-apiserver in its order.
//!
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/>.

use crate::kubernetes::admission::Operation;
use crate::kubernetes::manage;
use crate::kubernetes::patch;
use crate::kubernetes::resource::Resource;
use crate::kubernetes::status::{FieldError, Refusal};
use crate::kubernetes::store::Store;
use crate::kubernetes::validate::{self, Strictness};
use serde_json::{Value, json};

/// The options of a write.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// The field manager.
    pub manager: String,
    /// Whether an apply takes over fields that other managers own.
    pub force: bool,
    /// Checks the write but stores nothing.
    pub dry_run: bool,
    /// How to treat unknown fields.
    pub strictness: Strictness,
}

impl WriteOptions {
    /// A plain write by this field manager.
    pub fn by(manager: &str) -> Self {
        Self { manager: manager.to_owned(), ..Self::default() }
    }

    /// Makes an apply take over fields that other managers own.
    #[must_use]
    pub fn forced(mut self) -> Self {
        self.force = true;
        self
    }
}

/// The result of a write.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The object as stored.
    pub object: Value,
    /// Whether the write created the object.
    pub created: bool,
    /// Warnings for the client.
    pub warnings: Vec<String>,
}

/// The patch types other than apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    /// `application/merge-patch+json`
    Merge,
    /// `application/strategic-merge-patch+json`
    Strategic,
    /// `application/json-patch+json`
    Json,
}

pub(crate) fn metadata<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_str).unwrap_or_default()
}

fn set_metadata(object: &mut Value, field: &str, value: Option<&Value>) {
    if let Some(map) = object["metadata"].as_object_mut() {
        match value {
            Some(value) => map.insert(field.to_owned(), value.clone()),
            None => map.remove(field),
        };
    }
}

fn without_times(object: &Value) -> Value {
    let mut object = object.clone();
    let entries = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten().filter_map(Value::as_object_mut) {
        entry.remove("time");
    }
    object
}

impl Store {
    /// POST.
    pub fn create(
        &mut self,
        resource: Resource,
        namespace: &str,
        mut body: Value,
        options: &WriteOptions,
    ) -> Result<Written, Refusal> {
        let warnings = validate::decode(resource, &mut body, options.strictness)?;
        if !metadata(&body, "resourceVersion").is_empty() {
            return Err(Refusal::plain("resourceVersion should not be set on objects to be created"));
        }
        validate::normalize(resource, &mut body);
        if metadata(&body, "name").is_empty() && !metadata(&body, "generateName").is_empty() {
            let name = self.generate_name(metadata(&body, "generateName"));
            body["metadata"]["name"] = json!(name);
            validate::normalize(resource, &mut body);
        }
        in_namespace(resource, namespace, &mut body)?;
        let now = self.now();
        manage::update(resource, None, &mut body, &options.manager, &now);
        let object = self.store_new(resource, namespace, body, options.dry_run)?;
        Ok(Written { object, created: true, warnings })
    }

    /// Validates, admits and stores a new object. POST and apply share it.
    fn store_new(
        &mut self,
        resource: Resource,
        namespace: &str,
        mut object: Value,
        dry_run: bool,
    ) -> Result<Value, Refusal> {
        let name = metadata(&object, "name").to_owned();
        if resource.namespaced() {
            self.admit_new(resource, namespace, &name, &object)?;
        }
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation", "resourceVersion"] {
            set_metadata(&mut object, field, None);
        }
        object["metadata"]["uid"] = json!(self.uid());
        object["metadata"]["creationTimestamp"] = json!(self.now());
        match resource {
            Resource::Namespaces => {
                object["spec"]["finalizers"] = json!(["kubernetes"]);
                object["status"] = json!({"phase": "Active"});
            }
            Resource::Pods if object.get("status").is_none() => object["status"] = json!({"phase": "Pending"}),
            _ => {}
        }
        self.admit(Operation::Create, resource, namespace, &name, &mut object, None, dry_run)?;
        if let Some(old) = self.get(resource, namespace, &name) {
            let mut refusal = Refusal::already_exists(resource, &name);
            if old.pointer("/metadata/deletionTimestamp").is_some() {
                refusal.message = format!("object is being deleted: {}", refusal.message);
            }
            return Err(refusal);
        }
        if dry_run {
            return Ok(object);
        }
        let object = self.put(resource, namespace, &name, object);
        if resource == Resource::Namespaces {
            self.settle(&name)?;
        }
        Ok(object)
    }

    /// The checks of the admission plugins NamespaceLifecycle and ServiceAccount on a new object.
    fn admit_new(&self, resource: Resource, namespace: &str, name: &str, object: &Value) -> Result<(), Refusal> {
        let home = self
            .get(Resource::Namespaces, "", namespace)
            .ok_or_else(|| Refusal::not_found(Resource::Namespaces, namespace))?;
        if home.pointer("/metadata/deletionTimestamp").is_some() {
            let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
            let cause = format!("namespace {namespace} is being terminated");
            return Err(Refusal::forbidden(&resource.qualified(), name, why).cause(
                "NamespaceTerminating",
                &cause,
                "metadata.namespace",
            ));
        }
        if resource == Resource::Pods {
            let account = object.pointer("/spec/serviceAccountName").and_then(Value::as_str).unwrap_or("default");
            if self.service_account(namespace, account).is_none() {
                let why = format!(
                    "error looking up service account {namespace}/{account}: serviceaccount {account:?} not found"
                );
                return Err(Refusal::forbidden("pods", name, why));
            }
        }
        Ok(())
    }

    /// PUT.
    pub fn replace(
        &mut self,
        resource: Resource,
        namespace: &str,
        name: &str,
        mut body: Value,
        options: &WriteOptions,
    ) -> Result<Written, Refusal> {
        let warnings = validate::decode(resource, &mut body, options.strictness)?;
        validate::normalize(resource, &mut body);
        match metadata(&body, "name") {
            "" => return Err(Refusal::bad_request("name must be provided")),
            other if other != name => return Err(other_name(other, name)),
            _ => {}
        }
        in_namespace(resource, namespace, &mut body)?;
        let now = self.now();
        let live = match self.get(resource, namespace, name) {
            Some(live) => live.clone(),
            None if resource.unconditional() => return Err(Refusal::not_found(resource, name)),
            None => Value::Null,
        };
        let (asked, has) = (metadata(&body, "uid"), metadata(&live, "uid"));
        if !asked.is_empty() && asked != has {
            let key = crate::kubernetes::store::key(resource, namespace, name);
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: /registry/{}/{key}, ResourceVersion: 0, \
                 AdditionalErrorMsg: Precondition failed: UID in precondition: {asked}, UID in object meta: {has}",
                resource.plural()
            );
            return Err(Refusal::conflict(&resource.qualified(), name, why));
        }
        if live.is_null() {
            manage::update(resource, None, &mut body, &options.manager, &now);
            let object = self.store_new(resource, namespace, body, options.dry_run)?;
            return Ok(Written { object, created: true, warnings });
        }
        if metadata(&body, "resourceVersion").is_empty() && !resource.unconditional() {
            // The server prints this number as an unsigned integer in Go syntax, and names the resource instead of the
            // kind.
            let wrong = FieldError::unsigned("metadata.resourceVersion", 0, "must be specified for an update");
            return Err(Refusal::invalid(&resource.qualified(), name, &[wrong]));
        }
        manage::update(resource, Some(&live), &mut body, &options.manager, &now);
        let object = self.store_changed(resource, namespace, name, &live, body, options.dry_run)?;
        Ok(Written { object, created: false, warnings })
    }

    /// PATCH, except apply.
    pub fn patch(
        &mut self,
        resource: Resource,
        namespace: &str,
        name: &str,
        kind: PatchType,
        change: &Value,
        options: &WriteOptions,
    ) -> Result<Written, Refusal> {
        let live = self.live(resource, namespace, name)?;
        let mut object = live.clone();
        if kind != PatchType::Json && !change.is_object() {
            let found = validate::go_type(change);
            let text = format!("json: cannot unmarshal {found} into Go value of type map[string]interface {{}}");
            return Err(Refusal::bad_request(text));
        }
        match kind {
            PatchType::Merge => patch::merge(&mut object, change),
            PatchType::Strategic => patch::strategic(resource.schema(), &mut object, change),
            PatchType::Json => patch::json_patch(&mut object, change)?,
        }
        if let Some(wrong) = validate::wrong_type(resource, &object) {
            // kube-apiserver reports the error on the patch itself, without a kind and a name.
            let shown = if kind == PatchType::Strategic { patch::printed(change) } else { object.to_string() };
            return Err(Refusal::invalid("", "", &[FieldError::invalid("patch", &shown, wrong)]));
        }
        let warnings = validate::decode(resource, &mut object, options.strictness)?;
        validate::normalize(resource, &mut object);
        let now = self.now();
        manage::update(resource, Some(&live), &mut object, &options.manager, &now);
        in_namespace(resource, namespace, &mut object)?;
        if metadata(&object, "name") != name {
            return Err(other_name(metadata(&object, "name"), name));
        }
        let object = self.store_changed(resource, namespace, name, &live, object, options.dry_run)?;
        Ok(Written { object, created: false, warnings })
    }

    /// PATCH with server-side apply. `may_create` says whether the user also has the create verb.
    pub fn apply(
        &mut self,
        resource: Resource,
        namespace: &str,
        name: &str,
        mut body: Value,
        options: &WriteOptions,
        may_create: impl FnOnce() -> Result<(), Refusal>,
    ) -> Result<Written, Refusal> {
        if options.manager.is_empty() {
            let missing = FieldError::required("fieldManager", "is required for apply patch");
            return Err(Refusal::invalid("PatchOptions.meta.k8s.io", "", &[missing]));
        }
        check_applied(resource, namespace, name, &mut body)?;
        let live = self.get(resource, namespace, name).cloned();
        let now = self.now();
        let mut object = manage::apply(resource, live.as_ref(), &body, &options.manager, options.force, &now)?;
        in_namespace(resource, namespace, &mut object)?;
        if metadata(&object, "name") != name {
            return Err(other_name(metadata(&object, "name"), name));
        }
        let Some(live) = live else {
            let uid = metadata(&object, "uid");
            if !uid.is_empty() {
                let why =
                    format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
                return Err(Refusal::conflict(&resource.qualified(), name, why));
            }
            validate::normalize(resource, &mut object);
            may_create()?;
            let object = self.store_new(resource, namespace, object, options.dry_run)?;
            return Ok(Written { object, created: true, warnings: Vec::new() });
        };
        validate::normalize(resource, &mut object);
        let object = self.store_changed(resource, namespace, name, &live, object, options.dry_run)?;
        Ok(Written { object, created: false, warnings: Vec::new() })
    }

    pub(crate) fn live(&self, resource: Resource, namespace: &str, name: &str) -> Result<Value, Refusal> {
        self.get(resource, namespace, name).cloned().ok_or_else(|| Refusal::not_found(resource, name))
    }

    /// Validates, admits and stores a change to an existing object. All such writes share it.
    fn store_changed(
        &mut self,
        resource: Resource,
        namespace: &str,
        name: &str,
        live: &Value,
        mut object: Value,
        dry_run: bool,
    ) -> Result<Value, Refusal> {
        let (asked, has) = (metadata(&object, "resourceVersion"), metadata(live, "resourceVersion"));
        if !asked.is_empty() && asked != has {
            if asked.parse::<u64>().is_err() {
                let wrong = FieldError::invalid("metadata.resourceVersion", asked, "must be a number");
                return Err(Refusal::invalid(&resource.qualified_kind(), name, &[wrong]));
            }
            return Err(Refusal::stale(resource, name));
        }
        let kept = |field: &str| live.pointer(&format!("/metadata/{field}"));
        for field in
            ["resourceVersion", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"]
        {
            set_metadata(&mut object, field, kept(field));
        }
        if metadata(&object, "uid").is_empty() {
            set_metadata(&mut object, "uid", kept("uid"));
        }
        if resource == Resource::Namespaces {
            for field in ["spec", "status"] {
                object[field] = live[field].clone();
            }
        }
        if resource == Resource::Pods && object.get("status").is_none() {
            object["status"] = live["status"].clone();
        }
        self.admit(Operation::Update, resource, namespace, name, &mut object, Some(live), dry_run)?;
        // A write that changes only the times in managedFields stores nothing.
        if without_times(&object) == without_times(live) {
            return Ok(live.clone());
        }
        if dry_run {
            return Ok(object);
        }
        let finalizers = object.pointer("/metadata/finalizers").is_some();
        if object.pointer("/metadata/deletionTimestamp").is_some() && !finalizers && resource.namespaced() {
            self.take(resource, namespace, name);
            self.settle(namespace)?;
            return Ok(object);
        }
        Ok(self.put(resource, namespace, name, object))
    }
}

/// Checks an applied object before the merge.
fn check_applied(resource: Resource, namespace: &str, name: &str, body: &mut Value) -> Result<(), Refusal> {
    let said = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (said("apiVersion"), said("kind"));
    // Go prints a group, version and kind like this: `/v1, Kind=Pod`.
    let slashed = if version.contains('/') { version.to_owned() } else { format!("/{version}") };
    if version != resource.api_version() || kind != resource.kind() {
        return Err(Refusal::bad_request(format!("invalid object type: {slashed}, Kind={kind}")));
    }
    let mut unknown = Vec::new();
    resource.schema().unknown(body, "", &mut unknown);
    if let Some(path) = unknown.first() {
        return Err(Refusal::plain(format!(
            "failed to create typed patch object ({namespace}/{name}; {slashed}, Kind={kind}): .{path}: field not \
             declared in schema"
        )));
    }
    // kube-apiserver finds this while merging, not while decoding, so it answers 500.
    if let Some(wrong) = validate::untyped(resource, body) {
        return Err(Refusal::plain(format!(
            "failed to create typed patch object ({namespace}/{name}; {slashed}, Kind={kind}): {wrong}"
        )));
    }
    if body.get("metadata").is_none_or(|metadata| metadata.get("name").is_none()) {
        body["metadata"]["name"] = json!(name);
    }
    Ok(())
}

fn other_name(object: &str, path: &str) -> Refusal {
    Refusal::bad_request(format!("the name of the object ({object}) does not match the name on the URL ({path})"))
}

fn in_namespace(resource: Resource, namespace: &str, object: &mut Value) -> Result<(), Refusal> {
    if !resource.namespaced() {
        set_metadata(object, "namespace", None);
        return Ok(());
    }
    match metadata(object, "namespace") {
        "" => object["metadata"]["namespace"] = json!(namespace),
        own if own != namespace => {
            let text = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Refusal::bad_request(text));
        }
        _ => {}
    }
    Ok(())
}
