//! Google's `generateContent`: read and written.

use std::ops::Range;

use crate::loss::LossReport;
use crate::neutral::{NeutralAnswer, NeutralError, NeutralRequest};
use crate::refusal::TranslationRefusal;
use crate::translation::{
    AnswerDetails, Api, EventReader, EventWriter, RequestMemo, RequestWriting, TranslationTarget,
};

/// Google's `generateContent`.
pub(crate) struct Gemini;

impl Api for Gemini {
    fn read_request<'b>(
        &self,
        _body: &'b [u8],
        _losses: &mut LossReport,
    ) -> Result<NeutralRequest<'b>, TranslationRefusal> {
        todo!()
    }

    fn write_request(
        &self,
        _request: &NeutralRequest<'_>,
        _target: &TranslationTarget<'_>,
        _writing: &mut RequestWriting<'_>,
    ) -> Range<usize> {
        todo!()
    }

    fn memo(&self, request: &NeutralRequest<'_>, _body: &[u8]) -> RequestMemo {
        RequestMemo::of(request)
    }

    fn read_answer<'b>(&self, _body: &'b [u8]) -> Result<NeutralAnswer<'b>, TranslationRefusal> {
        todo!()
    }

    fn write_answer(&self, _answer: &NeutralAnswer<'_>, _details: &AnswerDetails<'_>) -> Vec<u8> {
        todo!()
    }

    fn event_reader(&self) -> Box<dyn EventReader> {
        todo!()
    }

    fn event_writer(&self, _details: &AnswerDetails<'_>) -> Box<dyn EventWriter> {
        todo!()
    }

    fn read_error<'b>(&self, _status: u16, _body: &'b [u8]) -> NeutralError<'b> {
        todo!()
    }

    fn write_error(&self, _error: &NeutralError<'_>, _status: u16) -> Vec<u8> {
        todo!()
    }
}
