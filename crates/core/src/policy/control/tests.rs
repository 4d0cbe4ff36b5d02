//! The loop against streams of scores whose distribution shifts. Seeded: every run sees the same streams.

use proptest::prelude::*;

use super::*;
use crate::config::{Config, Name};
use crate::policy::PolicySet;

/// A generator of numbers from 0 to 1: SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Draws by a beta distribution of whole parameters: the order statistic of uniform ones.
    fn beta(&mut self, a: usize, b: usize) -> f64 {
        let mut uniform: Vec<f64> = (0..a + b - 1).map(|_| self.next()).collect();
        uniform.sort_by(f64::total_cmp);
        uniform[a - 1]
    }
}

type Draw = fn(&mut Random) -> f64;

/// Score streams: what changes in the middle.
const SHIFTS: [(&str, Draw, Draw); 6] = [
    ("nothing changes", Random::next, Random::next),
    ("easy prompts become hard ones", |r| r.beta(2, 5), |r| r.beta(5, 2)),
    ("hard prompts become easy ones", |r| r.beta(5, 2), |r| r.beta(2, 5)),
    ("all scores are nearly the same", |r| 0.5 + 0.02 * r.beta(3, 3), |r| 0.61 + 0.01 * r.beta(3, 3)),
    ("easy and hard prompts and nothing between", |r| two(r, 0.3), |r| two(r, 0.6)),
    ("two prompts in five are the same", |r| repeated(r, 0.62), |r| repeated(r, 0.3)),
];

fn two(random: &mut Random, hard: f64) -> f64 {
    if random.next() < hard { random.beta(20, 2) } else { random.beta(2, 20) }
}

fn repeated(random: &mut Random, score: f64) -> f64 {
    if random.next() < 0.4 { score } else { random.beta(3, 2) }
}

