//! `GET /v1/models`, Google's `/v1beta/models`, and Vertex AI's `/v1beta1/publishers/google/models`: the models that clients
//! may ask for, in the shape of the SDK that asks.
//!
//! Virtual models come first, in the order of their policies, then the catalog. Nothing says who serves a model. A
//! client whose key is for some policies only sees what those serve.

use bytes::Bytes;
use http::Method;
use pingora::http::RequestHeader;
use pointsman_core::config::{Config, Glob, Name, PolicyConfig};
use serde_json::{Value, json};

use super::answer::rejection::{AnswerShape, Rejection};
use super::context::RequestContext;
use super::pass_through::default_provider;
use crate::proxy::downstream::client_use;

/// The paths of the list; Google's clients ask for theirs below versions of their own.
const PATHS: [&str; 3] = ["/v1/models", "/v1beta/models", "/v1alpha/models"];

/// The collection of Google's models on Vertex AI, below a version and perhaps a project of the client's.
const VERTEX: &str = "publishers/google/models";

/// The operations that a model has for Google's clients.
const GOOGLE_METHODS: [&str; 2] = ["generateContent", "countTokens"];

/// When models of ours were made: what Anthropic's API says of a model whose date is not known.
const CREATED_AT: &str = "1970-01-01T00:00:00Z";

/// A client's question about the models.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::proxy) enum ModelsQuestion {
    /// All of them.
    List,
    /// The one of this name.
    One(String),
}

impl ModelsQuestion {
    /// Returns the question that a path asks, if any.
    pub(in crate::proxy) fn of_path(path: &str) -> Option<Self> {
        let rest = PATHS.iter().find_map(|list| path.strip_prefix(list)).or_else(|| below_vertex(path))?;
        match rest.strip_prefix('/') {
            None if rest.is_empty() => Some(Self::List),
            Some("") => Some(Self::List),
            Some(id) => Some(Self::One(unescape(id)?)),
            None => None,
        }
    }

    /// Returns the body of the answer, in which `ids` are all models; `None` when there is no such model.
    pub(in crate::proxy) fn answer(&self, ids: &[&str], shape: ListShape) -> Option<Bytes> {
        let body = match self {
            Self::One(wanted) => model(ids.iter().find(|id| *id == wanted)?, shape),
            Self::List => list(ids, shape),
        };
        Some(body.to_string().into())
    }
}

/// The shape of a list of models, by the SDK that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum ListShape {
    OpenAi,
    Anthropic,
    /// That of the Gemini API.
    Google,
    /// That of Vertex AI.
    Vertex,
}

impl ListShape {
    fn of(header: &RequestHeader) -> Self {
        let path = header.uri.path();
        match AnswerShape::of(path, &header.headers) {
            _ if below_vertex(path).is_some() => Self::Vertex,
            AnswerShape::OpenAi | AnswerShape::Inference => Self::OpenAi,
            AnswerShape::Anthropic => Self::Anthropic,
            AnswerShape::Google => Self::Google,
        }
    }
}

/// Returns the rest of a path of Google's models on Vertex AI.
fn below_vertex(path: &str) -> Option<&str> {
    let (before, rest) = path.split_once(VERTEX)?;
    let mut segments = before.strip_suffix('/')?.split('/').skip(1);
    let is_versioned = matches!(segments.next(), Some("v1" | "v1beta1"));
    let project: Vec<&str> = segments.collect();
    let is_project = matches!(project[..], [] | ["projects", _, "locations", _]);
    (is_versioned && is_project).then_some(rest)
}

/// Returns what Pointsman itself answers, if it is asked for its models. What it does not know may be the default
/// provider's.
pub(super) fn answer(header: &RequestHeader, ctx: &RequestContext) -> Result<Option<Bytes>, Rejection> {
    let config = &ctx.snapshot.config;
    let path = header.uri.path();
    let asked = ModelsQuestion::of_path(path).filter(|_| header.method == Method::GET);
    let has_default = default_provider(ctx).is_some();
    let Some(question) = asked.filter(|_| !(has_default && has_none(config))) else { return Ok(None) };
    let client = ctx.client.as_ref();
    let may_ask = |model: &Name| ctx.snapshot.may_serve(client.map(|used| &**used.client()), model);
    let access = ModelAccess { may_use: &|policy| client_use::may_use(client, policy), may_ask: &may_ask };
    let visible = visible(config, &access);
    match (question.answer(&visible, ListShape::of(header)), question) {
        (None, ModelsQuestion::One(model)) if !has_default => Err(not_found(config, &model)),
        (answer, _) => Ok(answer),
    }
}

