//! The draft that every dialect's reader fills, and the one way all of them read a body.
//!
//! One pass over the body without a JSON tree. What that pass cannot represent although it is grammatical JSON (half of
//! a surrogate pair, a number beyond `f64`, bytes that are no UTF-8) is met by a second, slower one over a copy that is
//! mended. A body that neither can read is refused: it is never taken for an empty one.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::{fmt, mem};

use serde::de::{Deserializer, MapAccess, Visitor};

use super::api_key::ApiKey;
use super::conversation::{ConversationDraft, TurnContent};
use super::dialect::Dialect;
use super::input::PlainInput;
use super::mend::mend;
use super::model_field::{ModelField, ModelSlot, model_field};
use super::parameters::RawParameters;
use super::parse::PromptReader;
use super::parse_error::ParseError;
use super::pieces::{PieceKind, PromptPiece};
use super::purpose::{Purpose, is_planning};
use super::reading::{BodyReading, BodyTally};
use super::session::RawSession;
use super::tool_loop::ToolLoop;
use super::tools::OfferedTools;
use super::turn::TurnRole;
use super::{Prompt, ask};

/// Top-level keys that count in no other spelling, though their dialect's grammar does not read them: those of other
/// dialects, of the readers beside it (models, state, texts), and parameters that rules may set.
pub(super) const ALSO_READ: &[&str] = &[
    "background",
    "best_of",
    "container",
    "conversation",
    "documents",
    "extra_body",
    "fallback",
    "fallback_models",
    "fallbacks",
    "format",
    "frequency_penalty",
    "function_call",
    "functions",
    "images",
    "include",
    "input",
    "instructions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "models",
    "options",
    "output_config",
    "output_format",
    "parallel_tool_calls",
    "presence_penalty",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "reasoning",
    "reasoning_effort",
    "response_format",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "suffix",
    "system",
    "temperature",
    "text",
    "think",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
    "truncation",
    "user",
];

/// A top-level key of one dialect, and the place of its value in the draft.
pub(super) trait RequestKey: ApiKey {
    /// Reads the value of the key, which `map` stands before.
    fn read<'b, A: MapAccess<'b>>(
        self,
        draft: &mut PromptDraft<'b>,
        map: &mut A,
        reading: BodyReading<'_>,
    ) -> Result<(), A::Error>;
}

/// The top level of a request, as read so far; of a key that comes twice the last value counts.
#[derive(Default)]
pub(super) struct PromptDraft<'b> {
    pub(super) model: ModelSlot<'b>,
    /// A system text beside the conversation.
    pub(super) system: TurnContent<'b>,
    pub(super) conversation: ConversationDraft<'b>,
    /// The text in the place of a conversation.
    pub(super) input: PlainInput<'b>,
    pub(super) tools: OfferedTools<'b>,
    pub(super) functions: OfferedTools<'b>,
    /// The tools as they stand in the body.
    tools_on_offer: Vec<PromptPiece<'b>>,
    pub(super) parameters: RawParameters<'b>,
    pub(super) session: RawSession<'b>,
}

/// Reads `body` by the grammar of the keys `G`.
pub(super) fn parse<'b, G: RequestKey>(
    dialect: Dialect,
    body: &'b [u8],
    reader: &PromptReader<'_>,
) -> Result<Prompt<'b>, ParseError> {
    if let Ok(text) = str::from_utf8(body) {
        match read::<G>(text, reader) {
            Ok(mut draft) => {
                let model = named(dialect, mem::take(&mut draft.model).into_field(body))?;
                return Ok(draft.into_prompt(dialect, model, reader));
            }
            Err(ReadError::Refused(refusal)) => return Err(refusal),
            Err(ReadError::Json(_)) => {}
        }
    }
    let model = named(dialect, model_field(body))?;
    let mended = mend(body);
    match read::<G>(&mended, reader) {
        Ok(draft) => Ok(draft.into_prompt(dialect, model, reader).into_owned()),
        Err(ReadError::Refused(refusal)) => Err(refusal),
        Err(ReadError::Json(error)) => Err(error.into()),
    }
}