fn target(aim: &str) -> ControlTarget {
    let file = format!(
        "version: 1
listen: {{address: 127.0.0.1:8080}}
providers: {{p: {{base_url: http://h}}}}
models:
  small: {{provider: p, price: {{input: 1, output: 2}}}}
  frontier: {{provider: p, price: {{input: 10, output: 20}}}}
classifiers: {{default: {{bundle: b}}}}
policies:
  - name: auto
    strategy: {{kind: threshold, classifier: default, strong: frontier, weak: small, threshold: 0.5}}
    target: {{strong: [frontier], {aim}}}
"
    );
    let config = Config::parse(&file, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    let set = PolicySet::compile(&config).expect("no rules");
    let name = Name::new("auto").expect("a name");
    set.get(&name).and_then(|policy| policy.target().cloned()).expect("a target")
}

/// A loop, and which of its requests went to the strong model.
struct Run {
    target: ControlTarget,
    control: ThresholdControl,
    batch: TrafficTally,
    now: f64,
    strong: Vec<bool>,
}

impl Run {
    fn new(aim: &str) -> Self {
        let target = target(aim);
        Self {
            control: ThresholdControl::new(&target, 0.0),
            target,
            batch: TrafficTally::default(),
            now: 0.0,
            strong: Vec::new(),
        }
    }

    /// Decides one request by its score, or lets something else decide.
    fn decide(&mut self, score: Option<f64>, otherwise: bool) -> bool {
        let is_strong = score.map_or(otherwise, |score| score >= self.control.threshold);
        self.control.observe(&mut self.batch, &self.target, TargetObservation { score, is_strong });
        self.strong.push(is_strong);
        is_strong
    }

    fn turn(&mut self) {
        if ThresholdControl::is_due(&self.batch) {
            self.control.fold(&std::mem::take(&mut self.batch), self.now);
            self.control.step(&self.target);
        }
    }

    /// Returns the largest error of the strong share over any `window` requests within `range`.
    fn worst(&self, range: std::ops::Range<usize>, window: usize, wanted: f64) -> f64 {
        let share =
            |end: usize| self.strong[end - window..end].iter().filter(|strong| **strong).count() as f64 / window as f64;
        (range.start + window..=range.end).map(|end| (share(end) - wanted).abs()).fold(0.0, f64::max)
    }
}

#[test]
fn after_every_shift_the_share_settles_within_2000_requests_and_does_not_swing_afterwards() {
    let mut worst = [0.0_f64; 3];
    for (shift, before, after) in SHIFTS {
        for wanted in [0.1, 0.25, 0.6] {
            for seed in 0..2 {
                let mut random = Random(seed);
                let mut run = Run::new(&format!("share: {wanted}"));
                for request in 0..12_000 {
                    let draw = if request < 6000 { before } else { after };
                    // One request in twenty is sent to the strong model by a rule.
                    let by_rule = random.next() < 0.05;
                    let score = draw(&mut random);
                    run.decide((!by_rule).then_some(score), true);
                    run.turn();
                }

                for settled in [2000..6000, 8000..12_000] {
                    let errors = [500, 1000, 2000].map(|window| run.worst(settled.clone(), window, wanted));
                    assert!(errors[0] <= 0.10, "{shift}, {wanted}, {seed}: swings by {}", errors[0]);
                    assert!(errors[1] <= 0.05, "{shift}, {wanted}, {seed}: off by {}", errors[1]);
                    worst = [0, 1, 2].map(|index| worst[index].max(errors[index]));
                }
            }
        }
    }
    println!("worst error of the share over 500, 1000 and 2000 requests: {worst:.4?}");
}

#[test]
fn a_cost_for_a_thousand_answers_is_held_through_a_change_of_the_prompts_length() {
    let (mut random, mut run) = (Random(7), Run::new("cost_per_1k: 3"));
    let mut paid = Vec::new();
    for request in 0..16_000 {
        let score = random.beta(2, 3);
        let is_strong = run.decide(Some(score), false);
        // Hard prompts are longer; all of them become longer.
        let length = (0.5 + score) * (0.5 + random.next()) * if request < 8000 { 1.0 } else { 1.6 };
        let with = [0.001 * length, 0.010 * length];
        let bill = AnswerBill { paid: with[usize::from(is_strong)], with };
        run.control.bill(&mut run.batch, &run.target, bill);
        run.turn();
        paid.push(bill.paid);
    }

    for end in [8000, 16_000] {
        let cost: f64 = paid[end - 4000..end].iter().sum::<f64>() / 4.0;
        assert!((cost - 3.0).abs() <= 0.15, "{cost} US dollars for a thousand");
    }
}

#[test]
fn a_cost_for_an_hour_is_held_while_the_traffic_doubles() {
    let (mut random, mut run) = (Random(3), Run::new("cost_per_hour: 10"));
    let mut hours = [0.0; 4];
    while run.now < 4.0 * 3600.0 {
        // From one request a second to two.
        run.now += if run.now < 7200.0 { 1.0 } else { 0.5 };
        let is_strong = run.decide(Some(random.next()), false);
        let with = [0.001, 0.010];
        let paid = with[usize::from(is_strong)];
        run.control.bill(&mut run.batch, &run.target, AnswerBill { paid, with });
        run.turn();
        if let Some(hour) = hours.get_mut((run.now / 3600.0) as usize) {
            *hour += paid;
        }
    }

    for (hour, cost) in hours.into_iter().enumerate().filter(|(hour, _)| [1, 3].contains(hour)) {
        assert!((cost - 10.0).abs() <= 0.5, "{cost} US dollars in hour {hour}");
    }
}

#[test]
fn a_night_without_requests_is_no_budget_for_the_morning() {
    let (mut random, mut run) = (Random(3), Run::new("cost_per_hour: 10"));
    let mut hours = [0.0; 3];
    let (night, morning) = (2.0 * 3600.0, 10.0 * 3600.0);
    while run.now < morning + 3600.0 {
        run.now = if (night..morning).contains(&run.now) { morning } else { run.now + 1.0 };
        let is_strong = run.decide(Some(random.next()), false);
        let with = [0.001, 0.010];
        let paid = with[usize::from(is_strong)];
        run.control.bill(&mut run.batch, &run.target, AnswerBill { paid, with });
        run.turn();
        let hour = if run.now >= morning { 2 } else { (run.now / 3600.0) as usize };
        hours[hour.min(2)] += paid;
    }

    assert!((hours[1] - 10.0).abs() <= 0.5, "{hours:?}");
    // What the idle ten minutes before would have cost is still there, and no more.
    assert!(hours[2] <= 14.0, "{hours:?}");
}

#[test]
fn a_threshold_moves_however_few_of_the_requests_it_decides() {
    for (governed, wanted) in [(0.15, 0.12), (0.05, 0.12)] {
        let (mut random, mut run) = (Random(9), Run::new(&format!("share: {wanted}")));
        for _ in 0..20_000 {
            let (chance, score) = (random.next(), random.beta(2, 3));
            // One request in ten is strong by a rule, the others are pinned to the weak model.
            run.decide((chance < governed).then_some(score), chance > 0.9);
            run.turn();
        }

        assert!((run.control.threshold - 0.5).abs() > 0.02, "{}", run.control.threshold);
        assert!(run.worst(10_000..20_000, 2000, wanted) <= 0.03, "{}", run.worst(10_000..20_000, 2000, wanted));
    }
}

#[test]
fn replicas_that_share_what_they_know_hold_the_share_together() {
    let aim = "share: 0.25";
    let (mut random, mut shared): (Random, Option<ThresholdControl>) = (Random(11), None);
    let mut replicas: Vec<(Run, TrafficTally, f64)> =
        (0..3).map(|_| (Run::new(aim), TrafficTally::default(), 0.0)).collect();
    let mut strong = Vec::new();
    for request in 0..24_000 {
        // A busy replica, and two that are not.
        let (run, unshared, seen) = &mut replicas[[0, 0, 0, 0, 1, 2][request % 6]];
        let score = if request < 12_000 { random.beta(2, 5) } else { random.beta(5, 2) };
        strong.push(run.decide(Some(score), false));
        if ThresholdControl::is_due(&run.batch) {
            unshared.add(&run.batch);
        }
        run.turn();
        if request % 100 == 99 {
            let together = run.control.joined(shared.take(), unshared, *seen, 0.0);
            *seen = together.count();
            *unshared = TrafficTally::default();
            run.control = together.clone();
            shared = Some(together);
        }
    }

    for end in [12_000, 24_000] {
        let share = strong[end - 4000..end].iter().filter(|strong| **strong).count() as f64 / 4000.0;
        assert!((share - 0.25).abs() <= 0.025, "{share}");
    }
    let thresholds: Vec<f64> = replicas.iter().map(|(run, ..)| run.control.threshold).collect();
    assert!(thresholds.iter().all(|one| (one - thresholds[0]).abs() <= 0.08), "{thresholds:?}");
}

#[test]
fn nothing_moves_before_a_hundred_scores_are_known() {
    let mut run = Run::new("share: 0.25");

    for _ in 0..90 {
        run.decide(Some(0.9), false);
        run.turn();
    }

    assert!((run.control.threshold - 0.5).abs() < 1e-9, "{}", run.control.threshold);
}

#[test]
fn a_target_that_cannot_be_held_ends_at_its_bound_and_is_left_soon_when_it_can() {
    let mut run = Run::new("share: 0.25, min: 0.2, max: 0.7");
    let mut random = Random(5);
    for _ in 0..5000 {
        run.decide(Some(0.8 + 0.1 * random.next()), false); // all are above the bound
        run.turn();
    }
    assert!((run.control.threshold - 0.7).abs() < 1e-9, "{}", run.control.threshold);

    for _ in 0..4000 {
        run.decide(Some(random.next() * 0.6), false);
        run.turn();
    }

    assert!(run.worst(7000..9000, 1000, 0.25) <= 0.05, "{}", run.control.threshold);
}

#[test]
fn what_is_shared_is_read_as_it_was_written() {
    let mut run = Run::new("share: 0.25");
    let mut random = Random(1);
    (0..500).for_each(|_| {
        run.decide(Some(random.next()), false);
        run.turn();
    });

    let text = serde_json::to_string(&run.control).expect("JSON");

    let read: ThresholdControl = serde_json::from_str(&text).expect("a loop's state");
    assert!((read.threshold - run.control.threshold).abs() < 1e-12);
    assert_eq!(read.share(), run.control.share());
    assert!(text.len() < 16_000, "{} bytes", text.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the scores, the threshold stays within its bounds and moves by no more than a step.
    #[test]
    fn the_threshold_keeps_to_its_bounds_and_its_step(
        scores in prop::collection::vec(prop_oneof![0.0..=1.0, Just(0.0), Just(1.0), Just(0.5)], 200..800),
        wanted in 0.0..=1.0,
        least in 0.0..0.4,
    ) {
        let mut run = Run::new(&format!("share: {wanted}, min: {least}, max: 0.9"));
        for score in scores {
            let before = run.control.threshold;
            run.decide(Some(score), false);
            run.turn();
            let after = run.control.threshold;
            prop_assert!((after - before).abs() <= STEP + 1e-12);
            prop_assert!((least..=0.9).contains(&after), "{after}");
        }
    }

    /// The share of any stream that does not change is held, wherever its scores lie.
    #[test]
    fn the_share_of_a_stream_that_stays_as_it_is_is_held(
        seed: u64, a in 1_usize..8, b in 1_usize..8, wanted in 0.05..0.95,
    ) {
        let (mut random, mut run) = (Random(seed), Run::new(&format!("share: {wanted}")));
        for _ in 0..6000 {
            let score = random.beta(a, b);
            run.decide(Some(score), false);
            run.turn();
        }
        prop_assert!(run.worst(2000..6000, 1000, wanted) <= 0.05, "{}", run.worst(2000..6000, 1000, wanted));
    }
}
