//! What roles, policies and OIDC providers have in common: tags, adoption, `forget`, and what forbids a deletion.

use super::change::{Change, ResourceChange};
use super::context::PlanContext;
use super::draft::Draft;
use crate::ids::Key;
use crate::model::address::{Address, Place};
use crate::model::call::{Call, IamCall};
use crate::model::desired::Adopt;
use crate::model::live::{LiveAccount, Observed};
use crate::model::marks::{ADDRESS, OWNER, PREVENT_DESTROY, TAG_LIMIT, address_mark, is_mark, is_protected};
use crate::model::note::Severity;
use crate::model::origin::Origin;
use crate::model::refusal::{Refusal, RefusalKind};
use crate::model::resource::StringMap;

/// The reason of a change by `forget`.
pub(crate) const FORGET: &str = "released by `forget`: irsa removes its own tags or labels and keeps the object";

/// An object to plan, and its account.
pub(crate) struct IamObject<'a> {
    pub context: &'a PlanContext<'a>,
    pub address: Address,
    pub account_key: &'a Key,
    pub account: &'a LiveAccount,
}

impl IamObject<'_> {
    pub(crate) fn step(
        &self,
        draft: &mut Draft,
        change: ResourceChange,
        calls: Vec<IamCall>,
        needs: impl IntoIterator<Item = Address>,
        reasons: Vec<String>,
    ) {
        draft.step(&self.address, change, self.calls(calls), needs, reasons);
    }

    pub(crate) fn calls(&self, calls: Vec<IamCall>) -> impl Iterator<Item = Call> {
        calls.into_iter().map(|call| Call::Iam(self.account_key.clone(), call))
    }

    /// Counts the object as managed by irsa.
    pub(crate) fn count_as_managed(&self, draft: &mut Draft) {
        draft.count_as_managed(&self.address, Place::Account(self.account_key.clone()));
    }

    /// Compares an existing object with its declared state. Counts the object if irsa manages it. An adopted object
    /// always has a change.
    pub(crate) fn compare<T: PartialEq + Clone>(
        &self,
        draft: &mut Draft,
        (before, after): (&T, &T),
        tags: &StringMap,
        adopt: &Adopt,
    ) -> (Ownership, Option<Change<T>>) {
        let ownership = Ownership::of(self.context, tags, adopt);
        let change = match ownership {
            Ownership::Adopted => Some(Change::Adopt { before: before.clone(), after: after.clone() }),
            Ownership::Ours | Ownership::Foreign(_) => Change::update(before, after),
        };
        if ownership == Ownership::Ours {
            self.count_as_managed(draft);
            draft.declared_live = true;
        }
        (ownership, change)
    }

    /// Refuses to change an existing object that irsa does not manage. `owner` is the owner in its tag, if it has one.
    pub(crate) fn refuse_foreign(&self, draft: &mut Draft, name: &str, owner: Option<String>) {
        let refusal = if let Some(owner) = owner {
            let hint = format!(
                "use another `name`, or set `adopt-from = \"{owner}\"` once that configuration has released it"
            );
            RefusalKind::OtherOwner.because(format!("{name} exists and belongs to owner `{owner}`"), hint)
        } else {
            let flag = if self.context.options.report_only { "" } else { " or `--adopt`" };
            let hint = format!("use another `name`, or take it over with `adopt = true`{flag}");
            RefusalKind::NoOwner.because(format!("{name} exists and has no owner tag"), hint)
        };
        draft.refuse(&self.address, refusal);
    }

    /// The tags that the object should have: the declared tags, irsa's own tags, and the ignored tags that it already
    /// has. To IAM, `Team` and `team` are one tag that keeps its first spelling, so the result has the live spelling
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html>).
    pub(crate) fn wanted_tags(
        &self,
        declared: &StringMap,
        prevent_destroy: bool,
        live: Option<&StringMap>,
    ) -> StringMap {
        let none = StringMap::new();
        let live = live.unwrap_or(&none);
        let own = [
            (OWNER.to_owned(), self.context.desired.owner.to_string()),
            (ADDRESS.to_owned(), address_mark(&self.address)),
        ];
        let guard = prevent_destroy.then(|| (PREVENT_DESTROY.to_owned(), "true".to_owned()));
        let mut wanted = StringMap::new();
        for (key, value) in pick(declared, |key, _| !is_mark(key)).into_iter().chain(own).chain(guard) {
            let spelling = live.keys().find(|live| live.to_lowercase() == key.to_lowercase());
            wanted.insert(spelling.cloned().unwrap_or(key), value);
        }
        wanted.extend(pick(live, |key, _| self.context.desired.ignores_tag(key)));
        wanted
    }

    /// Whether `forget` names the object, by its address or by the address in its tag.
    pub(crate) fn is_forgotten(&self, tags: &StringMap) -> bool {
        let tagged = tags.get(ADDRESS);
        let mut forget = self.context.desired.forget.iter();
        forget.any(|(item, _)| *item == self.address || tagged == Some(&item.to_string()))
    }

    /// Adds the step that deletes an undeclared object. Refuses the step if there is an objection.
    pub(crate) fn delete(
        &self,
        draft: &mut Draft,
        change: ResourceChange,
        calls: Vec<IamCall>,
        needs: Vec<Address>,
        objection: Option<Refusal>,
    ) {
        self.step(draft, change, calls, needs, vec![delete_reason(self.context)]);
        if let Some(Refusal { why, hint, kind }) = objection {
            draft.refuse_step(&self.address, kind.because(format!("it is not deleted: {why}"), hint));
        }
    }
}

