//! The requests of the fleet's clients: real prompts, easy by night and hard by day, in sessions of a few turns.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::Path;

use bytes::Bytes;
use serde_json::json;

/// Milliseconds that an answer takes, and that a client then thinks at least.
pub(super) const ANSWER: u64 = 300;
const THINKING: u64 = 700;

/// Milliseconds of a day, in which prompts grow hard and easy again.
const DAY: f64 = 40_000.0;

/// Milliseconds of the burst in which all prompts are hard.
const BURST: u64 = 1_000;

/// The longest prompt, in characters: longer ones take longer to read, and say no more here.
const LONGEST: usize = 400;

/// Requests in a hundred that name no session.
const WITHOUT_SESSION: u64 = 10;

/// A request of a client.
#[derive(Debug, Clone)]
pub(super) struct FleetRequest {
    /// The number of the session; `None` where the request only begins a conversation.
    pub(super) session: Option<u64>,
    pub(super) client: usize,
    pub(super) body: Bytes,
    /// The tokens of the prompt and of the answer to it.
    pub(super) tokens: [u64; 2],
    turns_left: u32,
}

/// The clients of the fleet.
pub(super) struct FleetTraffic {
    random: RandomNumbers,
    /// The bodies of prompts, from the shortest, which are the easiest, to the longest.
    bodies: Vec<Bytes>,
    /// The shares of clients in the requests, added up.
    shares: Vec<f64>,
    sessions: u64,
    /// The turns of sessions, by the millisecond from which on they are due.
    due: BTreeMap<u64, Vec<FleetRequest>>,
    waiting: VecDeque<FleetRequest>,
    burst: u64,
}

/// Numbers that look random and are the same in every run (SplitMix64).
pub(super) struct RandomNumbers(pub(super) u64);

impl FleetTraffic {
    /// Makes the traffic of clients with these shares in it; all prompts are hard for a second from `burst` on.
    pub(super) fn new(shares: &[f64], burst: u64) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/prompts.json");
        let texts: Vec<String> = serde_json::from_slice(&fs::read(file).expect("prompts")).expect("texts");
        let mut texts: Vec<String> = texts
            .into_iter()
            .filter(|text| !text.trim().is_empty() && text.chars().count() <= LONGEST)
            .flat_map(|text| [text.clone(), format!("{text} Please."), format!("{text} Thank you in advance.")])
            .collect();
        texts.sort_by_key(String::len);
        let body = |text: &String| json!({"model": "auto", "messages": [{"role": "user", "content": text}]});
        let bodies = texts.iter().map(|text| body(text).to_string().into()).collect();
        let sum = |shares: &[f64]| shares.iter().sum::<f64>();
        let shares = (1..=shares.len()).map(|place| sum(&shares[..place]) / sum(shares)).collect();
        let (random, sessions, due, waiting) = (RandomNumbers(22), 0, BTreeMap::new(), VecDeque::new());
        Self { random, bodies, shares, sessions, due, waiting, burst }
    }

    /// Returns so many requests that are sent at a millisecond: turns that are due, and new sessions.
    pub(super) fn sent(&mut self, at: u64, requests: usize) -> Vec<FleetRequest> {
        let later = self.due.split_off(&(at + 1));
        self.waiting.extend(std::mem::replace(&mut self.due, later).into_values().flatten());
        let mut sent: Vec<FleetRequest> = Vec::with_capacity(requests);
        while sent.len() < requests {
            let mut request = self.waiting.pop_front().unwrap_or_else(|| self.begun());
            request.body = self.prompt(at);
            request.tokens = [request.body.len() as u64 / 4, 100 + self.random.below(600)];
            sent.push(request);
        }
        sent
    }

    /// Has the session of a request go on some time after its answer.
    pub(super) fn answered(&mut self, request: FleetRequest, at: u64) {
        if let Some(turns_left) = request.turns_left.checked_sub(1) {
            let due = at + THINKING + self.random.below(THINKING);
            self.due.entry(due).or_default().push(FleetRequest { turns_left, ..request });
        }
    }

    /// Returns a number below `bound`, for whoever spreads requests over replicas.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let drawn = self.random.below(bound as u64);
        usize::try_from(drawn).unwrap_or_default()
    }

    fn begun(&mut self) -> FleetRequest {
        self.sessions += 1;
        let drawn = self.random.share();
        let client = self.shares.iter().position(|share| drawn < *share).unwrap_or_default();
        let is_named = self.random.below(100) >= WITHOUT_SESSION;
        let turns_left = if is_named { u32::try_from(self.random.below(5)).unwrap_or_default() } else { 0 };
        let session = is_named.then_some(self.sessions);
        FleetRequest { session, client, body: Bytes::new(), tokens: [0; 2], turns_left }
    }

    /// Draws a prompt: by day from the hard end, by night from the easy one.
    fn prompt(&mut self, at: u64) -> Bytes {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a minute")]
        let sun = (at as f64 / DAY * std::f64::consts::TAU).sin();
        let is_burst = (self.burst..self.burst + BURST).contains(&at);
        let power = if is_burst { 0.2 } else { 2.0_f64.powf(-sun) };
        let place = self.random.share().powf(power);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few hundred prompts"
        )]
        let place = (place * self.bodies.len() as f64) as usize;
        self.bodies[place.min(self.bodies.len() - 1)].clone()
    }
}

impl FleetRequest {
    /// Makes the only request of a session.
    pub(super) fn of_session(session: u64, body: Bytes) -> Self {
        Self { session: Some(session), client: 0, body, tokens: [10, 10], turns_left: 0 }
    }
}

impl RandomNumbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
