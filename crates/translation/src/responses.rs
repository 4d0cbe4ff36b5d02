//! OpenAI's responses: read and written.

mod answer_reader;
mod answer_writer;
mod citation;
mod content_reader;
mod content_writer;
mod error;
mod event_parts;
mod event_reader;
mod event_writer;
mod input_reader;
mod input_writer;
mod item_writer;
mod memo;
mod own_request;
mod place;
mod request_reader;
mod request_writer;
mod response_object;
mod result_pairing;
mod thoughts;
mod tool_names;
mod tool_reader;
mod tool_writer;
mod usage;

use std::ops::Range;

use serde_json::value::RawValue;

use self::event_reader::ResponseEventReader;
use self::event_writer::ResponseEvents;
use crate::loss::LossReport;
use crate::neutral::{NeutralAnswer, NeutralError, NeutralRequest};
use crate::refusal::TranslationRefusal;
use crate::translation::{
    AnswerDetails, Api, CleanedRequest, EventReader, EventWriter, RequestMemo, RequestWriting, TranslationTarget,
};

/// OpenAI's responses.
pub(crate) struct Responses;

impl Api for Responses {
    fn read_request<'b>(
        &self,
        body: &'b [u8],
        losses: &mut LossReport,
    ) -> Result<NeutralRequest<'b>, TranslationRefusal> {
        request_reader::read(body, losses)
    }

    fn clean_request(
        &self,
        body: &[u8],
        target: &TranslationTarget<'_>,
        losses: &mut LossReport,
    ) -> Option<Result<CleanedRequest, TranslationRefusal>> {
        Some(own_request::clean(body, target, losses))
    }

    fn write_request(
        &self,
        request: &NeutralRequest<'_>,
        target: &TranslationTarget<'_>,
        writing: &mut RequestWriting<'_>,
    ) -> Range<usize> {
        request_writer::write(request, target, writing)
    }

    fn memo(&self, request: &NeutralRequest<'_>, body: &[u8]) -> RequestMemo {
        memo::of(request, body)
    }

    fn read_answer<'b>(&self, body: &'b [u8]) -> Result<NeutralAnswer<'b>, TranslationRefusal> {
        answer_reader::read(body)
    }

    fn write_answer(&self, answer: &NeutralAnswer<'_>, details: &AnswerDetails<'_>) -> Vec<u8> {
        answer_writer::write(answer, details)
    }

    fn says_native(&self, _kind: &str, raw: &RawValue) -> bool {
        item_writer::is_search(raw)
    }

    fn event_reader(&self) -> Box<dyn EventReader> {
        Box::<ResponseEventReader>::default()
    }

    fn event_writer(&self, details: &AnswerDetails<'_>) -> Box<dyn EventWriter> {
        Box::new(ResponseEvents::new(details))
    }

    fn read_error<'b>(&self, status: u16, body: &'b [u8]) -> NeutralError<'b> {
        error::read(status, body)
    }

    fn write_error(&self, error: &NeutralError<'_>, _status: u16) -> Vec<u8> {
        error::write(error)
    }
}

#[cfg(test)]
mod tests;
