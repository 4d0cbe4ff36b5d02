//! A borrowed, dialect-neutral view of the request body.
//!
//! Owns reading: which model the client names and where in the body it does, the conversation's text, what is attached
//! to it and the parameters beside it. Sits between intake, which hands over the whole body, and `features`, which
//! measures the view. Refuses no more than it must: a body that is JSON and names one model is read, and whatever has
//! an unexpected form inside it is read as empty, because the upstream decides about it. What is beyond the bounds of a
//! configuration, or stands there in another case than the API's, is refused ([`ReadingLimits`]).
//!
//! A person's words are told from what harnesses put around them: [`Ask`] is the newest thing that was asked,
//! [`Purpose`] says whether anybody asked at all, [`Envelopes`] are what does not count as asked.
//!
//! One file per dialect, each a grammar of the top level; `parse` reads by them. [`model_field()`] works on any JSON
//! body. [`splice()`] and [`BodyEdits`] are the only ways a body is changed.

mod api_key;
mod ask;
mod attached;
mod conversation;
pub mod conversation_key;
mod dialect;
mod draft;
mod edit;
mod envelope;
mod every_text;
mod form_models;
mod google_path;
mod google_settings;
mod input;
mod markdown;
mod material;
mod media;
mod mend;
mod model_field;
mod model_name;
mod named_models;
mod odd_keys;
mod outline;
mod parameters;
mod parse;
mod parse_error;
mod path_models;
mod pieces;
mod purpose;
mod reading;
mod request_path;
pub(crate) mod scan;
mod session;
mod splice;
pub mod state;
mod text;
mod text_scope;
mod tolerant;
mod tool_loop;
mod tools;
mod turn;

use std::borrow::Cow;
use std::ops::Range;

pub use self::ask::{Ask, AskSource};
pub use self::attached::{AttachedFile, AttachedFiles, AttachmentKind, Attachments};
pub use self::dialect::Dialect;
pub use self::edit::BodyEdits;
pub use self::envelope::{ENVELOPE_TABLE, EnvelopeDefinition, EnvelopeForm, EnvelopeStretch, Envelopes, OwnEnvelope};
pub use self::form_models::{FormModels, is_like_form, models_of_form};
pub use self::google_path::GooglePath;
pub use self::google_settings::google_settings;
pub use self::markdown::table_markdown;
pub use self::media::{AttachedImage, AttachedMedia, ImageDetail};
pub use self::model_field::{ModelField, model_field, names_no_model, with_model, with_readable_model};
pub use self::model_name::without_context_suffix;
pub use self::named_models::{model_names_beside, named_models, names_beside_contents};
pub use self::outline::{has_stored_prompt, nearest_dialect};
pub use self::parameters::{PromptParameters, ResponseFormat, count_of};
pub use self::parse::PromptReader;
pub use self::parse_error::ParseError;
pub use self::path_models::models_of_path;
pub use self::pieces::{JsonEscapes, PieceKind, PromptPiece, unescaped};
pub use self::purpose::Purpose;
pub use self::reading::{CountedList, ReadingLimits};
pub use self::request_path::{AzurePath, RequestPath};
pub use self::session::ClientSession;
pub use self::splice::splice;
use self::text::owned;
pub use self::text_scope::TextScope;
use self::turn::ConversationTurn;
pub use self::turn::TurnRole;

/// The content of a request body, borrowed from it wherever its strings hold no escapes.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt<'b> {
    /// The dialect the body was read in.
    pub dialect: Dialect,
    /// The model that the client names.
    pub model: Cow<'b, str>,
    /// The place of the model in the body: the bytes of its JSON string, quotes included; empty where the path names it.
    pub model_span: Range<usize>,
    /// Turns of the conversation, of any role; an element of an unknown shape is a turn too.
    pub turns: u32,
    /// Turns of the user.
    pub user_turns: u32,
    /// Turns of the assistant, and tool calls that are items of their own; 0 in a conversation that only begins.
    pub assistant_turns: u32,
    /// Unicode characters in system and developer turns.
    pub system_chars: u64,
    /// Counts of attachments over all turns.
    pub attachments: Attachments,
    /// Tools on offer: `tools` and the legacy `functions`.
    pub tools: u32,
    /// Tool calls in progress: those of the tool loop, which begins after the newest ask without tool results beside
    /// it.
    pub tool_calls: u32,
    /// Tool calls in progress that had been made before with the same arguments.
    pub repeated_calls: u32,
    /// True where the tool loop makes no headway: the same calls three times in a row, or the same error three times.
    pub is_stalled: bool,
    /// Tool results of the tool loop that say `is_error`, or whose text starts like an error: after white space and in
    /// any case with `error`, `exception`, `traceback`, `fatal`, `failed`, `failure`, or a JSON object whose first key
    /// is `error`.
    pub tool_errors: u32,
    /// Tool results that the model has not seen yet: those after the newest assistant turn, with or without text of the
    /// user's.
    pub tool_results: u32,
    /// Tokens that the client sent as their ids instead of text.
    pub token_ids: u64,
    /// Sampling and output parameters.
    pub parameters: PromptParameters<'b>,
    /// The client's names for the conversation.
    pub session: ClientSession<'b>,
    /// The purpose of the request.
    pub purpose: Purpose,
    /// True where the harness has told the model to plan and change nothing.
    pub is_planning: bool,
    /// Attachments as vendors charge them.
    pub media: AttachedMedia,
    pieces: Vec<PromptPiece<'b>>,
    texts: Vec<Cow<'b, str>>,
    turns_in_order: Vec<ConversationTurn>,
    ask: Ask,
    envelopes: Envelopes,
}

