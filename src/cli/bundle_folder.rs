//! The folder of the bundle that ships with Pointsman: looked for in the current folder and above, above the executable,
//! and where `make install` puts it.

use std::io;
use std::path::{Path, PathBuf};

/// The bundle's folder, seen from the repository's root and from the image's.
pub(super) const BUNDLE: &str = "models/pointsman-mini";

/// The bundle's folder as `make install` makes it, seen from the prefix, in whose `bin` the executable is.
const INSTALLED: &str = "share/pointsman/pointsman-mini";

/// The folder is nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoBundleError {
    #[error("cannot find `{BUNDLE}` here or above {}, nor `{INSTALLED}` beside the folder of the executable", .0.display())]
    Nowhere(PathBuf),
    #[error("cannot tell the current folder")]
    Here(#[from] io::Error),
}

/// Looks for the bundle.
pub(super) fn find() -> Result<PathBuf, NoBundleError> {
    let here = std::env::current_dir()?;
    let executable = std::env::current_exe().unwrap_or_default();
    let folders = here.ancestors().chain(executable.ancestors());
    let found = folders.map(|folder| folder.join(BUNDLE)).find(|bundle| is_bundle(bundle));
    found.or_else(|| installed_for(&executable)).ok_or(NoBundleError::Nowhere(here))
}

/// Returns the bundle that was installed with the executable, if it was.
pub(super) fn installed() -> Option<PathBuf> {
    installed_for(&std::env::current_exe().ok()?)
}

fn installed_for(executable: &Path) -> Option<PathBuf> {
    let prefix = executable.parent()?.parent()?;
    Some(prefix.join(INSTALLED)).filter(|bundle| is_bundle(bundle))
}

fn is_bundle(folder: &Path) -> bool {
    folder.join("bundle.yaml").is_file()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_installed_bundle_is_found_beside_the_folder_of_the_executable_and_nowhere_else() {
        let place = tempfile::tempdir().expect("a temporary folder");
        let bundle = place.path().join("usr/local").join(INSTALLED);
        fs::create_dir_all(&bundle).expect("a folder");
        fs::write(bundle.join("bundle.yaml"), "").expect("a file");

        assert_eq!(installed_for(&place.path().join("usr/local/bin/pointsman")), Some(bundle));
        assert_eq!(installed_for(&place.path().join("usr/local/lib/other/pointsman")), None);
        assert_eq!(installed_for(Path::new("pointsman")), None);
    }
}
