//! Files of a run that a tracking server may keep beside its record.

use std::path::{Path, PathBuf};
use std::{fs, io};

use bytes::Bytes;

/// A file of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunArtifact {
    /// The name among the run's artifacts, in characters that every store takes, such as `report/index.html`.
    pub name: String,
    content: ArtifactContent,
}

/// The content of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ArtifactContent {
    /// As it was when the run named it: a run may change its configuration.
    Kept(Bytes),
    /// What the file holds when it is sent.
    File(PathBuf),
}

impl RunArtifact {
    /// Takes a file in as it is now, under its own name in the folder `kind`; `None` where it cannot be read.
    pub(super) fn kept(kind: &str, path: &Path) -> Option<Self> {
        Some(Self { name: name(kind, path), content: ArtifactContent::Kept(fs::read(path).ok()?.into()) })
    }

    /// Names a file that may be large, under its own name in the folder `kind`.
    pub(super) fn file(kind: &str, path: &Path) -> Self {
        Self { name: name(kind, path), content: ArtifactContent::File(path.to_owned()) }
    }

    /// Returns the bytes.
    ///
    /// # Errors
    /// When the file is gone.
    pub fn read(&self) -> io::Result<Bytes> {
        match &self.content {
            ArtifactContent::Kept(bytes) => Ok(bytes.clone()),
            ArtifactContent::File(path) => fs::read(path).map(Bytes::from),
        }
    }

    /// Returns the media type by the name.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        match Path::new(&self.name).extension().and_then(|extension| extension.to_str()) {
            Some("html") => "text/html; charset=utf-8",
            Some("json") => "application/json",
            _ => "text/plain; charset=utf-8",
        }
    }
}

fn name(kind: &str, path: &Path) -> String {
    let sound = |c: char| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '_' };
    let own: String = path.file_name().unwrap_or_default().to_string_lossy().chars().map(sound).collect();
    let folder: String = kind.chars().map(|c| if c == '/' { c } else { sound(c) }).collect();
    format!("{folder}/{own}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_keeps_what_a_file_held_and_a_name_that_is_a_path_of_no_surprises() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("my config?.yaml");
        fs::write(&path, "before").expect("written");

        let (kept, file) = (RunArtifact::kept("config", &path).expect("a file"), RunArtifact::file("a/b c", &path));
        fs::write(&path, "after").expect("written");

        assert_eq!((&*kept.name, &*file.name), ("config/my_config_.yaml", "a/b_c/my_config_.yaml"));
        assert_eq!((kept.read().expect("bytes"), file.read().expect("bytes")), ("before".into(), "after".into()));
        assert_eq!(RunArtifact::kept("config", &folder.path().join("none")), None);
        assert_eq!(RunArtifact::file("report", Path::new("index.html")).media_type(), "text/html; charset=utf-8");
    }
}
