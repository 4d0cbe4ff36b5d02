//! Google's `generateContent` and `streamGenerateContent`, of the Gemini API and of Vertex AI: read and written.
//!
//! The path names the model and says whether the answer is a stream, and as what: the caller knows both.

mod answer_parts;
mod answer_reader;
mod answer_writer;
mod canonical;
mod citations;
mod cleaning;
mod config_reader;
mod config_writer;
mod error;
mod event_reader;
mod event_writer;
mod finish;
mod function_name;
mod generation;
mod joined_parts;
mod logprobs;
mod media;
mod open_calls;
mod part_fields;
mod part_writer;
mod request_reader;
mod request_writer;
mod result_writer;
mod splices;
#[cfg(test)]
mod tests;
mod thought;
mod tool_reader;
mod tool_writer;
mod turn_reader;
mod turn_writer;
mod usage;
mod wire;

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

use crate::loss::LossReport;
use crate::neutral::{NeutralAnswer, NeutralError, NeutralRequest};
use crate::refusal::TranslationRefusal;
use crate::translation::{
    AnswerDetails, Api, CleanedRequest, EventReader, EventWriter, RequestMemo, RequestWriting, TranslationTarget,
};

/// Google's `generateContent`.
pub(crate) struct Gemini;

impl Api for Gemini {
    fn canonical_request<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        canonical::request(body)
    }

    fn canonical_answer<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        canonical::answer(body)
    }

    fn read_request<'b>(
        &self,
        body: &'b [u8],
        losses: &mut LossReport,
    ) -> Result<NeutralRequest<'b>, TranslationRefusal> {
        request_reader::read(body, losses)
    }

    fn write_request(
        &self,
        request: &NeutralRequest<'_>,
        target: &TranslationTarget<'_>,
        writing: &mut RequestWriting<'_>,
    ) -> Range<usize> {
        request_writer::write(request, target, writing)
    }

    fn clean_request(
        &self,
        body: &[u8],
        target: &TranslationTarget<'_>,
        losses: &mut LossReport,
    ) -> Option<Result<CleanedRequest, TranslationRefusal>> {
        let cleaned = cleaning::clean(body, generation::ModelGeneration::of(target.model), losses);
        Some(cleaned.map(|body| CleanedRequest { body, model_span: 0..0, stream: false }))
    }

    fn memo(&self, request: &NeutralRequest<'_>, _body: &[u8]) -> RequestMemo {
        RequestMemo::of(request)
    }

    fn read_answer<'b>(&self, body: &'b [u8]) -> Result<NeutralAnswer<'b>, TranslationRefusal> {
        answer_reader::read(body)
    }

    fn write_answer(&self, answer: &NeutralAnswer<'_>, details: &AnswerDetails<'_>) -> Vec<u8> {
        answer_writer::write(answer, details)
    }

    fn says_media(&self) -> bool {
        true
    }

    fn says_native(&self, kind: &str, _raw: &RawValue) -> bool {
        part_writer::is_own_native(kind)
    }

    fn says_citation(&self, raw: &RawValue) -> bool {
        citations::are_sayable(raw)
    }

    fn event_reader(&self) -> Box<dyn EventReader> {
        Box::<event_reader::GeminiEventReader>::default()
    }

    fn event_writer(&self, details: &AnswerDetails<'_>) -> Box<dyn EventWriter> {
        Box::new(event_writer::GeminiEventWriter::new(details))
    }

    fn read_error<'b>(&self, status: u16, body: &'b [u8]) -> NeutralError<'b> {
        error::read(status, body)
    }

    fn write_error(&self, error: &NeutralError<'_>, status: u16) -> Vec<u8> {
        error::write(error, status)
    }
}
