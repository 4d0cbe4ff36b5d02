//! The definitions of `RouteLLM`, on prompts whose figures can be computed by hand.

use super::*;

/// Prompts that only the strong model answers, both, neither, and only the weak one, spread evenly.
fn prompts(strong_only: usize, both: usize, neither: usize, weak_only: usize) -> Vec<RoutedOutcome> {
    let kinds = [(strong_only, 1.0, 0.0), (both, 1.0, 1.0), (neither, 0.0, 0.0), (weak_only, 0.0, 1.0)];
    kinds
        .into_iter()
        .flat_map(|(count, strong, weak)| std::iter::repeat_n(RoutedOutcome { score: 0.0, strong, weak }, count))
        .collect()
}

fn figures(rows: &[RoutedOutcome], scores: impl IntoIterator<Item = f64>, seed: u64) -> RoutingFigures {
    PromptRanking::of(scores, seed).curve(rows).figures()
}

fn assert_near(actual: RoutingFigures, [cpt_50, cpt_80, apgr]: [f64; 3], [cpt, area]: [f64; 2]) {
    let near = (actual.cpt_50 - cpt_50).abs() <= cpt
        && (actual.cpt_80 - cpt_80).abs() <= cpt
        && (actual.apgr - apgr).abs() <= area;
    assert!(near, "{actual:?} is not CPT {cpt_50}, {cpt_80}, APGR {apgr}");
}

#[test]
fn random_routing_recovers_what_it_pays_for() {
    // As many prompts as MMLU has, with its shares: 17.8 % strong only, 62.8 % both, 14.1 % neither, 5.3 % weak only.
    let rows = prompts(2498, 8815, 1980, 744);
    let draws = 40_u64;

    let all: Vec<_> = (0..draws).map(|seed| figures(&rows, rows.iter().map(|_| 0.0), seed)).collect();

    let mean = |part: fn(&RoutingFigures) -> f64| all.iter().map(part).sum::<f64>() / draws as f64;
    let mean = RoutingFigures { apgr: mean(|f| f.apgr), cpt_50: mean(|f| f.cpt_50), cpt_80: mean(|f| f.cpt_80) };
    assert_near(mean, [50.0, 80.0, 0.5], [1.0, 0.01]);
}

#[test]
fn the_oracle_on_mmlu_has_the_figures_of_the_study() {
    let rows = prompts(2498, 8815, 1980, 744);

    let oracle = figures(&rows, rows.iter().map(|row| row.strong - row.weak), 7);

    // CPT 6.3 and 10.0, APGR 1.268: more than one, as the weak model is sometimes right alone.
    assert_near(oracle, [6.3, 10.0, 1.268], [0.2, 0.01]);
}

#[test]
fn a_perfect_order_has_the_area_under_its_trapezoids() {
    // Eleven prompts, so that edges fall on ranks: the strong model alone answers the three highest.
    let mut rows = prompts(3, 8, 0, 0);
    for (index, row) in rows.iter_mut().enumerate() {
        row.score = -(index as f64);
    }

    let curve = PromptRanking::of(rows.iter().map(|row| row.score), 7).curve(&rows);

    // 0, 2, 3, 4, ... 9 and 11 strong calls recover 0, 2/3, 1, 1, ...
    let strong: Vec<f64> = curve.points().iter().map(|point| (point.strong_percent * 0.11).round()).collect();
    assert_eq!(strong, [0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
    let area = (2.0 / 11.0) / 3.0 + (1.0 / 11.0) * 5.0 / 6.0 + 8.0 / 11.0;
    let half = 100.0 * (2.0 / 11.0) * 0.75;
    let eighty = 100.0 * (2.0 / 11.0 + (1.0 / 11.0) * (0.8 - 2.0 / 3.0) * 3.0);
    assert_near(curve.figures(), [half, eighty, area], [1e-9, 1e-9]);
}

#[test]
fn the_ends_are_the_models_alone() {
    let rows = prompts(40, 30, 20, 10);

    let curve = PromptRanking::of(rows.iter().map(|_| 0.0), 3).curve(&rows);

    let [first, .., last] = curve.points();
    assert_eq!((first.strong_percent, first.quality, first.pgr), (0.0, 0.4, 0.0));
    assert_eq!((last.strong_percent, last.pgr), (100.0, 1.0));
    assert!((last.quality - 0.7).abs() < 1e-12);
}

#[test]
fn models_that_tie_have_no_gap_to_recover() {
    let rows = prompts(5, 0, 0, 5);

    let figures = figures(&rows, rows.iter().map(|row| row.strong), 1);

    assert!(figures.apgr.abs() < 1e-12, "{figures:?}");
}

#[test]
fn the_intervals_hold_the_figures_and_the_lead_of_a_ranking_over_itself_is_none() {
    let rows = prompts(200, 500, 200, 100);
    let ranking = PromptRanking::of(rows.iter().map(|row| row.strong - row.weak), 1);

    let intervals = RoutingIntervals::of(&rows, &ranking, &ranking, 7);

    let apgr = ranking.curve(&rows).figures().apgr;
    assert!(intervals.apgr.low < apgr && apgr < intervals.apgr.high, "{intervals:?} of {apgr}");
    assert_eq!(intervals.over_length, ConfidenceInterval { low: 0.0, high: 0.0 });
}
