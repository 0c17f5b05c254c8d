//! `pods`: the running pods of the ServiceAccount have the variables of the role. Those that do not are grouped by the
//! workload to repair. Most need a restart, because the webhook sets the variables only when a pod is created. Others have
//! something in their own spec that comes before the role.

use super::case::Case;
use super::{Status, Verdict, shell_word};
use crate::ids::Namespace;
use crate::model::evidence::{Association, ClusterEvidence, Owner, Pod, PodProblem};
use crate::model::live::Observed;
use crate::model::quoted::quoted;
use std::collections::BTreeMap;

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    if let Err(verdict) = case.managed_service_account() {
        return verdict;
    }
    let Some((_, namespace, name)) = case.chain.key() else { return Verdict::not_applicable("a pattern") };
    let Some(evidence) = case.evidence else { return Verdict::unknown("they were not read") };
    let pods = match evidence.pods.get(&namespace) {
        Some(Observed::Present(pods)) => pods,
        Some(Observed::Unknown(why)) => return Verdict::unknown(why.clone()),
        Some(Observed::Absent) | None => return Verdict::unknown("they were not read"),
    };
    let pods: Vec<&Pod> = pods.iter().filter(|pod| pod.may_use(name.as_str())).collect();
    if pods.is_empty() {
        return Verdict::not_applicable("no pod uses it");
    }
    let role = &case.role_arn;
    let audience = case.chain.binding.effective_audience();
    let mut groups: BTreeMap<(Owner, PodProblem), Vec<&Pod>> = BTreeMap::new();
    // an association with this role gives pods the role without the variables
    let same = |association: &Association| association.role == Observed::Present(role.to_string());
    let by_association = case.association().is_some_and(same);
    let uses_association = |pod: &&Pod| by_association && pod.containers.iter().any(|one| one.pod_identity);
    for pod in pods.iter().copied().filter(|pod| !uses_association(pod)) {
        if let Some(problem) = pod.problem(role.as_str(), audience) {
            groups.entry((workload(evidence, &namespace, pod), problem)).or_default().push(pod);
        }
    }
    let malformed = quoted(pods.iter().filter(|pod| pod.is_malformed).map(|pod| &pod.name));
    if groups.is_empty() && !malformed.is_empty() {
        let noun = if malformed.len() == 1 { "pod" } else { "pods" };
        return Verdict::unknown(format!("irsa does not understand {noun} {}", malformed.join(", ")));
    }
    if groups.is_empty() {
        return Verdict::ok(format!("{} as declared", count(pods.len())));
    }
    let kubectl = case.kubectl();
    let mut verdict = Verdict::new(Status::Failed, "");
    let mut texts = Vec::new();
    for ((owner, PodProblem { text, remove }), pods) in &groups {
        let oldest = pods.iter().map(|pod| pod.started.as_str()).filter(|time| !time.is_empty()).min();
        let oldest = oldest.map(|time| format!(" (the oldest started at {time})")).unwrap_or_default();
        let verb = if pods.len() == 1 { singular(text) } else { text.clone() };
        texts.push(format!("{}: {} {verb}{oldest}", shown(owner), count(pods.len())));
        let workload = Workload { owner, namespace: &namespace, kubectl: &kubectl };
        let hint = remove.as_ref().map_or_else(|| workload.restart(), |what| workload.repair(what));
        if !verdict.hints.contains(&hint) {
            verdict.hints.push(hint);
        }
    }
    verdict.text = texts.join("; ");
    verdict
}

fn count(pods: usize) -> String {
    if pods == 1 { "1 pod".to_owned() } else { format!("{pods} pods") }
}

/// `have …` as `has …`: a problem begins with its verb.
fn singular(problem: &str) -> String {
    match problem.split_once(' ') {
        Some(("have", rest)) => format!("has {rest}"),
        Some((verb, rest)) => format!("{verb}s {rest}"),
        None => problem.to_owned(),
    }
}

/// The workload of a pod: the owner of its ReplicaSet, its controller, or the pod itself.
fn workload(evidence: &ClusterEvidence, namespace: &Namespace, pod: &Pod) -> Owner {
    let Some(owner) = &pod.owner else { return Owner { kind: "Pod".to_owned(), name: pod.name.clone() } };
    let above = evidence.replica_sets.get(&(namespace.clone(), owner.name.clone()));
    above.filter(|_| owner.kind == "ReplicaSet").unwrap_or(owner).clone()
}

fn shown(owner: &Owner) -> String {
    format!("{}/{}", owner.kind.to_lowercase(), owner.name)
}

/// A workload in the words of kubectl.
struct Workload<'a> {
    owner: &'a Owner,
    namespace: &'a Namespace,
    /// The program with its context.
    kubectl: &'a str,
}

impl Workload<'_> {
    fn kubectl(&self, verb: &str) -> String {
        let Self { owner, namespace, kubectl } = self;
        format!("{kubectl} -n {namespace} {verb} {}", shell_word(&shown(owner)))
    }

    /// Whether its controller replaces the pods after a change of their template.
    fn rolls_out(&self) -> bool {
        ["Deployment", "StatefulSet", "DaemonSet"].contains(&self.owner.kind.as_str())
    }

    /// How to get new pods.
    fn restart(&self) -> String {
        match self.owner.kind.as_str() {
            _ if self.rolls_out() => self.kubectl("rollout restart"),
            "Pod" => format!("delete and create it again: {}", self.kubectl("delete")),
            "Job" => format!("let it end, or delete and create it again: {}", self.kubectl("delete")),
            _ => format!("restart {} in namespace `{}`", shell_word(&shown(self.owner)), self.namespace),
        }
    }

    /// How to get pods without something that their spec has.
    fn repair(&self, remove: &str) -> String {
        let name = shown(self.owner);
        if self.rolls_out() {
            format!("remove {remove} from the pod template of {name}: {}", self.kubectl("edit"))
        } else {
            format!("remove {remove} from the manifest of {name}, then {}", self.restart())
        }
    }
}
