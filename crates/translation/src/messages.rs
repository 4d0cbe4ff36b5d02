//! Anthropic's messages: read and written.

mod answer_reader;
mod answer_writer;
mod block_writer;
mod citations;
mod cleaning;
mod content_reader;
mod error;
mod event_reader;
mod event_writer;
mod media;
mod option_reader;
mod prefill;
mod request_reader;
mod request_writer;
mod stop;
mod thinking_writer;
mod tool_names;
mod tool_reader;
mod tool_writer;
mod turn_writer;
mod usage;

use std::ops::Range;

use serde_json::value::RawValue;

use crate::loss::LossReport;
use crate::neutral::{NeutralAnswer, NeutralError, NeutralRequest};
use crate::refusal::TranslationRefusal;
use crate::translation::{
    AnswerDetails, Api, CleanedRequest, EventReader, EventWriter, RequestMemo, RequestWriting, TranslationTarget,
};

/// Anthropic's messages.
pub(crate) struct Messages;

impl Api for Messages {
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
        Some(cleaning::clean(body, target, losses))
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

    fn says_native(&self, kind: &str, _raw: &RawValue) -> bool {
        block_writer::is_own_kind(kind)
    }

    fn says_citation(&self, raw: &RawValue) -> bool {
        citations::are_sayable(raw)
    }

    fn event_reader(&self) -> Box<dyn EventReader> {
        Box::<event_reader::MessagesReader>::default()
    }

    fn event_writer(&self, details: &AnswerDetails<'_>) -> Box<dyn EventWriter> {
        Box::new(event_writer::MessagesWriter::new(details))
    }

    fn read_error<'b>(&self, status: u16, body: &'b [u8]) -> NeutralError<'b> {
        error::read(status, body)
    }

    fn write_error(&self, error: &NeutralError<'_>, _status: u16) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        error::write(&mut out, error);
        out
    }
}

#[cfg(test)]
mod tests;
