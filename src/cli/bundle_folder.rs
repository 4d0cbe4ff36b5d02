//! The folder of the bundle that ships with Pointsman: looked for in the current folder and above, and above the
//! executable.

use std::io;
use std::path::PathBuf;

/// The bundle's folder, seen from the repository's root and from the image's.
const BUNDLE: &str = "models/pointsman-mini";

/// The folder is nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoBundleError {
    #[error("cannot find `{BUNDLE}` here or above {}", .0.display())]
    Nowhere(PathBuf),
    #[error("cannot tell the current folder")]
    Here(#[from] io::Error),
}

/// Looks for the bundle.
pub(super) fn find() -> Result<PathBuf, NoBundleError> {
    let here = std::env::current_dir()?;
    let executable = std::env::current_exe().unwrap_or_default();
    let folders = here.ancestors().chain(executable.ancestors());
    let found = folders.map(|folder| folder.join(BUNDLE)).find(|bundle| bundle.join("bundle.yaml").is_file());
    found.ok_or(NoBundleError::Nowhere(here))
}
