//! The HTTP server of AWS: one loopback port for IAM, STS and EKS.
//!
//! The credential scope names the service; without one, the form of the request decides. For each request the server
//! parses it, identifies the caller, passes the gate, executes the request in one step under the account's lock, passes
//! the gate again and answers in the service's own protocol: XML for IAM and STS, JSON for EKS.

use crate::admin;
use crate::aws::credentials::{Caller, Signed};
use crate::aws::eks::Route;
use crate::aws::gate::Call;
use crate::aws::query::{AwsError, Params, Xml, respond};
use crate::aws::{Aws, Iam};
use crate::gate::{Passed, Stage};
use crate::wire::{self, ClosablePort, Lost, Payload, header};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) const IAM_NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";
const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The largest body. No request of these services is larger.
const MAX_BODY: usize = 1024 * 1024;

/// How long to wait before the port closes, so that the answer to the request that asked for it can be sent.
const ANSWER_TIME: Duration = Duration::from_millis(50);

/// A running server. Dropping it stops the server.
#[derive(Debug)]
pub(crate) struct Server {
    closable_port: Arc<ClosablePort>,
    keeper: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.keeper.abort();
        self.closable_port.close();
    }
}

/// Closes the port for each requested duration, then opens it again.
async fn close_and_reopen(closable_port: Arc<ClosablePort>, mut shutting: watch::Receiver<Duration>) {
    while shutting.changed().await.is_ok() {
        let time = *shutting.borrow_and_update();
        tokio::time::sleep(ANSWER_TIME).await;
        if closable_port.refuse(true).await.is_ok() {
            tokio::time::sleep(time).await;
            // If the port cannot be bound again, it stays closed; see `ClosablePort::refuse`.
            let _ = closable_port.refuse(false).await;
        }
    }
}

impl Server {
    /// Starts the server on a port of 127.0.0.1; 0 picks a free one.
    pub(crate) async fn start(aws: Arc<Aws>, port: u16) -> io::Result<Self> {
        let shutting = aws.shutting();
        let closable_port =
            Arc::new(ClosablePort::open(port, move |stream| connection(stream, Arc::clone(&aws))).await?);
        let keeper = tokio::spawn(close_and_reopen(Arc::clone(&closable_port), shutting));
        Ok(Self { closable_port, keeper })
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.closable_port.address())
    }

    /// With true, breaks all connections and refuses new ones. With false, accepts them again.
    pub(crate) async fn refuse_connections(&self, refuse: bool) -> io::Result<()> {
        self.closable_port.refuse(refuse).await
    }
}

