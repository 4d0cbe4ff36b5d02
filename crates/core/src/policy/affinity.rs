//! Affinity: requests that belong together stay with one model.
//!
//! The pin of a conversation is a signal like any other; whoever keeps the pins is told by the decision what to
//! remember (the gateway, `router::affinity`; `prompt::conversation_key` says which requests belong together). A rule,
//! a client's own choice and the kill switch are stronger than a pin, and so are the constraints.

use super::constraints::PolicyModels;
use super::decision::{DecisionMaker, ModelChoice, PinOutcome, PinTrace, Reason};
use super::estimate::{CostEstimate, USUAL_OUTPUT, WarmCache};
use super::signals::{ModelPin, PinLookup, Signal};
use super::strategy::{ChoiceContext, Strategy};
use crate::config::{self, MoveRule, Name};
use crate::features::Features;

/// The affinity of a policy, compiled.
#[derive(Debug)]
pub(super) struct SessionAffinity {
    pub(super) config: config::AffinityConfig,
}

impl SessionAffinity {
    pub(super) fn new(config: &config::AffinityConfig) -> Self {
        Self { config: config.clone() }
    }

    /// Returns the model that has the beginning of the prompt in its cache, as far as is known.
    #[expect(clippy::cast_precision_loss, reason = "bodies have fewer than 2^52 bytes")]
    pub(super) fn warm<'k>(&self, pin: &'k PinLookup, features: &Features) -> Option<WarmCache<'k>> {
        let PinLookup::To(pin) = pin else { return None };
        let (before, now) = (pin.bytes as f64, features.bytes() as f64);
        let share = if now > 0.0 { (before / now).min(1.0) } else { 1.0 };
        (pin.idle <= self.config.cache.0.as_secs()).then_some(WarmCache { model: &pin.last, share })
    }

    /// Chooses the pinned model, or asks the strategy and weighs its choice against it.
    pub(super) fn choose(
        &self,
        known: &ChoiceContext<'_>,
        choices: &PolicyModels,
        strategy: &Strategy,
    ) -> Result<ModelChoice, Signal> {
        let pin = match &known.signals.pin {
            PinLookup::Unknown => return Err(Signal::Pin),
            PinLookup::Nothing => None,
            PinLookup::To(pin) => Some(pin),
        };
        let trace = trace_of(pin, known.features);
        let can = |model: &&Name| choices.has(model);
        let last = pin.map(|pin| &pin.last).filter(can);
        if let Some(last) = last.filter(|_| trace.in_tool_loop) {
            let choice = ModelChoice::plain(DecisionMaker::Affinity, last, Reason::AffinityToolLoop);
            return Ok(choice.pinned(PinTrace { outcome: PinOutcome::KeptToolLoop, ..trace }));
        }
        let Some(home) = pin.and_then(|pin| pin.home.as_ref()).filter(can) else {
            return Ok(strategy.choose(known, choices.otherwise())?.pinned(trace));
        };
        if self.config.moves == MoveRule::Never {
            let choice = ModelChoice::plain(DecisionMaker::Affinity, home, Reason::Affinity);
            return Ok(choice.pinned(PinTrace { outcome: PinOutcome::Kept, ..trace }));
        }
        let choice = strategy.choose(known, choices.otherwise())?;
        if choice.model == *home {
            return Ok(choice.pinned(PinTrace { outcome: PinOutcome::Agreed, ..trace }));
        }
        let [stay_usd, move_usd] = [home, &choice.model].map(|model| cost(model, known, choices));
        let trace = PinTrace { stay_usd, move_usd, ..trace };
        let outcome = self.weigh(&choice, home, &trace, choices);
        let trace = PinTrace { outcome, ..trace };
        Ok(match outcome {
            PinOutcome::Moved => choice.pinned(trace),
            PinOutcome::KeptCache => choice.held_to(home, Reason::AffinityCache, trace),
            _ => choice.held_to(home, Reason::Affinity, trace),
        })
    }

    /// Weighs a strategy's choice of another model against the pinned one, `home`; `trace` says what both cost.
    fn weigh(&self, choice: &ModelChoice, home: &Name, trace: &PinTrace, choices: &PolicyModels) -> PinOutcome {
        // Who knows nothing of the prompt has nothing to say against what was chosen by one who did.
        if choice.reason.is_no_verdict() {
            return PinOutcome::Kept;
        }
        if choices.is_above(choice, home) {
            return PinOutcome::Moved;
        }
        let pays = !matches!((trace.stay_usd, trace.move_usd), (Some(stay), Some(go)) if stay <= go);
        match self.config.moves {
            MoveRule::Free if pays => PinOutcome::Moved,
            MoveRule::Free => PinOutcome::KeptCache,
            MoveRule::UpOnly | MoveRule::Never => PinOutcome::Kept,
        }
    }
}

/// Returns what the request costs with `model` and an answer as long as lately, in US dollars; `None` without a price.
fn cost(model: &Name, known: &ChoiceContext<'_>, choices: &PolicyModels) -> Option<f64> {
    let estimate = CostEstimate { features: known.features, live: known.facts.live, warm: known.warm };
    let output = estimate.output_tokens(model, USUAL_OUTPUT);
    choices.rate(model).map(|rate| estimate.cost(model, rate, output))
}

/// Describes a pin before anything became of it.
pub(super) fn trace_of(pin: Option<&ModelPin>, features: &Features) -> PinTrace {
    PinTrace {
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
