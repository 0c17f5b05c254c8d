//! Finds and reads kubeconfig files, and lets kube parse and merge them, as
//! <https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/> describes.
//!
//! irsa chooses and reads the files itself, because kube would take the environment from the process, and would read a
//! device or pipe without end. No message repeats the content of a file. `untrusted_kubeconfig` has the additional
//! rules for a kubeconfig that the configuration names.

use super::RunState;
use super::failure::{ApiFailure, clean};
use super::untrusted_kubeconfig::UntrustedKubeconfig;
use crate::context::Context;
use crate::model::quoted::quoted;
use crate::world::bounds::read_file;
use kube::config::{Kubeconfig, KubeconfigError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files in `KUBECONFIG`, or else the one in the home directory.
fn default_files(context: &Context) -> Vec<PathBuf> {
    let listed = context.variable("KUBECONFIG").map(std::env::split_paths);
    let listed: Vec<PathBuf> = listed.into_iter().flatten().filter(|path| !path.as_os_str().is_empty()).collect();
    if !listed.is_empty() {
        return listed;
    }
    let home = context.variable("HOME").or_else(|| context.variable("USERPROFILE"));
    home.map(|home| Path::new(home).join(".kube").join("config")).into_iter().collect()
}

/// Reads the kubeconfig that the configuration names, or else merges the user's own files.
pub(crate) async fn read(
    untrusted: Option<&UntrustedKubeconfig<'_>>,
    run: &RunState,
) -> Result<Arc<Kubeconfig>, ApiFailure> {
    let files = match untrusted {
        Some(untrusted) => vec![untrusted.real.clone()],
        None => default_files(&run.context),
    };
    if files.is_empty() {
        return Err(ApiFailure::invalid("there is no kubeconfig: neither `KUBECONFIG` nor `HOME` is set"));
    }
    let mut known = run.kubeconfigs.lock().await;
    if let Some(kubeconfig) = known.get(&files) {
        return Ok(Arc::clone(kubeconfig));
    }
    let merged = Arc::new(merge(&files).await.map_err(|failure| match untrusted {
        Some(untrusted) => untrusted.with_declared_path(failure),
        None => failure,
    })?);
    known.insert(files, Arc::clone(&merged));
    Ok(merged)
}

/// Ignores missing files unless all are missing, as kubectl does.
async fn merge(files: &[PathBuf]) -> Result<Kubeconfig, ApiFailure> {
    let mut merged: Option<Kubeconfig> = None;
    for file in files {
        let next = match parse(file).await {
            Ok(next) => next,
            Err(KubeconfigError::ReadConfig(error, _)) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(unreadable(file, &error)),
        };
        merged = Some(match merged {
            Some(before) => before.merge(next).map_err(|error| unreadable(file, &error))?,
            None => next,
        });
    }
    merged.ok_or_else(|| {
        let names = quoted(files.iter().map(|file| file.display()));
        ApiFailure::invalid(format!("no kubeconfig found at {}", names.join(", ")))
    })
}

fn unreadable(file: &Path, error: &KubeconfigError) -> ApiFailure {
    let why = match error {
        KubeconfigError::ReadConfig(error, _) => clean(&error.to_string()),
        // the parser's own message quotes the line
        KubeconfigError::Parse(error) => match error.location() {
            Some(location) => format!("it is not a kubeconfig, see line {}", location.line()),
            None => "it is not a kubeconfig".to_owned(),
        },
        _ => "it cannot be merged with the other files".to_owned(),
    };
    ApiFailure::invalid(format!("kubeconfig `{}` cannot be used: {why}", file.display()))
}

/// Reads one kubeconfig. Resolves the paths in it against its folder
/// (<https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/#file-references>).
async fn parse(path: &Path) -> Result<Kubeconfig, KubeconfigError> {
    let unreadable = |error: io::Error| KubeconfigError::ReadConfig(error, path.to_owned());
    let text = decoded(&read_file(path).await.map_err(unreadable)?);
    let text = text.ok_or_else(|| unreadable(io::Error::other("it is not text")))?;
    let mut config = Kubeconfig::from_yaml(&text)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let resolve = |file: &mut Option<String>| {
        if let Some(name) = file.as_ref().filter(|name| !name.is_empty())
            && let Some(resolved) = folder.join(name).to_str()
        {
            *file = Some(resolved.to_owned());
        }
    };
    for cluster in config.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        resolve(&mut cluster.certificate_authority);
    }
    for user in config.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        resolve(&mut user.client_certificate);
        resolve(&mut user.client_key);
        resolve(&mut user.token_file);
        // a command without a slash is searched in `PATH`
        if let Some(exec) = &mut user.exec
            && exec.command.as_ref().is_some_and(|name| name.contains('/'))
        {
            resolve(&mut exec.command);
        }
    }
    Ok(config)
}

/// Decodes UTF-8, with or without a byte order mark, and UTF-16 with one, which PowerShell writes.
fn decoded(bytes: &[u8]) -> Option<String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Option<Vec<u16>> = bytes.chunks(2).map(|pair| pair.try_into().ok().map(unit)).collect();
        String::from_utf16(&units?).ok()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => String::from_utf8(rest.to_vec()).ok(),
    }
}

#[cfg(test)]
mod tests;
