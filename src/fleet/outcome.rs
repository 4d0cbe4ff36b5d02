//! What came of a run, and what of it is promised.

use std::fmt::Write as _;
use std::time::Duration;

use super::capacity::CapacityFigure;
use super::plan::{DEAREST, FleetPlan, START, TARGET};
use super::server::ServerUse;

/// Milliseconds of the windows whose shares are looked at.
pub(super) const WINDOW: u64 = 1000;

/// Windows that are taken together for the worst share of a phase.
const TOGETHER: usize = 3;

/// What came of a run.
pub(super) struct FleetOutcome {
    plan: FleetPlan,
    version: String,
    pub(super) phases: Vec<PhaseOutcome>,
    pub(super) holders: Vec<HolderUse>,
    /// What the page on capacity says, as it was measured.
    pub(super) figures: Vec<CapacityFigure>,
}

/// What came of a phase.
#[derive(Debug, Default)]
pub(super) struct PhaseOutcome {
    name: &'static str,
    seconds: u64,
    pub(super) decided: u64,
    strong: u64,
    pub(super) admitted: u64,
    /// Requests beyond a budget.
    pub(super) refused: u64,
    /// Requests that were refused because the store was away.
    pub(super) unavailable: u64,
    pub(super) pins: PinAgreement,
    /// Decisions of each window, and those for the strong model.
    windows: Vec<(usize, [u64; 2])>,
    pub(super) real: Duration,
    /// `None` where the server could not be asked.
    pub(super) store: Option<ServerUse>,
    /// Commands of all replicas that the store did not do.
    pub(super) failed: u64,
}

/// How far replicas agreed on the models that sessions are held to.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct PinAgreement {
    pub(super) looked_up: u64,
    /// Sessions that another model was known for than the last replica chose.
    pub(super) differ: u64,
    /// The same, where the store was away during the session.
    pub(super) excused: u64,
}

/// What a client has used of its budget.
#[derive(Debug, Clone)]
pub(super) struct HolderUse {
    pub(super) bound: f64,
    pub(super) unit: &'static str,
    pub(super) rule: &'static str,
    used: f64,
    /// What was left when the store went away.
    rest: f64,
}

impl HolderUse {
    pub(super) const fn new(bound: f64, unit: &'static str, rule: &'static str) -> Self {
        Self { bound, unit, rule, used: 0.0, rest: 0.0 }
    }

    pub(super) fn admitted(&mut self, cost: f64) {
        self.used += if self.unit == "dollars" { cost } else { 1.0 };
    }

    pub(super) fn note_rest(&mut self) {
        self.rest = (self.bound - self.used).max(0.0);
    }

    fn beyond(&self) -> f64 {
        self.used - self.bound
    }
}

impl PhaseOutcome {
    pub(super) fn new(name: &'static str, seconds: u64) -> Self {
        Self { name, seconds, ..Self::default() }
    }

    pub(super) fn decided(&mut self, window: usize, is_strong: bool) {
        self.decided += 1;
        self.strong += u64::from(is_strong);
        if self.windows.last().is_none_or(|(last, _)| *last != window) {
            self.windows.push((window, [0; 2]));
        }
        if let Some((_, [decided, strong])) = self.windows.last_mut() {
            *decided += 1;
            *strong += u64::from(is_strong);
        }
    }

    /// Returns the share of the strong model.
    fn share(&self) -> f64 {
        ratio(self.strong, self.decided)
    }

    /// Returns the share of some windows in a row that is farthest from the target.
    fn worst_share(&self) -> f64 {
        let share = |windows: &[(usize, [u64; 2])]| {
            let sum = |of: usize| windows.iter().map(|(_, counts)| counts[of]).sum();
            ratio(sum(1), sum(0))
        };
        let shares = self.windows.windows(TOGETHER).map(share);
        shares.max_by(|a, b| (a - TARGET).abs().total_cmp(&(b - TARGET).abs())).unwrap_or_else(|| self.share())
    }

