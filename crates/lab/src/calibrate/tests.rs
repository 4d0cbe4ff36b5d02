use pointsman_core::config::KeyPath;

use super::*;

/// Scores 0.01, 0.02 ... 1.00: the strong model is right where the score is high, and costs ten times as much.
fn sample() -> ThresholdSample {
    let item = |i: u32| {
        let score = f64::from(i) / 100.0;
        SampledRequest {
            score,
            below_is_strong: false,
            above_is_strong: true,
            costs: Some(ThresholdSides { below: 0.001, above: 0.01 }),
            qualities: Some(ThresholdSides { below: f64::from(u8::from(i <= 40)), above: 1.0 }),
        }
    };
    ThresholdSample { items: (1..=100).rev().map(item).collect(), left_out: 3, ..ThresholdSample::default() }
}

fn swept() -> SweptThreshold {
    let strategy = KeyPath::root().key("policies").index(0).key("strategy");
    SweptThreshold { path: strategy.key("threshold"), strategy, value: 0.5, bounds: 0.0..=1.0, strong: "big".into() }
}

fn calibrated(target: CalibrationGoal) -> Result<CalibratedThreshold, CalibrateError> {
    calibrate("auto", &swept(), &sample(), target)
}

#[test]
fn the_threshold_for_a_share_is_the_interpolated_quantile_of_the_scores() {
    let found = calibrated(CalibrationGoal::StrongShare(0.25)).expect("a threshold");

    // pandas: Series(i / 100 for i in 1..=100).quantile(0.75) == 0.7525
    assert_eq!(found.threshold, 0.7525);
    assert_eq!((found.achieved.strong_share, found.now.strong_share), (0.25, 0.51));
    assert!(found.achieved.strong_share_ci95.low < 0.2 && found.achieved.strong_share_ci95.high > 0.33);
    assert_eq!((found.key.as_str(), found.n, found.left_out), ("policies[0].strategy.threshold", 100, 3));
}

#[test]
fn the_ends_of_the_share_send_nobody_or_all() {
    assert_eq!(calibrated(CalibrationGoal::StrongShare(1.0)).expect("a threshold").achieved.strong_share, 1.0);
    assert_eq!(calibrated(CalibrationGoal::StrongShare(0.0)).expect("a threshold").achieved.strong_share, 0.01);
}

#[test]
fn a_cost_is_kept_and_used_up() {
    let found = calibrated(CalibrationGoal::CostPer1k(5.5)).expect("a threshold");

    let cost = found.achieved.cost_per_1k.expect("prices");
    assert!((cost - 5.5).abs() < 1e-9, "{found:?}");
    assert!((found.achieved.strong_share - 0.5).abs() < 1e-9);
}

#[test]
fn a_quality_is_reached_as_cheaply_as_possible() {
    let found = calibrated(CalibrationGoal::Quality(0.9)).expect("a threshold");

    assert_eq!(found.achieved.quality, Some(0.9));
    assert_eq!(found.achieved.strong_share, 0.5);
}

#[test]
fn what_no_threshold_reaches_is_refused_with_what_one_does() {
    let cost = calibrated(CalibrationGoal::CostPer1k(0.5)).expect_err("too little").to_string();
    let quality = calibrated(CalibrationGoal::Quality(1.1)).expect_err("too much").to_string();

    assert_eq!(cost, "no threshold reaches the cost per 1k 0.5 (the sample reaches 1.0000 to 10.0000)");
    assert_eq!(quality, "no threshold reaches the quality 1.1 (the sample reaches 0.4000 to 1.0000)");
}

#[test]
fn a_sample_without_outcomes_or_prices_says_so() {
    let mut blind = sample();
    blind.items.iter_mut().for_each(|item| (item.qualities, item.costs) = (None, None));
    blind.no_quality = Some("nobody said".into());

    for target in [CalibrationGoal::Quality(0.5), CalibrationGoal::CostPer1k(5.0)] {
        let refused = calibrate("auto", &swept(), &blind, target).expect_err("nothing told");

        assert!(matches!(refused, CalibrateError::MissingData { .. }), "{refused}");
        assert_eq!(
            refused.to_string().ends_with("either model answers: nobody said"),
            target == CalibrationGoal::Quality(0.5)
        );
    }
    let empty =
        calibrate("auto", &swept(), &ThresholdSample::default(), CalibrationGoal::StrongShare(0.5)).expect_err("empty");
    assert_eq!(empty.to_string(), "the sample holds no request that the strategy of `auto` decides");
}

