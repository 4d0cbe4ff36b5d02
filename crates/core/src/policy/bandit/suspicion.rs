//! Suspicion of rewards: one client says otherwise than all others, and nothing is learnt; one that speaks for most of
//! them is heard less.

use std::collections::BTreeMap;

/// Rewards after which one weighs 1/e in what is known of the clients.
const MEMORY: f64 = 500.0;

/// Clients that are known apart; the one who was heard of least is forgotten for a new one.
const CLIENTS: usize = 256;

/// Rewards that both sides must rest on.
const LEAST: f64 = 50.0;

/// The same where they are those of one model's answers.
const LEAST_OF_MODEL: f64 = 25.0;

/// Standard errors between a client's rewards and the others' that are no chance any more.
const LIMIT: f64 = 6.0;

/// The cause for which rewards are not learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// One client's rewards lie far from what all others say of the same models and labels.
    Disagreement,
}

impl Suspicion {
    /// Every cause.
    pub const ALL: [Self; 1] = [Self::Disagreement];

    /// Returns the stable name used in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disagreement => "disagreement",
        }
    }
}

/// What each client's rewards were lately, beside what was expected of the answers.
#[derive(Debug, Clone, Default)]
pub struct SuspicionWatch {
    clients: BTreeMap<String, ClientRewards>,
}

/// Rewards of each model's answers, by the model's position.
#[derive(Debug, Clone, Default)]
struct ClientRewards(Vec<RewardSum>);

/// The weight of rewards, and the sum of how far they lay above what was expected.
#[derive(Debug, Clone, Copy, Default)]
struct RewardSum {
    weight: f64,
    surprise: f64,
}

impl SuspicionWatch {
    /// Takes in how far a client's reward of an answer by the model at `arm` lay above what was expected; returns why
    /// rewards are not to be trusted now.
    pub fn observe(&mut self, client: &str, arm: usize, surprise: f64) -> Option<Suspicion> {
        let keep = (-1.0 / MEMORY).exp();
        for sum in self.clients.values_mut().flat_map(|known| &mut known.0) {
            *sum = RewardSum { weight: sum.weight * keep, surprise: sum.surprise * keep };
        }
        if !self.clients.contains_key(client) && self.clients.len() >= CLIENTS {
            self.forget_the_quietest();
        }
        self.clients.entry(client.to_owned()).or_default().add(arm, RewardSum { weight: 1.0, surprise });
        self.suspicion()
    }

    /// Returns how much a client's reward counts, 0 to 1: so much that its rewards and the others' make up no larger share
    /// of its own than `max_share`. Every reward counts in full while the client or all others have given few.
    #[must_use]
    pub fn weight_of(&self, client: &str, max_share: f64) -> f64 {
        let all: f64 = self.clients.values().map(ClientRewards::weight).sum();
        let own = self.clients.get(client).map_or(0.0, ClientRewards::weight);
        let others = all - own;
        if own < LEAST || others < LEAST {
            return 1.0;
        }
        let most = others * max_share / (1.0 - max_share); // without a bound where the share is 1
        (most / own).min(1.0)
    }

    /// Returns why rewards are not to be trusted; `None` where nothing speaks against them, as where there is one client.
    #[must_use]
    pub fn suspicion(&self) -> Option<Suspicion> {
        let mut all = ClientRewards::default();
        for one in self.clients.values() {
            one.0.iter().enumerate().for_each(|(arm, sum)| all.add(arm, *sum));
        }
        self.clients.values().any(|one| one.is_odd_among(&all)).then_some(Suspicion::Disagreement)
    }

    fn forget_the_quietest(&mut self) {
        let quietest = self.clients.iter().min_by(|(_, a), (_, b)| a.weight().total_cmp(&b.weight()));
        if let Some(name) = quietest.map(|(name, _)| name.clone()) {
            self.clients.remove(&name);
        }
    }
}

impl ClientRewards {
    fn add(&mut self, arm: usize, sum: RewardSum) {
        self.0.resize(self.0.len().max(arm + 1), RewardSum::default());
        self.0[arm] = self.0[arm].plus(sum);
    }

    fn weight(&self) -> f64 {
        self.whole().weight
    }

    fn whole(&self) -> RewardSum {
        self.0.iter().fold(RewardSum::default(), |whole, sum| whole.plus(*sum))
    }

