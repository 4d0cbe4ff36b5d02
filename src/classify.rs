//! Texts and request bodies judged by a classifier, for whoever asks for its labels and not for a route.
//!
//! The classify API and the Open Inference Protocol, over HTTP and gRPC, ask here. A text is judged as the one user turn
//! of a chat, a body as a policy would judge it. One alone waits in the queue that routed requests wait in, for as long as
//! those would; several are a batch, which has a deadline of its own and few of that queue's places. Answers come from the classifier as it is configured, or not at all: where the encoder is overloaded,
//! late or down, lexical heads do not stand in, because only the caller knows its own next step.

mod error;
mod wire;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, StreamExt, TryStreamExt};
use pointsman_classifier::{Classifier, ScoreBatch};
use pointsman_core::config::Name;
use pointsman_core::features::{Features, TextStructure, TokenizerFamily};
use pointsman_core::prompt::{AskSource, Dialect, GooglePath, ParseError, Prompt, RequestPath, with_model};
use pointsman_core::scores::{ClassifierFailure, Scores};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

pub(crate) use self::error::ClassifyError;
pub(crate) use self::wire::{read, write};
use crate::clients::QuestionMeter;
use crate::snapshot::{ClassifierState, Snapshot};

/// The most inputs of one request.
pub(crate) const MAX_INPUTS: usize = 1000;

/// The inputs of a batch that are read and asked about at a time: as many as fill a run of the classifier.
const CONCURRENCY: usize = 32;

/// The path of the API that a body is read for when it does not say.
pub(crate) const CHAT_PATH: &str = "/v1/chat/completions";

/// The name of the classifier that is meant where several are configured and none is named.
const DEFAULT: &str = "default";

/// The model that a body without one is read with; no policy is asked about it.
const NO_MODEL: &str = "none";

/// A batch for one classifier.
#[derive(Debug, Clone)]
pub(crate) struct ClassifyBatch {
    /// The classifier's name in the configuration; `None` for the only one, or the one named `default`.
    pub classifier: Option<String>,
    /// The inputs: 1 to [`MAX_INPUTS`].
    pub inputs: Vec<ClassifyInput>,
}

/// An input of a batch.
#[derive(Debug, Clone)]
pub(crate) enum ClassifyInput {
    /// A text.
    Text(String),
    /// A request body, with the path of its API.
    Body { path: String, json: Bytes },
}

/// The terms on which a batch is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClassifyTerms<'t> {
    /// The instant from which on the answer is of no use to the caller; the classifier's own `deadline`, or its
    /// `batch_deadline` for several inputs, holds besides.
    pub deadline: Option<Instant>,
    /// The meter that takes the inputs once all can be judged, and the tokens of each when its turn comes.
    pub meter: &'t QuestionMeter,
}

/// The answers to a batch.
#[derive(Debug)]
pub(crate) struct ClassifyAnswer {
    /// The classifier that answered.
    pub classifier: Classifier,
    /// The answers, in the order of the inputs.
    pub results: Vec<Classification>,
}

/// The answer to one input.
#[derive(Debug)]
pub(crate) struct Classification {
    /// The scores of every head of the bundle that stands for itself.
    pub scores: Scores,
}

/// Judges the inputs of a batch, in their order. Dropping the future takes what waits out of the queue.
///
/// # Errors
/// When there is no such classifier, or one of the inputs cannot be judged: then there is no answer to the others. An input
/// that cannot be read, or has no words, is found before any is judged.
pub(crate) async fn classify(
    snapshot: &Snapshot,
    batch: &ClassifyBatch,
    terms: ClassifyTerms<'_>,
) -> Result<ClassifyAnswer, ClassifyError> {
    if batch.inputs.is_empty() || batch.inputs.len() > MAX_INPUTS {
        return Err(ClassifyError::WrongCount { inputs: batch.inputs.len() });
    }
    let classifier = find(snapshot, batch.classifier.as_deref())?.clone();
    for input in batch.inputs.iter().enumerate() {
        check(snapshot, &classifier, input)?;
    }
    terms.meter.take_texts(batch.inputs.len());
    let section = snapshot.config.classifiers.get(classifier.name());
    let [lone, several] = section.map(|section| [section.deadline.0, section.batch_deadline.0]).unwrap_or_default();
    if let [input] = &*batch.inputs {
        let turn = InputInTurn { snapshot, classifier: &classifier, scoring: TextScoring::Alone(lone), terms };
        let result = turn.judge((0, input)).await?;
        return Ok(ClassifyAnswer { classifier, results: vec![result] });
    }
    let end = Instant::now() + several;
    let end = terms.deadline.map_or(end, |deadline| deadline.min(end));
    let scores = classifier.batch(end);
    let turn = InputInTurn { snapshot, classifier: &classifier, scoring: TextScoring::InBatch(&scores), terms };
    let judged: Vec<BoxFuture<'_, _>> =
        batch.inputs.iter().enumerate().map(|input| turn.judge(input).boxed()).collect();
    let all = stream::iter(judged).buffered(CONCURRENCY).try_collect();
    let results = timeout_at(end, all).await.map_err(|_| ClassifyError::Deadline)??;
    Ok(ClassifyAnswer { classifier, results })
}

