//! Policies beside single models as a person reads them.

use std::fmt::Write as _;

use pointsman_lab::comparison::{
    ComparisonReport, ContenderFigures, ContenderKind, DECIDED_ANEW, DifferenceFigures, RankedBy, RankingFigures,
    RouterFigures, TimeFigures,
};
use pointsman_lab::statistics::{ConfidenceInterval, RESAMPLES, RoutingFigures};

use super::{interval, share};
use crate::cli::table::{ColumnAlign, TextTable};

const LEFT: ColumnAlign = ColumnAlign::Left;
const RIGHT: ColumnAlign = ColumnAlign::Right;

/// Returns the report as lines of text.
pub(in crate::cli::lab::eval) fn render(report: &ComparisonReport) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "data    {} (sha256 {})", report.data.file, report.data.sha256);
    let _ = writeln!(text, "rows    {} prompts that all answered, of {} answers", report.n, report.answers);
    for (reason, n) in report.left_out.reasons() {
        let _ = writeln!(text, "left out  {n} prompts: {reason}");
    }
    let _ = writeln!(
        text,
        "strong  {}, the best single model\nweak    {}, the cheapest of the others",
        report.strong, report.weak
    );
    if is_cheapest(report) {
        let _ = writeln!(text, "        the best model is the cheapest as well: routing can only gain quality here");
    }
    let _ = write!(text, "\nquality and cost\n{}", quality(report));
    let _ = write!(text, "\ntimes, choice of the model included\n{}", times(report));
    for router in &report.routers {
        let _ = write!(text, "\n{}", of_router(router));
    }
    let _ = writeln!(
        text,
        "\nintervals: 95 %, {RESAMPLES} bootstrap resamples of prompts, the same for all, seed {}",
        report.seed
    );
    text
}

/// Returns whether the strong model costs no more than the weak one.
fn is_cheapest(report: &ComparisonReport) -> bool {
    let cost = |name: &str| report.models.iter().find(|model| model.name == name).and_then(|model| model.cost_usd);
    cost(&report.strong).zip(cost(&report.weak)).is_some_and(|(strong, weak)| strong <= weak)
}

/// Returns everybody, policies first.
pub(in crate::cli::lab::eval) fn everybody(report: &ComparisonReport) -> impl Iterator<Item = &ContenderFigures> {
    let lengths = report.routers.iter().filter_map(|router| router.length.as_ref());
    let routers = report.routers.iter().map(|router| &router.figures);
    routers.chain(&report.models).chain([&report.oracle]).chain(lengths).chain([&report.random])
}

/// Returns the name of a contender with its kind, where that is not plain.
pub(in crate::cli::lab::eval) fn title(figures: &ContenderFigures) -> String {
    match figures.kind {
        ContenderKind::Policy => format!("policy {}", figures.name),
        // The name says so already where answers of the policy stand beside it.
        ContenderKind::PolicyOffline if figures.name.ends_with(DECIDED_ANEW) => format!("policy {}", figures.name),
        ContenderKind::PolicyOffline => format!("policy {} (decided offline)", figures.name),
        _ => figures.name.clone(),
    }
}

fn quality(report: &ComparisonReport) -> String {
    let header = ["", "quality", "95 %", "right", "$ per 1k", "judges", "PGR", "arena score", "95 %", "models"];
    let mut table = TextTable::new(header, [LEFT, RIGHT, LEFT, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, LEFT, LEFT]);
    for figures in everybody(report) {
        let judges = if figures.judge_cost_usd > 0.0 { dollars(Some(figures.judge_cost_usd)) } else { String::new() };
        table.push([
            title(figures),
            share(figures.quality),
            interval(figures.quality_ci95),
            share(figures.accuracy),
            dollars(figures.cost_usd),
            judges,
            known(figures.pgr),
            known(figures.arena_score),
            figures.arena_score_ci95.map(interval).unwrap_or_default(),
            shares(figures),
        ]);
    }
    table.render()
}

fn times(report: &ComparisonReport) -> String {
    let header = ["", "p50 ms", "p95 ms", "first byte p50", "p95", "own work p50 us", "p95"];
    let mut table = TextTable::new(header, [LEFT, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT]);
    for figures in everybody(report) {
        let all = [figures.latency_ms, figures.first_byte_ms, figures.overhead_us];
        if all.iter().any(Option::is_some) {
            let [latency, first_byte, overhead] = all.map(both);
            let ([a, b], [c, d], [e, f]) = (latency, first_byte, overhead);
            table.push([title(figures), a, b, c, d, e, f]);
        }
    }
    table.render()
}

