//! OpenAI's chat completions: read and written.
//!
//! Most servers but OpenAI's own speak this API and no newer one, each with fields of its own: readers take what they
//! are known to write, writers what all of them take.

mod annotation;
mod answer_reader;
mod answer_writer;
mod call_reader;
mod chunk;
mod cleaning;
mod error;
mod event_reader;
mod event_writer;
mod parts_writer;
mod request_reader;
mod request_writer;
mod stop;
mod thought;
mod thought_reader;
mod tools_reader;
mod tools_writer;
mod turns_reader;
mod turns_writer;
mod usage;

#[cfg(test)]
mod tests;

use std::ops::Range;

use self::event_reader::ChunkReader;
use self::event_writer::ChunkWriter;
use crate::loss::LossReport;
use crate::neutral::{NeutralAnswer, NeutralError, NeutralRequest};
use crate::refusal::TranslationRefusal;
use crate::translation::{
    AnswerDetails, Api, CleanedRequest, EventReader, EventWriter, RequestMemo, RequestWriting, TranslationTarget,
};

/// OpenAI's chat completions.
pub(crate) struct Chat;

impl Api for Chat {
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
        let wants_function_call = request.native.iter().any(|field| field.name == "functions");
        RequestMemo { wants_function_call, ..RequestMemo::of(request) }
    }

    fn read_answer<'b>(&self, body: &'b [u8]) -> Result<NeutralAnswer<'b>, TranslationRefusal> {
        answer_reader::read(body)
    }

    fn write_answer(&self, answer: &NeutralAnswer<'_>, details: &AnswerDetails<'_>) -> Vec<u8> {
        answer_writer::write(answer, details)
    }

    fn event_reader(&self) -> Box<dyn EventReader> {
        Box::new(ChunkReader::default())
    }

    fn event_writer(&self, details: &AnswerDetails<'_>) -> Box<dyn EventWriter> {
        Box::new(ChunkWriter::new(details))
    }

    fn read_error<'b>(&self, status: u16, body: &'b [u8]) -> NeutralError<'b> {
        error::read(status, body)
    }

    fn write_error(&self, error: &NeutralError<'_>, _status: u16) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        error::write(error, &mut out);
        out
    }
}
