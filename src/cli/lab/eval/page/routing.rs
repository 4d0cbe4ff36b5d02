//! The page of an evaluation on models' outcomes.

use pointsman_lab::evaluate::{ModelsFigures, RoutingReport};
use pointsman_lab::statistics::{
    CalibrationIntervals, ConfidenceInterval, EventFigures, ReliabilityBin, RoutingCurvePoint, RoutingFigures,
};

use super::plot::{LineStroke, Plot};
use super::{PagePlots, card, escape, table, tiles};

const HEAD: LineStroke = LineStroke { colour: "--accent", width: 3.0, dashes: "" };
const LENGTH: LineStroke = LineStroke { colour: "--warm", width: 2.0, dashes: "" };
const RANDOM: LineStroke = LineStroke { colour: "--grey", width: 2.0, dashes: "5 4" };
const ORACLE: LineStroke = LineStroke { colour: "--good", width: 2.0, dashes: "2 4" };

/// Returns the page's content, and leaves its plots in `plots`.
pub(super) fn body(report: &RoutingReport, plots: &mut PagePlots) -> String {
    let interval = |ConfidenceInterval { low, high }: ConfidenceInterval, digits: usize| {
        format!("95 %: {low:.digits$} to {high:.digits$}")
    };
    let (figures, length) = (report.figures, report.baselines.length.figures);
    let beside = |text: String, value: String| format!("{text}<br>prompt length: {value}");
    let tiles = tiles([
        (
            "APGR",
            format!("{:.3}", figures.apgr),
            beside(interval(report.intervals.apgr, 3), format!("{:.3}", length.apgr)),
        ),
        percent_tile(
            "CPT(50 %)",
            figures.cpt_50,
            beside(interval(report.intervals.cpt_50, 1), format!("{:.1}", length.cpt_50)),
        ),
        percent_tile(
            "CPT(80 %)",
            figures.cpt_80,
            beside(interval(report.intervals.cpt_80, 1), format!("{:.1}", length.cpt_80)),
        ),
        ("AUC", format!("{:.3}", report.auc), calibration(report)),
    ]);
    let note = "Which part of the gap between the weak and the strong model is recovered, by the share of prompts that the strong \
                model gets. Random is the diagonal; the oracle knows every answer beforehand.";
    let mut html = tiles + &card("Performance gap recovered", note, &plots.keep("pgr", curve(report)));
    html += &card(
        "Beside baselines",
        "CPT: the least calls to the strong model, in per cent; lower is better.",
        &comparison(report),
    );
    if !report.reliability.is_empty() {
        let note = "How often the strong model does better, by how likely the head called it. The diagonal is perfect; the bars show \
                    where the prompts are.";
        html += &card("Reliability", note, &plots.keep("reliability", reliability(&report.reliability)));
    }
    if let Some(models) = &report.models {
        let left_out = models.cost_left_out.as_ref().map(|reason| format!(" Costs left out: {}.", escape(reason)));
        let note = format!("Every model alone, the best first.{}", left_out.unwrap_or_default());
        html += &card("Models", &note, &single_models(models));
        if !models.cost_quality.is_empty() {
            let note = "The line is the router between its weak and strong model; dots are models alone.";
            html += &card("Cost and quality", note, &plots.keep("cost-quality", cost_quality(models)));
        }
    }
    html
}

fn percent_tile(name: &'static str, value: f64, note: String) -> (&'static str, String, String) {
    (name, format!("{value:.1} %"), note)
}

fn calibration(report: &RoutingReport) -> String {
    let known = report.spread.auc.map(|ConfidenceInterval { low, high }| format!("95 %: {low:.3} to {high:.3}<br>"));
    let honest = report.calibration.zip(report.spread.honesty).map_or_else(
        || "a scale, not a probability".to_owned(),
        |(figures, CalibrationIntervals { ece, ece_by_chance, .. })| {
            let EventFigures { ece: gap, brier } = figures;
            format!(
                "ECE {gap:.3} ({:.3} to {:.3}; {ece_by_chance:.3} by chance)<br>Brier {brier:.3}",
                ece.low, ece.high
            )
        },
    );
    known.unwrap_or_default() + &honest
}

fn curve(report: &RoutingReport) -> String {
    let points =
        |curve: &[RoutingCurvePoint]| curve.iter().map(|point| (point.strong_percent, point.pgr)).collect::<Vec<_>>();
    let baselines = &report.baselines;
    let all = [&report.curve, &baselines.random.curve, &baselines.length.curve, &baselines.oracle.curve];
    let pgrs = || all.into_iter().flatten().map(|point| point.pgr);
    let low = (pgrs().fold(0.0, f64::min) * 5.0).floor() / 5.0;
    let high = (pgrs().fold(1.0, f64::max) * 5.0).ceil() / 5.0;
    let axes = ["calls to the strong model, %", "performance gap recovered"];
    let mut plot = Plot::new((960.0, 420.0), [(0.0, 100.0), (low, high)], axes);
    plot.line(&points(&baselines.oracle.curve), ORACLE);
    plot.line(&points(&baselines.random.curve), RANDOM);
    plot.line(&points(&baselines.length.curve), LENGTH);
    plot.line(&points(&report.curve), HEAD);
    plot.dots(&points(&report.curve), HEAD.colour, 4.0);
    plot.legend(&[("this head", HEAD), ("prompt length", LENGTH), ("random", RANDOM), ("oracle", ORACLE)]);
    plot.finish()
}

