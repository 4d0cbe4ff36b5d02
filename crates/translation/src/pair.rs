//! The translations of one pair of APIs: the reader of the one and the writer of the other.

use std::time::Duration;

use crate::family::DialectFamily;
use crate::json::halves;
use crate::loss::LossReport;
use crate::refusal::TranslationRefusal;
use crate::translation::long_names;
use crate::translation::long_names::LongNameWriter;
use crate::translation::{
    AnswerDetails, Api, CleanedRequest, RequestMemo, RequestWriting, StreamTranslator, TranslatedAnswer,
    TranslatedRequest, Translation, TranslationTarget, answer_losses,
};
use crate::{chat, gemini, messages, responses};

/// The word of a request's path on the answer's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AnswerWish {
    /// Nothing: the body does.
    InBody,
    Stream,
}

fn api(family: DialectFamily) -> &'static dyn Api {
    match family {
        DialectFamily::Chat => &chat::Chat,
        DialectFamily::Responses => &responses::Responses,
        DialectFamily::Messages => &messages::Messages,
        DialectFamily::Gemini => &gemini::Gemini,
    }
}

impl DialectFamily {
    /// Tells whether the API says in the body of an error when it wants the request again, in place of `Retry-After`.
    #[must_use]
    pub const fn waits_by_body(self) -> bool {
        matches!(self, Self::Gemini)
    }

    /// Returns the wait that the body of an error of this API asks for.
    #[must_use]
    pub fn retry_delay(self, body: &[u8]) -> Option<Duration> {
        api(self).read_error(0, body).retry_after
    }
}

impl Translation {
    /// Translates a request's body.
    ///
    /// # Errors
    /// When the body does not have the form of its API, or says something that must not be left out.
    pub fn request(self, body: &[u8], target: &TranslationTarget<'_>) -> Result<TranslatedRequest, TranslationRefusal> {
        self.request_with_losses(body, target).and_then(TranslatedRequest::unless_refused)
    }

    /// Translates a body whose path asks for the answer as a stream, as Google's do.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub fn streamed_request(
        self,
        body: &[u8],
        target: &TranslationTarget<'_>,
    ) -> Result<TranslatedRequest, TranslationRefusal> {
        self.streamed_request_with_losses(body, target).and_then(TranslatedRequest::unless_refused)
    }

    /// Translates a request's body as far as it goes, to see what would be lost.
    ///
    /// # Errors
    /// When the body does not have the form of its API.
    pub fn request_with_losses(
        self,
        body: &[u8],
        target: &TranslationTarget<'_>,
    ) -> Result<TranslatedRequest, TranslationRefusal> {
        self.request_as(body, target, AnswerWish::InBody)
    }

    /// Translates a body whose path asks for the answer as a stream, as Google's do, as far as it goes.
    ///
    /// # Errors
    /// When the body does not have the form of its API.
    pub fn streamed_request_with_losses(
        self,
        body: &[u8],
        target: &TranslationTarget<'_>,
    ) -> Result<TranslatedRequest, TranslationRefusal> {
        self.request_as(body, target, AnswerWish::Stream)
    }

    fn request_as(
        self,
        body: &[u8],
        target: &TranslationTarget<'_>,
        wish: AnswerWish,
    ) -> Result<TranslatedRequest, TranslationRefusal> {
        let mut losses = LossReport::default();
        let client = api(self.client);
        if self.client == self.upstream
            && let Some(cleaned) = client.clean_request(body, target, &mut losses)
        {
            let CleanedRequest { body, model_span, stream } = cleaned?;
            let stream = stream || wish == AnswerWish::Stream;
            return Ok(TranslatedRequest { body, model_span, stream, memo: RequestMemo::default(), losses });
        }
        // What goes on as JSON would be refused with half of a surrogate pair in it.
        let body = &*halves::mended(body);
        let canonical = client.canonical_request(body);
        let mut request = client.read_request(&canonical, &mut losses)?;
        request.stream |= wish == AnswerWish::Stream;
        request.family = Some(self.client);
        if self.client != self.upstream {
            request.native.iter().filter_map(|field| field.loss.clone()).for_each(|loss| losses.note(loss));
        }
        let mut out = Vec::with_capacity(body.len() + body.len() / 4 + 256);
        let mut writing = RequestWriting { body: &mut out, losses: &mut losses };
        let model_span = api(self.upstream).write_request(&request, target, &mut writing);
        let memo = client.memo(&request, body);
        Ok(TranslatedRequest { body: out, model_span, stream: request.stream, memo, losses })
    }

    /// Translates a whole answer.
    ///
    /// # Errors
    /// When the answer does not have the form of its API.
    pub fn answer(self, body: &[u8], details: &AnswerDetails<'_>) -> Result<Vec<u8>, TranslationRefusal> {
        self.answer_with_losses(body, details).map(|answer| answer.body)
    }

    /// Translates a whole answer, and says what the client's API has no words for.
    ///
    /// # Errors
    /// When the answer does not have the form of its API.
    pub fn answer_with_losses(
        self,
        body: &[u8],
        details: &AnswerDetails<'_>,
    ) -> Result<TranslatedAnswer, TranslationRefusal> {
        let upstream = api(self.upstream);
        let body = &*halves::mended(body);
        let canonical = upstream.canonical_answer(body);
        let mut answer = upstream.read_answer(&canonical)?;
        long_names::restore(&mut answer, details.memo);
        let (client, mut losses) = (api(self.client), LossReport::default());
        answer_losses::of_answer(client, &answer, &mut losses);
        Ok(TranslatedAnswer { body: client.write_answer(&answer, details), losses })
    }

    /// Begins the translation of a stream.
    #[must_use]
    pub fn stream(self, details: &AnswerDetails<'_>) -> StreamTranslator {
        let mut writer = api(self.client).event_writer(details);
        if !details.memo.long_names.is_empty() {
            writer = Box::new(LongNameWriter { names: details.memo.long_names.clone(), inner: writer });
        }
        StreamTranslator::new(api(self.upstream).event_reader(), api(self.client), writer)
    }

    /// Translates the body of an error, which came with `status`.
    #[must_use]
    pub fn error(self, status: u16, body: &[u8]) -> Vec<u8> {
        self.error_after(status, body, None)
    }

    /// Translates the body of an error, whose header asked for the wait `told`: Google's clients are told in the body.
    #[must_use]
    pub fn error_after(self, status: u16, body: &[u8], told: Option<Duration>) -> Vec<u8> {
        let body = halves::mended(body);
        let mut error = api(self.upstream).read_error(status, &body);
        error.retry_after = told.or(error.retry_after);
        api(self.client).write_error(&error, status)
    }

    /// Returns the name of the pair as headers and metrics have it: `messages->chat`.
    #[must_use]
    pub fn name(self) -> String {
        format!("{}->{}", self.client.as_str(), self.upstream.as_str())
    }
}
