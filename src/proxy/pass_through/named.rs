//! The models that a request names which no dialect reads, held against its client's list and the catalog.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use pingora::http::RequestHeader;
use pointsman_core::prompt::{
    Dialect, ParseError, is_like_form, model_field, model_names_beside, models_of_form, models_of_path, named_models,
    names_beside_contents, splice,
};

use crate::clients::Client;
use crate::proxy::answer::rejection::Rejection;
use crate::proxy::asked::AskedTarget;
use crate::proxy::context::RequestContext;
use crate::proxy::downstream::intake;
use crate::upstream::Deployment;

/// The query parameters that name a model.
const PARAMETERS: [&str; 2] = ["model", "deployment"];

/// The models that a request names, and the one among them that it is for.
#[derive(Debug, Default)]
pub(super) struct RequestedModels {
    /// Every model, beside the one that it is for.
    others: Vec<String>,
    /// The model that the top level of the body names, where its method makes something.
    main: Option<MainModel>,
}

/// The model that a request is for.
#[derive(Debug)]
struct MainModel {
    name: String,
    /// The place of the name in a body that is JSON.
    span: Option<Range<usize>>,
}

impl RequestedModels {
    /// Reads the models of a request, in its target and in its body, as far as that was read; beside them an error where
    /// the body looks like JSON and is none.
    pub(super) fn read(
        header: &RequestHeader,
        asked: &AskedTarget,
        body: Option<&Bytes>,
    ) -> (Self, Result<(), ParseError>) {
        let in_path = match &asked.google {
            Some(google) => vec![google.model.clone()],
            None => models_of_path(header.uri.path()),
        };
        let others = in_path.into_iter().chain(parameters(header.uri.query().unwrap_or_default().as_bytes())).collect();
        let mut models = Self { others, main: None };
        let read = body.map_or(Ok(()), |body| models.read_body(header, body));
        (models, read)
    }

    fn read_body(&mut self, header: &RequestHeader, body: &Bytes) -> Result<(), ParseError> {
        if intake::is_form(&header.headers) {
            let kind = header.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
            let mut form = models_of_form(&String::from_utf8_lossy(kind), body);
            if form.names.len() == 1 {
                self.main = form.names.pop().map(|name| MainModel { name, span: None });
            }
            self.others.extend(form.names);
            let types = header.headers.get_all(header::CONTENT_TYPE).iter().count();
            return if form.is_ambiguous || types > 1 { Err(ParseError::AmbiguousModel) } else { Ok(()) };
        }
        if !intake::is_like_json(body) {
            if intake::is_url_encoded(&header.headers) {
                self.others.extend(parameters(body));
                return Ok(());
            }
            // A form without its type; JSON behind a comment, which lenient servers step over.
            let is_odd = is_like_form(body) || body.trim_ascii_start().starts_with(b"/");
            return if is_odd { Err(ParseError::AmbiguousModel) } else { Ok(()) };
        }
        match model_field(body).ok().filter(|_| header.method == Method::POST) {
            Some(field) => {
                self.main = Some(MainModel { name: field.name.into_owned(), span: Some(field.span) });
                self.others.extend(model_names_beside(body)?);
            }
            None => self.others.extend(named_models(body)?),
        }
        Ok(())
    }

    /// Checks every name: each must be one of the client's, and none may stand for a policy's choice, or for a model
    /// that has another name at its provider and cannot be put in its place.
    ///
    /// # Errors
    /// Names the model that may not be.
    pub(super) fn check(&self, ctx: &RequestContext) -> Result<(), Rejection> {
        for model in &self.others {
            check_own(ctx, model)?;
            check_list(ctx, model)?;
        }
        let Some(main) = &self.main else { return Ok(()) };
        if self.target(ctx).is_none() {
            check_own(ctx, &main.name)?;
        }
        check_list(ctx, &main.name)
    }

    /// Returns the model of the catalog that the request is for, if it can be sent there.
    pub(super) fn target<'c>(&self, ctx: &'c RequestContext) -> Option<&'c Deployment> {
        let main = self.main.as_ref()?;
        let target = ctx.snapshot.model_unread(&main.name)?;
        (main.span.is_some() || target.upstream_name == main.name).then_some(target)
    }

    /// Returns the body with the model's name as its provider calls it.
    pub(super) fn body_for(&self, target: &Deployment, body: Bytes) -> Bytes {
        match self.main.as_ref().and_then(|main| Some((main.name.as_str(), main.span.clone()?))) {
            Some((name, span)) if name != target.upstream_name => splice(&body, span, &target.upstream_name),
            _ => body,
        }
    }

    /// Returns the model that is asked for, in the words of the client.
    pub(super) fn first(&self) -> Option<&str> {
        self.others.first().or(self.main.as_ref().map(|main| &main.name)).map(String::as_str)
    }
}

/// Checks the models that a request's body names beside the one that it is for, and on Google's paths its query: whoever
/// gets the request may ask them.
///
/// # Errors
/// When one is none of the client's.
pub(in crate::proxy) fn may_name_beside(
    ctx: &RequestContext,
    header: &RequestHeader,
    dialect: Dialect,
    body: &[u8],
) -> Result<(), Rejection> {
    if !is_limited(ctx) {
        return Ok(());
    }
    let names = if dialect.is_google() {
        let mut names = parameters(header.uri.query().unwrap_or_default().as_bytes());
        names.extend(names_beside_contents(body)?);
        names
    } else {
        model_names_beside(body)?
    };
    names.iter().try_for_each(|model| check_list(ctx, model))
}

/// Returns whether there are models that may not serve the request's client.
pub(super) fn is_limited(ctx: &RequestContext) -> bool {
    ctx.client.as_ref().is_some_and(|used| Client::is_for_some_models(used.client()))
}

fn check_own(ctx: &RequestContext, model: &str) -> Result<(), Rejection> {
    let is_own = ctx.snapshot.is_own_name(model);
    if is_own { Err(Rejection::ModelNotRouted { model: model.to_owned() }) } else { Ok(()) }
}

fn check_list(ctx: &RequestContext, model: &str) -> Result<(), Rejection> {
    let client = ctx.client.as_ref().map(|used| &**used.client());
    ctx.snapshot.model_denial(client, model).map_or(Ok(()), |denial| Err(Rejection::denied(&denial)))
}

fn parameters(query: &[u8]) -> Vec<String> {
    // Some servers split at `;` too, tell no cases apart, or make a list of `model[]`.
    let halves = query.split(|byte| *byte == b';').filter(|half| half.len() < query.len());
    let pairs = form_urlencoded::parse(query).chain(halves.flat_map(form_urlencoded::parse));
    let is_asked = |name: &str| {
        let name = name.split('[').next().unwrap_or_default().trim();
        PARAMETERS.iter().any(|parameter| parameter.eq_ignore_ascii_case(name))
    };
    let mut models: Vec<String> = Vec::new();
    for (_, model) in pairs.filter(|(name, _)| is_asked(name)) {
        if !models.iter().any(|known| *known == model) {
            models.push(model.into_owned());
        }
    }
    models
}
