//! The requests that no policy routes: a model of the catalog that its client names, or one that passes through as it
//! is, within the client's list of models and the policies' refusals.

use pointsman_core::config::{PolicyMode, StateRule};
use pointsman_core::features::Features;
use pointsman_core::policy::{
    Candidate, Decision, DecisionDetail, Denial, PolicyOutcome, PolicyParticipation, RequestFacts,
};
use pointsman_core::prompt::without_context_suffix;

use super::incoming::IncomingRequest;
use super::live::RequestWorld;
use super::routing::DecisionEvidence;
use super::{PolicyRefusal, Router, Verdict, seconds};
use crate::clients::Client;
use crate::snapshot::Snapshot;
use crate::upstream::Deployment;

impl Snapshot {
    /// Returns the model of the catalog that a client names, with or without the mark of a long context window.
    pub(crate) fn model_named(&self, name: &str) -> Option<&Deployment> {
        let bare = without_context_suffix(name).and_then(|bare| self.upstreams.model(bare));
        self.upstreams.model(name).or(bare).map(|model| &**model)
    }

    /// Returns whether `name` means something here alone, so that no provider knows such a model.
    pub(crate) fn is_own_name(&self, name: &str) -> bool {
        let bare = without_context_suffix(name).unwrap_or(name);
        let is_virtual = self.config.virtual_models().any(|own| own == name || own == bare);
        let is_own = is_virtual || self.model_named(name).is_some();
        is_own && !self.upstreams.models().any(|model| model.upstream_name == bare)
    }

    /// Returns the model of the catalog that a request on a path that is not read names: not a name that stands for a
    /// policy's choice.
    pub(crate) fn model_unread(&self, name: &str) -> Option<&Deployment> {
        let bare = without_context_suffix(name).unwrap_or(name);
        let is_virtual = self.config.virtual_models().any(|own| own == name || own == bare);
        self.model_named(name).filter(|model| !is_virtual || model.upstream_name == bare)
    }

    /// Returns whether a model of the catalog may serve `client`: by its name, and not denied by that at its provider.
    pub(crate) fn may_serve(&self, client: Option<&Client>, model: &str) -> bool {
        let Some(client) = client.filter(|client| client.is_for_some_models()) else { return true };
        let is_denied = |deployment: &Deployment| client.is_denied(&deployment.upstream_name);
        client.may_be_served_by(model) && !self.upstreams.model(model).is_some_and(|model| is_denied(model))
    }

    /// Returns why `client` may not ask for the model `name`, which nothing replaces.
    pub(crate) fn model_denial(&self, client: Option<&Client>, name: &str) -> Option<Denial> {
        let client = client.filter(|client| client.is_for_some_models())?;
        let bare = without_context_suffix(name).unwrap_or(name);
        // A model that the client may not have has another name at its provider.
        let mut same = self.upstreams.models().filter(|model| model.upstream_name == bare);
        let is_denied = [name, bare].iter().any(|name| client.is_denied(name));
        let short = name.strip_prefix("models/").unwrap_or(name); // Google's API names models in either way
        let is_allowed = [name, bare, short].iter().any(|name| client.may_be_served_by(name));
        let serves = self.model_named(name).is_none_or(|model| self.may_serve(Some(client), &model.model));
        let may_ask = is_allowed && !is_denied && serves && !same.any(|model| client.is_denied(&model.model));
        (!may_ask).then(|| Denial::model_not_for_client(name))
    }
}

impl Router {
    /// Decides for a request that no policy matches.
    pub(super) fn unmatched(snapshot: &Snapshot, incoming: &IncomingRequest<'_>) -> Verdict {
        let IncomingRequest { client, prompt, body, .. } = *incoming;
        let Some(model) = snapshot.model_named(&prompt.model) else {
            return Self::within_list(Verdict::passed(None), snapshot, incoming);
        };
        if !snapshot.may_serve(client, &model.model) {
            return Verdict::Deny(Box::new(PolicyRefusal::at_once(
                Denial::model_not_for_client(&model.model),
                incoming,
            )));
        }
        let decision = match Self::named(snapshot, incoming, model) {
            Ok(decision) => decision,
            Err(denial) => return Verdict::Deny(Box::new(PolicyRefusal::at_once(*denial, incoming))),
        };
        let evidence = DecisionEvidence {
            features: Features::deferred(prompt, body),
            label_from: prompt.ask().source(),
            ..DecisionEvidence::default()
        };
        match evidence.conclude(PolicyOutcome::Decided(decision)) {
            Ok(routing) => Verdict::Route(Box::new(routing)),
            Err(refusal) => Verdict::Deny(refusal),
        }
    }

