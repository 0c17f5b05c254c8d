//! The canonical form of documents and statements: what equality by meaning compares.
//!
//! Structural, not logical: no wildcard is reasoned about and no statements are merged, so two documents that are equal
//! here give the same verdict on every request. What it does not understand it refuses.

use super::document::Kind;
use super::json::{Data, Fault, Member, Node};
use super::operators;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CanonicalDocument {
    version: String,
    statements: BTreeSet<CanonicalStatement>,
}

/// A statement without its `Sid`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CanonicalStatement {
    allows: bool,
    principals: Option<Names<(String, String)>>,
    actions: Names<String>,
    resources: Option<Names<String>>,
    conditions: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

/// A set, or all but a set (`NotAction`, `NotResource`, `NotPrincipal`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Names<T: Ord> {
    all_but: bool,
    names: BTreeSet<T>,
}

/// The version that a document without one has
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html>).
const OLD_VERSION: &str = "2008-10-17";
const VERSIONS: [&str; 2] = [OLD_VERSION, "2012-10-17"];
const ELEMENTS: [&str; 9] = [
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];
const PRINCIPALS: [&str; 4] = ["AWS", "Service", "Federated", "CanonicalUser"];

impl CanonicalDocument {
    pub(crate) fn from_parts(version: &str, statements: BTreeSet<CanonicalStatement>) -> Self {
        Self { version: version.to_owned(), statements }
    }

    pub(crate) fn read(node: &Node, kind: Option<Kind>) -> Result<Self, Fault> {
        let members = object(node, "a policy document")?;
        let mut version = OLD_VERSION.to_owned();
        let mut list = None;
        for member in members {
            match member.key.as_str() {
                "Version" => {
                    let text = text(&member.value, "`Version`")?;
                    if !VERSIONS.contains(&text) {
                        let message = format!("`Version` must be `2012-10-17` (or the old `{OLD_VERSION}`)");
                        return Err(Fault::new(message, member.value.offset));
                    }
                    text.clone_into(&mut version);
                }
                "Id" => {
                    text(&member.value, "`Id`")?;
                }
                "Statement" => list = Some(&member.value),
                _ => return Err(unknown(member, "a policy document", &["Version", "Id", "Statement"])),
            }
        }
        let list = list.ok_or_else(|| Fault::new("`Statement` is missing", node.offset))?;
        let statements =
            statements(list).into_iter().map(|item| CanonicalStatement::read(item, kind)).collect::<Result<_, _>>()?;
        Ok(Self { version, statements })
    }
}

/// The statements: a list, or a single one.
pub(crate) fn statements(node: &Node) -> Vec<&Node> {
    match &node.data {
        Data::List(list) => list.iter().collect(),
        _ => vec![node],
    }
}

impl CanonicalStatement {
    pub(crate) fn read(node: &Node, kind: Option<Kind>) -> Result<Self, Fault> {
        let members = object(node, "a statement")?;
        let find = |key: &str| members.iter().find(|member| member.key == key);
        for member in members {
            if !ELEMENTS.contains(&member.key.as_str()) {
                return Err(unknown(member, "a statement", &ELEMENTS));
            }
        }
        if let Some(sid) = find("Sid") {
            text(&sid.value, "`Sid`")?;
        }
        let effect = find("Effect").ok_or_else(|| Fault::new("`Effect` is missing", node.offset))?;
        let allows = match text(&effect.value, "`Effect`")? {
            "Allow" => true,
            "Deny" => false,
            _ => return Err(Fault::new("`Effect` must be `Allow` or `Deny`", effect.value.offset)),
        };
        let pair = |name: &str| either(members, name, &format!("Not{name}"));
        let principals = pair("Principal")?.map(|(member, all_but)| principals(member, all_but)).transpose()?;
        let actions = pair("Action")?.ok_or_else(|| Fault::new("`Action` is missing", node.offset))?;
        let actions = Names { all_but: actions.1, names: words(actions.0, |action| action.to_ascii_lowercase())? };
        let resources = match pair("Resource")? {
            Some((member, all_but)) => Some(Names { all_but, names: words(member, str::to_owned)? }),
            None => None,
        };
        let conditions = find("Condition").map(|member| conditions(&member.value)).transpose()?.unwrap_or_default();
        let statement = Self { allows, principals, actions, resources, conditions };
        match kind {
            None => {}
            Some(Kind::Trust) => statement.fits_trust(node, members)?,
            Some(Kind::Permissions) => statement.fits_permissions(node, members)?,
        }
        Ok(statement)
    }