#[test]
fn a_confidence_that_sends_the_unsure_up_is_searched_over_every_cut() {
    let item = |i: u32| SampledRequest {
        score: f64::from(i) / 10.0,
        below_is_strong: true,
        above_is_strong: i == 10,
        costs: None,
        qualities: None,
    };
    let sample = ThresholdSample { items: (1..=10).map(item).collect(), ..ThresholdSample::default() };

    let found = calibrate("auto", &swept(), &sample, CalibrationGoal::StrongShare(0.4)).expect("a threshold");

    assert_eq!((found.threshold, found.achieved.strong_share), (0.35, 0.4));
}

#[test]
fn equal_scores_are_never_cut_apart() {
    let mut sample = sample();
    sample.items.iter_mut().for_each(|item| item.score = 0.3);

    let found = calibrate("auto", &swept(), &sample, CalibrationGoal::CostPer1k(5.0)).expect("a threshold");

    assert_eq!((found.threshold, found.achieved.strong_share), (1.0, 0.0));
}

#[test]
fn requests_of_unknown_cost_or_quality_are_left_to_the_others() {
    let mut sparse = sample();
    for (index, item) in sparse.items.iter_mut().enumerate() {
        item.costs = item.costs.filter(|_| index % 2 == 0);
        item.qualities = item.qualities.filter(|_| index % 5 == 0);
    }

    let cost = calibrate("auto", &swept(), &sparse, CalibrationGoal::CostPer1k(5.5)).expect("half have a price");
    let quality = calibrate("auto", &swept(), &sparse, CalibrationGoal::Quality(0.9)).expect("a fifth has outcomes");

    assert_eq!((cost.n, cost.priced, cost.with_quality), (100, 50, 20));
    assert!((cost.achieved.cost_per_1k.expect("prices") - 5.5).abs() < 1e-9, "{cost:?}");
    assert!((cost.achieved.strong_share - 0.5).abs() < 0.02, "{cost:?}");
    assert!((quality.achieved.quality.expect("outcomes") - 0.9).abs() < 1e-9, "{quality:?}");
}

/// Scores that lie closer together than a threshold's usual digits.
fn crowded() -> ThresholdSample {
    let mut crowded = sample();
    crowded.items.iter_mut().for_each(|item| item.score = 0.5 + item.score * 1e-5);
    crowded
}

#[test]
fn a_bound_holds_for_the_value_that_is_written_however_close_scores_lie() {
    for dollars in [1.5, 3.3, 5.5, 7.77] {
        let found = calibrate("auto", &swept(), &crowded(), CalibrationGoal::CostPer1k(dollars)).expect("a threshold");
        let cost = found.achieved.cost_per_1k.expect("prices");
        assert!(cost <= dollars + 1e-9 && cost > dollars - 0.1, "{dollars}: {found:?}");
        let read: f64 = found.threshold.to_string().parse().expect("a number");
        assert_eq!(effect(&crowded().items, read).cost_per_1k, Some(cost), "the file says the same");
    }
    for quality in [0.75, 0.9, 0.99] {
        let found = calibrate("auto", &swept(), &crowded(), CalibrationGoal::Quality(quality)).expect("a threshold");
        let achieved = found.achieved.quality.expect("outcomes");
        assert!(achieved >= quality - 1e-9 && achieved < quality + 0.02, "{quality}: {found:?}");
    }
}

#[test]
fn a_bound_that_only_a_threshold_above_all_could_keep_is_out_of_reach_where_a_score_is_1() {
    let refused = calibrated(CalibrationGoal::CostPer1k(1.0)).expect_err("at 1 the score of 1 is above");

    assert!(matches!(refused, CalibrateError::OutOfReach { .. }), "{refused}");
}

#[test]
fn the_interval_of_a_quality_ends_at_1_and_of_a_cost_at_0() {
    let found = calibrated(CalibrationGoal::Quality(0.99)).expect("a threshold");
    let quality = found.achieved.quality_ci95.expect("outcomes");
    assert!(quality.high <= 1.0 && quality.low > 0.9, "{quality:?}");

    let mut skewed = sample();
    skewed.items.iter_mut().enumerate().for_each(|(index, item)| {
        let cost = if index == 0 { 1.0 } else { 0.0 };
        item.costs = Some(ThresholdSides { below: cost, above: cost });
    });
    let cost = effect(&skewed.items, 0.5).cost_per_1k_ci95.expect("prices");
    assert!(cost.low.abs() < 1e-9, "{cost:?}");
}
