//! The first calls of an account and its clusters: they need no answer of another, so they may be under way before
//! anything else is known.
//!
//! They are sent beside the question who the credentials are where that answer can forbid nothing: the ambient
//! credentials' own account has no declared id that it could differ from. Of every other account nothing is asked until
//! STS has told which it is.

use crate::ids::{Key, ProviderArn};
use crate::model::desired::{Account, Cluster, ClusterState};
use crate::model::live::RoleSummary;
use crate::world::{AccountSummary, Answer, BulkPage, ClusterFacts, Listed, PolicySummary, ReadAws};
use futures::future::{BoxFuture, Either, join, join_all, join3, select};
use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;
use tokio::time::Instant;

/// Up to so many declared roles the way by role is taken unasked: IAM's buckets hold them without a wait.
pub(super) const FEW: usize = 30;

/// A call that is still to be answered, or was.
pub(super) enum Pending<'a, T> {
    Asked(BoxFuture<'a, T>),
    Answered(T),
}

impl<'a, T> Pending<'a, T> {
    pub(super) fn new(call: impl Future<Output = T> + Send + 'a) -> Self {
        Self::Asked(Box::pin(call))
    }

    /// Goes on with it until it is answered; may be left at any time and taken up again.
    async fn go_on(&mut self) {
        if let Self::Asked(call) = self {
            *self = Self::Answered(call.await);
        }
    }

    pub(super) async fn answer(self) -> T {
        match self {
            Self::Asked(call) => call.await,
            Self::Answered(answer) => answer,
        }
    }
}

/// A page of the bulk read, and how long it took.
pub(super) type Page<'a> = Pending<'a, (Answer<BulkPage>, Duration)>;

/// Asks for the page that another one named, or the first.
pub(super) fn page<'a>(key: &'a Key, aws: &'a impl ReadAws, page: Option<String>) -> Page<'a> {
    Pending::new(async move {
        let begun = Instant::now();
        let answer = aws.bulk_page(key, page.as_deref()).await;
        (answer, begun.elapsed())
    })
}

/// What is asked of an account where many roles are declared.
pub(super) struct ManyRoles<'a> {
    pub page: Page<'a>,
    pub summary: Pending<'a, Answer<AccountSummary>>,
}

/// The first calls of one account. They must be gone on with side by side: one may wait for another's place.
pub(super) struct Lists<'a> {
    pub roles: Pending<'a, Answer<Listed<RoleSummary>>>,
    pub policies: Pending<'a, Answer<Listed<PolicySummary>>>,
    pub providers: Pending<'a, Answer<Listed<ProviderArn>>>,
    pub many: Option<ManyRoles<'a>>,
}

impl<'a> Lists<'a> {
    /// Those of an account in which so many roles are declared.
    pub(super) fn ask(key: &'a Key, aws: &'a impl ReadAws, roles: usize) -> Self {
        let many = || ManyRoles { page: page(key, aws, None), summary: Pending::new(aws.summary(key)) };
        Self {
            roles: Pending::new(aws.roles(key)),
            policies: Pending::new(aws.policies(key)),
            providers: Pending::new(aws.providers(key)),
            many: (roles > FEW).then(many),
        }
    }
}

/// The calls that are made before it is known who the credentials are, in one account or none.
#[derive(Default)]
pub struct Early<'a> {
    /// What comes before them: to find the credentials is no part of any call's time.
    sign_in: Option<BoxFuture<'a, ()>>,
    pub(super) account: Option<(Key, Lists<'a>)>,
    pub(super) clusters: BTreeMap<Key, Pending<'a, Answer<Option<ClusterFacts>>>>,
}

impl<'a> Early<'a> {
    /// Those of the one account, if it declares no id. Accounts, clusters and the number of roles are as they are
    /// offline: none of them depends on who the credentials are.
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
            account: Some((key.clone(), Lists::ask(key, aws, roles))),
            clusters: described.map(|(key, _)| (key.clone(), Pending::new(aws.cluster(key)))).collect(),
        }
    }

    /// Does `work`, and what can be done of these meanwhile.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let Self { sign_in, account, clusters } = self;
        let calls = async {
            if let Some(sign_in) = sign_in.take() {
                sign_in.await;
            }
            let Some((_, Lists { roles, policies, providers, many })) = account else { return };
            let clusters = join_all(clusters.values_mut().map(Pending::go_on));
            let lists = join3(roles.go_on(), policies.go_on(), providers.go_on());
            // last: who waits for these may give them up once the others are there
            let many = async {
                if let Some(ManyRoles { page, summary }) = many {
                    join(page.go_on(), summary.go_on()).await;
                }
            };
            join3(lists, clusters, many).await;
        };
        match select(pin!(work), pin!(calls)).await {
            Either::Left((done, _)) => done,
            Either::Right(((), work)) => work.await,
        }
    }
}
