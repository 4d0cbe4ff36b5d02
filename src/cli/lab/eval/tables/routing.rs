//! Routing between models as a person reads it.

use std::fmt::Write as _;

use pointsman_lab::evaluate::{ModelsFigures, RoutingReport, SuccessFigures};
use pointsman_lab::statistics::{CalibrationIntervals, ConfidenceInterval, RESAMPLES, RoutingFigures, ScoreIntervals};

use super::{interval, share};
use crate::cli::table::{ColumnAlign, TextTable};

/// Returns the report as lines of text.
pub(super) fn render(report: &RoutingReport) -> String {
    let mut text = String::new();
    let bundle = &report.bundle;
    let _ = writeln!(text, "bundle  {} {} (sha256 {})", bundle.name, bundle.version, bundle.sha256);
    let _ = writeln!(text, "data    {} (sha256 {})", report.data.file, report.data.sha256);
    let (n, contaminated, blank) = (report.n, report.contaminated, report.blank);
    let _ = writeln!(text, "rows    {n} judged; left out: {contaminated} contaminated, {blank} blank");
    for (side, single) in [("strong", &report.strong), ("weak", &report.weak)] {
        let _ = writeln!(text, "{side:6}  {} alone is right on {}", single.model, share(single.quality));
    }
    let _ = write!(text, "\nhead {} beside baselines\n{}", report.head, comparison(report));
    let lead = interval(report.intervals.over_length);
    let _ = writeln!(text, "  CPT: calls to the strong model, in per cent; the lead over length in APGR is {lead}");
    let ScoreIntervals { auc, honesty } = report.spread;
    let _ = write!(text, "\n  AUC {}", share(report.auc) + &auc.map(within).unwrap_or_default());
    if let (Some(figures), Some(CalibrationIntervals { ece, ece_by_chance, brier })) = (report.calibration, honesty) {
        let (ece, brier) = (share(figures.ece) + &within(ece), share(figures.brier) + &within(brier));
        let _ = write!(text, "  ECE {ece}, {} by chance  Brier {brier}", share(ece_by_chance));
    }
    let _ = write!(text, "\n\nthresholds\n{}", curve(report));
    if let Some(figures) = &report.models {
        let _ = write!(text, "\nmodels\n{}", models(figures));
    }
    if let Some(figures) = &report.success {
        let _ = write!(text, "\nsuccess\n{}", success(figures));
    }
    let _ = writeln!(text, "\nintervals: 95 %, {RESAMPLES} bootstrap resamples, seed {}", report.seed);
    text
}

fn within(of: ConfidenceInterval) -> String {
    format!(" ({})", interval(of))
}

fn comparison(report: &RoutingReport) -> String {
    let mut table = TextTable::new(
        ["", "APGR", "95 %", "CPT(50 %)", "95 %", "CPT(80 %)", "95 %"],
        [
            ColumnAlign::Left,
            ColumnAlign::Right,
            ColumnAlign::Left,
            ColumnAlign::Right,
            ColumnAlign::Left,
            ColumnAlign::Right,
            ColumnAlign::Left,
        ],
    );
    let mut push = |name: &str, figures: RoutingFigures, intervals: [String; 3]| {
        let [apgr, cpt_50, cpt_80] = intervals;
        let cells = [share(figures.apgr), apgr, percent(figures.cpt_50), cpt_50, percent(figures.cpt_80), cpt_80];
        let [a, b, c, d, e, f] = cells;
        table.push([name.to_owned(), a, b, c, d, e, f]);
    };
    let intervals = &report.intervals;
    let percents = |interval: ConfidenceInterval| format!("{:.1} to {:.1}", interval.low, interval.high);
    push("head", report.figures, [interval(intervals.apgr), percents(intervals.cpt_50), percents(intervals.cpt_80)]);
    push("length", report.baselines.length.figures, Default::default());
    push("random", report.baselines.random.figures, Default::default());
    push("oracle", report.baselines.oracle.figures, Default::default());
    table.render()
}

fn curve(report: &RoutingReport) -> String {
    let mut table = TextTable::new(["strong %", "quality", "PGR", "PGR by length"], [ColumnAlign::Right; 4]);
    for (point, length) in report.curve.iter().zip(&report.baselines.length.curve) {
        table.push([percent(point.strong_percent), share(point.quality), share(point.pgr), share(length.pgr)]);
    }
    table.render()
}

fn models(figures: &ModelsFigures) -> String {
    let mut table = TextTable::new(
        ["model", "quality", "cost", "tokens", "Pareto"],
        [ColumnAlign::Left, ColumnAlign::Right, ColumnAlign::Right, ColumnAlign::Right, ColumnAlign::Left],
    );
    for model in &figures.models {
        let pareto = match model.pareto {
            Some(true) => "yes",
            Some(false) => "",
            None => "-",
        };
        let tokens = model.tokens.map_or_else(|| "-".to_owned(), |tokens| format!("{tokens:.0}"));
        table.push([model.model.clone(), share(model.quality), cost(model.cost), tokens, pareto.to_owned()]);
    }
    table.push([
        "random".to_owned(),
        share(figures.random_quality),
        cost(figures.random_cost),
        String::new(),
        String::new(),
    ]);
    table.push([
        "oracle".to_owned(),
        share(figures.oracle_quality),
        cost(figures.oracle_cost),
        String::new(),
        String::new(),
    ]);
    let mut text = table.render();
    if let Some(reason) = &figures.cost_left_out {
        let _ = writeln!(text, "  costs left out: {reason}");
    }
    if let (Some(least), Some(part)) = (figures.cost_at_95, figures.cost_at_95_share) {
        let _ =
            writeln!(text, "  95 % of the best model's quality costs {least:.3e}, {:.1} % of its cost", 100.0 * part);
    }
    text
}

fn success(figures: &SuccessFigures) -> String {
    let mut table = TextTable::new(["model", "prompts"], [ColumnAlign::Left, ColumnAlign::Right]);
    for (model, part) in figures.models.iter().zip(&figures.shares) {
        table.push([model.clone(), format!("{:.1} %", 100.0 * part)]);
    }
    let mut text = table.render();
    let SuccessFigures { quality, auc, ece, brier, .. } = figures;
    let _ = writeln!(
        text,
        "  the most probable model's answer is right on {} and costs {}; per model, AUC {}, ECE {}, Brier {}",
        share(*quality),
        cost(figures.cost),
        share(*auc),
        share(*ece),
        share(*brier)
    );
    if !figures.frontier.is_empty() {
        let mut table = TextTable::new(["cost", "quality"], [ColumnAlign::Right, ColumnAlign::Right]);
        for point in &figures.frontier {
            table.push([format!("{:.3e}", point.cost), share(point.quality)]);
        }
        text.push_str(&table.render());
    }
    text
}

fn cost(cost: Option<f64>) -> String {
    cost.map_or_else(|| "-".to_owned(), |cost| format!("{cost:.3e}"))
}

fn percent(value: f64) -> String {
    format!("{value:.1}")
}
