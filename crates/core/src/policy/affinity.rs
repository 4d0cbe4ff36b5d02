//! Affinity: requests that belong together stay with one model.
//!
//! The pin of a conversation is a signal like any other; whoever keeps the pins is told by the decision what to remember. A
//! rule, a client's own choice and the kill switch are stronger than a pin, and so are the constraints.

use super::constraints::Choices;
use super::decision::{By, Choice, PinOutcome, PinTrace, Reason};
use super::estimate::{Estimate, USUAL_OUTPUT, Warm};
use super::signals::{Held, Pin, Signal};
use super::strategy::{Known, Strategy};
use crate::config::{self, Moves, Name};
use crate::features::Features;

/// The affinity of a policy, compiled.
#[derive(Debug)]
pub(super) struct Affinity {
    pub(super) config: config::Affinity,
}

impl Affinity {
    pub(super) fn new(config: &config::Affinity) -> Self {
        Self { config: config.clone() }
    }

    /// Returns the model that has the beginning of the prompt in its cache, as far as is known.
    #[expect(clippy::cast_precision_loss, reason = "bodies have fewer than 2^52 bytes")]
    pub(super) fn warm<'k>(&self, pin: &'k Held, features: &Features) -> Option<Warm<'k>> {
        let Held::To(pin) = pin else { return None };
        let (before, now) = (pin.bytes as f64, features.bytes() as f64);
        let share = if now > 0.0 { (before / now).min(1.0) } else { 1.0 };
        (pin.idle <= self.config.cache.0.as_secs()).then_some(Warm { model: &pin.last, share })
    }

    /// Chooses the pinned model, or asks the strategy and weighs its choice against it.
    pub(super) fn choose(&self, known: &Known<'_>, choices: &Choices, strategy: &Strategy) -> Result<Choice, Signal> {
        let pin = match &known.signals.pin {
            Held::Unknown => return Err(Signal::Pin),
            Held::Nothing => None,
            Held::To(pin) => Some(pin),
        };
        let trace = trace_of(pin, known.features);
        let can = |model: &&Name| choices.has(model);
        let last = pin.map(|pin| &pin.last).filter(can);
        if let Some(last) = last.filter(|_| trace.in_tool_loop) {
            let choice = Choice::plain(By::Affinity, last, Reason::AffinityToolLoop);
            return Ok(choice.pinned(PinTrace { outcome: PinOutcome::KeptToolLoop, ..trace }));
        }
        let Some(home) = pin.and_then(|pin| pin.home.as_ref()).filter(can) else {
            return Ok(strategy.choose(known, choices.otherwise())?.pinned(trace));
        };
        if self.config.moves == Moves::Never {
            let choice = Choice::plain(By::Affinity, home, Reason::Affinity);
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
    fn weigh(&self, choice: &Choice, home: &Name, trace: &PinTrace, choices: &Choices) -> PinOutcome {
        // Who knows nothing of the prompt has nothing to say against what was chosen by one who did.
        if choice.reason.is_no_verdict() {
            return PinOutcome::Kept;
        }
        if choices.is_above(choice, home) {
            return PinOutcome::Moved;
        }
        let pays = !matches!((trace.stay_usd, trace.move_usd), (Some(stay), Some(go)) if stay <= go);
        match self.config.moves {
            Moves::Free if pays => PinOutcome::Moved,
            Moves::Free => PinOutcome::KeptCache,
            Moves::UpOnly | Moves::Never => PinOutcome::Kept,
        }
    }
}

/// Returns what the request costs with `model` and an answer as long as lately, in US dollars; `None` without a price.
fn cost(model: &Name, known: &Known<'_>, choices: &Choices) -> Option<f64> {
    let estimate = Estimate { features: known.features, live: known.facts.live, warm: known.warm };
    let output = estimate.output_tokens(model, USUAL_OUTPUT);
    choices.rate(model).map(|rate| estimate.cost(model, rate, output))
}

/// Describes a pin before anything became of it.
pub(super) fn trace_of(pin: Option<&Pin>, features: &Features) -> PinTrace {
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
