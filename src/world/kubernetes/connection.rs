//! The connection to one cluster. Signs in, and renews the client and its token when they expire or the server refuses them.

use super::RunState;
use super::api_target::{ApiTarget, CredentialSource, bearer};
use super::client;
use super::exec_plugin;
use super::failure::{ApiFailure, clean, of_kube};
use crate::ids::Key;
use crate::world::bounds::read_text;
use crate::world::{ClusterFacts, redact};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderValue;
use kube::{Client, Config};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Mutex, Semaphore};

/// Credentials that expire within this many seconds are renewed, because a request takes time, and clocks differ.
const MARGIN: i64 = 60;
/// A token file is read again after this many seconds, as kubectl does.
const RELOAD: i64 = 60;

/// A client with its credentials.
pub(crate) struct Session {
    pub(crate) client: Client,
    /// The `Authorization` header, unless the client adds it itself.
    pub(crate) authorization: Option<HeaderValue>,
    expires: Option<i64>,
    refused: AtomicBool,
}

impl Session {
    fn new(client: Client, authorization: Option<HeaderValue>, expires: Option<i64>) -> Self {
        Self { client, authorization, expires, refused: AtomicBool::new(false) }
    }

    fn is_usable(&self, now: i64) -> bool {
        !self.refused.load(Ordering::Relaxed) && self.expires.is_none_or(|at| at.saturating_sub(MARGIN) > now)
    }
}

pub(crate) struct ClusterConnection {
    pub(crate) run: Arc<RunState>,
    pub(crate) key: Key,
    pub(crate) target: ApiTarget,
    session: Mutex<Option<Arc<Session>>>,
    /// Limits the number of concurrent requests.
    pub(crate) slots: Semaphore,
    /// Whether the server has ever answered.
    pub(crate) reached: AtomicBool,
    /// The facts that the API server was checked with.
    pub(crate) facts: ClusterFacts,
}

impl ClusterConnection {
    pub(crate) fn new(run: &Arc<RunState>, key: &Key, target: ApiTarget, facts: &ClusterFacts) -> Self {
        Self {
            run: Arc::clone(run),
            key: key.clone(),
            target,
            session: Mutex::new(None),
            slots: Semaphore::new(run.settings.parallelism.max(1)),
            reached: AtomicBool::new(false),
            facts: facts.clone(),
        }
    }

    /// The current session. Signs in again if the last one has expired or was refused.
    pub(crate) async fn session(&self) -> Result<Arc<Session>, ApiFailure> {
        let mut session = self.session.lock().await;
        if let Some(session) = session.as_ref().filter(|session| session.is_usable(self.run.now())) {
            return Ok(Arc::clone(session));
        }
        let new = Arc::new(self.sign_in(session.as_deref()).await?);
        *session = Some(Arc::clone(&new));
        Ok(new)
    }

    /// Remembers that the server refused this session. Returns whether a new sign-in may help.
    pub(crate) fn mark_refused(&self, session: &Session) -> bool {
        session.refused.store(true, Ordering::Relaxed);
        !matches!(self.target.credentials, CredentialSource::Static)
    }

    async fn sign_in(&self, last: Option<&Session>) -> Result<Session, ApiFailure> {
        let config = &self.target.config;
        // reuses the client of the last session, which keeps connections open
        let client = || last.map_or_else(|| self.client(config.clone()), |last| Ok(last.client.clone()));
        match &self.target.credentials {
            CredentialSource::Static => Ok(Session::new(client()?, None, None)),
            CredentialSource::TokenFile(file) => {
                let expires = Some(self.run.now().saturating_add(MARGIN + RELOAD));
                match (read_text(file).await, last) {
                    (Ok(token), _) => {
                        redact::hide(&token);
                        Ok(Session::new(client()?, Some(bearer(&token.into())?), expires))
                    }
                    // the file may be removed once it was read (https://github.com/kubernetes/kubernetes/issues/68164)
                    (Err(_), Some(last)) => Ok(Session::new(last.client.clone(), last.authorization.clone(), expires)),
                    (Err(error), None) => Err(ApiFailure::credentials(format!(
                        "tokenFile `{}` cannot be read: {error}",
                        clean(&file.display().to_string())
                    ))),
                }
            }
            CredentialSource::EksToken => {
                let (token, expires) = self.eks_token().await?;
                Ok(Session::new(client()?, Some(bearer(&token)?), Some(expires)))
            }
            CredentialSource::ExecPlugin(exec) => {
                let interactive = self.run.settings.interactive;
                let _terminal =
                    if exec_plugin::may_ask(exec, interactive) { Some(self.run.terminal.lock().await) } else { None };
                let issued = exec_plugin::run(exec, interactive, self.run.budget()).await?;
                let client = match issued.certificate_and_key {
                    None => client()?,
                    Some((certificate, key)) => {
                        let mut config = config.clone();
                        config.auth_info.client_certificate_data = Some(STANDARD.encode(certificate));
                        config.auth_info.client_key_data = Some(STANDARD.encode(key.expose_secret()).into());
                        self.client(config)?
                    }
                };
                Ok(Session::new(client, issued.token.as_ref().map(bearer).transpose()?, issued.expires))
            }
        }
    }

    fn client(&self, config: Config) -> Result<Client, ApiFailure> {
        client::of(&self.run.transports, config).map_err(|error| of_kube(&error))
    }

    async fn eks_token(&self) -> Result<(SecretString, i64), ApiFailure> {
        match tokio::time::timeout(self.run.budget(), (self.run.tokens)(self.key.clone())).await {
            Ok(Ok(made)) => Ok(made),
            Ok(Err(error)) => Err(ApiFailure::credentials(clean(&error.to_string()))),
            Err(_) => Err(ApiFailure::credentials("no token was made in time")),
        }
    }
}
