//! What the targets check, so that each of them is one line.

pub mod configuration;
mod grammar;
#[path = "../../crates/translation/tests/fixtures/checks.rs"]
pub mod translation;

use std::sync::LazyLock;

use bytes::Bytes;
use pointsman_core::features::TokenCounter;
use pointsman_core::prompt::Dialect;
use pointsman_core::prompt::Envelopes;
use pointsman_core::prompt::Prompt;
use pointsman_core::prompt::PromptReader;
use pointsman_core::prompt::ReadingLimits;
use pointsman_core::prompt::TextScope;
use pointsman_core::prompt::model_field;
use pointsman_core::usage::AnswerFraming;
use pointsman_core::usage::UsageReader;
use pointsman_core::usage::AnswerFormat;
use pointsman_core::usage::Usage;
use pointsman_core::usage::UsageEvent;
use pointsman_core::usage::UsageFilter;

static COUNTER: LazyLock<TokenCounter> = LazyLock::new(TokenCounter::new);

/// Checks that any bytes are read as a request of `dialect` or refused, as `model_field` refuses them, and that its texts can be
/// looked through.
///
/// # Panics
///
/// If they are not.
pub fn request(dialect: Dialect, body: &[u8]) {
    match (Prompt::parse(dialect, body), model_field(body)) {
        (Ok(prompt), Ok(field)) => {
            for scope in TextScope::ALL {
                assert!(!prompt.any_text(body, scope, &mut |_| false));
            }
            assert_eq!((prompt.model, prompt.model_span), (field.name, field.span));
        }
        (Err(one), Err(other)) => assert_eq!(one, other),
        (prompt, field) => panic!("{prompt:?} but {field:?}"),
    }
    beside_odd_values(dialect, body);
}

/// Checks that a body is read within bounds as without them or refused, and that a number beyond `f64` in it hides nothing.
fn beside_odd_values(dialect: Dialect, body: &[u8]) {
    let envelopes = Envelopes::standard();
    let limits = ReadingLimits { messages: 100, parts: 100, depth: 32, is_case_exact: true };
    let Ok(prompt) = Prompt::parse(dialect, body) else { return };
    if let Ok(bounded) = Prompt::parse_by(dialect, body, &PromptReader { envelopes: &envelopes, limits }) {
        assert_eq!(bounded, prompt);
    }
    let Some(open) = body.iter().position(|byte| *byte == b'{') else { return };
    let odd = [&body[..=open], b"\"odd\":[1e999],\"functions\":-1e999,", &body[open + 1..]].concat();
    let Ok(beside) = Prompt::parse(dialect, &odd) else { return }; // an empty object, and a comma after it
    assert_eq!(beside.attachments, prompt.attachments);
    assert_eq!(beside.tools, prompt.tools);
    assert_eq!(beside.parameters, prompt.parameters);
    assert!(beside.texts().eq(prompt.texts()));
}

/// Checks that an answer gives the same usage, and reaches the client as the same bytes, wherever it is cut.
///
/// The first byte of `input` chooses the API and the framing, the second's low half says how many sizes of pieces
/// follow, and the rest is the answer. The sizes are used in turn; without one above zero the answer comes whole.
///
/// # Panics
///
/// If a cut matters.
pub fn answer(input: &[u8]) {
    let [options, count, rest @ ..] = input else { return };
    let shape = [AnswerFormat::OpenAi, AnswerFormat::Responses, AnswerFormat::Anthropic][usize::from(options % 3)];
    let framing = if options & 0x80 == 0 { AnswerFraming::Events } else { AnswerFraming::Json };
    let Some((sizes, answer)) = rest.split_at_checked(usize::from(count & 0x0f)) else { return };

    for event in [UsageEvent::Keep, UsageEvent::Remove] {
        let whole = Passed::new(shape, framing, event, [answer]);
        let parts = Passed::new(shape, framing, event, pieces(answer, sizes));
        assert_eq!(parts, whole);
        if event == UsageEvent::Keep {
            assert_eq!(whole.finished, answer);
        }
    }
}

/// What is known of an answer when it has passed.
#[derive(Debug, PartialEq)]
struct Passed {
    usage: Option<Usage>,
    has_ended: bool,
    text_bytes: u64,
    /// What the client got when the answer then ended.
    finished: Vec<u8>,
    /// What the client got when the upstream then broke off.
    broken: Vec<u8>,
}

impl Passed {
    fn new<'a>(shape: AnswerFormat, framing: AnswerFraming, event: UsageEvent, pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let filter = || UsageFilter::new(UsageReader::new(shape, framing), event);
        let (mut finishing, mut breaking) = (filter(), filter());
        let (mut finished, mut broken) = (Vec::new(), Vec::new());
        for piece in pieces {
            finished.extend_from_slice(&finishing.push(Bytes::copy_from_slice(piece)));
            broken.extend_from_slice(&breaking.push(Bytes::copy_from_slice(piece)));
        }
        finished.extend_from_slice(&finishing.finish());
        broken.extend_from_slice(&breaking.break_off("upstream_error", "cut"));
        let reader = finishing.reader();
        Self {
            usage: reader.usage(|| 7, &COUNTER),
            has_ended: reader.has_ended(),
            text_bytes: reader.text_bytes(),
            finished,
            broken,
        }
    }
}

fn pieces<'a>(mut answer: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    if sizes.iter().all(|size| *size == 0) {
        return vec![answer];
    }
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if answer.is_empty() {
            break;
        }
        let (piece, rest) = answer.split_at(answer.len().min(usize::from(*size)));
        pieces.push(piece);
        answer = rest;
    }
    pieces
}
