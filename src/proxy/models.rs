//! `GET /v1/models`: the models that clients may ask for, in the shape of the SDK that asks.
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

const PATH: &str = "/v1/models";

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
        let rest = path.strip_prefix(PATH)?;
        match rest.strip_prefix('/') {
            None if rest.is_empty() => Some(Self::List),
            Some("") => Some(Self::List),
            Some(id) => Some(Self::One(unescape(id)?)),
            None => None,
        }
    }

    /// Returns the body of the answer, in which `ids` are all models; `None` when there is no such model.
    pub(in crate::proxy) fn answer(&self, ids: &[&str], shape: AnswerShape) -> Option<Bytes> {
        let body = match self {
            Self::One(wanted) => model(ids.iter().find(|id| *id == wanted)?, shape),
            Self::List => list(ids, shape),
        };
        Some(body.to_string().into())
    }
}

/// Returns what Pointsman itself answers, if it is asked for its models. What it does not know may be the default
/// provider's.
pub(super) fn answer(header: &RequestHeader, ctx: &RequestContext) -> Result<Option<Bytes>, Rejection> {
    let config = &ctx.snapshot.config;
    let path = header.uri.path();
    let asked = ModelsQuestion::of_path(path).filter(|_| header.method == Method::GET);
    let has_default = default_provider(ctx).is_some();
    let Some(question) = asked.filter(|_| !(has_default && has_none(config))) else { return Ok(None) };
    let visible = visible(config, |policy| client_use::may_use(ctx.client.as_ref(), policy));
    match (question.answer(&visible, AnswerShape::of(path, &header.headers)), question) {
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

/// Returns the name of every model, once, for a client of whom `may_use` knows which policies may serve it; `None`
/// stands for passing through.
pub(in crate::proxy) fn visible(config: &Config, may_use: impl Fn(Option<&Name>) -> bool) -> Vec<&str> {
    let usable: Vec<_> = config.policies.iter().filter(|policy| may_use(Some(&policy.name))).collect();
    let fits = |policy: &&PolicyConfig, id: &str| {
        let globs = &policy.matches.model;
        globs.is_empty() || globs.iter().any(|glob| glob.matches(id))
    };
    let passes = may_use(None);
    let catalog = config.models.keys().map(Name::as_str);
    let catalog = catalog.filter(|id| passes || usable.iter().any(|policy| fits(policy, id)));
    let virtual_models = usable.iter().flat_map(|policy| &policy.matches.model).filter_map(Glob::exact);
    let mut ids = Vec::new();
    for id in virtual_models.chain(catalog) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

fn list(ids: &[&str], shape: AnswerShape) -> Value {
    let data: Vec<_> = ids.iter().map(|id| model(id, shape)).collect();
    match shape {
        AnswerShape::OpenAi => json!({"object": "list", "data": data}),
        AnswerShape::Anthropic => {
            json!({"data": data, "has_more": false, "first_id": ids.first(), "last_id": ids.last()})
        }
    }
}

fn model(id: &str, shape: AnswerShape) -> Value {
    match shape {
        AnswerShape::OpenAi => json!({"id": id, "object": "model", "created": 0, "owned_by": "pointsman"}),
        AnswerShape::Anthropic => json!({"type": "model", "id": id, "display_name": id, "created_at": CREATED_AT}),
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

    fn answer(path: &str, shape: AnswerShape) -> Option<Value> {
        let config = config();
        let body = ModelsQuestion::of_path(path).expect("a question").answer(&visible(&config, |_| true), shape)?;
        Some(serde_json::from_slice(&body).expect("JSON"))
    }

    #[test]
    fn virtual_models_come_first_then_the_catalog_each_once() {
        let list = answer("/v1/models", AnswerShape::OpenAi).expect("a list");

        let ids: Vec<_> = list["data"].as_array().expect("models").iter().map(|model| &model["id"]).collect();
        assert_eq!(ids, ["auto", "big", "code", "org/small"]);
        assert_eq!(list["object"], "list");
        assert_eq!(list["data"][0], json!({"id": "auto", "object": "model", "created": 0, "owned_by": "pointsman"}));
    }

    #[test]
    fn a_client_sees_what_its_policies_serve() {
        let config = config();
        let seen_with =
            |allowed: &str| visible(&config, |policy| policy.is_some_and(|policy| policy.as_str() == allowed));

        assert_eq!(seen_with("p"), ["auto", "big"]);
        assert_eq!(seen_with("q"), ["code", "org/small"]);
        assert!(seen_with("none").is_empty());
    }

    #[test]
    fn anthropic_clients_get_their_page() {
        let page = answer("/v1/models/", AnswerShape::Anthropic).expect("a page");

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
    fn one_model_is_found_by_its_name_however_it_is_escaped() {
        for path in ["/v1/models/org/small", "/v1/models/org%2Fsmall", "/v1/models/org%2fsm%61ll"] {
            assert_eq!(answer(path, AnswerShape::OpenAi).expect("a model")["id"], "org/small", "{path}");
        }
        assert_eq!(answer("/v1/models/gpt-4", AnswerShape::OpenAi), None);
    }

    #[test]
    fn only_the_models_path_asks() {
        for path in ["/v1/modelsx", "/v1", "/models", "/v1/models/%zz", "/v1/models/%f", "/v1/models/%ff"] {
            assert_eq!(ModelsQuestion::of_path(path), None, "{path}");
        }
    }
}