    /// A trust policy says who, and nothing of resources: the role itself is the resource
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>).
    fn fits_trust(&self, node: &Node, members: &[Member]) -> Result<(), Fault> {
        refuse(members, &["Resource", "NotResource"], "a trust policy")?;
        if self.principals.is_none() {
            return Err(Fault::new("a trust policy needs a `Principal`", node.offset));
        }
        let foreign = self.actions.names.iter().find(|action| *action != "*" && !action.starts_with("sts:"));
        if let Some(action) = foreign {
            let message = format!("a trust policy allows actions of STS only, `{action}` is none");
            return Err(Fault::new(message, place_of(members, "Action", node)));
        }
        Ok(())
    }

    fn fits_permissions(&self, node: &Node, members: &[Member]) -> Result<(), Fault> {
        refuse(members, &["Principal", "NotPrincipal"], "a permission policy")?;
        if self.resources.is_none() {
            return Err(Fault::new("`Resource` is missing", node.offset));
        }
        let bare = self.actions.names.iter().find(|action| *action != "*" && !action.contains(':'));
        if let Some(action) = bare {
            let message = format!("action `{action}` must begin with a service, for example `s3:{action}`");
            return Err(Fault::new(message, place_of(members, "Action", node)));
        }
        Ok(())
    }
}

fn object<'a>(node: &'a Node, what: &str) -> Result<&'a [Member], Fault> {
    match &node.data {
        Data::Object(members) => Ok(members),
        _ => Err(Fault::new(format!("{what} must be an object, this is {}", node.kind()), node.offset)),
    }
}

fn text<'a>(node: &'a Node, what: &str) -> Result<&'a str, Fault> {
    match &node.data {
        Data::Text(text) => Ok(text),
        _ => Err(Fault::new(format!("{what} must be a string, this is {}", node.kind()), node.offset)),
    }
}

fn unknown(member: &Member, of: &str, known: &[&str]) -> Fault {
    let near = known.iter().find(|name| name.eq_ignore_ascii_case(&member.key));
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    let message = match near {
        Some(near) => format!("unknown element `{}` in {of}: write `{near}`", member.key),
        None => format!("unknown element `{}` in {of}; known are {}", member.key, known.join(", ")),
    };
    Fault::new(message, member.offset)
}

fn refuse(members: &[Member], keys: &[&str], of: &str) -> Result<(), Fault> {
    match members.iter().find(|member| keys.contains(&member.key.as_str())) {
        Some(member) => Err(Fault::new(format!("{of} has no `{}`", member.key), member.offset)),
        None => Ok(()),
    }
}

fn place_of(members: &[Member], key: &str, node: &Node) -> usize {
    let found = members.iter().find(|member| member.key.trim_start_matches("Not") == key);
    found.map_or(node.offset, |member| member.value.offset)
}

/// One of two elements that exclude each other.
fn either<'a>(members: &'a [Member], plain: &str, negated: &str) -> Result<Option<(&'a Member, bool)>, Fault> {
    let find = |key: &str| members.iter().find(|member| member.key == key);
    match (find(plain), find(negated)) {
        (Some(_), Some(second)) => {
            Err(Fault::new(format!("`{plain}` and `{negated}` exclude each other"), second.offset))
        }
        (Some(member), None) => Ok(Some((member, false))),
        (None, Some(member)) => Ok(Some((member, true))),
        (None, None) => Ok(None),
    }
}

/// A string or a list of strings as a set.
fn words(member: &Member, form: impl Fn(&str) -> String) -> Result<BTreeSet<String>, Fault> {
    let what = format!("`{}`", member.key);
    let names: BTreeSet<String> = match &member.value.data {
        Data::List(list) => list.iter().map(|item| text(item, &what).map(&form)).collect::<Result<_, _>>()?,
        _ => BTreeSet::from([form(text(&member.value, &what)?)]),
    };
    if names.is_empty() {
        return Err(Fault::new(format!("{what} is empty"), member.value.offset));
    }
    Ok(names)
}