/// Tells whether there is no model to speak of, so that only the default provider has an answer.
pub(in crate::proxy) fn has_none(config: &Config) -> bool {
    config.models.is_empty() && config.virtual_models().next().is_none()
}

/// Returns the refusal of a model that is not there.
pub(in crate::proxy) fn not_found(config: &Config, model: &str) -> Rejection {
    let mut known: Vec<_> = config.virtual_models().map(str::to_owned).collect();
    known.dedup();
    Rejection::ModelNotFound { model: model.to_owned(), models: known }
}

/// The access of a client to policies and models.
pub(in crate::proxy) struct ModelAccess<'a> {
    /// Tells whether a policy may serve it; `None` stands for passing through, and for models asked for by name.
    may_use: &'a dyn Fn(Option<&Name>) -> bool,
    /// Tells whether a model of the catalog may serve it.
    may_ask: &'a dyn Fn(&Name) -> bool,
}

/// Returns the name of every model that a client can ask for, once: what a policy matches, and the catalog, whose
/// models answer to their names where no policy does.
pub(in crate::proxy) fn visible<'c>(config: &'c Config, access: &ModelAccess<'_>) -> Vec<&'c str> {
    let ModelAccess { may_use, may_ask } = access;
    let usable: Vec<_> = config.policies.iter().filter(|policy| may_use(Some(&policy.name))).collect();
    let fits = |policy: &&PolicyConfig, id: &str| {
        let globs = &policy.matches.model;
        globs.is_empty() || globs.iter().any(|glob| glob.matches(id))
    };
    let passes = may_use(None);
    let by_name = |id: &&Name| (passes && may_ask(id)) || usable.iter().any(|policy| fits(policy, id));
    let catalog = config.models.keys().filter(by_name).map(Name::as_str);
    let virtual_models = usable.iter().flat_map(|policy| &policy.matches.model).filter_map(Glob::exact);
    let mut ids = Vec::new();
    for id in virtual_models.chain(catalog) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

fn list(ids: &[&str], shape: ListShape) -> Value {
    let data: Vec<_> = ids.iter().map(|id| model(id, shape)).collect();
    match shape {
        ListShape::OpenAi => json!({"object": "list", "data": data}),
        ListShape::Anthropic => {
            json!({"data": data, "has_more": false, "first_id": ids.first(), "last_id": ids.last()})
        }
        ListShape::Google => json!({"models": data}),
        ListShape::Vertex => json!({"publisherModels": data}),
    }
}

fn model(id: &str, shape: ListShape) -> Value {
    match shape {
        ListShape::OpenAi => json!({"id": id, "object": "model", "created": 0, "owned_by": "pointsman"}),
        ListShape::Anthropic => json!({"type": "model", "id": id, "display_name": id, "created_at": CREATED_AT}),
        ListShape::Google => {
            json!({"name": format!("models/{id}"), "displayName": id, "supportedGenerationMethods": GOOGLE_METHODS})
        }
        ListShape::Vertex => json!({"name": format!("{VERTEX}/{id}"), "displayName": id}),
    }
}

/// Resolves the percent signs of a path; `None` when what they say is no text.
fn unescape(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%').then(|| after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()));
        match escaped {
            Some(digits) => {
                bytes.push(u8::from_str_radix(digits?, 16).ok()?);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let text = "version: 1
listen: {address: 127.0.0.1:0}
providers: {one: {base_url: 'http://127.0.0.1:1/v1'}}
models: {org/small: {provider: one}, big: {provider: one}}
classifiers: {c: {bundle: b}}
policies:
  - {name: p, match: {model: [auto, 'gpt-*', big]}, strategy: {kind: tiers, classifier: c, tiers: {a: big}, otherwise: big}}
  - {name: q, match: {model: [code, 'org/*']}, strategy: {kind: tiers, classifier: c, tiers: {a: big}, otherwise: big}}
";
        Config::parse(text, "p.yaml").expect("a good file")
    }

    const OPEN: ModelAccess<'_> = ModelAccess { may_use: &|_| true, may_ask: &|_| true };

    fn answer(path: &str, shape: ListShape) -> Option<Value> {
        let config = config();
        let body = ModelsQuestion::of_path(path).expect("a question").answer(&visible(&config, &OPEN), shape)?;
        Some(serde_json::from_slice(&body).expect("JSON"))
    }

    #[test]
    fn virtual_models_come_first_then_the_catalog_each_once() {
        let list = answer("/v1/models", ListShape::OpenAi).expect("a list");

        let ids: Vec<_> = list["data"].as_array().expect("models").iter().map(|model| &model["id"]).collect();
        assert_eq!(ids, ["auto", "big", "code", "org/small"]);
        assert_eq!(list["object"], "list");
        assert_eq!(list["data"][0], json!({"id": "auto", "object": "model", "created": 0, "owned_by": "pointsman"}));
    }

    #[test]
    fn a_client_sees_what_its_policies_serve() {
        let config = config();
        let seen_with = |allowed: &str| {
            let may_use = |policy: Option<&Name>| policy.is_some_and(|policy| policy.as_str() == allowed);
            visible(&config, &ModelAccess { may_use: &may_use, ..OPEN }).join(" ")
        };

        assert_eq!(seen_with("p"), "auto big");
        assert_eq!(seen_with("q"), "code org/small");
        assert!(seen_with("none").is_empty());
    }

    #[test]
    fn a_model_that_may_not_serve_a_client_is_listed_only_where_a_policy_answers_to_its_name() {
        let config = config();

        let seen = visible(&config, &ModelAccess { may_ask: &|_| false, ..OPEN });

        assert_eq!(seen, ["auto", "big", "code", "org/small"]);
        let text = "version: 1\nlisten: {address: 127.0.0.1:0}\nproviders: {one: {base_url: 'http://127.0.0.1:1/v1'}}\nmodels: {a: {provider: one}, b: {provider: one}}\n";
        let bare = Config::parse(text, "p.yaml").expect("a good file");
        assert_eq!(visible(&bare, &ModelAccess { may_ask: &|model| model.as_str() == "b", ..OPEN }), ["b"]);
    }

    #[test]
    fn anthropic_clients_get_their_page() {
        let page = answer("/v1/models/", ListShape::Anthropic).expect("a page");

        assert_eq!(
            (&page["first_id"], &page["last_id"], &page["has_more"]),
            (&json!("auto"), &json!("org/small"), &json!(false))
        );
        assert_eq!(
            page["data"][1],
            json!({"type": "model", "id": "big", "display_name": "big", "created_at": "1970-01-01T00:00:00Z"})
        );
    }

    #[test]
    fn google_clients_get_their_list_and_its_models_have_their_collection_before_them() {
        let list = answer("/v1beta/models", ListShape::Google).expect("a list");
        let one = answer("/v1beta/models/org%2Fsmall", ListShape::Google).expect("a model");

        assert_eq!(list["models"].as_array().map(Vec::len), Some(4));
        let methods = ["generateContent", "countTokens"];
        assert_eq!(
            one,
            json!({"name": "models/org/small", "displayName": "org/small", "supportedGenerationMethods": methods})
        );
        assert_eq!(list["models"][3], one);
    }

    #[test]
    fn vertex_ai_s_clients_get_its_list_below_a_project_or_none() {
        let project = "/v1/projects/p/locations/l/publishers/google/models";
        for path in ["/v1beta1/publishers/google/models", project] {
            let list = answer(path, ListShape::Vertex).expect("a list");
            let one = answer(&format!("{path}/auto"), ListShape::Vertex).expect("a model");

            assert_eq!(list["publisherModels"].as_array().map(Vec::len), Some(4), "{path}");
            assert_eq!(one, json!({"name": "publishers/google/models/auto", "displayName": "auto"}), "{path}");
            assert_eq!(list["publisherModels"][0], one, "{path}");
        }
        for other in
            ["/v1/projects/p/locations/l/models", "/v1/x/publishers/google/models", "/publishers/google/models"]
        {
            assert_eq!(ModelsQuestion::of_path(other), None, "{other}");
        }
    }

    #[test]
    fn one_model_is_found_by_its_name_however_it_is_escaped() {
        for path in ["/v1/models/org/small", "/v1/models/org%2Fsmall", "/v1/models/org%2fsm%61ll"] {
            assert_eq!(answer(path, ListShape::OpenAi).expect("a model")["id"], "org/small", "{path}");
        }
        assert_eq!(answer("/v1/models/gpt-4", ListShape::OpenAi), None);
    }

    #[test]
    fn only_the_models_path_asks() {
        for path in ["/v1/modelsx", "/v1", "/models", "/v1/models/%zz", "/v1/models/%f", "/v1/models/%ff"] {
            assert_eq!(ModelsQuestion::of_path(path), None, "{path}");
        }
    }
}