    /// Tells whether a client is far from all others, who are in `all` with it: on the whole, or on one model, as where it
    /// praises what is bad as much as it blames what is good.
    fn is_odd_among(&self, all: &Self) -> bool {
        let is_far = |(own, all): (&RewardSum, &RewardSum)| own.is_far_from(all.less(*own), LEAST_OF_MODEL);
        self.whole().is_far_from(all.whole().less(self.whole()), LEAST) || self.0.iter().zip(&all.0).any(is_far)
    }
}

impl RewardSum {
    const fn plus(self, other: Self) -> Self {
        Self { weight: self.weight + other.weight, surprise: self.surprise + other.surprise }
    }

    const fn less(self, other: Self) -> Self {
        Self { weight: self.weight - other.weight, surprise: self.surprise - other.surprise }
    }

    fn is_far_from(self, others: Self, least: f64) -> bool {
        if self.weight < least || others.weight < least {
            return false;
        }
        // Rewards lie between 0 and 1, so that none has a deviation above one half.
        let error = 0.5 * (1.0 / self.weight + 1.0 / others.weight).sqrt();
        let distance = (self.surprise / self.weight - others.surprise / others.weight).abs() / error;
        distance > LIMIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(watch: &mut SuspicionWatch, client: &str, surprise: f64, times: usize) -> Option<Suspicion> {
        (0..times).filter_map(|_| watch.observe(client, 0, surprise)).last()
    }

    #[test]
    fn a_client_that_says_otherwise_than_all_others_is_suspicious_and_is_forgotten_with_time() {
        let mut watch = SuspicionWatch::default();
        assert_eq!(told(&mut watch, "anna", 0.05, 200), None);
        assert_eq!(told(&mut watch, "ben", -0.05, 100), None);

        assert_eq!(told(&mut watch, "mallory", -0.8, 80), Some(Suspicion::Disagreement));

        told(&mut watch, "anna", 0.05, 1500);
        assert_eq!(watch.suspicion(), None);
    }

    #[test]
    fn a_client_that_gives_most_rewards_is_suspicious_too_where_the_few_others_say_otherwise() {
        let mut watch = SuspicionWatch::default();
        assert_eq!(told(&mut watch, "mallory", -0.8, 400), None, "alone it is the only word there is");

        for client in ["anna", "ben", "cleo"] {
            told(&mut watch, client, 0.05, 30);
        }

        assert_eq!(watch.suspicion(), Some(Suspicion::Disagreement), "none of the others alone has said enough");
    }

    #[test]
    fn a_client_that_turns_models_around_is_suspicious_although_its_rewards_are_no_lower() {
        let mut watch = SuspicionWatch::default();
        for turn in 0..200 {
            let _ = watch.observe("anna", turn % 2, 0.0);
        }
        let found = (0..60).find_map(|turn| watch.observe("mallory", turn % 2, [0.9, -0.9][turn % 2]));

        assert_eq!(found, Some(Suspicion::Disagreement));
    }

    #[test]
    fn two_clients_that_rate_alike_are_both_heard_in_full() {
        let mut watch = SuspicionWatch::default();
        for turn in 0..2000 {
            let client = ["anna", "ben"][turn % 2];
            assert_eq!(watch.observe(client, turn / 2 % 2, 0.0), None);
            assert!(watch.weight_of(client, 0.5) > 0.97, "turn {turn}");
        }
    }

    #[test]
    fn a_client_that_speaks_for_most_is_heard_as_much_as_all_others_together() {
        let mut watch = SuspicionWatch::default();
        told(&mut watch, "anna", 0.0, 400);
        assert!((watch.weight_of("anna", 0.5) - 1.0).abs() < 1e-9, "alone it is the only word there is");

        told(&mut watch, "ben", 0.0, 60);
        told(&mut watch, "anna", 0.0, 5);

        let [anna, ben] = ["anna", "ben"].map(|client| watch.clients[client].weight());
        assert!((anna * watch.weight_of("anna", 0.5) - ben).abs() < 1e-9, "a half is as much as the rest");
        assert!((anna * watch.weight_of("anna", 0.75) - 3.0 * ben).abs() < 1e-9);
        let in_full = [watch.weight_of("anna", 1.0), watch.weight_of("ben", 0.5), watch.weight_of("nobody", 0.5)];
        assert!(in_full.iter().all(|weight| (weight - 1.0).abs() < 1e-9), "{in_full:?}");
    }

    #[test]
    fn the_memory_of_clients_is_bounded() {
        let mut watch = SuspicionWatch::default();
        (0..3 * CLIENTS).for_each(|client| {
            let _ = watch.observe(&client.to_string(), 0, 0.0);
        });

        assert_eq!(watch.clients.len(), CLIENTS);
    }
}
