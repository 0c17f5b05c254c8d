//! Signed in to one API: a client, and the token that goes with each request until it expires.

use super::Run;
use super::credentials::{ApiTarget, Credentials, bearer};
use super::failure::{ApiFailure, clean, of_kube};
use super::files;
use super::plugin;
use super::socks;
use crate::ids::Key;
use crate::world::scrub;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderValue;
use kube::{Client, Config};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Mutex;

/// Credentials that expire within so many seconds are not used any more: a request takes its time, and clocks differ.
const MARGIN: i64 = 60;
/// After so many seconds a token's file is read again, as kubectl does.
const RELOAD: i64 = 60;

/// A client and who it speaks for.
pub(crate) struct Session {
    pub(crate) client: Client,
    /// The `Authorization` of every request, where the client does not add it itself.
    pub(crate) authorization: Option<HeaderValue>,
    expires: Option<i64>,
    /// The server did not take it.
    refused: AtomicBool,
}

impl Session {
    fn usable(&self, now: i64) -> bool {
        !self.refused.load(Ordering::Relaxed) && self.expires.is_none_or(|at| at.saturating_sub(MARGIN) > now)
    }
}

/// The sessions of one API, one after the other.
pub(crate) struct Sessions {
    run: Arc<Run>,
    key: Key,
    pub(crate) target: ApiTarget,
    held: Mutex<Option<Arc<Session>>>,
}

impl Sessions {
    pub(crate) fn new(run: Arc<Run>, key: Key, target: ApiTarget) -> Self {
        Self { run, key, target, held: Mutex::new(None) }
    }

    /// The session, signed in anew where the last one has expired or was refused.
    pub(crate) async fn current(&self) -> Result<Arc<Session>, ApiFailure> {
        let mut held = self.held.lock().await;
        if let Some(session) = held.as_ref().filter(|session| session.usable(self.run.now())) {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(self.sign_in(held.as_deref()).await?);
        *held = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Tells that the server refused a session. Whether a new one may be better.
    pub(crate) fn refuse(&self, session: &Session) -> bool {
        session.refused.store(true, Ordering::Relaxed);
        !matches!(self.target.credentials, Credentials::Fixed)
    }

    async fn sign_in(&self, last: Option<&Session>) -> Result<Session, ApiFailure> {
        let config = &self.target.config;
        // a client keeps its connections: one that adds nothing to requests is used again
        let plain = |config: &Config| last.map_or_else(|| self.client(config.clone()), |last| Ok(last.client.clone()));
        let session = |client, token: Option<&SecretString>, expires| {
            let authorization = token.map(bearer).transpose()?;
            Ok(Session { client, authorization, expires, refused: AtomicBool::new(false) })
        };
        match &self.target.credentials {
            Credentials::Fixed => session(plain(config)?, None, None),
            Credentials::File(file) => {
                let expires = Some(self.run.now().saturating_add(MARGIN + RELOAD));
                match (files::text(file).await, last) {
                    (Ok(token), _) => {
                        scrub::hide(&token);
                        session(plain(config)?, Some(&token.into()), expires)
                    }
                    // a file may be taken away once it was read (https://github.com/kubernetes/kubernetes/issues/68164)
                    (Err(_), Some(last)) => {
                        let Session { client, authorization, .. } = last;
                        let refused = AtomicBool::new(false);
                        Ok(Session { client: client.clone(), authorization: authorization.clone(), expires, refused })
                    }
                    (Err(error), None) => Err(ApiFailure::credentials(format!(
                        "tokenFile `{}` cannot be read: {error}",
                        clean(&file.display().to_string())
                    ))),
                }
            }
            Credentials::Tokens => {
                let (token, expires) = token(&self.run, &self.key).await?;
                session(plain(config)?, Some(&token), Some(expires))
            }
            Credentials::Plugin(exec) => {
                let interactive = self.run.settings.interactive;
                let _terminal =
                    if plugin::may_ask(exec, interactive) { Some(self.run.terminal.lock().await) } else { None };
                let issued = plugin::run(exec, interactive, self.run.budget()).await?;
                let client = match issued.identity {
                    None => plain(config)?,
                    Some((certificate, key)) => {
                        let mut config = config.clone();
                        config.auth_info.client_certificate_data = Some(STANDARD.encode(certificate));
                        config.auth_info.client_key_data = Some(STANDARD.encode(key.expose_secret()).into());
                        self.client(config)?
                    }
                };
                session(client, issued.token.as_ref(), issued.expires)
            }
        }
    }

    fn client(&self, config: Config) -> Result<Client, ApiFailure> {
        let made = match (socks::user(config.proxy_url.as_ref()), &config.proxy_url) {
            (Some(user), Some(proxy)) if self.run.wires.kubernetes.is_none() => socks::client(&config, proxy, user),
            _ => self.run.wires.kubernetes(config),
        };
        made.map_err(|error| of_kube(&error))
    }
}

async fn token(run: &Run, key: &Key) -> Result<(SecretString, i64), ApiFailure> {
    match tokio::time::timeout(run.budget(), (run.tokens)(key.clone())).await {
        Ok(Ok(made)) => Ok(made),
        Ok(Err(error)) => Err(ApiFailure::credentials(clean(&error.to_string()))),
        Err(_) => Err(ApiFailure::credentials("no token was made in time")),
    }
}
