//! The version of a text: what its source calls it, and who signed it.

use std::fmt;
use std::time::SystemTime;

use serde::{Serialize, Serializer};

/// The characters of a commit that are shown.
const COMMIT_CHARS: usize = 12;

/// The most characters of a tag that are shown: it is a server's text.
const TAG_CHARS: usize = 64;

/// The version of a text, as far as its source tells one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ConfigVersion {
    /// The commit that is checked out around the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
    /// The `ETag` that the server gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    /// The `Last-Modified` that the server gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_modified: Option<String>,
    /// The signature that holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signature: Option<SignatureFacts>,
}

/// The facts that a signature vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SignatureFacts {
    /// The key's id, as `minisign` shows it.
    pub(crate) key_id: String,
    /// The trusted comment, which is signed too.
    pub(crate) comment: String,
    /// The time that the comment says.
    #[serde(serialize_with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub(crate) signed_at: Option<SystemTime>,
}

impl ConfigVersion {
    /// Returns the shortest name of the version: the commit's beginning, or the tag; `None` where the source tells none.
    pub(crate) fn label(&self) -> Option<String> {
        let commit = self.commit.as_ref().map(|commit| commit.chars().take(COMMIT_CHARS).collect());
        let tag = self.etag.as_ref().or(self.last_modified.as_ref());
        commit.or_else(|| tag.map(|tag| tag.chars().filter(|c| !c.is_control()).take(TAG_CHARS).collect()))
    }
}

impl fmt::Display for SignatureFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.key_id)?;
        if let Some(at) = self.signed_at {
            write!(f, ", signed {}", humantime::format_rfc3339_seconds(at))?;
        }
        write!(f, ", comment `{}`", self.comment.escape_debug())
    }
}

fn rfc3339<S: Serializer>(at: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(&humantime::format_rfc3339_seconds(*at)),
        None => serializer.serialize_none(),
    }
}
