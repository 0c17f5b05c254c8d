//! `serve`: runs the sandbox until it is interrupted.

use irsa_sandbox::{Sandbox, SandboxOptions};
use std::collections::BTreeMap;
use std::io::{self, Write as _};

/// The account in AWS's own examples; the demo does not use it.
const EMPTY: &str = "123456789012";

/// Starts the sandbox, prints the environment to stdout, and waits for SIGINT or SIGTERM.
pub(crate) async fn run(port: u16, empty: bool) -> io::Result<()> {
    let options = if empty {
        SandboxOptions { accounts: vec![EMPTY.to_owned()], ..SandboxOptions::empty() }
    } else {
        SandboxOptions::demo()
    };
    let ended = interrupted()?;
    let sandbox = Sandbox::start(SandboxOptions { port, ..options }).await?;
    let mut environment = sandbox.environment();
    environment.extend(sandbox.issuer_environment());
    io::stdout().lock().write_all(exports(&environment).as_bytes())?;
    io::stdout().flush()?;
    // ignores a closed stderr
    let endpoint = sandbox.endpoint();
    let _ = writeln!(io::stderr(), "sandbox: AWS is at {endpoint}, its faults and log under {endpoint}/_sandbox/");
    let _ = writeln!(io::stderr(), "sandbox: end it with ctrl-c");
    ended.await;
    Ok(())
}

/// The environment as shell commands, and `# ready`.
fn exports(environment: &BTreeMap<String, String>) -> String {
    let lines = environment.iter().map(|(name, value)| format!("export {name}={}\n", quoted(value)));
    lines.chain(["# ready\n".to_owned()]).collect()
}

/// A value, quoted for a shell.
fn quoted(value: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@%+,".contains(letter);
    if value.chars().all(plain) { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) }
}

/// A future that ends at the first SIGINT or SIGTERM.
#[cfg(unix)]
fn interrupted() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// A future that ends at ctrl-c.
#[cfg(not(unix))]
fn interrupted() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