/// Returns the model that a body names, or an empty name where it need not name any: the path does.
fn named(dialect: Dialect, found: Result<ModelField<'_>, ParseError>) -> Result<ModelField<'_>, ParseError> {
    match found {
        Err(ParseError::ModelMissing | ParseError::ModelNotAString) if dialect.is_google() => {
            Ok(ModelField { name: Cow::Borrowed(""), span: 0..0 })
        }
        found => found,
    }
}

/// The reason why a pass over a body ended.
enum ReadError {
    Json(serde_json::Error),
    /// The body is beyond a bound, or reads differently elsewhere.
    Refused(ParseError),
}

/// Reads a body that is UTF-8; checked once for all of it, which is cheaper than for each of its strings.
fn read<'b, G: RequestKey>(body: &'b str, reader: &PromptReader<'_>) -> Result<PromptDraft<'b>, ReadError> {
    let tally = BodyTally::new(reader.limits);
    let mut json = serde_json::Deserializer::from_str(body);
    let visitor = DraftVisitor::<G> { reading: tally.begin(), grammar: PhantomData };
    let read = json.deserialize_map(visitor).and_then(|draft| json.end().map(|()| draft));
    let mut draft = read.map_err(|error| tally.into_refusal().map_or(ReadError::Json(error), ReadError::Refused))?;
    draft.tools_on_offer = [&draft.tools, &draft.functions].into_iter().filter_map(|tools| tools.piece(body)).collect();
    let odd = draft.parameters.key_in_another_case().filter(|_| reader.limits.is_case_exact);
    odd.map_or(Ok(draft), |key| Err(ReadError::Refused(ParseError::KeyInAnotherCase { key })))
}

struct DraftVisitor<'r, G> {
    reading: BodyReading<'r>,
    grammar: PhantomData<G>,
}

impl<'b, G: RequestKey> Visitor<'b> for DraftVisitor<'_, G> {
    type Value = PromptDraft<'b>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let reading = self.reading.within()?;
        let mut draft = PromptDraft::default();
        while let Some(key) = reading.key::<G, A>(&mut map)? {
            key.read(&mut draft, &mut map, reading)?;
        }
        Ok(draft)
    }
}

impl<'b> PromptDraft<'b> {
    /// Takes the request that another holds to have its tokens counted; the model of the outer one stays.
    pub(super) fn take_counted(&mut self, counted: Self) {
        let model = mem::take(&mut self.model);
        *self = counted;
        if model.is_given() {
            self.model = model;
        }
    }

    fn into_prompt(self, dialect: Dialect, model: ModelField<'b>, reader: &PromptReader<'_>) -> Prompt<'b> {
        let envelopes = reader.envelopes;
        let Self { system, mut conversation, input, tools, functions, tools_on_offer, parameters, session, .. } = self;
        conversation.begin_with(system);
        let token_ids = input.ids;
        conversation.end_with(input);
        conversation.give_results_to_tools(envelopes);
        let ConversationDraft { turns, system_chars, attachments, mut material, texts } = conversation;
        material.pieces.extend(tools_on_offer);
        material.pieces.extend(parameters.schema().map(|schema| PromptPiece::of_json(PieceKind::Schema, schema)));
        let found = ask::AskSearch { turns: &turns, texts: &texts, envelopes };
        let ask = found.ask();
        let start = found.loop_start(&ask);
        let tool_loop = ToolLoop::over(&turns[start.map_or(0, |start| start + 1)..]);
        let since_answer = turns.iter().rev().take_while(|turn| turn.role != TurnRole::Assistant);
        let tool_results = since_answer.fold(0_u32, |sum, turn| sum.saturating_add(turn.results));
        let count = |role| u32::try_from(turns.iter().filter(|turn| turn.role == role).count()).unwrap_or(u32::MAX);
        let mut prompt = Prompt {
            dialect,
            model: model.name,
            model_span: model.span,
            turns: u32::try_from(turns.len()).unwrap_or(u32::MAX),
            user_turns: count(TurnRole::User),
            assistant_turns: count(TurnRole::Assistant),
            system_chars,
            attachments,
            tools: tools.count.saturating_add(functions.count),
            tool_calls: tool_loop.calls,
            repeated_calls: tool_loop.repeated_calls,
            is_stalled: tool_loop.is_stalled,
            tool_errors: tool_loop.errors,
            tool_results,
            token_ids,
            parameters: parameters.read(dialect),
            session: session.read(),
            media: material.media,
            pieces: material.pieces,
            purpose: Purpose::default(),
            is_planning: false,
            texts,
            turns_in_order: turns,
            ask,
            envelopes: envelopes.clone(),
        };
        prompt.purpose = Purpose::of(&prompt);
        prompt.is_planning = is_planning(&prompt);
        prompt
    }
}