/// Whether irsa may change an existing object that is declared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// It has the owner tag of this configuration.
    Ours,
    /// The configuration or `--adopt` takes it over.
    Adopted,
    /// It belongs to somebody else. The value is the owner in its tag, if it has one.
    Foreign(Option<String>),
}

impl Ownership {
    fn of(context: &PlanContext<'_>, tags: &StringMap, adopt: &Adopt) -> Self {
        if context.is_ours(tags) {
            return Self::Ours;
        }
        let owner = tags.get(OWNER);
        let adopted = match (owner, adopt) {
            (None, Adopt::No) => context.options.adopt,
            (None, Adopt::Unowned | Adopt::From(_)) => true,
            (Some(owner), Adopt::From(from)) => owner == from.as_str(),
            (Some(_), Adopt::No | Adopt::Unowned) => false,
        };
        if adopted { Self::Adopted } else { Self::Foreign(owner.cloned()) }
    }
}

/// Notes that a live object keeps its name or path although another is declared. IAM cannot move an object, and ignores
/// case in names
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-names>).
pub(crate) fn note_name_and_path_kept(
    draft: &mut Draft,
    address: &Address,
    origin: &Origin,
    (name, declared_name): (&str, &str),
    (path, declared_path): (&str, &str),
) {
    if name != declared_name {
        let text = format!("it keeps the name `{name}`: IAM ignores case, so `{declared_name}` is the same name");
        draft.note(address, Severity::Info, "name-kept", Some(origin), text);
    }
    if path != declared_path {
        let kind = if matches!(address, Address::Role { .. }) { "role" } else { "policy" };
        let text = format!("the live {kind} keeps its path `{path}`; new ones get `{declared_path}`");
        draft.note(address, Severity::Info, "path-kept", Some(origin), text);
    }
}

/// The calls that turn one set of tags into another. `tag` gets the old and the new values of the tags to set. irsa's
/// own tags have a call of their own, before the other tags. No access depends on them, so the write order never has to
/// hold that call back. If the object has no room for new tags, the removal of old tags comes first.
pub(crate) fn tag_calls(
    before: &StringMap,
    after: &StringMap,
    tag: impl Fn(StringMap, StringMap) -> IamCall,
    untag: impl Fn(StringMap) -> IamCall,
) -> Vec<IamCall> {
    let to = pick(after, |key, value| before.get(key) != Some(value));
    let from = pick(before, |key, _| to.contains_key(key));
    let gone = pick(before, |key, _| !after.contains_key(key));
    let needs_room = before.len() + to.len() - from.len() > TAG_LIMIT;
    let set = |own: bool| {
        let [from, to] = [&from, &to].map(|tags| pick(tags, |key, _| is_mark(key) == own));
        (!to.is_empty()).then(|| tag(from, to))
    };
    let set = [set(true), set(false)].into_iter().flatten();
    let untag = (!gone.is_empty()).then(|| untag(gone));
    if needs_room { untag.into_iter().chain(set).collect() } else { set.chain(untag).collect() }
}

/// The tags without irsa's own.
pub(crate) fn without_own_tags(tags: &StringMap) -> StringMap {
    pick(tags, |key, _| !is_mark(key))
}

/// The entries of a map that `which` accepts.
pub(crate) fn pick(map: &StringMap, which: impl Fn(&String, &String) -> bool) -> StringMap {
    map.iter().filter(|(key, value)| which(key, value)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Why an undeclared object is deleted.
pub(crate) fn delete_reason(context: &PlanContext<'_>) -> String {
    if context.options.destroy { "`--destroy` deletes every selected object" } else { "no longer declared" }.to_owned()
}

/// Why irsa must not delete an object with these tags. They have `irsa/prevent-destroy`, or an address with a cluster
/// or an account that this configuration does not declare.
pub(crate) fn delete_forbidden_by_tags(context: &PlanContext<'_>, tags: &StringMap) -> Option<Refusal> {
    if context.options.report_only {
        return None;
    }
    if is_protected(tags) {
        return Some(RefusalKind::PreventDestroy.because(
            format!("its live tag `{PREVENT_DESTROY}` forbids it"),
            format!("declare it again, or remove the tag `{PREVENT_DESTROY}` by hand"),
        ));
    }
    let address = tags.get(ADDRESS)?.parse::<Address>().ok()?;
    let missing_cluster = address.cluster().filter(|key| !context.desired.clusters.contains_key(*key));
    let place = match (missing_cluster, address.place()) {
        (Some(key), _) => format!("cluster `{key}`"),
        (None, Some(Place::Account(key))) if !context.desired.accounts.contains_key(key) => format!("account `{key}`"),
        _ => return None,
    };
    let hint = match (missing_cluster, &address) {
        (Some(key), Address::OidcProvider { .. }) => {
            format!("if the cluster was deleted, declare `[clusters.{key}]` with `state = \"gone\"`")
        }
        // either the account is not declared, or somebody wrote the address of a ServiceAccount into the tag
        _ => "check the key of the account, and check that no other configuration uses this `owner`".to_owned(),
    };
    let why = format!("its tag `{ADDRESS}` names {place}, which is not declared");
    Some(RefusalKind::OtherConfiguration.because(why, hint))
}

/// Why irsa does not delete an object that roles may use: the roles of the account could not be listed.
pub(crate) fn roles_unlisted(account: &LiveAccount) -> Option<Refusal> {
    let Observed::Unknown(why) = &account.role_list else { return None };
    Some(RefusalKind::UnlistedRoles.because(
        format!("the account's roles could not be listed: {why}"),
        "allow `iam:ListRoles`, `iam:ListPolicies` and `iam:ListOpenIDConnectProviders`, then plan again",
    ))
}
