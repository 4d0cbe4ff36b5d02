//! The models that a path names, whoever's API it belongs to: Azure's deployments, Google's and Vertex AI's
//! `models/NAME:method`, Bedrock's `model/NAME/invoke`, and servers that take `models/NAME/operation`.
//!
//! Decides on a copy of the path on which every escape is resolved and no case counts, because some server reads it so.
//! An operation that is not known counts as a part of the name: a list of models then refuses it.

use super::request_path::{decode, decoded, deployment_of, normalised};

/// The segments before a model's name.
const COLLECTIONS: [&str; 3] = ["models", "tunedmodels", "inference"];

/// The segment before a model's name where an operation comes after it (Bedrock).
const ONE: &str = "model";

/// The segment before the name of a deployment, where a method comes after it (Vertex AI).
const ENDPOINTS: &str = "endpoints";

/// Segments after a model's name that are no part of it.
const OPERATIONS: [&str; 23] = [
    "invoke",
    "invoke-with-response-stream",
    "invoke-with-bidirectional-stream",
    "converse",
    "converse-stream",
    "count-tokens",
    "predict",
    "rawpredict",
    "streamrawpredict",
    "predictlongrunning",
    "generatecontent",
    "streamgeneratecontent",
    "generatetext",
    "counttokens",
    "embedcontent",
    "batchembedcontents",
    "infer",
    "generate",
    "predictions",
    "versions",
    "operations",
    "permissions",
    "v1",
];

/// Returns every model that a path names.
#[must_use]
pub fn models_of_path(path: &str) -> Vec<String> {
    let mut models: Vec<String> = deployment_of(path).into_iter().collect();
    let path = normalised(path);
    // Some servers decode twice.
    for copy in [&*path, &*decode(&path)] {
        let name = named(&decoded(copy));
        let is_new = name.as_ref().is_some_and(|name| !models.contains(name));
        models.extend(name.filter(|_| is_new));
    }
    models
}

/// Returns the model that stands behind the last collection of models in a path.
fn named(segments: &[String]) -> Option<String> {
    let lower: Vec<String> = segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
    (0..segments.len()).rev().find_map(|at| {
        let (below, below_lower) = (&segments[at + 1..], &lower[at + 1..]);
        let method = below.iter().position(|segment| without_method(segment).is_some());
        let operation =
            below_lower.iter().skip(1).position(|segment| OPERATIONS.contains(&&**segment)).map(|at| at + 1);
        let is_collection = match &*lower[at] {
            kind if COLLECTIONS.contains(&kind) => !below.is_empty(),
            ONE => operation.is_some() || method.is_some(),
            ENDPOINTS => method.is_some(),
            _ => false,
        };
        is_collection.then(|| name(below, method, operation))
    })
}

/// Joins the segments of a name, up to a method or an operation.
fn name(below: &[String], method: Option<usize>, operation: Option<usize>) -> String {
    let end = operation.unwrap_or(below.len());
    match method.filter(|method| *method < end) {
        Some(method) => {
            let last = without_method(&below[method]).unwrap_or_default();
            let before = below[..method].iter().map(String::as_str);
            before.chain([last]).collect::<Vec<_>>().join("/")
        }
        None => below[..end].join("/"),
    }
}

/// Returns the name before Google's `:method`; the versions of Bedrock's models (`v2:0`) are no methods.
fn without_method(segment: &str) -> Option<&str> {
    let (name, method) = segment.rsplit_once(':')?;
    (!name.is_empty() && !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic())).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_in_a_path_is_found_however_the_path_is_spelled() {
        for path in [
            "/v1beta/models/m-1:generateContent",
            "/v1beta/models/m-1%3AgenerateContent",
            "/v1beta/models/m-1%3agenerateContent",
            "/v1beta/models%2Fm-1:generateContent",
            "/v1beta/Models/m-1:generateContent",
            "/v1/models/m-1/generateContent",
            "/v1/models/m-1/predict",
            "/v1beta/tunedModels/m-1:generateContent",
            "/v1/projects/p/locations/l/publishers/anthropic/models/m-1%3ArawPredict",
            "/v1/projects/p/locations/l/endpoints/m-1:predict",
            "/models/m-1/v1/chat/completions",
            "/model/m-1/invoke",
            "/model/m-1/Invoke-With-Response-Stream",
            "/model/m-1/converse",
            "/model/m-1/converse-stream",
            "/OpenAI/Deployments/m-1/images/generations",
        ] {
            assert_eq!(models_of_path(path).first().map(String::as_str), Some("m-1"), "{path}");
        }
        assert_eq!(models_of_path("/model/anthropic.claude-v2%3A0/invoke"), ["anthropic.claude-v2:0"]);
        assert_eq!(models_of_path("/v1beta/models/m-1%253AgenerateContent"), ["m-1%3AgenerateContent", "m-1"]);
        assert_eq!(models_of_path("/v1/models/org%2Fsmall"), ["org/small"]);
        assert_eq!(models_of_path("/v1/models/m-1/unknown"), ["m-1/unknown"]);
        for none in ["/v1/models", "/v1/model/", "/v1/files/file-1", "/v1/endpoints/openapi/chat/completions"] {
            assert!(models_of_path(none).is_empty(), "{none}");
        }
    }
}