/// `"*"` is `{"AWS": "*"}`, an account id is the ARN of its root
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>).
fn principals(member: &Member, all_but: bool) -> Result<Names<(String, String)>, Fault> {
    let mut names = BTreeSet::new();
    if let Data::Text(word) = &member.value.data {
        if word != "*" {
            let message = format!("`{}` must be `\"*\"` or an object such as {{\"AWS\": …}}", member.key);
            return Err(Fault::new(message, member.value.offset));
        }
        names.insert(("AWS".to_owned(), "*".to_owned()));
        return Ok(Names { all_but, names });
    }
    for kind in object(&member.value, &format!("`{}`", member.key))? {
        if !PRINCIPALS.contains(&kind.key.as_str()) {
            return Err(unknown(kind, &format!("`{}`", member.key), &PRINCIPALS));
        }
        for name in words(kind, |name| principal(&kind.key, name))? {
            names.insert((kind.key.clone(), name));
        }
    }
    if names.is_empty() {
        return Err(Fault::new(format!("`{}` names nobody", member.key), member.value.offset));
    }
    Ok(Names { all_but, names })
}

fn principal(kind: &str, name: &str) -> String {
    match kind {
        "AWS" => root_account(name).unwrap_or(name).to_owned(),
        "Service" => name.to_ascii_lowercase(),
        _ => name.to_owned(),
    }
}

/// The account id in `arn:PARTITION:iam::ID:root`; the partition is that of the role, so it says nothing.
fn root_account(name: &str) -> Option<&str> {
    let mut parts = name.split(':');
    let arn = parts.next()? == "arn" && parts.next()?.starts_with("aws");
    let iam = arn && parts.next()? == "iam" && parts.next()?.is_empty();
    let account = parts.next()?;
    let root = parts.next()? == "root" && parts.next().is_none();
    (iam && root && account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some(account)
}

/// Operators and keys without regard to case; values as they are
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html>).
fn conditions(node: &Node) -> Result<BTreeMap<String, BTreeMap<String, BTreeSet<String>>>, Fault> {
    let mut blocks: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for block in object(node, "`Condition`")? {
        let Some(operator) = operators::canonical(&block.key) else {
            return Err(Fault::new(format!("unknown condition operator `{}`", block.key), block.offset));
        };
        if blocks.contains_key(&operator) {
            return Err(Fault::new(format!("operator `{}` stands twice in one `Condition`", block.key), block.offset));
        }
        let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for member in object(&block.value, &format!("`{}`", block.key))? {
            let values = values(member, &operator)?;
            if keys.insert(key(&member.key), values).is_some() {
                let message = format!("key `{}` stands twice under one operator, but for case", member.key);
                return Err(Fault::new(message, member.offset));
            }
        }
        if !keys.is_empty() {
            blocks.insert(operator, keys);
        }
    }
    Ok(blocks)
}

fn values(member: &Member, operator: &str) -> Result<BTreeSet<String>, Fault> {
    let one = |node: &Node| -> Result<String, Fault> {
        let text = match &node.data {
            Data::Text(text) => text.clone(),
            Data::Bool(flag) => flag.to_string(),
            Data::Number(number) => number.clone(),
            _ => {
                let message = format!("the value of `{}` must be a string, this is {}", member.key, node.kind());
                return Err(Fault::new(message, node.offset));
            }
        };
        let boolean = operators::is_boolean(operator);
        Ok(if boolean { text.to_ascii_lowercase() } else { text })
    };
    match &member.value.data {
        Data::List(list) => list.iter().map(one).collect(),
        _ => Ok(BTreeSet::from([one(&member.value)?])),
    }
}

/// A condition key as AWS compares it: without case, but for the key of a tag and the path of an issuer.
fn key(text: &str) -> String {
    for prefix in ["aws:requesttag/", "aws:principaltag/", "aws:resourcetag/"] {
        if text.len() > prefix.len() && text.is_char_boundary(prefix.len()) {
            let (head, tag) = text.split_at(prefix.len());
            if head.eq_ignore_ascii_case(prefix) {
                return format!("{prefix}{tag}");
            }
        }
    }
    // `HOST/PATH:sub`: the path of an issuer is an id of its own
    match (text.split_once('/'), text.rsplit_once(':')) {
        (Some((host, _)), Some((issuer, claim))) if host.contains('.') && issuer.len() > host.len() => {
            format!("{}{}:{}", host.to_ascii_lowercase(), &issuer[host.len()..], claim.to_ascii_lowercase())
        }
        _ => text.to_ascii_lowercase(),
    }
}
