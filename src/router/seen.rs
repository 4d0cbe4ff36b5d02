//! What was seen of a request on the way to what became of it.

use pointsman_core::features::Features;
use pointsman_core::policy::{Asked, Denial, PolicyOutcome, Signals};
use pointsman_core::prompt::AskSource;

use super::explain::Details;
use super::pins::PinKey;
use super::{Incoming, Routing, Timings};

/// A refusal and all that went into it.
#[derive(Debug)]
pub struct Refusal {
    /// Why, and what the client is told.
    pub denial: Denial,
    /// What the prompt looks like.
    pub features: Features,
    /// The classifiers that were asked, and what they said.
    pub asked: Vec<Asked>,
    /// What it cost to ask judges, in US dollars; `None` where nothing is paid for, or not known.
    pub cost_usd: Option<f64>,
    /// Where the time went.
    pub timings: Timings,
    /// What the requests of its conversation have in common, where the decision log may say so.
    pub conversation: Option<u64>,
    pub(super) details: Option<Box<Details>>,
}

/// What was seen of a request on the way to a decision.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) features: Features,
    pub(super) signals: Signals,
    pub(super) timings: Timings,
    pub(super) pin: Option<PinKey>,
    /// What each rule comes to, for an explanation.
    pub(super) rules: Option<Vec<Option<bool>>>,
    pub(super) label_from: AskSource,
}

impl Seen {
    /// Puts it beside the outcome of the policy.
    pub(super) fn conclude(self, outcome: PolicyOutcome) -> Result<Routing, Box<Refusal>> {
        let Self { features, signals, timings, pin, rules, label_from } = self;
        let cost_usd = signals.cost_usd();
        let Signals { scores: asked, similarities, judgements, .. } = signals;
        let details = rules.map(|rules| Box::new(Details { rules, similarities, judgements }));
        let (shadow, conversation) = (None, None);
        match outcome {
            PolicyOutcome::Decided(decision) => {
                Ok(Routing { decision, features, asked, label_from, timings, shadow, conversation, pin, details })
            }
            PolicyOutcome::Denied(denial) => {
                Err(Box::new(Refusal { denial, features, asked, cost_usd, timings, conversation, details }))
            }
        }
    }
}

impl Refusal {
    /// Refuses a request that no policy has looked at.
    pub(super) fn at_once(denial: Denial, incoming: &Incoming<'_>) -> Self {
        let features = Features::deferred(incoming.prompt, incoming.body);
        let (asked, cost_usd, timings, conversation, details) = Default::default();
        Self { denial, features, asked, cost_usd, timings, conversation, details }
    }
}
