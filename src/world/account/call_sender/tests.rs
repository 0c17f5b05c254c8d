use super::*;
use crate::world::CallErrorKind;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;
use std::sync::atomic::AtomicUsize;

/// A second lasts two and a half milliseconds in these tests.
const SPEED: u32 = 400;

type Outcome = Result<u32, SdkError<ErrorMetadata, HttpResponse>>;

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Listen for Heard {
    fn on(&self, event: &Event) {
        if let Event::Waiting { what } = event {
            self.0.lock().unwrap().push(what.clone());
        }
    }
}

fn sender(parallelism: usize) -> (CallSender, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let context = Context::fixed(BTreeMap::new(), 0, SPEED);
    let key = Key::parse("prod").unwrap();
    (
        CallSender::new(key, context, Duration::from_mins(2), parallelism, Arc::clone(&heard) as Arc<dyn Listen>, None),
        heard,
    )
}

#[expect(clippy::result_large_err, reason = "the SDK's own error")]
fn refusal(status: u16, code: &str) -> Outcome {
    let raw = http::Response::builder().status(status).body(SdkBody::empty()).unwrap();
    let meta = ErrorMetadata::builder().code(code).message("no").build();
    Err(SdkError::service_error(meta, HttpResponse::try_from(raw).unwrap()))
}

#[expect(clippy::result_large_err, reason = "the SDK's own error")]
fn reset() -> Outcome {
    let reset = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "reset");
    Err(SdkError::dispatch_failure(ConnectorError::io(reset.into())))
}

const GET_ROLE: Action = Action::iam("GetRole");

#[tokio::test]
async fn throttled_call_is_retried_until_it_succeeds() {
    let (sender, heard) = sender(10);
    let tries = AtomicUsize::new(0);
    let answer = sender
        .call(GET_ROLE, RetryFacts::default(), || {
            let number = tries.fetch_add(1, Ordering::Relaxed);
            async move { if number < 4 { refusal(400, "Throttling") } else { Ok(7) } }
        })
        .await;
    assert_eq!(answer, Ok(7));
    assert_eq!(tries.load(Ordering::Relaxed), 5);
    assert_eq!(heard.0.lock().unwrap()[0], "iam:GetRole in account `prod`: throttled");
}

#[tokio::test]
async fn throttled_call_fails_at_the_end_of_its_budget() {
    let (sender, _) = sender(10);
    let start = Instant::now();
    let answer = sender.call(GET_ROLE, RetryFacts::default(), || async { refusal(400, "Throttling") }).await;
    let error = answer.unwrap_err();
    assert_eq!((error.kind, error.operation.as_str()), (CallErrorKind::Throttled, "iam:GetRole"));
    // two throttled calls a second at the slowest, and a wait of up to five seconds that would have been too long
    assert!(start.elapsed() >= Duration::from_secs(110) / SPEED, "{:?}", start.elapsed());
}

#[tokio::test]
async fn hanging_call_fails_at_the_end_of_its_budget() {
    let (sender, _) = sender(10);
    let start = Instant::now();
    let answer = sender.call(GET_ROLE, RetryFacts::default(), std::future::pending::<Outcome>).await;
    assert_eq!(answer.unwrap_err().kind, CallErrorKind::Unavailable);
    assert!(start.elapsed() >= Duration::from_mins(2) / SPEED);
}

