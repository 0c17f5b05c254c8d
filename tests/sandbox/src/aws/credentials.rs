//! Identifies the caller from the access key in a Signature Version 4 request.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>. The key `test` is the first account, a key
//! of twelve digits is the account with that id, and the key of a session is one that AssumeRole returned. The server
//! does not verify the signatures of requests. Only the signature of an EKS token is verified, by `signature`, because
//! nothing else says which cluster the token is for.

pub(crate) mod signature;

use crate::aws::query::{AwsError, Params};
use crate::aws::{Aws, PARTITION};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The access key of the first account.
const FIRST_ACCOUNT_KEY: &str = "test";

/// The secret key of every account's own access key.
const SECRET: &str = "test";

/// What the signature of a request claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) key: String,
    pub(crate) date: String,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(crate) token: Option<String>,
}

fn incomplete(text: &str) -> AwsError {
    AwsError::new(400, "IncompleteSignature", text)
}

impl Signed {
    /// Reads the Authorization header, or else a presigned query. None if the request has neither.
    pub(crate) fn read(headers: &HeaderMap, query: &Params) -> Result<Option<Self>, AwsError> {
        let token = |text: Option<&str>| text.map(str::to_owned);
        if let Some(value) = headers.get(AUTHORIZATION) {
            let value = value.to_str().unwrap_or_default();
            let Some(rest) = value.strip_prefix("AWS4-HMAC-SHA256") else {
                return Err(incomplete("Authorization header requires 'AWS4-HMAC-SHA256'."));
            };
            let scope = rest.split(',').find_map(|part| part.trim().strip_prefix("Credential="));
            let sent = headers.get("x-amz-security-token").and_then(|value| value.to_str().ok());
            let scope = scope.ok_or_else(|| incomplete("Authorization header requires 'Credential' parameter."))?;
            return Self::scope(scope, token(sent)).map(Some);
        }
        match query.text("X-Amz-Credential") {
            None => Ok(None),
            Some(scope) => Self::scope(scope, token(query.text("X-Amz-Security-Token"))).map(Some),
        }
    }

    fn scope(scope: &str, token: Option<String>) -> Result<Self, AwsError> {
        let parts: Vec<&str> = scope.split('/').collect();
        match parts[..] {
            [key, date, region, service, "aws4_request"] if !key.is_empty() => Ok(Self {
                key: key.to_owned(),
                date: date.to_owned(),
                region: region.to_owned(),
                service: service.to_owned(),
                token,
            }),
            _ => Err(incomplete(&format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got '{scope}'"
            ))),
        }
    }
}

/// An identified caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The caller's account ID.
    pub(crate) account: String,
    /// The ARN that GetCallerIdentity returns.
    pub(crate) arn: String,
    /// The user id that GetCallerIdentity returns: `AIDA…` or `AROA…:session`.
    pub(crate) user_id: String,
    /// The ARN of the user or role in IAM.
    pub(crate) principal: String,
}

impl Caller {
    pub(crate) fn user(account: &str, name: &str, id: &str) -> Self {
        let arn = format!("arn:{PARTITION}:iam::{account}:user/{name}");
        Self { account: account.to_owned(), arn: arn.clone(), user_id: id.to_owned(), principal: arn }
    }

    /// A session of a role. Its ARN contains the role's name without the path.
    pub(crate) fn session(account: &str, role_arn: &str, role_id: &str, session: &str) -> Self {
        let name = role_arn.rsplit('/').next().unwrap_or_default();
        Self {
            account: account.to_owned(),
            arn: format!("arn:{PARTITION}:sts::{account}:assumed-role/{name}/{session}"),
            user_id: format!("{role_id}:{session}"),
            principal: role_arn.to_owned(),
        }
    }

    /// The unique id of the user or role.
    pub(crate) fn principal_id(&self) -> &str {
        self.user_id.split(':').next().unwrap_or_default()
    }

    /// Whether the caller is a role session.
    pub(crate) fn is_session(&self) -> bool {
        self.user_id.contains(':')
    }
}

/// The credentials that AssumeRole returned.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) token: String,
    pub(crate) expires: Timestamp,
    pub(crate) caller: Caller,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("key", &self.key).field("caller", &self.caller).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    made: u64,
    sessions: HashMap<String, Session>,
}

/// All sessions that were created.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    state: Mutex<State>,
}

/// The caller behind an access key, and the secret key.
pub(crate) struct KeyOwner {
    pub(crate) caller: Caller,
    pub(crate) secret: String,
}

impl Credentials {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates a session.
    pub(crate) fn session(&self, caller: Caller, expires: Timestamp) -> Session {
        let mut state = self.state();
        state.made += 1;
        let digest = |what: &str| Sha256::digest(format!("{what}/{}/{}", caller.arn, state.made));
        let key: String = hexadecimal(&digest("key")).to_ascii_uppercase();
        let token = format!("FwoGZXIvYXdzE{}", STANDARD.encode([digest("token"), digest("more")].concat()));
        let secret = STANDARD.encode(&digest("secret")[..30]);
        let session = Session { key: format!("ASIA{}", &key[..16]), secret, token, expires, caller };
        state.sessions.insert(session.key.clone(), session.clone());
        session
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Aws {
    /// Finds the caller behind an access key. A session's key needs its token and must not be expired.
    pub(crate) fn holder(&self, key: &str, token: Option<&str>) -> Result<KeyOwner, AwsError> {
        let own = |account: &str| {
            let caller = self.account(account).user.clone();
            Ok(KeyOwner { caller, secret: SECRET.to_owned() })
        };
        if key == FIRST_ACCOUNT_KEY {
            return own(&self.first);
        }
        if key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit()) {
            return own(key);
        }
        let unknown =
            || AwsError::new(403, "InvalidClientTokenId", "The security token included in the request is invalid.");
        let state = self.credentials.state();
        let session = state.sessions.get(key).filter(|session| token == Some(&session.token)).ok_or_else(unknown)?;
        if session.expires <= (self.clock)() {
            let text = "The security token included in the request is expired";
            return Err(AwsError::new(403, "ExpiredToken", text));
        }
        Ok(KeyOwner { caller: session.caller.clone(), secret: session.secret.clone() })
    }
}