fn of_router(router: &RouterFigures) -> String {
    let name = title(&router.figures);
    let choices = router.choices;
    let mut text = format!(
        "{name}: {} choices wrong, {} dear, {} right ({} of these where answers differ)\n",
        choices.wrong, choices.dear, choices.right, choices.right_at_stake
    );
    let _ = write!(text, "\n{name} beside the others\n{}", against(&router.against));
    if let Some(ranking) = &router.ranking {
        let _ = write!(text, "\n{name} as a ranking of prompts\n{}", ranked(ranking));
    }
    let mut table = TextTable::new(
        ["label", "prompts", "quality", "wrong", "dear", "right", "each model alone"],
        [LEFT, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, LEFT],
    );
    for (label, part) in &router.labels {
        let models: Vec<String> = part.models.iter().map(|(model, quality)| format!("{model} {quality:.3}")).collect();
        let [wrong, dear, right] = [part.choices.wrong, part.choices.dear, part.choices.right].map(|n| n.to_string());
        table.push([label.clone(), part.n.to_string(), share(part.quality), wrong, dear, right, models.join(", ")]);
    }
    let _ = write!(text, "\n{name} by label\n{}", table.render());
    text
}

fn against(others: &[DifferenceFigures]) -> String {
    let mut table = TextTable::new(["", "quality", "95 %", "cost", "95 %"], [LEFT, RIGHT, LEFT, RIGHT, LEFT]);
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    for other in others {
        let cost = other.cost_share.map_or_else(|| "-".to_owned(), percent);
        let spread =
            |ConfidenceInterval { low, high }: ConfidenceInterval| format!("{} to {}", percent(low), percent(high));
        table.push([
            format!("less {}", other.name),
            format!("{:+.4}", other.quality),
            interval(other.quality_ci95),
            cost,
            other.cost_share_ci95.map(spread).unwrap_or_default(),
        ]);
    }
    table.render() + "  cost: the policy's as a share of the other's\n"
}

fn ranked(ranking: &RankingFigures) -> String {
    let mut table = TextTable::new(
        ["", "APGR", "95 %", "CPT(50 %)", "95 %", "CPT(80 %)", "95 %"],
        [LEFT, RIGHT, LEFT, RIGHT, LEFT, RIGHT, LEFT],
    );
    let percents = |interval: ConfidenceInterval| format!("{:.1} to {:.1}", interval.low, interval.high);
    let mut push = |name: &str, figures: RoutingFigures, [a, b, c]: [String; 3]| {
        let RoutingFigures { apgr, cpt_50, cpt_80 } = figures;
        table.push([name.to_owned(), share(apgr), a, format!("{cpt_50:.1}"), b, format!("{cpt_80:.1}"), c]);
    };
    let intervals = &ranking.intervals;
    let own = [interval(intervals.apgr), percents(intervals.cpt_50), percents(intervals.cpt_80)];
    push("policy", ranking.figures, own);
    push("length", ranking.length, Default::default());
    let by = match ranking.by {
        RankedBy::Score => "its score, which alone decided",
        RankedBy::Model => "the model that it chose, and how sure it was",
    };
    table.render() + &format!("  between the weak and the strong model; ranked by {by}\n")
}

/// Returns who answers which part, the most first.
pub(in crate::cli::lab::eval) fn shares(figures: &ContenderFigures) -> String {
    let mut shares: Vec<(&String, &f64)> = figures.shares.iter().filter(|(_, share)| **share > 0.0).collect();
    if let [(name, _)] = shares[..]
        && *name == figures.name
    {
        return String::new();
    }
    shares.sort_by(|a, b| b.1.total_cmp(a.1));
    shares.iter().map(|(model, share)| format!("{model} {:.1} %", 100.0 * **share)).collect::<Vec<_>>().join(", ")
}

/// Returns the cost of a thousand prompts.
pub(in crate::cli::lab::eval) fn dollars(cost: Option<f64>) -> String {
    cost.map_or_else(|| "-".to_owned(), |cost| format!("{:.4}", 1000.0 * cost))
}

fn known(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), share)
}

fn both(times: Option<TimeFigures>) -> [String; 2] {
    times.map_or_else(
        || ["-".to_owned(), "-".to_owned()],
        |times| [times.p50, times.p95].map(|time| format!("{time:.1}")),
    )
}
