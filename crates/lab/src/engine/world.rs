//! The world around a logged request: what its line says, and a note of what was asked that no line says.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use pointsman_core::config;
use pointsman_core::config::{Config, Name};
use pointsman_core::policy::{MODEL_HEADER, PolicyWorld};
use pointsman_core::prompt::TextScope;

use crate::dataset::DatasetError;
use crate::decision_log::{DecisionLogs, LogLine, LoggedDecision};

/// The reason of a decision where the client chose.
const OVERRIDE: &str = "override";

/// Evidence that a decision rests on and the log does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum MissingEvidence {
    /// Scores of the bundle that is asked, and the whole text to score again.
    Scores,
    /// The whole text, to compare with a strategy's examples.
    Text,
    /// The answer of the judge of the strategy at this path: asking costs money, and may give another one.
    Judge(Arc<str>),
    /// The draw of a random strategy or of a bandit.
    Draw,
    /// What the checks of the strategy at this path come to: no answer was checked in this way when the log was written.
    Checks(Arc<str>),
    /// The conversation's key, for `split` and `rollout`.
    Conversation,
    /// A header.
    Header(String),
    /// A part of the request that rules name.
    Request(&'static str),
    /// The texts that rules look through.
    Texts(TextScope),
}

/// Means of models' answers over whole logs, which `utility` knows while serving.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UsualAnswers(BTreeMap<String, [AnswerMean; 2]>);

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct AnswerMean {
    sum: f64,
    count: u64,
}

/// The world as a policy sees it that decides a logged request anew.
pub(super) struct LoggedWorld<'l> {
    pub(super) logged: &'l LoggedDecision,
    pub(super) is_prompt: bool,
    pub(super) usual: &'l UsualAnswers,
    /// The configuration, whose lists say which models may serve a client.
    pub(super) config: &'l Config,
    /// The client, if the configuration knows it.
    pub(super) client: Option<&'l config::ClientConfig>,
    /// The first thing that was asked in vain.
    pub(super) lacks: OnceLock<MissingEvidence>,
}

impl UsualAnswers {
    /// Reads how the models of `logs` answered.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub fn of(logs: &DecisionLogs) -> Result<Self, DatasetError> {
        let mut usual = Self::default();
        logs.each(|line| {
            if let LogLine::Decision(logged) = line {
                usual.add(&logged);
            }
            Ok::<_, DatasetError>(())
        })?;
        Ok(usual)
    }

    fn add(&mut self, logged: &LoggedDecision) {
        let Some(model) = &logged.answered_by else { return };
        let means = self.0.entry(model.to_string()).or_default();
        let seen = [logged.first_byte_ms.map(|ms| ms / 1e3), logged.output_tokens.map(|tokens| tokens as f64)];
        for (mean, value) in means.iter_mut().zip(seen) {
            mean.sum += value.unwrap_or_default();
            mean.count += u64::from(value.is_some());
        }
    }

    fn mean(&self, model: &Name, which: usize) -> Option<f64> {
        let AnswerMean { sum, count } = self.0.get(model.as_str())?[which];
        (count > 0).then(|| sum / count as f64)
    }
}

impl LoggedWorld<'_> {
    fn lack(&self, what: MissingEvidence) {
        let _ = self.lacks.set(what); // the first one is told
    }
}

impl PolicyWorld for LoggedWorld<'_> {
    fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        if name == MODEL_HEADER {
            return self.logged.model.as_deref().filter(|_| self.logged.reason == OVERRIDE).map(Cow::Borrowed);
        }
        if !self.is_prompt {
            self.lack(MissingEvidence::Header(name.to_owned()));
        }
        None
    }

    /// A prompt that was never sent is all there is; a line holds what was asked last, at most.
    fn any_text(&self, scope: TextScope, is_wanted: &mut dyn FnMut(&str) -> bool) -> Option<bool> {
        match self.logged.whole_text().filter(|_| self.is_prompt || scope == TextScope::Ask) {
            Some(text) => Some(is_wanted(text)),
            None => {
                self.lack(MissingEvidence::Texts(scope));
                None
            }
        }
    }

    fn allows(&self, model: &Name) -> bool {
        let Some(client) = self.client else { return true };
        let team = client.team.as_ref().and_then(|team| self.config.teams.get(team));
        let mut lists = [&client.models].into_iter().chain(team.map(|team| &team.models));
        let upstream = self.config.models.get(model).map(|entry| entry.upstream_name(model));
        lists.all(|models| models.allows(model) && !upstream.is_some_and(|upstream| models.denies(upstream)))
    }

    fn first_byte(&self, model: &Name) -> Option<f64> {
        self.usual.mean(model, 0)
    }

    fn output_tokens(&self, model: &Name) -> Option<f64> {
        self.usual.mean(model, 1)
    }

    fn conversation(&self) -> u64 {
        self.logged.conversation().unwrap_or_else(|| {
            self.lack(MissingEvidence::Conversation);
            0
        })
    }

    fn draw(&self) -> f64 {
        self.lack(MissingEvidence::Draw);
        0.0
    }
}

impl fmt::Display for MissingEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scores => f.write_str("scores (another bundle or head, and no whole text)"),
            Self::Text => f.write_str("text to compare"),
            Self::Judge(strategy) => write!(f, "answer of the judge at {strategy}"),
            Self::Draw => f.write_str("draw of a strategy by chance (random, bandit)"),
            Self::Checks(strategy) => write!(f, "outcome of the checks at {strategy}"),
            Self::Conversation => f.write_str("conversation (split, rollout)"),
            Self::Header(name) => write!(f, "header `{name}`"),
            Self::Texts(TextScope::All) => f.write_str("texts of the whole request, which rules look through"),
            Self::Texts(TextScope::User) => f.write_str("texts of the user's turns, which rules look through"),
            Self::Texts(TextScope::Ask) => f.write_str("text of the ask, which rules look through"),
            Self::Request(part) => write!(f, "`{part}`, which rules read"),
        }
    }
}
