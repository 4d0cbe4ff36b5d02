//! The progress of a run: a bar where stderr is a terminal, else a line from time to time.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pointsman_lab::collect::CollectProgress;
use tokio::time::Instant;

/// The pause between two lines where stderr is no terminal.
const PAUSE: Duration = Duration::from_secs(10);

const TEMPLATE: &str = "{bar:32} {pos}/{len} {msg} {elapsed} gone, {eta} left";

/// The progress of a run on stderr.
pub(super) struct CollectBar {
    bar: ProgressBar,
    max_cost: Option<f64>,
    is_terminal: bool,
    next_line: Instant,
}

impl CollectBar {
    /// Begins; `total` are the answers that the run is to have, where they are known.
    pub(super) fn new(total: Option<u64>, max_cost: Option<f64>) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target);
        bar.set_style(ProgressStyle::with_template(TEMPLATE).expect("a template of ours"));
        Self { bar, max_cost, is_terminal, next_line: Instant::now() + PAUSE }
    }

    /// Shows how far the run is.
    pub(super) fn show(&mut self, progress: &CollectProgress<'_>) {
        let counts = progress.counts;
        let spent = counts.cost_usd + counts.judge_cost_usd;
        let cap = self.max_cost.map(|cap| format!(" of ${cap}")).unwrap_or_default();
        let failed = if counts.failed > 0 { format!(", {} failed", counts.failed) } else { String::new() };
        self.bar.set_message(format!("${spent:.4}{cap}{failed},"));
        self.bar.set_position(progress.settled);
        if !self.is_terminal && Instant::now() >= self.next_line {
            self.next_line = Instant::now() + PAUSE;
            let of = self.bar.length().map(|total| format!(" of {total}")).unwrap_or_default();
            let left = HumanDuration(self.bar.eta());
            eprintln!("{}{of} answers, ${spent:.4}{cap}{failed}, {left} left", progress.settled);
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
