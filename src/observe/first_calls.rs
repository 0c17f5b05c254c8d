//! The first calls of an account and its clusters. They need no other answer, so they can start before the identity of
//! the credentials is known.
//!
//! They start early only if there is one account and it declares no `id`, because then no credentials can be wrong.
//! Otherwise irsa sends nothing before STS has confirmed the account.

use crate::ids::{Key, ProviderArn};
use crate::model::desired::{Account, Cluster, ClusterState};
use crate::model::live::RoleSummary;
use crate::world::{AccountSummary, Answer, BulkPage, ClusterFacts, Listed, PolicySummary, ReadAws};
use futures::future::{BoxFuture, Either, join, join_all, join3, select};
use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;
use tokio::time::Instant;

/// If no API action needs more than this many calls to read the roles one by one, irsa requests no bulk page, because
/// that would take about as long. Before ListRoles has answered, irsa counts the declared roles instead of the calls.
pub(super) const FEW_CALLS: usize = 30;

/// A call that may be in flight, or its answer.
pub(super) enum Pending<'a, T> {
    Unanswered(BoxFuture<'a, T>),
    Answered(T),
}

impl<'a, T> Pending<'a, T> {
    pub(super) fn new(call: impl Future<Output = T> + Send + 'a) -> Self {
        Self::Unanswered(Box::pin(call))
    }

    /// Polls the call until it is answered. The caller may drop this future and call `drive` again.
    async fn drive(&mut self) {
        if let Self::Unanswered(call) = self {
            *self = Self::Answered(call.await);
        }
    }

    pub(super) async fn answer(self) -> T {
        match self {
            Self::Unanswered(call) => call.await,
            Self::Answered(answer) => answer,
        }
    }
}

/// A page of a bulk read, and how long it took.
pub(super) type TimedPage<'a> = Pending<'a, (Answer<BulkPage>, Duration)>;

/// Requests the page at `marker`, or the first one.
pub(super) fn page<'a>(key: &'a Key, aws: &'a impl ReadAws, marker: Option<String>) -> TimedPage<'a> {
    Pending::new(async move {
        let begun = Instant::now();
        let answer = aws.bulk_page(key, marker.as_deref()).await;
        (answer, begun.elapsed())
    })
}

/// The first calls of one account. Poll them all together: the account sends only a few calls at a time, so one call
/// may wait until another ends.
pub(super) struct FirstCalls<'a> {
    pub roles: Pending<'a, Answer<Listed<RoleSummary>>>,
    pub policies: Pending<'a, Answer<Listed<PolicySummary>>>,
    pub providers: Pending<'a, Answer<Listed<ProviderArn>>>,
    /// The first bulk page and the account summary, if many roles are declared.
    pub bulk: Option<(TimedPage<'a>, Pending<'a, Answer<AccountSummary>>)>,
}

impl<'a> FirstCalls<'a> {
    /// `roles` is the number of declared roles.
    pub(super) fn new(key: &'a Key, aws: &'a impl ReadAws, roles: usize) -> Self {
        Self {
            roles: Pending::new(aws.roles(key)),
            policies: Pending::new(aws.policies(key)),
            providers: Pending::new(aws.providers(key)),
            bulk: (roles > FEW_CALLS).then(|| (page(key, aws, None), Pending::new(aws.summary(key)))),
        }
    }
}

/// The calls that start before the identity of the credentials is known. By default none.
#[derive(Default)]
pub struct EarlyCalls<'a> {
    /// Runs first, so that the time to find credentials does not count as the time of a call.
    sign_in: Option<BoxFuture<'a, ()>>,
    pub(super) account: Option<(Key, FirstCalls<'a>)>,
    pub(super) clusters: BTreeMap<Key, Pending<'a, Answer<Option<ClusterFacts>>>>,
}

impl<'a> EarlyCalls<'a> {
    /// The first calls, if there is exactly one account and it declares no id. Otherwise none. `roles` is the number of
    /// declared roles.
    pub fn of(
        accounts: &'a BTreeMap<Key, Account>,
        clusters: &'a BTreeMap<Key, Cluster>,
        roles: usize,
        aws: &'a impl ReadAws,
    ) -> Self {
        let Some((key, Account { declared_id: None, .. })) = accounts.first_key_value().filter(|_| accounts.len() == 1)
        else {
            return Self::default();
        };
        let described = clusters.iter().filter(|(_, cluster)| {
            cluster.state == ClusterState::Active && cluster.name.is_some() && cluster.account == *key
        });
        Self {
            sign_in: Some(Box::pin(aws.sign_in(key))),
            account: Some((key.clone(), FirstCalls::new(key, aws, roles))),
            clusters: described.map(|(key, _)| (key.clone(), Pending::new(aws.cluster(key)))).collect(),
        }
    }

    /// Runs `work`, and polls these calls meanwhile.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let Self { sign_in, account, clusters } = self;
        let calls = async {
            if let Some(sign_in) = sign_in.take() {
                sign_in.await;
            }
            let Some((_, FirstCalls { roles, policies, providers, bulk })) = account else { return };
            let clusters = join_all(clusters.values_mut().map(Pending::drive));
            let lists = join3(roles.drive(), policies.drive(), providers.drive());
            // polled last, because irsa always needs the other calls and may drop these
            let bulk = async {
                if let Some((page, summary)) = bulk {
                    join(page.drive(), summary.drive()).await;
                }
            };
            join3(lists, clusters, bulk).await;
        };
        match select(pin!(work), pin!(calls)).await {
            Either::Left((done, _)) => done,
            Either::Right(((), work)) => work.await,
        }
    }
}
