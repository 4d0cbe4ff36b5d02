//! The part of an answer that the client has not seen, and the deadlines of an upstream that is silent.

use std::time::Duration;

use http::header;
use pingora::protocols::http::HttpTask;
use pingora::{Error, ErrorType, Result};
use tokio::time::Instant;

use super::context_length::WithheldAnswer;

/// The part of an answer that the client has not seen.
pub(super) enum Withheld {
    /// None: what comes goes out.
    Nothing,
    /// An error that may say that the prompt is too long.
    Error(WithheldAnswer),
    /// An answer that nothing real has come of, the moment until which it is held, and the deadlines from then on. An
    /// answer that is no stream is held for as long as it takes: until it is whole nobody can use it.
    Opening { tasks: Vec<HttpTask>, until: Option<Instant>, then: UpstreamDeadlines },
}

/// The longest that the opening of an answer is held back: the client, and whoever is between it and us, must see in
/// time that the provider lives.
pub(in crate::proxy) const LONGEST_HOLD: Duration = Duration::from_secs(10);

/// The deadlines of a silent upstream, where they are earlier than Pingora's own timeout.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct UpstreamDeadlines {
    pub(super) until: Option<Instant>,
    /// The longest pause, and its start: the moment in which the client got the last part of the answer.
    pub(super) pause: Option<(Duration, Instant)>,
}

/// An opening that may go out, and the deadlines from then on.
pub(super) struct ReleasedOpening {
    pub(super) tasks: Vec<HttpTask>,
    pub(super) then: UpstreamDeadlines,
}

impl Withheld {
    /// Gives back the opening that is held, if one is: something real of the answer has come.
    pub(super) fn release(&mut self) -> Option<ReleasedOpening> {
        match std::mem::replace(self, Self::Nothing) {
            Self::Opening { tasks, then, .. } => Some(ReleasedOpening { tasks, then }),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Returns until when an opening is held of which some has come.
    pub(super) fn held_until(&self) -> Option<Instant> {
        match self {
            Self::Opening { tasks, until, .. } if !tasks.is_empty() => *until,
            _ => None,
        }
    }

    /// Returns the deadlines of an answer that is no stream, once some of it has come. Before, Pingora's own timeout is
    /// the one that counts, and a request costs no timer.
    pub(super) fn deadlines_of_whole(&self) -> Option<UpstreamDeadlines> {
        let has_body = |tasks: &[HttpTask]| tasks.iter().any(|task| matches!(task, HttpTask::Body(Some(_), _)));
        match self {
            Self::Opening { tasks, until: None, then } if has_body(tasks) => Some(*then),
            _ => None,
        }
    }

    /// Returns what of the answer may go out now, with what was withheld before; `None` while it is withheld.
    ///
    /// # Errors
    /// [`WithheldAnswer`]'s; the upstream's own, where it broke off before anything real had come; an end before that.
    pub(super) fn sift(&mut self, mut tasks: Vec<HttpTask>) -> Result<Option<Vec<HttpTask>>> {
        let out = match self {
            Self::Nothing => return Ok(Some(tasks)),
            Self::Error(withheld) => withheld.push(tasks)?,
            Self::Opening { tasks: held, .. } => {
                if let Some(broke) = tasks.iter().position(|task| matches!(task, HttpTask::Failed(_)))
                    && let HttpTask::Failed(error) = tasks.swap_remove(broke)
                {
                    return Err(error);
                }
                let has_body = |task: &HttpTask| matches!(task, HttpTask::Body(Some(bytes), _) if !bytes.is_empty());
                let has_trailers = tasks.iter().any(|task| matches!(task, HttpTask::Trailer(_)))
                    && held.iter().chain(&tasks).any(has_body);
                if !has_trailers && tasks.iter().any(|task| task.is_end() || matches!(task, HttpTask::Done)) {
                    return Err(
                        Error::explain(ErrorType::ConnectionClosed, "an answer without anything in it").into_up()
                    );
                }
                held.append(&mut tasks);
                // No phase sees an end by trailers: what came is the answer.
                has_trailers.then(|| std::mem::take(held))
            }
        };
        if out.is_some() {
            *self = Self::Nothing;
        }
        Ok(out)
    }
}

/// Says the length of an answer of HTTP/1 in its header, where all of the answer is at hand: it goes out in one piece then,
/// not in chunks, of which each is a write of its own.
pub(super) fn state_length(tasks: &mut [HttpTask]) {
    let [HttpTask::Header(head, false), body @ ..] = tasks else { return };
    let is_whole = body.last().is_some_and(|last| matches!(last, HttpTask::Body(_, true) | HttpTask::Done));
    if !is_whole || !head.headers.contains_key(header::TRANSFER_ENCODING) {
        return;
    }
    let mut length = 0;
    for task in body {
        match task {
            HttpTask::Body(bytes, _) => length += bytes.as_ref().map_or(0, bytes::Bytes::len),
            HttpTask::Done => {}
            _ => return,
        }
    }
    head.remove_header(&header::TRANSFER_ENCODING);
    let _ = head.insert_header(header::CONTENT_LENGTH, length); // a number is a value of every field
}

impl UpstreamDeadlines {
    pub(super) fn deadline(self) -> Option<Instant> {
        let pause = self.pause.map(|(idle, since)| since + idle);
        self.until.into_iter().chain(pause).min()
    }

    /// Notes that the client got a part of the answer. Its own slowness is no pause of the upstream.
    pub(super) fn renew(&mut self) {
        if let Some((_, since)) = &mut self.pause {
            *since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pingora::http::ResponseHeader;

    use super::*;

    /// Returns the length that an answer in chunks says once it is passed on with these parts of its body.
    fn stated(body: Vec<HttpTask>) -> Option<String> {
        let mut head = ResponseHeader::build(200, None).expect("an answer");
        head.insert_header(header::TRANSFER_ENCODING, "chunked").expect("a field");
        let mut tasks = vec![HttpTask::Header(Box::new(head), false)];
        tasks.extend(body);

        state_length(&mut tasks);

        let HttpTask::Header(head, _) = &tasks[0] else { panic!("{tasks:?}") };
        let length =
            head.headers.get(header::CONTENT_LENGTH).map(|length| length.to_str().expect("a number").to_owned());
        assert_ne!(head.headers.contains_key(header::TRANSFER_ENCODING), length.is_some(), "the one or the other");
        length
    }

    #[test]
    fn an_answer_that_is_all_there_says_its_length_and_no_other_does() {
        let part = |text: &'static str, is_end| HttpTask::Body(Some(Bytes::from_static(text.as_bytes())), is_end);

        assert_eq!(stated(vec![part("ab", false), HttpTask::Body(None, false), part("c", true)]).as_deref(), Some("3"));
        assert_eq!(stated(vec![part("ab", false), HttpTask::Done]).as_deref(), Some("2"));
        assert_eq!(stated(vec![part("ab", false)]), None);
        assert_eq!(stated(vec![part("ab", false), HttpTask::Trailer(None)]), None);
        assert_eq!(stated(Vec::new()), None);
    }
}