impl<'b> Prompt<'b> {
    /// Returns the prompt as one for `model`, which stands in its path.
    #[must_use]
    pub fn for_model(self, model: impl Into<Cow<'b, str>>) -> Self {
        Self { model: model.into(), ..self }
    }

    /// Returns the text of each turn that has any, in the order of the conversation, a turn's parts joined with `\n`.
    /// Tool results inside a turn are a text of their own before it.
    pub fn texts(&self) -> impl Iterator<Item = &str> + Clone {
        self.texts.iter().map(AsRef::as_ref)
    }

    /// Returns what a provider counts beside the texts of turns: tools, schemas, calls, thoughts, documents.
    #[must_use]
    pub fn pieces(&self) -> &[PromptPiece<'b>] {
        &self.pieces
    }

    /// Returns the bytes of all texts and pieces: no tokenizer makes more tokens of them.
    #[must_use]
    pub fn text_bytes(&self) -> u64 {
        let texts = self.texts.iter().map(|text| text.len() as u64);
        texts.chain(self.pieces.iter().map(|piece| piece.written().len() as u64)).sum()
    }

    /// Returns where the ask was found, and what was left out around it.
    #[must_use]
    pub const fn ask(&self) -> &Ask {
        &self.ask
    }

    /// Returns the newest ask behind what it answers, where it does not stand by itself; empty where nobody asked
    /// anything in words. Copies only where it joins.
    #[must_use]
    pub fn ask_text(&self) -> Cow<'_, str> {
        self.ask.text(&self.texts)
    }

    /// Returns what the newest ask answers, where it does not stand by itself.
    #[must_use]
    pub fn answered_text(&self) -> Option<&str> {
        self.ask.answered(&self.texts)
    }

    /// Returns the newest ask alone; empty where nobody asked anything in words.
    #[must_use]
    pub fn newest_ask(&self) -> &str {
        self.ask.newest(&self.texts)
    }

    /// Returns the first ask of the conversation, without the envelopes around it; empty where none has words.
    #[must_use]
    pub fn first_ask(&self) -> Cow<'_, str> {
        self.conversation().first_ask()
    }

    /// Iterates over the texts of the system and developer turns that the conversation begins with.
    pub fn leading_system_texts(&self) -> impl Iterator<Item = &str> {
        let leading = self.turns_in_order.iter().take_while(|turn| turn.role == TurnRole::System);
        leading.filter_map(|turn| turn.text).map(|place| self.texts[place].as_ref())
    }

    /// Returns the envelopes that the prompt was read with.
    #[must_use]
    pub const fn envelopes(&self) -> &Envelopes {
        &self.envelopes
    }

    const fn conversation(&self) -> ask::AskSearch<'_, 'b> {
        ask::AskSearch {
            turns: self.turns_in_order.as_slice(),
            texts: self.texts.as_slice(),
            envelopes: &self.envelopes,
        }
    }

    /// Lets go of the body.
    fn into_owned(self) -> Prompt<'static> {
        Prompt {
            model: owned(self.model),
            parameters: PromptParameters {
                reasoning_effort: self.parameters.reasoning_effort.map(owned),
                ..self.parameters
            },
            session: self.session.into_owned(),
            texts: self.texts.into_iter().map(owned).collect(),
            pieces: self.pieces.into_iter().map(PromptPiece::into_owned).collect(),
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
