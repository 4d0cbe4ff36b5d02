//! An attempt in another API than the client's: the body, the path and the header fields that go to the upstream.
//!
//! A model whose provider speaks the client's API gets the client's own bytes, and nothing here is asked. Any other gets
//! the request in the nearest API that its provider speaks; what that one cannot say is noted, and what must not be left
//! out refuses the model, so that the next one is asked.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora::Result;
use pointsman_core::config::LossRule;
use pointsman_core::model_family::{FittedParameters, ModelProfile, ParameterChange, ParameterFit};
use pointsman_core::prompt::{BodyEdits, Dialect};
use pointsman_translation::{
    DialectFamily, Field, LossReport, RequestMemo, TranslatedRequest, Translation, TranslationRefusal,
    TranslationTarget,
};

use super::forward::set_authority;
use super::original::{ASKING, OriginalBody};
use crate::proxy::downstream::client_use::key_in;
use crate::proxy::header_fields::{KEY_FIELDS, value};
use crate::upstream::{ANTHROPIC_VERSION, Deployment, EarlyTranslation, Provider, UpstreamCredential, key_field};

/// The beginnings of header fields that only the vendor of the client's API, its SDKs and its agents know.
const VENDOR_FIELDS: [&str; 9] =
    ["anthropic-", "openai-", "x-stainless-", "x-goog-", "chatgpt-", "x-openai-", "x-codex-", "x-claude-", "x-gemini-"];

/// Fields of the same kind with names of their own.
const VENDOR_NAMES: [&str; 7] =
    ["x-app", "originator", "session_id", "conversation_id", "version", "x-server-timeout", "x-client-request-id"];

/// The translation of an attempt's request.
#[derive(Debug)]
pub(in crate::proxy) struct AttemptTranslation {
    /// The two APIs.
    pub(in crate::proxy) pair: Translation,
    /// The things that were not carried over as they were.
    pub(in crate::proxy) losses: LossReport,
    /// The part of the request that its answer's translation must know.
    pub(in crate::proxy) memo: RequestMemo,
    /// True where the client wants a stream.
    pub(in crate::proxy) stream: bool,
}

/// An attempt's body in another API.
pub(super) struct TranslatedBody {
    pub(super) bytes: Bytes,
    pub(super) changes: Vec<ParameterChange>,
    pub(super) translation: AttemptTranslation,
}

impl AttemptTranslation {
    /// Notes that Pointsman itself counted the tokens of a request that no model of the pair's upstream would count alike.
    pub(in crate::proxy) fn of_count(pair: Translation) -> Self {
        let mut losses = LossReport::default();
        losses.changed(Field::TokenCounts, "counted by Pointsman");
        Self { pair, losses, memo: RequestMemo::default(), stream: false }
    }

    /// Returns the dialect of the upstream's requests and answers.
    pub(in crate::proxy) const fn answer_dialect(&self) -> Dialect {
        let whole = Dialect::of_family(self.pair.upstream);
        if self.stream { whole.streamed() } else { whole }
    }

    /// Returns the pair and what was lost, for a header: `messages->chat; dropped=top_k; answer_dropped=images`.
    pub(in crate::proxy) fn note(&self, of_answer: Option<&LossReport>) -> String {
        let (name, losses) = (self.pair.name(), self.losses_noted(of_answer));
        if losses.is_empty() { name } else { format!("{name}; {losses}") }
    }

    /// Returns what was lost of the request, and of its answer as far as that is known.
    pub(in crate::proxy) fn losses_noted(&self, of_answer: Option<&LossReport>) -> String {
        let of_answer = of_answer.map(LossReport::to_string).filter(|losses| !losses.is_empty());
        let of_answer = of_answer.map(|losses| format!("answer_{}", losses.replace("; ", "; answer_")));
        let of_request = Some(self.losses.to_string()).filter(|losses| !losses.is_empty());
        of_request.into_iter().chain(of_answer).collect::<Vec<_>>().join("; ")
    }
}

impl OriginalBody {
    /// Returns the body for `target`, put into the words of its provider's API and fitted to the model there; no answer is
    /// longer than `limit`. A translation of the same body for the same model that was made before is used.
    ///
    /// # Errors
    /// When the other API cannot say something that must not be left out.
    pub(super) fn translated_for(
        &self,
        target: &Deployment,
        pair: Translation,
        limit: Option<u64>,
        early: Option<Box<EarlyTranslation>>,
    ) -> Result<TranslatedBody, TranslationRefusal> {
        let (body, _) = self.unsealed_for(target);
        let wanted = target.translation_target(limit);
        let translated = match early.and_then(|early| early.of(target, &body, &wanted)) {
            Some(translated) => self.as_wanted(translated),
            None => self.in_words_of(pair, &body, &wanted)?,
        };
        let dialect = Dialect::of_family(pair.upstream);
        let edits = edits_for(target, dialect, translated.stream);
        Ok(TranslatedBody::fitted(pair, translated, |body| {
            let fitted = target.fit(dialect, body, limit);
            FittedParameters { edits: fitted.edits.and(edits), changes: fitted.changes }
        }))
    }

    /// Returns the body for a model of no catalog, put into the words of `provider`'s API and fitted to the family that the
    /// model's name tells.
    ///
    /// # Errors
    /// When the other API cannot say something that must not be left out.
    pub(super) fn translated_past(
        &self,
        provider: &Provider,
        pair: Translation,
        wanted: &TranslationTarget<'_>,
    ) -> Result<TranslatedBody, TranslationRefusal> {
        let translated = self.in_words_of(pair, &self.body, wanted)?;
        let dialect = Dialect::of_family(pair.upstream);
        let asks_for_usage = translated.stream && dialect.has_stream_options() && provider.asks_for_usage();
        Ok(TranslatedBody::fitted(pair, translated, |body| {
            let fit = ParameterFit { dialect, body, limit: wanted.max_output, refused: &[] };
            let fitted = ModelProfile::of_unlisted(wanted.model).fit(&fit);
            let edits = if asks_for_usage { fitted.edits.and(&ASKING) } else { fitted.edits };
            FittedParameters { edits, changes: fitted.changes }
        }))
    }

