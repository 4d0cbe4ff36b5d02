//! Header fields of the requests for a configuration, whose values stand in a variable or a file: never on a command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use ::http::{HeaderName, HeaderValue};
use pointsman_core::config::RegularFile;

/// The largest file that holds a value.
const MAX_BYTES: u64 = 64 << 10;

/// A header field, and where its value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceHeader {
    pub(super) name: HeaderName,
    value: HeaderSource,
}

/// The place of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HeaderSource {
    /// An environment variable.
    Variable(String),
    /// A file, read for each request, so that a rotated value counts at once.
    File(PathBuf),
}

impl FromStr for SourceHeader {
    type Err = String;

    /// Reads `NAME=env:VARIABLE` or `NAME=file:PATH`. What is wrong is not repeated: it may be a secret.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ALLOWED: &str = "(allowed: NAME=env:VARIABLE, NAME=file:PATH)";
        let (name, place) = text.split_once('=').ok_or_else(|| format!("has no `=` {ALLOWED}"))?;
        let name = name.parse().map_err(|_| format!("names no header field {ALLOWED}"))?;
        let value = match place.split_once(':') {
            Some(("env", variable)) if !variable.is_empty() => HeaderSource::Variable(variable.to_owned()),
            Some(("file", path)) if !path.is_empty() => HeaderSource::File(path.into()),
            _ => return Err(format!("does not say where the value stands {ALLOWED}")),
        };
        Ok(Self { name, value })
    }
}

impl SourceHeader {
    /// Reads the value, which no log shows.
    pub(super) fn read(&self) -> Result<HeaderValue, String> {
        let text = match &self.value {
            HeaderSource::Variable(name) => {
                std::env::var(name).map_err(|_| format!("{}: `{name}` is no variable with a text", self.name))?
            }
            HeaderSource::File(path) => RegularFile::open(path, MAX_BYTES)
                .and_then(RegularFile::text)
                .map_err(|error| format!("{}: cannot read `{}`: {error}", self.name, path.display()))?,
        };
        let mut value = HeaderValue::from_str(text.trim())
            .map_err(|_| format!("{}: {} holds no value of a header field", self.name, self.value))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Display for HeaderSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "`{name}`"),
            Self::File(path) => write!(f, "`{}`", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_from_a_variable_or_a_file_and_never_from_the_command_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        std::fs::write(&file, "Bearer secret\n").expect("written");
        let header = |text: &str| text.parse::<SourceHeader>();

        let own = header(&format!("authorization=file:{}", file.display())).expect("a header").read().expect("a value");

        assert_eq!(own, "Bearer secret");
        assert!(own.is_sensitive());
        let missing = header("X-Token=env:POINTSMAN_NO_SUCH_VARIABLE").expect("a header").read();
        assert!(missing.expect_err("no variable").contains("POINTSMAN_NO_SUCH_VARIABLE"));
        for wrong in ["authorization", "authorization=Bearer secret", "a b=env:X", "x=env:", "x=file:"] {
            let error = header(wrong).expect_err(wrong);
            assert!(error.contains("NAME=env:VARIABLE") && !error.contains("secret"), "{error}");
        }
    }
}
