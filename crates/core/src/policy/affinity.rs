//! Affinity: requests that belong together stay with one model.
//!
//! What a request is held to is a signal like any other; whoever keeps the pins is told by the decision what to
//! remember. A rule, a client's own choice and the kill switch are stronger than a pin, and so are the constraints.

use serde::Serialize;

use super::constraints::Choices;
use super::decision::{By, Choice, Stage};
use super::estimate::{Estimate, USUAL_OUTPUT};
use super::reason::Reason;
use super::signals::{Held, Pin, Signal};
use super::strategy::{Known, Strategy};
use crate::config::{self, Moves, Name};
use crate::features::Features;

/// A policy's affinity, compiled.
#[derive(Debug)]
pub(super) struct Affinity {
    pub(super) config: config::Affinity,
}

/// What a decision did with what its request was held to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PinTrace {
    /// The model that its strategy had chosen for requests of the kind; `None` when there is none yet.
    pub model: Option<Name>,
    /// The model that answered the last of them.
    pub last: Option<Name>,
    /// Seconds since the first of them.
    pub age_seconds: u64,
    /// Seconds since the last of them.
    pub idle_seconds: u64,
    /// Whether the request answers the model's tool calls.
    pub in_tool_loop: bool,
    /// What became of the pin.
    pub outcome: PinOutcome,
    /// What the request costs with the pinned model, which has its beginning in the cache, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stay_usd: Option<f64>,
    /// What it costs with the strategy's choice, which has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub move_usd: Option<f64>,
}

/// What became of a pin. Bounded: safe as a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PinOutcome {
    /// There was none.
    New,
    /// The strategy chose the same model again.
    Agreed,
    /// The pinned model stays.
    Kept,
    /// The model whose tool calls are answered stays.
    KeptToolLoop,
    /// The pinned model stays because a move would not make up for its broken prompt cache.
    KeptCache,
    /// The strategy's choice is the new one.
    Moved,
    /// The pinned model cannot serve the request.
    Constrained,
    /// A rule or the client chose.
    Overruled,
}

/// What is to be remembered of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    Nothing,
    /// Which model answers; the pinned one stays as it is.
    Last,
    /// The model as the pinned one.
    Home,
}

/// A model that has the beginning of a prompt in its cache.
#[derive(Clone, Copy)]
pub(super) struct Warm<'k> {
    model: &'k Name,
    /// How much of the prompt, 0 to 1.
    share: f64,
}

impl Affinity {
    pub(super) fn new(config: &config::Affinity) -> Self {
        Self { config: config.clone() }
    }

    /// Returns which model has the beginning of the prompt in its cache, as far as is known.
    #[expect(clippy::cast_precision_loss, reason = "bodies have fewer than 2^52 bytes")]
    pub(super) fn warm<'k>(&self, pin: &'k Held, features: &Features) -> Option<Warm<'k>> {
        let Held::To(pin) = pin else { return None };
        let (before, now) = (pin.bytes as f64, features.bytes() as f64);
        let share = if now > 0.0 { (before / now).min(1.0) } else { 1.0 };
        (pin.idle <= self.config.cache.0.as_secs()).then_some(Warm { model: &pin.last, share })
    }

    /// Chooses the pinned model, or asks the strategy and weighs what it says.
    pub(super) fn choose(&self, known: &Known<'_>, choices: &Choices, strategy: &Strategy) -> Result<Choice, Signal> {
        let pin = match &known.signals.pin {
            Held::Unknown => return Err(Signal::Pin),
            Held::Nothing => None,
            Held::To(pin) => Some(pin),
        };
        let trace = PinTrace::new(pin, known.features);
        let can = |model: &&Name| choices.has(model);
        let (last, home) = (pin.map(|pin| &pin.last).filter(can), pin.and_then(|pin| pin.home.as_ref()).filter(can));
        if let Some(last) = last.filter(|_| trace.in_tool_loop) {
            let choice = Choice::plain(By::Affinity, last, Reason::AffinityToolLoop);
            return Ok(choice.pinned(PinTrace { outcome: PinOutcome::KeptToolLoop, ..trace }));
        }
        if let Some(home) = home.filter(|_| self.config.moves == Moves::Never) {
            let choice = Choice::plain(By::Affinity, home, Reason::Affinity);
            return Ok(choice.pinned(PinTrace { outcome: PinOutcome::Kept, ..trace }));
        }
        let choice = strategy.choose(known, choices.otherwise())?;
        match home {
            Some(home) => Ok(self.weigh(choice, (home, trace), known, choices)),
            None => Ok(choice.pinned(trace)),
        }
    }

    fn weigh(&self, choice: Choice, (home, trace): (&Name, PinTrace), known: &Known<'_>, choices: &Choices) -> Choice {
        if choice.model == *home {
            return choice.pinned(PinTrace { outcome: PinOutcome::Agreed, ..trace });
        }
        let estimate = Estimate { features: known.features, live: known.facts.live, warm: known.warm };
        let cost = |model| {
            let output = estimate.output_tokens(model, USUAL_OUTPUT);
            choices.rate(model).map(|rate| estimate.cost(model, rate, output))
        };
        let [stay, go] = [home, &choice.model].map(cost);
        let trace = PinTrace { stay_usd: stay, move_usd: go, ..trace };
        // Who knows nothing of the prompt has nothing to say against what was chosen by one who did.
        if choice.reason.is_no_verdict() {
            return choice.held_to(home, Reason::Affinity, PinTrace { outcome: PinOutcome::Kept, ..trace });
        }
        if choices.is_above(&choice, home) {
            return choice.pinned(PinTrace { outcome: PinOutcome::Moved, ..trace });
        }
        let pays = || !matches!((stay, go), (Some(stay), Some(go)) if stay <= go);
        match self.config.moves {
            Moves::Free if pays() => choice.pinned(PinTrace { outcome: PinOutcome::Moved, ..trace }),
            Moves::Free => {
                choice.held_to(home, Reason::AffinityCache, PinTrace { outcome: PinOutcome::KeptCache, ..trace })
            }
            Moves::UpOnly | Moves::Never => {
                choice.held_to(home, Reason::Affinity, PinTrace { outcome: PinOutcome::Kept, ..trace })
            }
        }
    }
}