pub(crate) async fn connection(stream: impl wire::Stream, aws: Arc<Aws>) {
    let service = service_fn(move |request| answer(Arc::clone(&aws), request));
    // An error here means that the client disconnected or that a fault dropped the answer.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// A parsed request: the service and the operation.
enum Operation {
    Query { service: &'static str, action: String, params: Params },
    Eks { route: Option<Route>, query: String, body: Bytes },
}

/// The result of an operation.
enum Answer {
    Query(Option<Xml>),
    Json(Value),
}

impl Operation {
    fn read(service: Option<&str>, method: &Method, path: &str, query: &str, body: &Bytes) -> Self {
        let rest = || Self::Eks { route: Route::read(method, path, body), query: query.to_owned(), body: body.clone() };
        let form = |service| {
            let params = Params::parse(if method == Method::GET { query.as_bytes() } else { body });
            let action = params.text("Action").unwrap_or_default().to_owned();
            Self::Query { service, action, params }
        };
        match service {
            Some("eks") => rest(),
            Some("sts") => form("sts"),
            Some(_) => form("iam"),
            None if path != "/" => rest(),
            // An unsigned request has no credential scope, so the API version decides. Only STS has unsigned
            // operations.
            None => match form("sts") {
                Self::Query { params, action, .. } if params.text("Version") == Some("2010-05-08") => {
                    Self::Query { service: "iam", action, params }
                }
                other => other,
            },
        }
    }

    fn service(&self) -> &'static str {
        match self {
            Self::Query { service, .. } => service,
            Self::Eks { .. } => "eks",
        }
    }

    fn action(&self) -> &str {
        match self {
            Self::Query { action, .. } => action,
            Self::Eks { route, .. } => route.as_ref().map_or("", |route| route.action),
        }
    }

    fn object(&self) -> String {
        match self {
            Self::Query { service: "iam", action, params } => Iam::object_of(action, params),
            Self::Query { params, .. } => params.text("RoleArn").unwrap_or_default().to_owned(),
            Self::Eks { route, .. } => route.as_ref().map(Route::object).unwrap_or_default(),
        }
    }

    fn needs_caller(&self) -> bool {
        self.service() != "sts" || self.action() != "AssumeRoleWithWebIdentity"
    }
}

/// Identifies the caller. None if the operation needs no caller.
fn caller(aws: &Aws, asked: &Operation, signed: Option<&Signed>) -> Result<Option<Caller>, AwsError> {
    match signed {
        _ if !asked.needs_caller() => Ok(None),
        None => Err(AwsError::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token")),
        Some(signed) => aws.holder(&signed.key, signed.token.as_deref()).map(|holder| Some(holder.caller)),
    }
}

async fn answer(aws: Arc<Aws>, incoming: http::Request<Incoming>) -> Result<Response<Payload>, Lost> {
    let (parts, body) = incoming.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map(http_body_util::Collected::to_bytes);
    let (body, too_large) = body.map_or_else(|_| (Bytes::new(), true), |body| (body, false));
    if parts.uri.path().starts_with(admin::PREFIX) {
        return Ok(admin::answer(&aws, &parts, &body).await);
    }
    let query = parts.uri.query().unwrap_or_default();
    let signed = Signed::read(&parts.headers, &Params::parse(query.as_bytes()));
    let scope = signed.as_ref().ok().and_then(Option::as_ref);
    let asked =
        Operation::read(scope.map(|signed| signed.service.as_str()), &parts.method, parts.uri.path(), query, &body);
    let caller = signed.as_ref().map_err(Clone::clone).and_then(|signed| caller(&aws, &asked, signed.as_ref()));
    let known = caller.as_ref().ok().and_then(Option::as_ref);
    let mut call = Call {
        number: 0,
        account: known.map(|caller| caller.account.clone()).unwrap_or_default(),
        region: scope.map(|signed| signed.region.clone()).unwrap_or_default(),
        service: asked.service().to_owned(),
        action: asked.action().to_owned(),
        object: asked.object(),
        caller: known.map(|caller| caller.arn.clone()).unwrap_or_default(),
        user_agent: header(&parts.headers, &USER_AGENT),
        body: if parts.method == Method::GET { query.to_owned() } else { String::from_utf8_lossy(&body).into_owned() },
    };
    aws.gate.arrived(&mut call);
    aws.gate.wait_for_latency().await;
    let result = match caller {
        Err(error) => Err(error),
        Ok(_) if too_large => Err(AwsError::new(413, "RequestEntityTooLarge", "Request entity too large")),
        Ok(caller) => match aws.gate.pass(Stage::Before, &call, None).await {
            Passed::Lost => return Err(Lost),
            Passed::Refused(refusal) => return Ok(send(&aws, &call, Err(refusal.into()))),
            Passed::Page(status, body) => return Ok(aws.gate.page(&call, status, body)),
            Passed::On | Passed::Cut => carry_out(&aws, caller.as_ref(), &call, &asked).await,
        },
    };
    let status = result.as_ref().map_or_else(|error| error.status, |_| 200);
    aws.gate.note(call.number, |record| record.outcome = Some(status));
    match aws.gate.pass(Stage::After, &call, Some(status)).await {
        Passed::On => Ok(send(&aws, &call, result)),
        Passed::Refused(refusal) => Ok(send(&aws, &call, Err(refusal.into()))),
        Passed::Page(status, body) => Ok(aws.gate.page(&call, status, body)),
        Passed::Cut => Ok(wire::truncated(send(&aws, &call, result))),
        Passed::Lost => Err(Lost),
    }
}

async fn carry_out(
    aws: &Arc<Aws>,
    caller: Option<&Caller>,
    call: &Call,
    asked: &Operation,
) -> Result<Answer, AwsError> {
    match (asked, caller) {
        (Operation::Query { service: "iam", action, params }, Some(caller)) => {
            aws.iam_request(&caller.account, call, action, params).map(Answer::Query)
        }
        (Operation::Query { action, params, .. }, caller) => aws.sts(caller, action, params).map(Answer::Query),
        (Operation::Eks { route: Some(route), query, body }, Some(caller)) => {
            let place = crate::aws::AccountRegion { account: caller.account.clone(), region: call.region.clone() };
            aws.eks_call(call.number, &place, route, query, body).await.map(Answer::Json)
        }
        (Operation::Eks { .. }, _) => Err(AwsError::new(404, "UnknownOperationException", "Not Found")),
    }
}

/// A request id, derived from the request's number.
fn request_id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

fn send(aws: &Aws, call: &Call, result: Result<Answer, AwsError>) -> Response<Payload> {
    let id = request_id(call.number);
    let mut headers = HeaderMap::new();
    let namespace = if call.service == "sts" { STS_NAMESPACE } else { IAM_NAMESPACE };
    let (status, kind, body) = match result {
        Ok(Answer::Query(xml)) => (200, "text/xml", respond(&call.action, namespace, xml, &id)),
        Ok(Answer::Json(value)) => (200, "application/json", value.to_string()),
        Err(error) if call.service == "eks" => {
            let error = as_json_service_error(error);
            if let Ok(value) = HeaderValue::from_str(&error.code) {
                headers.insert("x-amzn-errortype", value);
            }
            (error.status, "application/json", json!({"message": error.message}).to_string())
        }
        Err(error) => (error.status, "text/xml", error.to_query_xml(namespace, &id)),
    };
    aws.gate.note(call.number, |record| record.answer = Some(status));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert("x-amzn-requestid", value);
    }
    let mut response = Response::new(Payload::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

/// Renames an error that occurs before the service runs: JSON services use other error codes
/// (<https://docs.aws.amazon.com/eks/latest/APIReference/CommonErrors.html>).
fn as_json_service_error(error: AwsError) -> AwsError {
    let code = match error.code.as_str() {
        "InvalidClientTokenId" => "UnrecognizedClientException",
        "MissingAuthenticationToken" => "MissingAuthenticationTokenException",
        "ExpiredToken" => "ExpiredTokenException",
        "IncompleteSignature" => "IncompleteSignatureException",
        _ => return error,
    };
    AwsError { code: code.to_owned(), ..error }
}

#[cfg(test)]
pub(crate) mod tests;

#[cfg(test)]
mod faults;
