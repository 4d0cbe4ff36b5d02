//! A request's path as it is decided by and sent on: normalised once, and known as a dialect's however it is spelled.
//!
//! Servers disagree on how much of a path they resolve before they look at it, so that a rule on one spelling says
//! nothing about the others. Here every spelling that some server takes for a dialect's path becomes that one path:
//! with escapes, empty or dotted segments, parameters after `;`, in another case, without `/v1`, or as Azure spells it.
//! Google's paths, which name the model, become the dialect's with `{model}` in its place ([`GooglePath`]).
//! Any other path is normalised as RFC 3986 (6.2.2) says, and loses its empty segments and its last slash. Refuses
//! nothing: what is no path is left as it is, and of a path with `..` it is only said that it is one.

use std::borrow::Cow;

use super::dialect::Dialect;
use super::google_path::GooglePath;

/// The first segments below which APIs repeat the paths of another, or put a name before them.
const AZURE: &str = "openai";
const VERSION: &str = "v1";
const DEPLOYMENTS: [&str; 2] = ["deployments", "engines"];

/// A request's path, normalised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPath<'p> {
    /// The path to decide by: a dialect's own, where it is one.
    pub path: Cow<'p, str>,
    /// The dialect spoken on the path.
    pub dialect: Option<Dialect>,
    /// Azure's spelling, where the client used that: providers there know no other.
    pub azure: Option<AzurePath>,
    /// The part of one of Google's paths that the dialect's does not say.
    pub google: Option<GooglePath>,
    /// True where the client's spelling leads upwards by `..`, plainly or once escapes are resolved: what is meant by it
    /// is for no server to guess.
    pub climbs: bool,
}

/// A dialect's path, or that of the models, as Azure spells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzurePath {
    /// The normalised path below `/openai`.
    pub below: String,
    /// The deployment that the path names, which is the model of the request.
    pub deployment: Option<String>,
}

impl<'p> RequestPath<'p> {
    /// Reads the path of a request, without its query.
    #[must_use]
    pub fn read(path: &'p str) -> Self {
        if let Some(dialect) = Dialect::ALL.into_iter().find(|dialect| dialect.path() == path) {
            let path = Cow::Borrowed(path);
            return Self { path, dialect: Some(dialect), azure: None, google: None, climbs: false };
        }
        let climbs = climbs(path);
        let path = normalised(path);
        let segments = decoded(&path);
        if let Some((dialect, google)) = GooglePath::read(&segments) {
            let (path, google) = (Cow::Borrowed(dialect.path()), Some(google));
            return Self { path, dialect: Some(dialect), azure: None, google, climbs };
        }
        let spelled = SpelledPath::of(&segments);
        if let Some(dialect) = spelled.dialect() {
            let (path, azure) = (Cow::Borrowed(dialect.path()), spelled.azure(&path));
            return Self { path, dialect: Some(dialect), azure, google: None, climbs };
        }
        let models = spelled.models(&path);
        let azure = models.as_ref().and_then(|_| spelled.azure(&path));
        Self { path: models.map_or(path, Cow::Owned), dialect: None, azure, google: None, climbs }
    }
}

/// Returns the deployment that a path names, whatever is asked of it.
pub(super) fn deployment_of(path: &str) -> Option<String> {
    let path = normalised(path);
    SpelledPath::of(&decoded(&path)).deployment.map(str::to_owned)
}

/// A path taken apart into what APIs put before the name of an operation, and that name.
struct SpelledPath<'s> {
    is_azure: bool,
    is_versioned: bool,
    deployment: Option<&'s str>,
    rest: &'s [String],
}

impl<'s> SpelledPath<'s> {
    fn of(segments: &'s [String]) -> Self {
        let is = |segment: &String, name: &str| segment.eq_ignore_ascii_case(name);
        let mut rest = segments;
        let is_azure = rest.first().is_some_and(|first| is(first, AZURE));
        rest = &rest[usize::from(is_azure)..];
        let versions = rest.iter().take_while(|segment| is(segment, VERSION)).count();
        rest = &rest[versions..];
        let deployment = match rest {
            [kind, name, below @ ..] if DEPLOYMENTS.iter().any(|known| is(kind, known)) => {
                rest = below;
                Some(name.as_str())
            }
            _ => None,
        };
        Self { is_azure, is_versioned: versions > 0, deployment, rest }
    }

