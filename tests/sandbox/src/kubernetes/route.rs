//! Maps a method, path and query to a request with the verb and resource that authorization uses.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb>. Does no I/O and
//! holds no state.

use http::Method;
use std::collections::BTreeMap;

/// A parsed request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) verb: &'static str,
    pub(crate) path: String,
    /// The plural name of the resource. None for paths that are not resources.
    pub(crate) resource: Option<String>,
    pub(crate) group: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
    pub(crate) query: BTreeMap<String, String>,
}

impl Request {
    pub(crate) fn parse(method: &Method, path: &str, query: &str) -> Self {
        let query: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
        let parts: Vec<&str> = decoded.split('/').filter(|part| !part.is_empty()).collect();
        let (group, rest) = match parts.as_slice() {
            ["api", "v1", rest @ ..] => (String::new(), rest),
            ["apis", group, "v1", rest @ ..] => ((*group).to_owned(), rest),
            _ => (String::new(), &[][..]),
        };
        let mut request = Self { path: decoded.clone(), group, query, ..Self::default() };
        let place: Option<(&str, &str, &[&str])> = match rest {
            ["namespaces"] => Some(("namespaces", "", &[])),
            // For authorization, a Namespace object is in its own namespace.
            ["namespaces", name] => Some(("namespaces", name, std::slice::from_ref(name))),
            ["namespaces", name, subresource @ ("status" | "finalize")] => {
                (*subresource).clone_into(&mut request.subresource);
                Some(("namespaces", name, std::slice::from_ref(name)))
            }
            ["namespaces", namespace, resource, rest @ ..] => Some((resource, namespace, rest)),
            [resource, rest @ ..] => Some((resource, "", rest)),
            [] => None,
        };
        if let Some((resource, namespace, rest)) = place {
            request.resource = Some(resource.to_owned());
            namespace.clone_into(&mut request.namespace);
            rest.first().copied().unwrap_or_default().clone_into(&mut request.name);
            if let Some(subresource) = rest.get(1) {
                (*subresource).clone_into(&mut request.subresource);
            }
        }
        request.verb = request.verb_of(method);
        request
    }

    /// The resource as an RBAC rule names it, with the subresource, for example `serviceaccounts/token`.
    pub(crate) fn full_resource(&self) -> String {
        let resource = self.resource.as_deref().unwrap_or_default();
        if self.subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{}", self.subresource) }
    }

    fn verb_of(&self, method: &Method) -> &'static str {
        let one = !self.name.is_empty();
        let resource = self.resource.is_some();
        match *method {
            Method::GET | Method::HEAD if !resource || one => "get",
            Method::GET | Method::HEAD if self.flag("watch") => "watch",
            Method::GET | Method::HEAD => "list",
            Method::POST if resource => "create",
            Method::POST => "post",
            Method::PUT if resource => "update",
            Method::PUT => "put",
            Method::PATCH => "patch",
            Method::DELETE if one || !resource => "delete",
            Method::DELETE => "deletecollection",
            _ => "",
        }
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name), "true" | "1" | "True")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_get_the_verb_and_resource_of_authorization() {
        let cases = [
            (Method::GET, "/api/v1/serviceaccounts", "list", "serviceaccounts", "", ""),
            (Method::GET, "/api/v1/namespaces/a/serviceaccounts", "list", "serviceaccounts", "a", ""),
            (Method::GET, "/api/v1/namespaces/a/serviceaccounts/b", "get", "serviceaccounts", "a", "b"),
            (Method::PATCH, "/api/v1/namespaces/a/serviceaccounts/b", "patch", "serviceaccounts", "a", "b"),
            (Method::DELETE, "/api/v1/namespaces/a/pods", "deletecollection", "pods", "a", ""),
            (Method::GET, "/api/v1/namespaces", "list", "namespaces", "", ""),
            (Method::GET, "/api/v1/namespaces/a", "get", "namespaces", "a", "a"),
        ];
        for (method, path, verb, resource, namespace, name) in cases {
            let request = Request::parse(&method, path, "");
            let found = (request.verb, request.resource.as_deref(), &*request.namespace, &*request.name);
            assert_eq!(found, (verb, Some(resource), namespace, name), "{path}");
        }
        let version = Request::parse(&Method::GET, "/version", "timeout=32s");
        assert_eq!((version.verb, version.resource, version.query["timeout"].as_str()), ("get", None, "32s"));
        assert_eq!(Request::parse(&Method::GET, "/api/v1/pods", "watch=true").verb, "watch");
    }
}
