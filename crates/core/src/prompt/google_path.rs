//! Google's paths, of the Gemini API and of Vertex AI: `.../models/{model}:{operation}`.
//!
//! Owns which of them are read as prompts: a model of Google's own, with one of the operations that a dialect has.
//! Refuses what some server may read as another model than it says here (escapes within escapes); tuned models and
//! endpoints are none of the catalog's, and stay unread.

use super::dialect::Dialect;

/// The first segments by which Google's APIs are versioned.
const VERSIONS: [&str; 4] = ["v1", "v1beta", "v1alpha", "v1beta1"];

/// The collection before the name of a model.
const MODELS: &str = "models";

/// The version of a path that says none.
const NEWEST: &str = "/v1beta";

/// One of Google's paths, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GooglePath {
    /// The normalised path before `/models`: `/v1beta`, or a project of Vertex AI's.
    pub root: String,
    /// The name of the model, with its escapes resolved.
    pub model: String,
    /// The operation that is asked for, such as `generateContent`.
    pub operation: &'static str,
}

impl GooglePath {
    /// Reads a path of these segments, whose escapes are resolved, and says which dialect is spoken on it.
    pub(super) fn read(segments: &[String]) -> Option<(Dialect, Self)> {
        let (last, before) = segments.split_last()?;
        let (model, asked) = last.rsplit_once(':')?;
        let (collection, root) = before.split_last()?;
        let spells =
            |dialect: &Dialect| dialect.path_operation().is_some_and(|operation| operation.eq_ignore_ascii_case(asked));
        let dialect = Dialect::ALL.into_iter().find(spells)?;
        let operation = dialect.path_operation()?;
        // Some servers decode twice.
        let is_name = !model.is_empty() && !model.contains(['%', '?', '#']) && !model.chars().any(char::is_control);
        if !is_name || !collection.eq_ignore_ascii_case(MODELS) {
            return None;
        }
        Some((dialect, Self { root: root_of(root)?, model: model.to_owned(), operation }))
    }

    /// Tells whether the path is of Vertex AI's, below a publisher and perhaps a project of the client's.
    #[must_use]
    pub fn is_vertex(&self) -> bool {
        self.root.contains("/publishers/")
    }
}

/// Returns the normalised path of the segments before the models; `None` where they are no API's of Google's.
fn root_of(segments: &[String]) -> Option<String> {
    let is = |segment: &String, name: &str| segment.eq_ignore_ascii_case(name);
    let version_of = |segment: &String| VERSIONS.into_iter().find(|version| is(segment, version));
    // A base URL with a version of its own comes before the SDK's.
    let versions = segments.iter().map_while(version_of).count();
    let (versions, rest) = segments.split_at(versions);
    let version =
        versions.last().and_then(version_of).map_or_else(|| NEWEST.to_owned(), |version| format!("/{version}"));
    let is_plain =
        |segment: &String| segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    match rest {
        [] => Some(version),
        [publishers, google] if is(publishers, "publishers") && is(google, "google") => {
            Some(format!("{version}/publishers/google"))
        }
        [projects, project, locations, location, publishers, google]
            if is(projects, "projects")
                && is(locations, "locations")
                && is(publishers, "publishers")
                && is(google, "google")
                && is_plain(project)
                && is_plain(location) =>
        {
            Some(format!("{version}/projects/{project}/locations/{location}/publishers/google"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::prompt::RequestPath;

    use super::*;

    fn read(path: &str) -> Option<(Dialect, GooglePath)> {
        let RequestPath { path: decided, dialect, google, .. } = RequestPath::read(path);
        let (dialect, google) = dialect.zip(google)?;
        assert_eq!(decided, dialect.path());
        Some((dialect, google))
    }

    #[test]
    fn a_model_is_read_out_of_every_spelling_of_the_path_and_the_path_to_decide_by_is_the_dialect_s() {
        for path in [
            "/v1beta/models/m-1:generateContent",
            "/v1beta/models/m-1%3AgenerateContent",
            "/v1beta/models%2Fm-1:generateContent",
            "//V1beta/Models/m-1:GenerateContent/",
            "/v1beta/x/../models/m-1:generateContent;x=1",
            "/v1/v1beta/models/m%2D1:generateContent",
            "/models/m-1:generateContent",
        ] {
            let (dialect, google) = read(path).expect(path);
            assert_eq!(
                (dialect, &*google.model, &*google.root),
                (Dialect::GenerateContent, "m-1", "/v1beta"),
                "{path}"
            );
        }
        let project = "/v1beta1/projects/p-1/locations/us-central1/publishers/google";
        let (dialect, vertex) = read(&format!("{project}/models/gemini-2.5-pro:streamGenerateContent")).expect("read");
        assert_eq!((dialect, &*vertex.root), (Dialect::StreamGenerateContent, project));
        assert!(vertex.is_vertex() && vertex.operation == "streamGenerateContent");
        assert_eq!(read("/v1/models/m:countTokens").map(|(dialect, _)| dialect), Some(Dialect::CountContentTokens));
    }

    #[test]
    fn what_names_no_model_of_google_s_own_in_one_way_is_not_read() {
        for path in [
            "/v1beta/models/m-1%253AgenerateContent",
            "/v1beta/models/m%252D1:generateContent",
            "/v1beta/tunedModels/m-1:generateContent",
            "/v1/projects/p/locations/l/endpoints/1:generateContent",
            "/v1/projects/p/locations/l/publishers/anthropic/models/m:generateContent",
            "/v1/projects/p%20q/locations/l/publishers/google/models/m:generateContent",
            "/v1beta/models/:generateContent",
            "/v1beta/models/m-1:embedContent",
            "/v1beta/models/m-1/generateContent",
            "/v1beta/models/m-1",
        ] {
            assert_eq!(read(path), None, "{path}");
        }
    }
}
