//! `generationConfig`: sampling, limits, thinking, and the form of the answer.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::media;
use crate::conversion::effort;
use crate::conversion::schema::camel_case;
use crate::json::{self, Fields};
use crate::loss::{Field, LossReport};
use crate::neutral::{ImageDetail, NeutralRequest, OutputFormat, Reasoning, ReasoningMode, ThoughtForm};
use crate::refusal::TranslationRefusal;

/// Reads `generationConfig` into `request`, and returns the resolution that it wants of images.
pub(super) fn read<'b>(
    raw: &'b RawValue,
    request: &mut NeutralRequest<'b>,
    losses: &mut LossReport,
) -> Result<Option<ImageDetail>, TranslationRefusal> {
    let fields = Fields::of(raw).ok_or_else(|| TranslationRefusal::malformed("generationConfig", "no object"))?;
    let mut format = FormatFields::default();
    let mut detail = None;
    for (name, raw) in fields.iter().filter(|(_, raw)| !json::is_null(raw)) {
        let name = if name.contains('_') { Cow::Owned(camel_case(name)) } else { Cow::Borrowed(name) };
        match &*name {
            "responseMimeType" => format.media_type = json::text(raw),
            "responseSchema" => format.schema = format.schema.or(Some(raw)),
            "responseJsonSchema" => format.schema = Some(raw),
            "thinkingConfig" => request.reasoning = thinking(raw),
            "mediaResolution" => {
                detail = media::read_resolution(raw);
                if detail.is_none() {
                    losses.dropped(Field::ImageDetail);
                }
            }
            "responseModalities" => modalities(raw, losses),
            "speechConfig" | "imageConfig" => losses.dropped(Field::Modalities),
            _ if sampling(&name, raw, request)? => {}
            _ => losses.dropped_at(Field::Other, format!("generationConfig.{name}")),
        }
    }
    request.output = format.read(losses);
    Ok(detail)
}

/// Reads a field of sampling or of limits; returns whether it is one.
fn sampling<'b>(name: &str, raw: &'b RawValue, request: &mut NeutralRequest<'b>) -> Result<bool, TranslationRefusal> {
    let sampling = &mut request.sampling;
    match name {
        "temperature" => sampling.temperature = Some(plain(name, raw)?),
        "topP" => sampling.top_p = Some(plain(name, raw)?),
        "topK" => sampling.top_k = Some(plain(name, raw)?),
        "seed" => sampling.seed = Some(plain(name, raw)?),
        "presencePenalty" => sampling.presence_penalty = Some(plain(name, raw)?),
        "frequencyPenalty" => sampling.frequency_penalty = Some(plain(name, raw)?),
        "responseLogprobs" => sampling.logprobs = Some(plain(name, raw)?),
        "logprobs" => sampling.top_logprobs = Some(whole(name, raw)?),
        "candidateCount" => sampling.choices = Some(whole(name, raw)?),
        "maxOutputTokens" => request.max_tokens = Some(whole(name, raw)?),
        "stopSequences" => {
            sampling.stop = json::list(raw).unwrap_or_default().into_iter().filter_map(json::text).collect();
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn plain<T: DeserializeOwned>(name: &str, raw: &RawValue) -> Result<T, TranslationRefusal> {
    json::value(raw).ok_or_else(|| TranslationRefusal::malformed(format!("generationConfig.{name}"), "of another type"))
}

/// Reads a whole number, which may be written with a fraction of nothing: `3.0`.
fn whole(name: &str, raw: &RawValue) -> Result<u64, TranslationRefusal> {
    let number = plain::<f64>(name, raw)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "neither negative nor too large")]
    if (0.0..1e15).contains(&number) && number.fract() == 0.0 {
        Ok(number as u64)
    } else {
        Err(TranslationRefusal::malformed(format!("generationConfig.{name}"), "no whole number"))
    }
}

/// Reads `thinkingConfig`.
fn thinking(raw: &RawValue) -> Option<Reasoning> {
    let fields = Fields::of(raw)?;
    let shows = fields.either(["includeThoughts", "include_thoughts"]).and_then(json::value::<bool>);
    let budget = fields.either(["thinkingBudget", "thinking_budget"]).and_then(json::value::<f64>);
    let level = fields.either(["thinkingLevel", "thinking_level"]).and_then(json::text);
    let effort = level.and_then(|level| effort::named(&level.to_ascii_lowercase()));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and no count is too large")]
    let mode = match (budget, effort) {
        (Some(0.0), _) => ReasoningMode::Off,
        (Some(tokens), effort) if tokens > 0.0 => ReasoningMode::Budget { tokens: tokens as u64, effort },
        (None, Some(effort)) => ReasoningMode::Effort(effort),
        (_, effort) => ReasoningMode::Adaptive { effort },
    };
    let form = if shows == Some(true) { ThoughtForm::Summary } else { ThoughtForm::Omitted };
    Some(Reasoning { mode, form: Some(form) })
}

/// Notes kinds of output beside text: no other API's answers have them.
fn modalities(raw: &RawValue, losses: &mut LossReport) {
    for modality in json::list(raw).unwrap_or_default().into_iter().filter_map(json::text) {
        if !modality.eq_ignore_ascii_case("TEXT") && !modality.eq_ignore_ascii_case("MODALITY_UNSPECIFIED") {
            losses.refused(Field::Modalities, modality.to_ascii_lowercase());
        }
    }
}

/// The fields that say the form of the answer.
#[derive(Default)]
struct FormatFields<'b> {
    media_type: Option<Cow<'b, str>>,
    schema: Option<&'b RawValue>,
}

impl<'b> FormatFields<'b> {
    fn read(self, losses: &mut LossReport) -> Option<OutputFormat<'b>> {
        match (self.media_type.as_deref(), self.schema) {
            (Some("application/json"), Some(schema)) => {
                // Google's answers follow a schema to the letter; others promise it for some schemas only.
                Some(OutputFormat::Schema { name: None, description: None, schema, strict: None })
            }
            (Some("application/json"), None) => Some(OutputFormat::JsonObject),
            (None | Some("text/plain" | ""), None) => None,
            _ => {
                losses.dropped(Field::OutputFormat);
                None
            }
        }
    }
}
