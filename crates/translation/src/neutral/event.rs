//! Events of streams. Readers give them in the order in which an answer is written; parts of one answer may be open at
//! the same time, as parallel calls are in OpenAI's streams.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::answer::Stop;
use super::error::NeutralError;
use super::part::CallKind;
use super::usage::NeutralUsage;
use crate::loss::Field;
use crate::sealed::VendorSeal;

/// An event of a stream.
#[derive(Debug, Clone)]
pub enum StreamEvent<'b> {
    /// The answer begins. Comes once, first.
    Begin {
        /// The id that its vendor gave it.
        id: Option<Cow<'b, str>>,
        /// The model that writes it.
        model: Option<Cow<'b, str>>,
        /// The moment it was made, in seconds since 1970.
        created: Option<u64>,
        /// The usage as far as it is known at the beginning.
        usage: Option<NeutralUsage>,
    },
    /// A part begins. Numbers are given by the reader, upwards from 0 over all choices, one for each part.
    Open {
        /// The part's number.
        part: usize,
        /// The answer that it belongs to, where the client asked for several.
        choice: u64,
        /// The kind of part.
        kind: PartKind<'b>,
    },
    /// More of an open part.
    Delta {
        /// The part's number.
        part: usize,
        /// The piece.
        delta: PartDelta<'b>,
    },
    /// A part is whole.
    Close {
        /// The part's number.
        part: usize,
    },
    /// An answer has ended.
    Stop {
        /// The answer, where the client asked for several.
        choice: u64,
        /// The reason.
        stop: Stop<'b>,
    },
    /// The usage of the answer, as far as it is known: a later one counts instead of an earlier one.
    Usage(NeutralUsage),
    /// The tier of service, as its API calls it.
    ServiceTier(Cow<'b, str>),
    /// Nothing follows. Comes once, last; a stream without it was cut.
    End,
    /// The vendor failed in the middle of the stream. Nothing follows.
    Failed(NeutralError<'b>),
    /// A thing of the answer that belongs to no part which is open. Nobody writes it: it is lost.
    Unplaced(Field),
    /// Nothing but a sign of life.
    KeepAlive,
}

/// The kind of a part that begins.
#[derive(Debug, Clone)]
pub enum PartKind<'b> {
    /// Text.
    Text,
    /// The words of a refusal.
    Refusal,
    /// A thought.
    Thinking {
        /// True where the text will be a summary.
        is_summary: bool,
        /// True where the vendor has hidden all of it.
        is_redacted: bool,
    },
    /// A call of a tool.
    ToolCall {
        /// The call's id; empty where the API gave none.
        id: Cow<'b, str>,
        /// The tool's name.
        name: Cow<'b, str>,
        /// The kind of its input.
        kind: CallKind,
    },
    /// A part of a kind that only its own API knows, whole.
    Native {
        /// The kind, as its API calls it.
        kind: Cow<'b, str>,
        /// The whole part.
        raw: &'b RawValue,
    },
}

/// A piece of a part.
#[derive(Debug, Clone)]
pub enum PartDelta<'b> {
    /// Text of a text, a refusal or a thought.
    Text(Cow<'b, str>),
    /// Text of a call's arguments.
    Arguments(Cow<'b, str>),
    /// The vendor's seal of the part.
    Sealed(VendorSeal<'b>),
    /// A citation of the text, as its API writes it.
    Citation(&'b RawValue),
    /// The probabilities of tokens, in OpenAI's form.
    Logprobs(&'b RawValue),
}
