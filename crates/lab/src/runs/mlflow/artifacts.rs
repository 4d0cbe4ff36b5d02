//! Artifacts of a recorded run, through the tracking server itself where that hands them to its store.
//!
//! Refuses every other store: it has an interface of its own, and what it is sent would carry the server's credentials.

use http::{Method, Uri};

use super::{MlflowError, MlflowServer, RecordedRun};
use crate::runs::RunArtifact;

/// The path of the server's own store.
const STORE: &str = "/api/2.0/mlflow-artifacts/artifacts";

impl MlflowServer {
    /// Sends a file of a run that was recorded.
    ///
    /// # Errors
    /// When the file is gone, the server does not keep this run's artifacts itself, cannot be reached or refuses.
    pub async fn upload(&self, run: &RecordedRun, artifact: &RunArtifact) -> Result<(), MlflowError> {
        let uri = run.artifact_uri.as_deref().unwrap_or_default();
        let own = self.own_store(uri).ok_or_else(|| MlflowError::Store { uri: without_secrets(uri) })?;
        let call = "mlflow-artifacts/artifacts";
        let file = |source| MlflowError::File { name: artifact.name.clone(), source };
        let content = artifact.read().map_err(file)?;
        let path = format!("{}{STORE}/{own}/{}", self.base, artifact.name);
        let answer = self.exchange(Method::PUT, &path, artifact.media_type(), content).await?;
        answer.accepted(call).map(drop)
    }

    /// Returns the folder of a run in the server's own store; `None` where the run's artifacts are kept elsewhere.
    fn own_store<'u>(&self, uri: &'u str) -> Option<&'u str> {
        let (scheme, rest) = uri.split_once(':')?;
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_once('/')?,
            None => ("", rest.trim_start_matches('/')),
        };
        let is_own = authority.is_empty() || authority == self.authority;
        let path = match scheme {
            "mlflow-artifacts" => path,
            "http" | "https" if !authority.is_empty() => path.split_once(STORE.trim_start_matches('/'))?.1,
            _ => return None,
        };
        Some(path.trim_matches('/')).filter(|path| is_own && !path.is_empty() && !path.contains(['?', '#', ' ']))
    }
}

/// Returns the scheme and the host of a store: the rest may be secret.
fn without_secrets(uri: &str) -> String {
    let Ok(parsed) = uri.parse::<Uri>() else { return "a path".to_owned() };
    match (parsed.scheme_str(), parsed.host()) {
        (Some(scheme), host) => format!("{scheme}://{}", host.unwrap_or_default()),
        (None, _) => "a path".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_server_s_own_store_is_sent_to() {
        let server = MlflowServer::new("http://tracking:5000/base", "e", None).expect("a URL");

        for (uri, own) in [
            ("mlflow-artifacts:/3/r1/artifacts", Some("3/r1/artifacts")),
            ("mlflow-artifacts://tracking:5000/3/r1/artifacts", Some("3/r1/artifacts")),
            ("http://tracking:5000/base/api/2.0/mlflow-artifacts/artifacts/3/r1", Some("3/r1")),
            ("mlflow-artifacts://elsewhere/3/r1/artifacts", None),
            ("http://elsewhere/api/2.0/mlflow-artifacts/artifacts/3/r1", None),
            ("http:/api/2.0/mlflow-artifacts/artifacts/3/r1", None),
            ("s3://bucket/3/r1", None),
            ("/var/mlflow/3/r1/artifacts", None),
            ("file:///var/mlflow/3/r1/artifacts", None),
            ("", None),
        ] {
            assert_eq!(server.own_store(uri), own, "{uri}");
        }
    }

    #[test]
    fn a_store_is_named_without_what_may_be_secret() {
        assert_eq!(without_secrets("s3://user:planted@bucket/folder?key=planted"), "s3://bucket");
        assert_eq!(without_secrets("/var/mlflow"), "a path");
    }
}
