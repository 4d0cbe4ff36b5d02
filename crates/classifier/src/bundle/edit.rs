//! Putting a reference into a bundle that exists: the file, its hash, and nothing else of the manifest.

use std::fs;
use std::path::Path;

use crate::bundle::reference::ReferenceDistributions;
use crate::bundle::{Bundle, BundleError, sha256};
use crate::manifest::{FILE, Manifest, ManifestError};

/// The name of the reference file.
const NAME: &str = "reference.json";

impl ReferenceDistributions {
    /// Writes the reference into the bundle in `folder` and names it in the manifest, whose other lines stay as they
    /// are.
    ///
    /// # Errors
    /// When the folder holds no sound bundle or cannot be written; then the manifest is as it was.
    ///
    /// # Panics
    /// Never: numbers and names are JSON.
    pub fn write(&self, folder: &Path) -> Result<(), BundleError> {
        Bundle::open(folder)?;
        let text = String::from_utf8(super::files::manifest(folder)?);
        let text = text.map_err(|error| ManifestError::Syntax { message: error.to_string() })?;
        let mut bytes = serde_json::to_vec_pretty(self).expect("numbers and names are JSON");
        bytes.push(b'\n');
        let changed = with_reference(&text, &sha256(&bytes))?;
        let manifest = Manifest::parse(&changed)?;
        if manifest.reference_file.as_deref() != Some(NAME) || !manifest.files.contains_key(NAME) {
            return Err(ManifestError::Syntax { message: format!("cannot be edited to name {NAME}") }.into());
        }
        replace(folder, NAME, &bytes)?;
        replace(folder, FILE, changed.as_bytes())
    }
}

/// Returns the manifest with the reference's name and hash, instead of those that it may have had.
fn with_reference(text: &str, hash: &str) -> Result<String, ManifestError> {
    if text.trim_start().starts_with('{') {
        let mut manifest = Manifest::parse(text)?;
        manifest.reference_file = Some(NAME.to_owned());
        manifest.files.insert(NAME.to_owned(), hash.to_owned());
        return Ok(serde_json::to_string_pretty(&manifest).expect("a manifest is plain data") + "\n");
    }
    let mut changed = String::with_capacity(text.len() + 128);
    let kept = |line: &&str| !line.starts_with("reference_file:") && !line.trim_start().starts_with("reference.json:");
    for line in text.lines().filter(kept) {
        match line.strip_prefix("files: {") {
            Some(rest) => changed.push_str(&format!("files: {{{NAME}: {hash}, {rest}\n")),
            None => changed.push_str(&format!("{line}\n")),
        }
        if line.starts_with("golden_file:") {
            changed.push_str(&format!("reference_file: {NAME}\n"));
        }
        if line.trim_end() == "files:" {
            changed.push_str(&format!("  {NAME}: {hash}\n"));
        }
    }
    Ok(changed)
}

/// Replaces a file in one step.
fn replace(folder: &Path, file: &str, bytes: &[u8]) -> Result<(), BundleError> {
    let (path, next) = (folder.join(file), folder.join(format!(".{file}.next")));
    let written = fs::write(&next, bytes).and_then(|()| fs::rename(&next, &path));
    written.map_err(|source| BundleError::Write { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::reference::SignalDistribution;
    use crate::serving::tests::fixture;

    fn reference(edge: f64) -> ReferenceDistributions {
        let signal = SignalDistribution {
            name: "score.tier".into(),
            edges: vec![edge],
            labels: Vec::new(),
            shares: vec![0.5, 0.5],
        };
        ReferenceDistributions { rows: 2, signals: vec![signal] }
    }

    fn copy() -> tempfile::TempDir {
        let copy = tempfile::tempdir().expect("a temporary folder");
        for entry in fs::read_dir(fixture()).expect("the fixture") {
            let entry = entry.expect("an entry");
            fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("a copy");
        }
        copy
    }

    #[test]
    fn a_reference_is_written_into_a_bundle_and_replaced_there() {
        let copy = copy();
        let before = fs::read_to_string(copy.path().join(FILE)).expect("the manifest");

        for edge in [0.5, 0.75] {
            reference(edge).write(copy.path()).expect("a sound bundle");

            let bundle = Bundle::open(copy.path()).expect("still sound");
            assert_eq!(bundle.reference(), Some(&reference(edge)));
        }
        let after = fs::read_to_string(copy.path().join(FILE)).expect("the manifest");
        assert!(before.lines().all(|line| after.lines().any(|kept| kept == line)), "{after}");
        assert_eq!(after.lines().count(), before.lines().count() + 2);
    }

    #[test]
    fn a_manifest_in_json_is_edited_too() {
        let copy = copy();
        let manifest = Manifest::parse(&fs::read_to_string(copy.path().join(FILE)).expect("text")).expect("sound");
        fs::write(copy.path().join(FILE), serde_json::to_string(&manifest).expect("plain data")).expect("written");

        reference(0.5).write(copy.path()).expect("a sound bundle");

        assert!(Bundle::open(copy.path()).expect("sound").reference().is_some());
    }

    #[test]
    fn a_signal_that_the_bundle_does_not_have_is_refused_when_it_is_opened() {
        let copy = copy();
        let mut foreign = reference(0.5);
        foreign.signals[0].name = "score.mood".into();

        foreign.write(copy.path()).expect("the manifest is sound");

        let error = Bundle::open(copy.path()).expect_err("no such head").to_string();
        assert!(error.starts_with("reference.json: signal `score.mood` is not"), "{error}");
    }
}
