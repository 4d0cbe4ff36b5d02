//! The plan of a run: how many replicas and requests, which budgets, how long each phase takes; and the configuration of a
//! replica by it.

use std::fmt::Write as _;
use std::path::Path;

use super::outcome::HolderUse;
use super::replica::hash;

/// The share of the strong model that is to be held.
pub(super) const TARGET: f64 = 0.3;

/// The dearest answer there is, in US dollars.
pub(super) const DEAREST: f64 = 0.0062;

/// What a request costs on average, in US dollars.
const USUAL_COST: f64 = 0.0011;

/// The phases, in their order.
pub(super) const PHASES: [&str; 7] =
    [START, STEADY, HELD, "store back", "rolling reload", "rolling weights", "store lost"];

/// The phases in which all is well, and in which the store neither answers nor closes connections.
pub(super) const STEADY: &str = "steady";
pub(super) const HELD: &str = "store held";

/// The phase in which the loops have nothing to go by yet.
pub(super) const START: &str = "start";

/// The plan of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct FleetPlan {
    pub(super) replicas: usize,
    /// Requests a millisecond.
    pub(super) rate: usize,
    /// Milliseconds that the played time is moved by at once.
    pub(super) step: u64,
    /// Milliseconds of real time without a decision after which requests that are still open are taken to wait for the
    /// played time. Each replica has a thread that speaks to the server: where they are many, their turns take longer.
    pub(super) patience: u32,
    /// Seconds of each phase.
    pub(super) seconds: [u64; PHASES.len()],
    /// The largest error of the share of a phase, relative to the target.
    pub(super) largest_error: f64,
    /// The budget of each client: the part of the run in which its requests use it up, its unit, and its rule for a store
    /// that is away.
    pub(super) budgets: &'static [(f64, &'static str, &'static str)],
}

impl FleetPlan {
    /// Returns how much of the traffic each client has: the first twice as much as the second.
    pub(super) fn shares(&self) -> Vec<f64> {
        (1..=self.budgets.len()).map(|place| 1.0 / f64::from(u32::try_from(place).unwrap_or(1))).collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "a few million requests")]
    pub(super) fn holders(&self) -> Vec<HolderUse> {
        let shares = self.shares();
        let requests = 1000.0 * self.rate as f64 * self.seconds.iter().sum::<u64>() as f64;
        let all: f64 = shares.iter().sum();
        let bound = |share: &f64, part: f64, unit: &str| {
            let requests = requests * share / all * part;
            if unit == "dollars" { requests * USUAL_COST } else { requests.round() }
        };
        let budgets = shares.iter().zip(self.budgets);
        budgets.map(|(share, (part, unit, rule))| HolderUse::new(bound(share, *part, unit), unit, rule)).collect()
    }

    pub(super) fn config(&self, url: &str, (bundle, threshold): (&Path, f64), is_changed: bool) -> String {
        let (mut clients, mut budgets) = (String::new(), String::new());
        for (number, holder) in self.holders().iter().enumerate() {
            let HolderUse { bound, unit, rule, .. } = holder;
            let key = hash(format!("c{number}").as_bytes());
            writeln!(clients, "  c{number}: {{keys: [{{sha256: {key}}}]}}")
                .expect("a String takes all that is written");
            writeln!(
                budgets,
                "  - {{name: b{number}, per: client, clients: [c{number}], {unit}: {bound}, soft: 1, without_store: {rule}}}"
            )
            .expect("a String takes all that is written");
        }
        let rule = if is_changed { "    rules: [{when: 'prompt.images > 3', use: small}]\n" } else { "" };
        format!(
            "version: 1
listen: {{address: 127.0.0.1:0}}
store: {{redis: {{url: '{url}', timeout: 500ms}}}}
providers: {{p: {{base_url: http://127.0.0.1:9}}}}
models:
  small: {{provider: p, price: {{input: 0.1, output: 0.4}}}}
  frontier: {{provider: p, price: {{input: 2, output: 8}}}}
classifiers: {{default: {{bundle: {}}}}}
clients:
{clients}budgets:
{budgets}policies:
  - name: auto
    match: {{model: [auto]}}
{rule}    strategy: {{kind: threshold, classifier: default, head: tier_lexical, strong: frontier, weak: small, threshold: {threshold}}}
    target: {{share: {TARGET}, min: 0.01, max: 0.99}}
    affinity: {{key: conversation, move: up_only}}
    quotas: [{{name: strong, per: client, models: [frontier], share: 0.6, burst: 1000, otherwise: small}}]
",
            bundle.display()
        )
    }
}
