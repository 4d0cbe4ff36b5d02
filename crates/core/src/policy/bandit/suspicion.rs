//! Suspicion of rewards: one client says otherwise than all others, or speaks for most of them.

use std::collections::BTreeMap;

/// Rewards after which one weighs 1/e in what is known of the clients.
const MEMORY: f64 = 500.0;

/// Clients that are known apart; the one who was heard of least is forgotten for a new one.
const CLIENTS: usize = 256;

/// Rewards that both sides must rest on.
const LEAST: f64 = 50.0;

/// Standard errors between a client's rewards and the others' that are no chance any more.
const LIMIT: f64 = 6.0;

/// The cause for which rewards are not learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// One client's rewards lie far from what all others say of the same models and labels.
    Disagreement,
    /// One client gives a larger share of the rewards than it may, while others give some, too.
    Share,
}

impl Suspicion {
    /// Every cause.
    pub const ALL: [Self; 2] = [Self::Disagreement, Self::Share];

    /// Returns the stable name used in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disagreement => "disagreement",
            Self::Share => "share",
        }
    }
}

/// What each client's rewards were lately, beside what was expected of the answers.
#[derive(Debug, Clone, Default)]
pub struct SuspicionWatch {
    clients: BTreeMap<String, ClientRewards>,
}

#[derive(Debug, Clone, Copy, Default)]
struct ClientRewards {
    /// The weight of its rewards, and the sum of how far they lay above what was expected.
    weight: f64,
    surprise: f64,
}

impl SuspicionWatch {
    /// Takes a client's reward in, less what was expected of the answer; returns why rewards are not to be trusted now.
    pub fn observe(&mut self, client: &str, surprise: f64, max_share: f64) -> Option<Suspicion> {
        let keep = (-1.0 / MEMORY).exp();
        for known in self.clients.values_mut() {
            known.weight *= keep;
            known.surprise *= keep;
        }
        if !self.clients.contains_key(client) && self.clients.len() >= CLIENTS {
            self.forget_the_quietest();
        }
        let own = self.clients.entry(client.to_owned()).or_default();
        own.weight += 1.0;
        own.surprise += surprise;
        self.suspicion(max_share)
    }

    /// Returns why rewards are not to be trusted; `None` where nothing speaks against them, as where there is one client.
    #[must_use]
    pub fn suspicion(&self, max_share: f64) -> Option<Suspicion> {
        let all = self.clients.values().fold(ClientRewards::default(), |all, one| ClientRewards {
            weight: all.weight + one.weight,
            surprise: all.surprise + one.surprise,
        });
        self.clients.values().find_map(|one| {
            let rest = ClientRewards { weight: all.weight - one.weight, surprise: all.surprise - one.surprise };
            one.beside(rest, max_share)
        })
    }

    fn forget_the_quietest(&mut self) {
        let quietest = self.clients.iter().min_by(|(_, a), (_, b)| a.weight.total_cmp(&b.weight));
        if let Some(name) = quietest.map(|(name, _)| name.clone()) {
            self.clients.remove(&name);
        }
    }
}

impl ClientRewards {
    fn beside(self, others: Self, max_share: f64) -> Option<Suspicion> {
        if self.weight < LEAST || others.weight < LEAST {
            return None;
        }
        // Rewards lie between 0 and 1, so that none has a deviation above one half.
        let error = 0.5 * (1.0 / self.weight + 1.0 / others.weight).sqrt();
        let distance = (self.surprise / self.weight - others.surprise / others.weight).abs() / error;
        // The one who is alone against several is the odd one, not each of them against the rest with it.
        if distance > LIMIT && self.weight <= others.weight {
            return Some(Suspicion::Disagreement);
        }
        (self.weight / (self.weight + others.weight) > max_share).then_some(Suspicion::Share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(watch: &mut SuspicionWatch, client: &str, surprise: f64, times: usize) -> Option<Suspicion> {
        (0..times).filter_map(|_| watch.observe(client, surprise, 0.9)).last()
    }

    #[test]
    fn a_client_that_says_otherwise_than_all_others_is_suspicious_and_is_forgotten_with_time() {
        let mut watch = SuspicionWatch::default();
        assert_eq!(told(&mut watch, "anna", 0.05, 200), None);
        assert_eq!(told(&mut watch, "ben", -0.05, 100), None);

        assert_eq!(told(&mut watch, "mallory", -0.8, 80), Some(Suspicion::Disagreement));

        told(&mut watch, "anna", 0.05, 1500);
        assert_eq!(watch.suspicion(1.0), None);
    }

    #[test]
    fn a_client_that_speaks_for_most_is_suspicious_only_while_others_speak_too() {
        let mut watch = SuspicionWatch::default();
        assert_eq!((0..400).find_map(|_| watch.observe("anna", 0.0, 0.5)), None, "alone it is the only word there is");

        assert_eq!((0..120).filter_map(|_| watch.observe("ben", 0.0, 0.5)).last(), Some(Suspicion::Share));
    }

    #[test]
    fn the_memory_of_clients_is_bounded() {
        let mut watch = SuspicionWatch::default();
        (0..3 * CLIENTS).for_each(|client| {
            let _ = watch.observe(&client.to_string(), 0.0, 0.5);
        });

        assert_eq!(watch.clients.len(), CLIENTS);
    }
}
