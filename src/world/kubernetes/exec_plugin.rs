//! Runs the exec plugin of a kubeconfig
//! (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>).
//!
//! A plugin runs once for each sign-in, for a limited time, and gets a terminal only if irsa has one. Its output,
//! arguments and environment never appear in a message.

use super::failure::ApiFailure;
use crate::world::redact;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::config::{ExecConfig, ExecInteractiveMode, Kubeconfig};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// The longest output, in bytes.
const OUTPUT: u64 = 1024 * 1024;

/// The credentials that a plugin printed.
pub(crate) struct ExecCredential {
    pub(crate) token: Option<SecretString>,
    /// Both in PEM.
    pub(crate) certificate_and_key: Option<(String, SecretString)>,
    /// In seconds since 1970.
    pub(crate) expires: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<Time>,
}

/// Whether the plugin may ask the user on the terminal.
pub(crate) fn may_ask(exec: &ExecConfig, interactive: bool) -> bool {
    interactive && exec.interactive_mode != Some(ExecInteractiveMode::Never)
}

pub(crate) async fn run(exec: &ExecConfig, interactive: bool, limit: Duration) -> Result<ExecCredential, ApiFailure> {
    let Some(program) = exec.command.as_deref().filter(|program| !program.is_empty()) else {
        return Err(ApiFailure::credentials("the kubeconfig's exec plugin names no command"));
    };
    let name = Path::new(program).file_name().map_or_else(|| program.into(), |name| name.to_string_lossy());
    let fail = |why: &str| ApiFailure::credentials(format!("exec plugin `{name}` {why}"));
    if exec.interactive_mode == Some(ExecInteractiveMode::Always) && !interactive {
        return Err(fail("needs to ask the user, and there is no terminal"));
    }
    let finished = async {
        let mut child = command(program, exec, interactive)?.kill_on_drop(true).spawn()?;
        let mut output = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(OUTPUT + 1).read_to_end(&mut output).await?;
        }
        if u64::try_from(output.len()).is_ok_and(|length| length > OUTPUT) {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        Ok::<_, io::Error>((child.wait().await?, output))
    };
    match tokio::time::timeout(limit, finished).await {
        Err(_) => Err(fail("did not end in time")),
        Ok(Err(error)) => Err(match error.kind() {
            io::ErrorKind::NotFound => fail("is not there"),
            io::ErrorKind::FileTooLarge => fail(&format!("printed more than {} MiB", OUTPUT >> 20)),
            kind => fail(&format!("could not be run: {kind}")),
        }),
        Ok(Ok((status, _))) if !status.success() => {
            Err(fail(&format!("failed ({status}); run it by hand to see what it says")))
        }
        Ok(Ok((_, output))) => parse(&output).ok_or_else(|| fail("printed no credentials")),
    }
}

fn command(program: &str, exec: &ExecConfig, interactive: bool) -> io::Result<Command> {
    let asks = may_ask(exec, interactive);
    let mut spec = json!({"interactive": asks});
    if let Some(cluster) = &exec.cluster {
        spec["cluster"] = serde_json::to_value(cluster)?;
    }
    let info = json!({"apiVersion": exec.api_version, "kind": "ExecCredential", "spec": spec});
    let mut command = Command::new(program);
    command.args(exec.args.iter().flatten());
    let pairs = exec.env.iter().flatten().filter_map(|pair| Some((pair.get("name")?, pair.get("value")?)));
    command.envs(pairs).env("KUBERNETES_EXEC_INFO", info.to_string()).stdout(Stdio::piped());
    let stdio = || if asks { Stdio::inherit() } else { Stdio::null() };
    command.stdin(stdio()).stderr(stdio());
    Ok(command)
}

/// Reads an `ExecCredential` from JSON, or from YAML, which kubectl accepts too.
fn parse(output: &[u8]) -> Option<ExecCredential> {
    let text = std::str::from_utf8(output).ok()?;
    let status = match serde_json::from_str::<Value>(text) {
        Ok(mut answer) => answer.get_mut("status").map(Value::take)?,
        // kube's kubeconfig is the only YAML parser at hand; it keeps unknown fields
        Err(_) => Kubeconfig::from_yaml(text).ok()?.other.remove("status")?,
    };
    let status: Status = serde_json::from_value(status).ok()?;
    let token = status.token.map(SecretString::from);
    let certificate_and_key = status.client_certificate_data.zip(status.client_key_data.map(SecretString::from));
    if token.is_none() && certificate_and_key.is_none() {
        return None;
    }
    for secret in [token.as_ref(), certificate_and_key.as_ref().map(|(_, key)| key)].into_iter().flatten() {
        redact::hide(secret.expose_secret());
    }
    let expires = status.expiration_timestamp.map(|time| time.0.as_second());
    Some(ExecCredential { token, certificate_and_key, expires })
}

#[cfg(test)]
mod tests;