impl Warm<'_> {
    /// Returns how many of a prompt's `tokens` are in the cache of `model`.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count below 2^52"
    )]
    pub(super) fn tokens_of(&self, model: &Name, tokens: u64) -> u64 {
        if self.model == model { (tokens as f64 * self.share) as u64 } else { 0 }
    }
}

impl PinTrace {
    /// Describes the pin before anything became of it.
    pub(super) fn new(pin: Option<&Pin>, features: &Features) -> Self {
        Self {
            model: pin.and_then(|pin| pin.home.clone()),
            last: pin.map(|pin| pin.last.clone()),
            age_seconds: pin.map_or(0, |pin| pin.age),
            idle_seconds: pin.map_or(0, |pin| pin.idle),
            // The calls are missing where the user wrote beside their results, and where the API remembers them itself.
            in_tool_loop: features.tool_calls > 0 || features.tool_results > 0,
            outcome: PinOutcome::New,
            stay_usd: None,
            move_usd: None,
        }
    }
}

impl PinOutcome {
    /// Every outcome.
    pub const ALL: [Self; 8] = [
        Self::New,
        Self::Agreed,
        Self::Kept,
        Self::KeptToolLoop,
        Self::KeptCache,
        Self::Moved,
        Self::Constrained,
        Self::Overruled,
    ];

    /// Returns the stable name used in metrics and explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Agreed => "agreed",
            Self::Kept => "kept",
            Self::KeptToolLoop => "kept_tool_loop",
            Self::KeptCache => "kept_cache",
            Self::Moved => "moved",
            Self::Constrained => "constrained",
            Self::Overruled => "overruled",
        }
    }
}

impl Keep {
    /// Returns what is to be remembered of a decision of a policy with affinity. What was chosen without a look at the
    /// prompt, or for a hindrance that may pass in a moment, is no reason to stay.
    pub(super) const fn of(by: By, reason: Reason) -> Self {
        match (by, reason) {
            (By::Default, _) => Self::Nothing,
            (By::Rule(_) | By::Override, _) | (_, Reason::AffinityToolLoop) => Self::Last,
            (_, Reason::Moved(constraint)) if constraint.is_passing() => Self::Last,
            _ if reason.is_no_verdict() => Self::Last,
            _ => Self::Home,
        }
    }
}

impl Choice {
    pub(super) fn pinned(self, trace: PinTrace) -> Self {
        Self { pin: Some(trace), ..self }
    }

    /// Keeps `home` in place of what the strategy chose, which becomes one of the stages.
    fn held_to(self, home: &Name, reason: Reason, trace: PinTrace) -> Self {
        let Self { model, by, label, score, rationale, cost_usd, flip, expected, mut stages, .. } = self;
        let strategy = by.strategy().unwrap_or_default();
        // What its own stages cost is theirs.
        let own_cost = cost_usd.filter(|_| stages.is_empty());
        stages.push(Stage {
            strategy,
            model: Some(model),
            reason: self.reason,
            label: label.clone(),
            score,
            rationale: rationale.clone(),
            cost_usd: own_cost,
            flip,
        });
        let plain = Self::plain(By::Affinity, home, reason);
        Self { label, score, rationale, cost_usd, expected, stages, pin: Some(trace), ..plain }
    }
}