    /// Returns a row of the table.
    pub(super) fn line(&self) -> String {
        let Self { name, seconds, decided, admitted, refused, unavailable, pins, store, failed, .. } = self;
        let per = |count: u64| format!("{:.3}", ratio(count, *decided));
        let store = store.map_or_else(
            || "- | - | - | -".to_owned(),
            |store| {
                let bytes = store.bytes_in + store.bytes_out;
                #[expect(clippy::cast_precision_loss, reason = "seconds")]
                let cpu = store.cpu / *seconds as f64;
                format!(
                    "{} | {} | {} | {cpu:.2}",
                    per(store.commands()),
                    per(store.exchange),
                    ratio(bytes, *decided).round()
                )
            },
        );
        let [looked_up, differ, excused] = [pins.looked_up, pins.differ, pins.excused];
        format!(
            "| {name} | {seconds} s in {:.0} | {decided} | {:.4} | {:.4} | {admitted} | {refused} | {unavailable} | \
             {looked_up} | {differ} | {excused} | {store} | {failed} |",
            self.real.as_secs_f64(),
            self.share(),
            self.worst_share(),
        )
    }
}

impl FleetOutcome {
    pub(super) const fn new(plan: FleetPlan, version: String) -> Self {
        Self { plan, version, phases: Vec::new(), holders: Vec::new(), figures: Vec::new() }
    }

    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "{} replicas, {} requests a second, {}\n\n| phase | played s in real s | decided | strong share | worst 3 s | \
             admitted | beyond a budget | store away | pins looked up | differ | differ after the store was away | store \
             commands a request | reports on budgets a request | bytes a request | store CPU seconds a second | failed \
             commands |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
            self.plan.replicas,
            1000 * self.plan.rate,
            self.version
        );
        for phase in &self.phases {
            writeln!(text, "{}", phase.line()).expect("a String takes all that is written");
        }
        text += "\n| budget of | bound | without the store | used | beyond | left when the store went away |\n|---|---|---|---|---|---|\n";
        for (number, holder) in self.holders.iter().enumerate() {
            let HolderUse { bound, unit, rule, used, rest, .. } = holder;
            writeln!(
                text,
                "| c{number} | {bound:.2} {unit} | {rule} | {used:.2} | {:.2} | {rest:.2} |",
                holder.beyond()
            )
            .expect("a String takes all that is written");
        }
        for figure in &self.figures {
            writeln!(text, "{figure:?}").expect("a String takes all that is written");
        }
        text
    }

    /// Holds the run to what is promised.
    pub(super) fn check(&self) {
        let (mut differ, mut failed) = (0, 0);
        let [mut decided, mut strong] = [0; 2];
        for phase in &self.phases {
            // A loop pays back what was too much: its promise is on all requests up to a moment.
            (decided, strong) = (decided + phase.decided, strong + phase.strong);
            let error = (ratio(strong, decided) / TARGET - 1.0).abs();
            assert!(
                error <= self.plan.largest_error || phase.name == START,
                "up to the end of {}: {error:.4} off the target",
                phase.name
            );
            assert!(phase.pins.looked_up > 0, "{}: no session went on", phase.name);
            // On a busy machine a write may come too late for the connection's patience: it is counted as such.
            let is_calm = ["steady", "rolling reload", "rolling weights"].contains(&phase.name);
            (differ, failed) = (differ + phase.pins.differ, failed + if is_calm { phase.failed } else { 0 });
            assert!(differ <= failed, "{}: replicas differ on {differ} sessions", phase.name);
        }
        #[expect(clippy::cast_precision_loss, reason = "a hundred")]
        let replicas = self.plan.replicas as f64;
        for (number, holder) in self.holders.iter().enumerate() {
            let one = if holder.unit == "dollars" { DEAREST } else { 1.0 };
            // Each replica that goes by its own knowledge may use all of the rest.
            let alone = if holder.rule == "local" { (replicas - 1.0) * holder.rest } else { 0.0 };
            let beyond = holder.beyond();
            assert!(beyond <= replicas * one + alone, "c{number}: {beyond} {} too many", holder.unit);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few million")]
pub(super) fn ratio(part: u64, all: u64) -> f64 {
    part as f64 / all.max(1) as f64
}