/// Returns the bundle of the classifier of a name; without a name of the only one, or of the one named `default`.
///
/// # Errors
/// When there is none, it is not loaded, or a remote classifier has no bundle.
pub(crate) fn find<'s>(snapshot: &'s Snapshot, name: Option<&str>) -> Result<&'s Classifier, ClassifyError> {
    let name = name.filter(|name| !name.is_empty());
    let only = || (snapshot.classifiers.len() == 1).then(|| snapshot.classifiers.iter().next()).flatten();
    let found = match name {
        Some(name) => snapshot.classifiers.get_key_value(name),
        None => snapshot.classifiers.get_key_value(DEFAULT).or_else(only),
    };
    match found {
        // What another server says is that server's to give out: here it is the bundle behind it that answers.
        Some((name, ClassifierState::Ready(classifier))) => classifier.bundle().ok_or_else(|| {
            ClassifyError::Unavailable { classifier: name.clone(), reason: ClassifierFailure::BundleUnavailable }
        }),
        Some((name, ClassifierState::Unavailable { reason, .. })) => {
            Err(ClassifyError::Unavailable { classifier: name.clone(), reason: *reason })
        }
        None => Err(ClassifyError::UnknownClassifier {
            classifier: name.map(str::to_owned),
            known: snapshot.classifiers.keys().map(Name::to_string).collect(),
        }),
    }
}

/// An input as a request body, and the API that it is written for.
struct ReadableInput {
    dialect: Dialect,
    google: Option<GooglePath>,
    body: Bytes,
}

/// An input whose turn has come.
#[derive(Clone, Copy)]
struct InputInTurn<'c> {
    snapshot: &'c Snapshot,
    classifier: &'c Classifier,
    scoring: TextScoring<'c>,
    terms: ClassifyTerms<'c>,
}

/// The way in which a text is scored.
#[derive(Clone, Copy)]
enum TextScoring<'c> {
    /// As a routed request's, which waits for so long.
    Alone(Duration),
    /// As one of several.
    InBatch(&'c ScoreBatch<'c>),
}

impl InputInTurn<'_> {
    async fn judge(self, (index, input): (usize, &ClassifyInput)) -> Result<Classification, ClassifyError> {
        self.judge_input(input).await.map_err(|error| error.at(index))
    }

    async fn judge_input(self, input: &ClassifyInput) -> Result<Classification, ClassifyError> {
        let ReadableInput { dialect, google, body } = ReadableInput::of(input)?;
        let unreadable = |error| ClassifyError::Unreadable { index: 0, error };
        let prompt = match self.snapshot.read_asked(dialect, google.as_ref(), &body) {
            // Nobody needs one here.
            Err(ParseError::ModelMissing) => {
                let named = with_model(&body, NO_MODEL).map_err(unreadable)?;
                let prompt = self.snapshot.read(dialect, &named).map_err(unreadable)?;
                return self.judge_prompt(&prompt, &named).await;
            }
            read => read.map_err(unreadable)?,
        };
        self.judge_prompt(&prompt, &body).await
    }

    async fn judge_prompt(self, prompt: &Prompt<'_>, body: &Bytes) -> Result<Classification, ClassifyError> {
        let Self { classifier, scoring, terms, .. } = self;
        let features = Features::deferred(prompt, body);
        if terms.meter.counts_tokens() {
            features.count(prompt);
            terms.meter.take_tokens(features.tokens_of(TokenizerFamily::of_model(&prompt.model)));
        }
        let failed = |reason| ClassifyError::of_failure(classifier.name(), reason);
        let (text, features) = judged_text(prompt, &features).map_err(failed)?;
        let scores = match scoring {
            TextScoring::Alone(patience) => {
                let own = Instant::now() + patience;
                let deadline = terms.deadline.map_or(own, |deadline| deadline.min(own));
                classifier.classify(text, &features, deadline).await
            }
            TextScoring::InBatch(batch) => batch.classify(text, &features).await,
        };
        let mut scores = scores.map_err(failed)?;
        scores.heads.retain(|scores| !classifier.is_lexical_form(&scores.head));
        match scores.source.degraded() {
            Some(reason) => Err(failed(reason)),
            None => Ok(Classification { scores }),
        }
    }
}