    fn in_words_of(
        &self,
        pair: Translation,
        body: &[u8],
        wanted: &TranslationTarget<'_>,
    ) -> Result<TranslatedRequest, TranslationRefusal> {
        let translated = if self.dialect.streams_by_path() {
            pair.streamed_request(body, wanted)?
        } else {
            pair.request(body, wanted)?
        };
        Ok(self.as_wanted(translated))
    }

    /// Returns the translation with what the client's path says of the answer's form.
    fn as_wanted(&self, mut translated: TranslatedRequest) -> TranslatedRequest {
        translated.memo.gemini_array = translated.stream && self.wants_list;
        translated
    }
}

impl TranslatedBody {
    /// Returns the body, where its translation loses no more than `rule` allows.
    ///
    /// # Errors
    /// When it does.
    pub(super) fn unless_lossy(self, rule: LossRule) -> Result<Self, TranslationRefusal> {
        let losses = &self.translation.losses;
        if rule == LossRule::Refuse && losses.left_out().next().is_some() {
            return Err(TranslationRefusal::Lossy(losses.clone()));
        }
        Ok(self)
    }

    /// Makes the body of a translated request, with the parameters that `fit` finds for it.
    fn fitted(pair: Translation, translated: TranslatedRequest, fit: impl FnOnce(&Bytes) -> FittedParameters) -> Self {
        let TranslatedRequest { body, model_span, stream, memo, losses } = translated;
        let body = Bytes::from(body);
        let FittedParameters { edits, changes } = fit(&body);
        let (bytes, _) = edits.apply_around(&body, model_span);
        Self { bytes, changes, translation: AttemptTranslation { pair, losses, memo, stream } }
    }
}

/// Returns the model's own edits. The usage of a stream is asked for wherever it would be of a client of the upstream's API:
/// clients of others get it unasked.
fn edits_for(target: &Deployment, dialect: Dialect, stream: bool) -> &BodyEdits {
    let is_asked = stream && dialect.has_stream_options() && target.is_asked_by_default();
    if is_asked { target.asking_edits() } else { target.edits(dialect, stream) }
}

/// Asks the provider for the path of its own API, for the model that it calls `model`. Nothing of the client's query is for
/// it.
pub(in crate::proxy) fn set_target(
    upstream: &mut Parts,
    provider: &Provider,
    model: &str,
    translation: &AttemptTranslation,
) -> Result<()> {
    set_authority(upstream, provider, &provider.base.model_url(model, translation.answer_dialect()))
}

/// Removes the fields that only the vendor of the client's API knows, and adds those of the upstream's.
pub(in crate::proxy) fn set_fields(fields: &mut HeaderMap, translation: &AttemptTranslation) {
    let is_vendor_s =
        |name: &str| VENDOR_FIELDS.iter().any(|start| name.starts_with(start)) || VENDOR_NAMES.contains(&name);
    let own = fields.keys().filter(|name| is_vendor_s(name.as_str()) && !KEY_FIELDS.contains(name));
    for name in own.cloned().collect::<Vec<_>>() {
        fields.remove(&name);
    }
    let accepted = if translation.stream { "text/event-stream" } else { "application/json" };
    fields.insert(header::ACCEPT, HeaderValue::from_static(accepted));
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if translation.pair.upstream == DialectFamily::Messages {
        let (name, version) = ANTHROPIC_VERSION;
        fields.insert(name, version);
    }
}

/// Moves a client's own key, where it goes on, into the field in which the provider looks for it.
pub(in crate::proxy) fn move_key(fields: &mut HeaderMap, provider: &Provider, translation: &AttemptTranslation) {
    if !matches!(provider.credential, UpstreamCredential::Passthrough) {
        return;
    }
    let key = KEY_FIELDS.iter().find_map(|field| Some(key_in(fields.get(field)?.as_bytes(), field)));
    let key = key.and_then(|key| str::from_utf8(key).ok()).filter(|key| !key.is_empty());
    let header = provider.key_header(translation.pair.upstream);
    let placed = key.and_then(|key| key_field(header, key));
    for field in &KEY_FIELDS {
        fields.remove(field);
    }
    super::client_account::remove_fields(fields);
    fields.extend(placed.map(|(field, key)| (Some(field), key)));
}

/// Says the request's id to a client in the field that SDKs of its API read.
pub(in crate::proxy) fn name_request(fields: &mut HeaderMap, translation: &AttemptTranslation, id: &str) -> Result<()> {
    if translation.pair.client == DialectFamily::Messages {
        fields.insert(HeaderName::from_static("request-id"), value(id)?);
    }
    Ok(())
}

/// Removes from an answer the fields of its own vendor's API.
pub(in crate::proxy) fn clean_answer(fields: &mut HeaderMap) {
    let is_vendor_s = |name: &str| VENDOR_FIELDS.iter().any(|start| name.starts_with(start)) || name == "request-id";
    let own: Vec<HeaderName> = fields.keys().filter(|name| is_vendor_s(name.as_str())).cloned().collect();
    for name in own {
        fields.remove(&name);
    }
    for name in [header::ETAG, header::CONTENT_DISPOSITION, header::ACCEPT_RANGES] {
        fields.remove(name);
    }
}
