//! The page of an evaluation on labels.

use pointsman_lab::evaluate::{LabelBaseline, LabelReport};
use pointsman_lab::statistics::{CalibrationIntervals, ClassificationFigures, ConfidenceInterval};

use super::plot::{LineStroke, Plot, heat_map};
use super::{PagePlots, card, escape, table, tiles};

const HEAD: LineStroke = LineStroke { colour: "--accent", width: 3.0, dashes: "" };
const PERFECT: LineStroke = LineStroke { colour: "--grey", width: 2.0, dashes: "5 4" };

/// Returns the page's content, and leaves its plots in `plots`.
pub(super) fn body(report: &LabelReport, plots: &mut PagePlots) -> String {
    let interval = |ConfidenceInterval { low, high }: ConfidenceInterval| format!("95 %: {low:.3} to {high:.3}");
    let (figures, length) = (report.figures, report.baselines.length.figures);
    let auc = report.spread.auc.map(|ConfidenceInterval { low, high }| format!(" ({low:.3} to {high:.3})"));
    let tiles = tiles([
        (
            "accuracy",
            format!("{:.3}", figures.accuracy),
            format!("{}<br>prompt length: {:.3}", interval(report.intervals.accuracy), length.accuracy),
        ),
        (
            "macro F1",
            format!("{:.3}", figures.macro_f1),
            format!("{}<br>prompt length: {:.3}", interval(report.intervals.macro_f1), length.macro_f1),
        ),
        (
            "right or next to it",
            format!("{:.3}", figures.adjacent_accuracy),
            format!("in the head's order of labels<br>AUC {}{}", known(report.auc), auc.unwrap_or_default()),
        ),
        (
            "ECE",
            format!("{:.3}", report.calibration.ece),
            honesty(report) + &format!("Brier {:.3}, NLL {:.3}", report.calibration.brier, report.calibration.nll),
        ),
    ]);
    let names: Vec<&str> = report.classes.iter().map(|class| class.label.as_str()).collect();
    let note = "Rows are the truth; shares are of the row.";
    let reliable = "How often the label is right, by how probable the head called it. The diagonal is perfect; the bars show where \
                    the prompts are.";
    tiles
        + &half(&card("Confusion", note, &plots.keep("confusion", heat_map(&names, &report.confusion))))
        + &half(&card("Reliability", reliable, &plots.keep("reliability", reliability(report))))
        + &card("Labels", "Each label alone.", &classes(report))
        + &card(
            "Beside baselines",
            "Length gives each label as often as the head did, the shortest prompts first; random draws labels as often as each is \
             right. Of baselines the AUC is that of their labels alone.",
            &comparison(report),
        )
}

fn honesty(report: &LabelReport) -> String {
    report.spread.honesty.map_or_else(String::new, |CalibrationIntervals { ece, ece_by_chance, .. }| {
        format!("95 %: {:.3} to {:.3}<br>by chance: {ece_by_chance:.3}<br>", ece.low, ece.high)
    })
}

fn half(card: &str) -> String {
    card.replacen("class=\"card\"", "class=\"card half\"", 1)
}

fn reliability(report: &LabelReport) -> String {
    let mut plot = Plot::new((440.0, 430.0), [(0.0, 1.0); 2], ["probability of the label", "right"]);
    let most = report.reliability.iter().map(|bin| bin.n).max().unwrap_or(1) as f64;
    for bin in &report.reliability {
        plot.bar((bin.predicted - 0.02, bin.predicted + 0.02), bin.n as f64 / most, "--grey");
    }
    plot.line(&[(0.0, 0.0), (1.0, 1.0)], PERFECT);
    let points: Vec<(f64, f64)> = report.reliability.iter().map(|bin| (bin.predicted, bin.observed)).collect();
    plot.line(&points, HEAD);
    plot.dots(&points, HEAD.colour, 4.5);
    plot.finish()
}

fn classes(report: &LabelReport) -> String {
    let rows: Vec<[String; 6]> = report
        .classes
        .iter()
        .map(|class| {
            let figures = class.figures;
            let [precision, recall, f1] =
                [figures.precision, figures.recall, figures.f1].map(|value| format!("{value:.4}"));
            [escape(class.label.as_str()), precision, recall, f1, known(class.auc), figures.support.to_string()]
        })
        .collect();
    table(["label", "precision", "recall", "F1", "AUC", "support"], &rows)
}

fn comparison(report: &LabelReport) -> String {
    let row = |name: &str, LabelBaseline { figures, auc }: &LabelBaseline| {
        let ClassificationFigures { accuracy, adjacent_accuracy, macro_f1, weighted_f1 } = figures;
        let [a, b, c, d] = [accuracy, macro_f1, weighted_f1, adjacent_accuracy].map(|value| format!("{value:.4}"));
        [name.to_owned(), a, b, c, d, known(*auc)]
    };
    let (head, baselines) = (LabelBaseline { figures: report.figures, auc: report.auc }, &report.baselines);
    let single = format!("best single label (<b>{}</b>)", escape(baselines.best_single.label.as_str()));
    let rows = [
        row(&format!("head <b>{}</b>", escape(report.head.as_str())), &head),
        row("prompt length", &baselines.length),
        row("random", &baselines.random),
        row(&single, &baselines.best_single.figures),
        row("oracle", &baselines.oracle),
    ];
    table(["", "accuracy", "macro F1", "weighted F1", "adjacent", "AUC"], &rows)
}

fn known(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}