    /// Decides for a model that the client names: it serves, unless another provider keeps what the request names. Then
    /// the same model there does. What another sealed in the history keeps no model of another API: its words leave it
    /// out.
    fn named(snapshot: &Snapshot, incoming: &IncomingRequest<'_>, model: &Deployment) -> Result<Decision, Box<Denial>> {
        let IncomingRequest { client, prompt, state, .. } = *incoming;
        let asked = prompt.parameters.max_output_tokens;
        // The operator's word to leave anything out is a policy's: here all stays.
        let keeper = state.and_then(|state| state.keeper(StateRule::Stay));
        let keeper = keeper.filter(|_| !incoming.leaves_history_out(model));
        let Some(keeper) = keeper.filter(|keeper| keeper.provider != model.provider.name) else {
            return Ok(Decision::by_name(candidate(model, asked)));
        };
        let same = |other: &&Deployment| {
            other.provider.name == keeper.provider
                && other.upstream_name == model.upstream_name
                && client.is_none_or(|client| client.may_be_served_by(&other.model))
        };
        let maker = keeper.model.as_ref().and_then(|maker| snapshot.upstreams.model(maker)).map(|maker| &**maker);
        let others = snapshot.upstreams.models().map(|other| &**other);
        match maker.into_iter().chain(others).find(same) {
            Some(serving) => Ok(Decision::by_name_at_keeper(candidate(model, asked), candidate(serving, asked))),
            None => Err(Box::new(Denial::kept_elsewhere(candidate(model, asked), &keeper.provider))),
        }
    }

    /// Refuses what would pass through, where the client may not ask for the model that it names.
    pub(super) fn within_list(verdict: Verdict, snapshot: &Snapshot, incoming: &IncomingRequest<'_>) -> Verdict {
        if !matches!(verdict, Verdict::Pass { .. }) {
            return verdict;
        }
        match snapshot.model_denial(incoming.client, &incoming.prompt.model) {
            Some(denial) => Verdict::Deny(Box::new(PolicyRefusal::at_once(denial, incoming))),
            None => verdict,
        }
    }

    /// Returns the refusal of a request that is not routed, whoever reads its body: by the rules of the policy that
    /// matches, as far as they can be told without asking a classifier or a judge. A policy that only watches counts.
    /// `features` are those of the prompt, as far as its reader knows them.
    pub(crate) fn refusal(
        &self,
        snapshot: &Snapshot,
        incoming: &IncomingRequest<'_>,
        features: &Features,
    ) -> Option<Box<PolicyRefusal>> {
        let IncomingRequest { path, client, prompt, .. } = *incoming;
        let world = RequestWorld::new(self, snapshot, incoming);
        let client = client.map(|client| client.name().as_str());
        let (now, detail) = (seconds(), DecisionDetail::Decision);
        let facts = RequestFacts { model: &prompt.model, path, client, now, live: &world, detail };
        let policy = snapshot.policies.find(&facts)?;
        if policy.participation(&facts) != PolicyParticipation::Decide {
            return None;
        }
        let denial = policy.refusal(&facts, features)?;
        if policy.mode() == PolicyMode::Shadow {
            self.count_shadow_denial(&denial);
            return None;
        }
        Some(Box::new(PolicyRefusal::at_once(denial, incoming)))
    }
}

/// Makes the candidate of a model that a client names, who asks for an answer of so many tokens at most.
fn candidate(model: &Deployment, asked: Option<u64>) -> Candidate {
    Candidate {
        model: model.model.clone(),
        fits: Ok(()),
        price: model.price,
        tokenizer: model.tokenizer,
        answer_limit: model.output_limit.filter(|limit| asked > Some(*limit)),
        expected: None,
    }
}
