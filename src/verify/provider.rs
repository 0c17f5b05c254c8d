//! `provider`: the role's account has the OIDC provider of exactly this issuer, and it accepts the audience.

use super::Verdict;
use super::case::Case;
use crate::ids::ProviderArn;
use crate::model::live::{Access, Observed};
use crate::model::quoted::quoted;
use crate::model::refusal::Refusal;

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    if let Some(why) = case.no_cluster() {
        return Verdict::not_applicable(why);
    }
    let account = &case.chain.role.account;
    let unread = |why: &str| Verdict::unknown(format!("account `{account}` was not read: {why}"));
    match &case.live_account.identity {
        Access::Wrong(Refusal { why, hint, .. }) => return unread(why).hint(hint.clone()),
        Access::Unknown(why) => return unread(why),
        Access::Granted(_) => {}
    }
    let Some(issuer) = case.issuer() else { return Verdict::unknown("the issuer is not known") };
    let arn = ProviderArn::of(&case.account.partition, &case.account.id, issuer);
    let provider = match case.live_account.provider(&arn) {
        Observed::Present(provider) => provider,
        Observed::Unknown(why) => return Verdict::unknown(why),
        Observed::Absent => {
            return Verdict::failed(
                format!("account `{account}` has no OIDC provider for `{issuer}`"),
                "run `irsa apply`, which creates it",
            );
        }
    };
    let audience = case.audience();
    if provider.provider.audiences.contains(audience) {
        return Verdict::ok(format!("`{arn}` accepts `{audience}`"));
    }
    let known = quoted(&provider.provider.audiences);
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let hint = match case.other_audience() {
        Some(_) => super::OTHER_AUDIENCE,
        None => "run `irsa apply`, which adds the declared audience",
    };
    Verdict::failed(
        format!("the OIDC provider of `{issuer}` does not accept the audience `{audience}` (it accepts {known})"),
        hint,
    )
}