#[tokio::test]
async fn final_errors_fail_without_a_retry() {
    let (sender, heard) = sender(10);
    let tries = AtomicUsize::new(0);
    for (status, code, kind) in [
        (403, "AccessDenied", CallErrorKind::Denied),
        (409, "LimitExceeded", CallErrorKind::Limit),
        (400, "MalformedPolicyDocument", CallErrorKind::Invalid),
        (404, "NoSuchEntity", CallErrorKind::NotFound),
    ] {
        let send = || {
            tries.fetch_add(1, Ordering::Relaxed);
            async move { refusal(status, code) }
        };
        assert_eq!(sender.call(GET_ROLE, RetryFacts::default(), send).await.unwrap_err().kind, kind);
    }
    assert_eq!(tries.load(Ordering::Relaxed), 4);
    assert!(heard.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn object_that_this_run_created_is_read_until_it_is_found() {
    let (sender, _) = sender(10);
    let tries = AtomicUsize::new(0);
    let facts = RetryFacts { created: true, ..RetryFacts::default() };
    let answer = sender
        .call(GET_ROLE, facts, || {
            let number = tries.fetch_add(1, Ordering::Relaxed);
            async move { if number < 2 { refusal(404, "NoSuchEntity") } else { Ok(1) } }
        })
        .await;
    assert_eq!(answer, Ok(1));
}

#[tokio::test]
async fn endpoint_that_refuses_connections_is_retried_only_if_it_answered_before() {
    let (sender, heard) = sender(10);
    let refused = || async {
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "refused");
        Outcome::Err(SdkError::dispatch_failure(ConnectorError::io(refused.into())))
    };
    assert_eq!(
        sender.call(GET_ROLE, RetryFacts::default(), refused).await.unwrap_err().kind,
        CallErrorKind::Unavailable
    );
    assert!(heard.0.lock().unwrap().is_empty());
    sender.call(GET_ROLE, RetryFacts::default(), || async { Outcome::Ok(1) }).await.unwrap();
    assert!(sender.call(GET_ROLE, RetryFacts::default(), refused).await.is_err());
    assert!(heard.0.lock().unwrap().len() > 5);
}

#[tokio::test]
async fn call_marked_once_is_not_repeated_after_a_reset() {
    let (sender, _) = sender(10);
    let tries = AtomicUsize::new(0);
    let facts = RetryFacts { must_not_repeat: true, ..RetryFacts::default() };
    let answer = sender
        .call(Action::iam("CreatePolicyVersion"), facts, || {
            tries.fetch_add(1, Ordering::Relaxed);
            async { reset() }
        })
        .await;
    assert_eq!(answer.unwrap_err().kind, CallErrorKind::Unavailable);
    assert_eq!(tries.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn calls_in_flight_are_limited_by_parallelism() {
    let (sender, _) = sender(3);
    let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let one = || async {
        let running = now.fetch_add(1, Ordering::Relaxed) + 1;
        most.fetch_max(running, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(2)).await;
        now.fetch_sub(1, Ordering::Relaxed);
        Outcome::Ok(1)
    };
    futures::future::join_all((0..12).map(|_| sender.call(GET_ROLE, RetryFacts::default(), one))).await;
    assert_eq!(most.load(Ordering::Relaxed), 3);
}

#[test]
fn each_action_has_its_own_rate_limiter() {
    let (sender, _) = sender(100);
    assert!(Arc::ptr_eq(&sender.limiter(GET_ROLE), &sender.limiter(GET_ROLE)));
    assert!(!Arc::ptr_eq(&sender.limiter(GET_ROLE), &sender.limiter(Action::iam("ListRoles"))));
}

#[test]
fn random_numbers_are_spread_between_zero_and_one() {
    let (sender, _) = sender(1);
    let drawn: Vec<f64> = (0..1000).map(|_| sender.random()).collect();
    assert!(drawn.iter().all(|x| (0.0..1.0).contains(x)));
    let mean = drawn.iter().sum::<f64>() / 1000.0;
    assert!((0.4..0.6).contains(&mean), "{mean}");
}

#[tokio::test]
async fn halt_stops_waiting_calls_and_lets_calls_in_flight_end() {
    let (sender, _) = sender(1);
    let halt = CancellationToken::new();
    let under_way = sender.call_unless(&halt, GET_ROLE, RetryFacts::default(), || async {
        tokio::task::yield_now().await;
        halt.cancel();
        tokio::task::yield_now().await;
        Outcome::Ok(7)
    });
    let waits =
        sender.call_unless(&halt, GET_ROLE, RetryFacts::default(), || async { panic!("it is sent") as Outcome });
    let (under_way, waits) = tokio::join!(under_way, waits);
    assert_eq!(under_way, Ok(7));
    assert_eq!(waits.unwrap_err().kind, CallErrorKind::Stopped);
}

#[tokio::test]
async fn halt_stops_retries() {
    let (sender, _) = sender(1);
    let halt = CancellationToken::new();
    let tries = AtomicUsize::new(0);
    let answer = sender
        .call_unless(&halt, GET_ROLE, RetryFacts::default(), || {
            tries.fetch_add(1, Ordering::Relaxed);
            halt.cancel();
            async { refusal(400, "Throttling") }
        })
        .await;
    assert_eq!(answer.unwrap_err().kind, CallErrorKind::Throttled, "the last failure");
    assert_eq!(tries.load(Ordering::Relaxed), 1);
}