fn comparison(report: &RoutingReport) -> String {
    let row = |name: &str, figures: RoutingFigures| {
        let RoutingFigures { apgr, cpt_50, cpt_80 } = figures;
        [name.to_owned(), format!("{apgr:.4}"), format!("{cpt_50:.1}"), format!("{cpt_80:.1}")]
    };
    let baselines = &report.baselines;
    let mut rows = vec![
        row(&format!("head <b>{}</b>", escape(report.head.as_str())), report.figures),
        row("prompt length", baselines.length.figures),
        row("random", baselines.random.figures),
        row("oracle", baselines.oracle.figures),
    ];
    for (side, single) in [("strong", &report.strong), ("weak", &report.weak)] {
        let name = format!("{} alone ({side}): quality {:.4}", escape(&single.model), single.quality);
        let apgr = if side == "strong" { "1" } else { "0" };
        rows.push([name, apgr.to_owned(), String::new(), String::new()]);
    }
    table(["", "APGR", "CPT(50 %)", "CPT(80 %)"], &rows)
}

fn reliability(bins: &[ReliabilityBin]) -> String {
    let high = bins.iter().flat_map(|bin| [bin.predicted, bin.observed]).fold(0.25, f64::max);
    let high = (high * 10.0).ceil() / 10.0;
    let most = bins.iter().map(|bin| bin.n).max().unwrap_or(1) as f64;
    let mut plot = Plot::new((960.0, 380.0), [(0.0, high); 2], ["called", "came true"]);
    let half = high / 80.0;
    for bin in bins {
        plot.bar((bin.predicted - half, bin.predicted + half), high * bin.n as f64 / most, "--grey");
    }
    plot.line(&[(0.0, 0.0), (high, high)], RANDOM);
    let points: Vec<(f64, f64)> = bins.iter().map(|bin| (bin.predicted, bin.observed)).collect();
    plot.line(&points, HEAD);
    plot.dots(&points, HEAD.colour, 5.0);
    plot.finish()
}

fn single_models(figures: &ModelsFigures) -> String {
    let cost = |cost: Option<f64>| cost.map_or_else(|| "-".to_owned(), |cost| format!("{cost:.3e}"));
    let row = |model: &pointsman_lab::evaluate::ModelFigures| {
        let pareto = model.pareto.map_or("-", |is| if is { "yes" } else { "" });
        [escape(&model.model), format!("{:.4}", model.quality), cost(model.cost), pareto.to_owned()]
    };
    let mut rows: Vec<_> = figures.models.iter().map(row).collect();
    rows.push([
        "random".to_owned(),
        format!("{:.4}", figures.random_quality),
        cost(figures.random_cost),
        String::new(),
    ]);
    rows.push([
        "oracle".to_owned(),
        format!("{:.4}", figures.oracle_quality),
        cost(figures.oracle_cost),
        String::new(),
    ]);
    if let (Some(least), Some(share)) = (figures.cost_at_95, figures.cost_at_95_share) {
        let name = format!("routed, 95 % of the best quality ({:.1} % of its cost)", 100.0 * share);
        rows.push([name, format!("{:.4}", 0.95 * figures.models[0].quality), cost(Some(least)), String::new()]);
    }
    table(["", "quality", "mean cost, USD", "Pareto"], &rows)
}

fn cost_quality(figures: &ModelsFigures) -> String {
    let line: Vec<(f64, f64)> = figures.cost_quality.iter().map(|point| (point.cost * 1e6, point.quality)).collect();
    let dots: Vec<(f64, f64)> =
        figures.models.iter().filter_map(|model| Some((model.cost? * 1e6, model.quality))).collect();
    let all = || line.iter().chain(&dots);
    let top = all().map(|point| point.0).fold(0.0, f64::max) * 1.15;
    let low = all().map(|point| point.1).fold(1.0, f64::min);
    let high = all().map(|point| point.1).fold(0.0, f64::max);
    let margin = ((high - low) * 0.2).max(0.02);
    let mut plot = Plot::new(
        (960.0, 380.0),
        [(0.0, top), (low - margin, high + margin)],
        ["mean cost, USD per million prompts", "quality"],
    );
    plot.line(&line, HEAD);
    plot.dots(&dots, "--warm", 5.0);
    for model in &figures.models {
        if let Some(cost) = model.cost {
            plot.label((cost * 1e6, model.quality), &model.model);
        }
    }
    plot.finish()
}
