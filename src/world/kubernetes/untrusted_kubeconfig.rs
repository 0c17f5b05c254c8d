//! The rules for a kubeconfig that the configuration names. It may come from a pull request, so it is not trusted: it must
//! lie in the configuration's folder, it runs no program, and the files that it names must lie in its own folder.
//!
//! This module reads those files itself, by exactly the path that it checked, and gives kube their content instead of a
//! path, so that nobody can exchange a file between the check and the read. The kubeconfig may choose any server and
//! proxy; irsa sends no secret of this machine there.

use super::api_target::overrides_plugin;
use super::failure::{ApiFailure, clean};
use crate::folder::{self, Folder, FolderError};
use crate::model::desired::NamedKubeconfig;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::{AuthInfo, Cluster};
use std::path::{Path, PathBuf};

/// The largest kubeconfig, token, certificate or key, in bytes.
const LIMIT: u64 = 1024 * 1024;

pub(crate) struct UntrustedKubeconfig<'a> {
    /// The path in the configuration, for messages.
    declared: &'a Path,
    /// The path without links.
    pub(crate) real: PathBuf,
    /// The folder that holds it.
    own_folder: Folder,
}

impl<'a> UntrustedKubeconfig<'a> {
    /// Resolves the path and checks that it lies in the configuration's folder.
    pub(crate) fn find(named: &'a NamedKubeconfig) -> Result<Self, ApiFailure> {
        let NamedKubeconfig { path, folder } = named;
        let found = || {
            let file = path.file_name().ok_or(FolderError::NotAFile)?;
            let folder = Folder::at(folder)?;
            // the folder of the file may be a link too
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let real = folder.find(&Folder::at(parent)?.path().join(file))?;
            folder::fits(&real, LIMIT)?;
            let own_folder = Folder::at(real.parent().ok_or(FolderError::NotAFile)?)?;
            Ok(Self { declared: path, real, own_folder })
        };
        found().map_err(|refused| match refused {
            FolderError::Missing => ApiFailure::invalid(format!("kubeconfig `{}` is not there", path.display())),
            other => unusable(path, &other.why("the configuration's folder")),
        })
    }

    /// Shows the declared path in the message instead of the real one.
    pub(crate) fn with_declared_path(&self, mut failure: ApiFailure) -> ApiFailure {
        failure.message = failure.message.replace(&*self.real.to_string_lossy(), &self.declared.to_string_lossy());
        failure
    }

    /// Refuses exec plugins, auth providers and files outside the kubeconfig's folder. Replaces the path of each file with
    /// the content of the file.
    pub(crate) fn check_and_inline_files(&self, user: &mut AuthInfo, cluster: &mut Cluster) -> Result<(), ApiFailure> {
        if user.auth_provider.is_some() {
            return Err(self.refused("wants to use an auth provider"));
        }
        if let Some(token) = self.content("tokenFile", user.token_file.take())? {
            let token = String::from_utf8(token).ok().filter(|token| !token.trim().is_empty());
            let token = token.ok_or_else(|| ApiFailure::credentials("the token file contains no token"))?;
            user.token.get_or_insert_with(|| token.trim().into());
        }
        if let Some(pem) = self.content("client-certificate", user.client_certificate.take())? {
            user.client_certificate_data.get_or_insert_with(|| STANDARD.encode(pem));
        }
        if let Some(pem) = self.content("client-key", user.client_key.take())? {
            user.client_key_data.get_or_insert_with(|| STANDARD.encode(pem).into());
        }
        if let Some(pem) = self.content("certificate-authority", cluster.certificate_authority.take())? {
            cluster.certificate_authority_data.get_or_insert_with(|| STANDARD.encode(pem));
        }
        if user.exec.is_some() && !overrides_plugin(user) {
            return Err(self.refused("wants to run an exec plugin"));
        }
        Ok(())
    }

    /// The content of the file in `field`. `path` is already resolved against the folder of the kubeconfig.
    fn content(&self, field: &str, path: Option<String>) -> Result<Option<Vec<u8>>, ApiFailure> {
        let Some(path) = path else { return Ok(None) };
        let path = Path::new(&path);
        // an empty path was resolved to the folder; it means not set, as in kubectl
        if path.as_os_str().is_empty() || path == self.own_folder.path() {
            return Ok(None);
        }
        let shown = clean(&path.strip_prefix(self.own_folder.path()).unwrap_or(path).to_string_lossy());
        match self.own_folder.read(path, LIMIT) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(FolderError::Outside) => Err(self.refused(&format!("has a `{field}` outside its folder"))),
            Err(refused) => {
                let why = match refused {
                    FolderError::Missing => "is not there".to_owned(),
                    other => format!("cannot be read: {}", other.why("its folder")),
                };
                Err(unusable(self.declared, &format!("its `{field}`, `{shown}`, {why}")))
            }
        }
    }

    /// The refusal of something that only the user's own kubeconfig may do.
    fn refused(&self, what: &str) -> ApiFailure {
        ApiFailure::invalid(format!(
            "kubeconfig `{}` {what}, which irsa does not allow in a kubeconfig that the configuration names; name it in \
             `KUBECONFIG` instead, and leave only `context` in the configuration",
            self.declared.display()
        ))
    }
}

fn unusable(path: &Path, why: &str) -> ApiFailure {
    ApiFailure::invalid(format!("kubeconfig `{}` cannot be used: {why}", path.display()))
}