impl Classification {
    /// Returns whether the text was longer than the encoder reads.
    pub(crate) const fn is_truncated(&self) -> bool {
        self.scores.truncated_tokens > 0
    }
}

impl ClassifyAnswer {
    /// Returns the version of the bundle's weights.
    pub(crate) fn version(&self) -> &Arc<str> {
        &self.classifier.identity().version
    }
}

impl ReadableInput {
    fn of(input: &ClassifyInput) -> Result<Self, ClassifyError> {
        match input {
            ClassifyInput::Text(text) => {
                let body = json!({"model": NO_MODEL, "messages": [{"role": "user", "content": text}]});
                Ok(Self { dialect: Dialect::ChatCompletions, google: None, body: body.to_string().into() })
            }
            ClassifyInput::Body { path, json } => {
                let RequestPath { dialect, google, .. } = RequestPath::read(path);
                let dialect = dialect.ok_or(ClassifyError::UnknownPath { index: 0 })?;
                Ok(Self { dialect, google, body: json.clone() })
            }
        }
    }
}

/// Finds that an input can be read and has words.
fn check(
    snapshot: &Snapshot,
    classifier: &Classifier,
    (index, input): (usize, &ClassifyInput),
) -> Result<(), ClassifyError> {
    let missing = missing_words(snapshot, input)
        .and_then(|missing| missing.map_or(Ok(()), |reason| Err(ClassifyError::of_failure(classifier.name(), reason))));
    missing.map_err(|error| error.at(index))
}

/// Returns why an input has no words, unless it has.
fn missing_words(snapshot: &Snapshot, input: &ClassifyInput) -> Result<Option<ClassifierFailure>, ClassifyError> {
    let ReadableInput { dialect, google, body } = ReadableInput::of(input)?;
    let unreadable = |error| ClassifyError::Unreadable { index: 0, error };
    Ok(match snapshot.read_asked(dialect, google.as_ref(), &body) {
        Err(ParseError::ModelMissing) => {
            let named = with_model(&body, NO_MODEL).map_err(unreadable)?;
            words_missing(&snapshot.read(dialect, &named).map_err(unreadable)?)
        }
        read => words_missing(&read.map_err(unreadable)?),
    })
}

/// Returns the text of a prompt that a classifier judges, with its features: the newest ask, or what it answers where it
/// has no words of its own, as a consent has none.
fn judged_text<'p>(
    prompt: &'p Prompt<'_>,
    features: &'p Features,
) -> Result<(&'p str, Cow<'p, Features>), ClassifierFailure> {
    if let Some(reason) = words_missing(prompt) {
        return Err(reason);
    }
    match prompt.answered_text() {
        Some(before) if !prompt.ask().adds() => {
            Ok((before, Cow::Owned(features.clone().with_text(TextStructure::of(before)))))
        }
        _ => Ok((prompt.newest_ask(), Cow::Borrowed(features))),
    }
}

/// Returns why a prompt has no words that could be judged.
fn words_missing(prompt: &Prompt<'_>) -> Option<ClassifierFailure> {
    let reason = || if prompt.texts().next().is_some() { ClassifierFailure::NoAsk } else { ClassifierFailure::NoText };
    (prompt.ask().source() == AskSource::Nothing).then(reason)
}

#[cfg(test)]
mod tests;