    fn dialect(&self) -> Option<Dialect> {
        let spells = |dialect: &Dialect| {
            let own = dialect.path().split('/').skip(2);
            own.clone().count() == self.rest.len() && own.zip(self.rest).all(|(a, b)| b.eq_ignore_ascii_case(a))
        };
        Dialect::ALL.into_iter().filter(|dialect| !dialect.is_google()).find(spells)
    }

    /// Returns the path of the list of models, or of one of them, where the client left out `/v1` or put more before.
    fn models(&self, path: &str) -> Option<String> {
        let is_models = self.rest.first().is_some_and(|first| first == "models") && self.deployment.is_none();
        if !is_models || (self.is_versioned && !self.is_azure) {
            return None;
        }
        let at = path.find("/models")?;
        Some(format!("/{VERSION}{}", &path[at..]))
    }

    fn azure(&self, path: &str) -> Option<AzurePath> {
        let Some(deployment) = self.deployment else {
            let start = self.is_azure.then_some(1 + AZURE.len())?;
            return Some(AzurePath { below: path.get(start..)?.to_owned(), deployment: None });
        };
        let lower = path.to_ascii_lowercase();
        let start = DEPLOYMENTS.iter().find_map(|kind| lower.find(&format!("/{kind}/")));
        // Where the slashes are escaped, the path is written anew.
        let below = start.and_then(|start| path.get(start..)).map(str::to_owned);
        let below = below.unwrap_or_else(|| format!("/{}/{deployment}/{}", DEPLOYMENTS[0], self.rest.join("/")));
        Some(AzurePath { below, deployment: Some(deployment.to_owned()) })
    }
}

/// Normalises a path: escapes that need not be are resolved, the others are in capitals, and there are neither empty
/// nor dotted segments, nor a last slash.
pub(super) fn normalised(path: &str) -> Cow<'_, str> {
    let is_plain = !path.contains('%') && !path.contains("//") && !path.contains("/.") && !path.ends_with('/');
    if is_plain || !path.starts_with('/') {
        return Cow::Borrowed(path);
    }
    let plain = unreserved(path);
    // Where an escaped slash would lead upwards once it is resolved, it is resolved here.
    let climbs = plain.split('/').any(|segment| segment.contains('%') && decode(segment).split(is_slash).any(is_dots));
    let plain = if climbs { plain.replace("%2F", "/").replace("%5C", "/") } else { plain };
    let mut kept: Vec<&str> = Vec::new();
    for segment in plain.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    Cow::Owned(format!("/{}", kept.join("/")))
}

/// Tells whether a segment of a path is `..` to some server: plainly, with its escapes resolved once or twice, or before
/// parameters.
fn climbs(path: &str) -> bool {
    if !path.contains("..") && !path.contains('%') {
        return false;
    }
    let once = decode(path);
    let twice = decode(&once);
    let is_up = |segment: &str| segment.split(';').next().is_some_and(|name| name.trim() == "..");
    [path, &*once, &*twice].into_iter().any(|path| path.split(is_slash).any(is_up))
}

const fn is_slash(c: char) -> bool {
    matches!(c, '/' | '\\')
}

fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

/// Returns the segments as the most lenient server sees them: all escapes resolved, and nothing after a `;`.
pub(super) fn decoded(path: &str) -> Vec<String> {
    let decoded = decode(path);
    let segments = decoded.split(is_slash).map(|segment| segment.split(';').next().unwrap_or_default());
    segments.filter(|segment| !segment.is_empty() && *segment != ".").map(str::to_owned).collect()
}

/// Resolves the escapes of unreserved characters (RFC 3986, 2.3) and writes the others in capitals.
fn unreserved(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(byte) = escaped(rest.as_bytes()) else {
            plain.push('%');
            rest = &rest[1..];
            continue;
        };
        match byte {
            b'-' | b'.' | b'_' | b'~' => plain.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => plain.push(char::from(byte)),
            _ => plain.push_str(&rest[..3].to_ascii_uppercase()),
        }
        rest = &rest[3..];
    }
    plain + rest
}

/// Resolves every escape; what is no text afterwards is replaced.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let byte = escaped(rest);
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &rest[3..] } else { after };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the byte that `text` begins with the escape of.
fn escaped(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |digit: &u8| char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests;
