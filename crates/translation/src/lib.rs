//! Requests, answers and streams of one vendor's API, in the words of another's.
//!
//! ```text
//! client's body ── read ──► neutral request ── write ──► upstream's body        chat, messages, responses, gemini
//! client's answer ◄── write ── neutral answer ◄── read ── upstream's answer
//! ```
//!
//! Each API is a folder that reads its own form into the neutral one ([`neutral`]) and writes it from there, so that four
//! APIs are four pairs of readers and writers, not twelve. What the other side cannot say is never left out in silence:
//! readers and writers note it in a [`LossReport`], by a [`Field`] and by what became of it.
//!
//! Pure: a caller has the clock, the sockets and the catalog. A stream is a state machine over events: nothing is held
//! back but what the other API's order of events demands. What one vendor sealed is never sent to another: it travels in
//! an opaque field of the client's API ([`conversion::sealed`]) and is opened for its maker alone.

mod chat;
pub mod conversion;
mod events;
mod family;
mod gemini;
pub mod json;
mod loss;
mod messages;
pub mod neutral;
mod pair;
mod refusal;
mod responses;
pub mod sealed;
mod translation;

pub use self::family::DialectFamily;
pub use self::loss::{Field, Loss, LossKind, LossReport};
pub use self::refusal::TranslationRefusal;
pub use self::translation::{
    AnswerDetails, NativeCall, NativeTool, RequestMemo, StreamTranslator, TranslatedAnswer, TranslatedRequest,
    Translation, TranslationTarget,
};
