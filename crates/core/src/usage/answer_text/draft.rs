//! An answer's text while it is put together, within its bound.

/// The text of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AnswerText {
    /// The words; the end may be cut.
    pub text: String,
    /// The calls of tools, in their order; arguments at the end may be cut.
    pub tool_calls: Vec<ToolCallText>,
    /// The reason for which it has ended, in the words of its API.
    pub finish_reason: Option<String>,
    /// True where the API itself marks the answer as a refusal.
    pub is_refusal: bool,
    /// The mean log probability of its tokens, where they were asked for.
    pub mean_logprob: Option<f64>,
    /// Bytes of text and calls that came, those that were cut included.
    pub bytes: u64,
    /// True where something was cut.
    pub is_truncated: bool,
}

/// A call of a tool as the model wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolCallText {
    /// The tool's name.
    pub name: String,
    /// The input, JSON or free text.
    pub arguments: String,
}

/// An answer that is being read.
#[derive(Debug)]
pub(super) struct AnswerDraft {
    answer: AnswerText,
    /// The calls' numbers in the answer's own words.
    numbers: Vec<u64>,
    max_bytes: usize,
    kept: usize,
    is_known: bool,
    pub(super) is_truncated: bool,
    /// The sum of log probabilities, and of how many tokens they are.
    logprobs: (f64, u64),
}

/// The calls that are kept of one answer.
const MAX_CALLS: usize = 128;

impl AnswerDraft {
    pub(super) fn new(max_bytes: usize) -> Self {
        let answer = AnswerText::default();
        Self {
            answer,
            numbers: Vec::new(),
            max_bytes,
            kept: 0,
            is_known: false,
            is_truncated: false,
            logprobs: (0.0, 0),
        }
    }

    /// Notes that what was read is of the API, even where it says nothing.
    pub(super) const fn recognize(&mut self) {
        self.is_known = true;
    }

    pub(super) fn push_text(&mut self, text: &str) {
        let room = self.room(text);
        self.answer.text.push_str(room);
    }

    /// Adds to the call with a number, which begins where it is new.
    pub(super) fn push_call(&mut self, number: u64, name: &str, arguments: &str) {
        let known = self.numbers.iter().position(|known| *known == number);
        let place = known.unwrap_or(self.numbers.len());
        if place >= MAX_CALLS {
            self.is_truncated = true;
            return;
        }
        let (name, arguments) = (self.room(name).to_owned(), self.room(arguments).to_owned());
        if known.is_none() {
            if name.is_empty() && arguments.is_empty() && self.is_truncated {
                return;
            }
            self.numbers.push(number);
            self.answer.tool_calls.push(ToolCallText::default());
        }
        let call = &mut self.answer.tool_calls[place];
        call.name.push_str(&name);
        call.arguments.push_str(&arguments);
    }

    /// Notes that the API itself marks the answer as a refusal.
    pub(super) const fn refuse(&mut self) {
        self.answer.is_refusal = true;
    }

    /// Adds the log probability of a token.
    pub(super) fn push_logprob(&mut self, logprob: f64) {
        self.logprobs.0 += logprob;
        self.logprobs.1 += 1;
    }

    /// Sets the mean log probability, where the API says it itself.
    pub(super) const fn set_mean_logprob(&mut self, mean: f64) {
        self.answer.mean_logprob = Some(mean);
    }

    /// Returns what has come so far.
    pub(super) const fn so_far(&self) -> &AnswerText {
        &self.answer
    }

    /// Returns a number that no call has yet.
    pub(super) fn next_call(&self) -> u64 {
        self.numbers.iter().max().map_or(0, |highest| highest + 1)
    }

    pub(super) fn end(&mut self, reason: &str) {
        let reason = &reason[..reason.floor_char_boundary(reason.len().min(64))];
        self.answer.finish_reason = Some(reason.to_owned());
    }

    /// Returns the part of a text that is kept.
    fn room<'t>(&mut self, text: &'t str) -> &'t str {
        self.is_known = true;
        self.answer.bytes += text.len() as u64;
        let kept = if self.is_truncated { "" } else { &text[..text.floor_char_boundary(self.max_bytes - self.kept)] };
        self.kept += kept.len();
        self.is_truncated |= kept.len() < text.len();
        kept
    }

    pub(super) fn finish(self) -> Option<AnswerText> {
        let Self { answer, is_known, is_truncated, logprobs: (sum, tokens), .. } = self;
        #[expect(clippy::cast_precision_loss, reason = "answers have fewer than 2^52 tokens")]
        let mean = (tokens > 0).then(|| sum / tokens as f64);
        let mean_logprob = mean.or(answer.mean_logprob);
        (is_known || answer.finish_reason.is_some()).then_some(AnswerText { is_truncated, mean_logprob, ..answer })
    }
}
