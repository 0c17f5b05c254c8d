//! The ids, severities and titles of all rules. Each check names the rule that it belongs to.
//!
//! An id is never reused. The missing numbers are reserved.

use crate::model::note::Severity::{self, Critical, High, Info, Low, Medium};

/// A lint rule.
pub struct Rule {
    /// `IRSA` and three digits.
    pub id: &'static str,
    /// The usual severity. A finding may have another one.
    pub severity: Severity,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// Its section in the documentation.
    pub url: &'static str,
}

macro_rules! rules {
    ($($number:literal $severity:ident $title:literal;)+) => {
        &[$(Rule {
            id: concat!("IRSA", $number),
            severity: $severity,
            title: $title,
            url: concat!("docs/lint-rules.md#irsa", $number),
        }),+]
    };
}

/// Every rule, by id.
pub const RULES: &[Rule] = rules! {
    "001" Critical "condition on another issuer";
    "002" Critical "no condition on the subject";
    "003" High "missing or unexpected audience";
    "004" Critical "every ServiceAccount of a cluster";
    "005" High "wildcard namespace";
    "006" Medium "wildcard ServiceAccount name";
    "007" High "wildcard that is plain text";
    "008" Critical "set operator on a single value";
    "009" Critical "condition that holds without the claim";
    "010" Critical "condition that only excludes";
    "011" High "condition key that names no claim";
    "012" High "action that does not fit the principal";
    "013" Critical "everyone may assume the role";
    "014" High "a whole account may assume the role";
    "015" High "provider of another account";
    "016" High "provider that does not exist";
    "017" Medium "provider without a cluster";
    "019" Info "close to the quota of OIDC providers";
    "020" Medium "provider that accepts other audiences";
    "021" Medium "one role for clusters of several accounts";
    "023" Medium "the default ServiceAccount";
    "030" Critical "every action on every resource";
    "031" Critical "privilege escalation";
    "032" High "any role can be passed to a service";
    "033" High "any role can be assumed";
    "034" High "allows everything except a list";
    "035" Medium "all data may be read";
    "036" Medium "every action of a service on every resource";
    "037" High "can give other accounts access";
    "038" Critical "may change its own permissions";
    "039" High "placeholder that was not filled in";
    "040" High "attachments that irsa ignores";
    "041" Low "long sessions";
    "042" Low "old version of the policy language";
    "043" Medium "policy that cannot be parsed";
    "044" High "two statements with the same Sid";
    "045" Low "close to a size quota";
    "046" Medium "unknown AWS service";
    "050" High "principal that no longer exists";
};

/// The rules that only live objects show.
pub(super) const LIVE_ONLY: &[&str] = &["IRSA016", "IRSA017", "IRSA019", "IRSA020", "IRSA043"];

/// The severity of the rule with this id.
pub(super) fn severity(id: &str) -> Severity {
    let rule = RULES.iter().find(|rule| rule.id == id);
    rule.unwrap_or_else(|| unreachable!("`{id}` is not a rule")).severity
}
