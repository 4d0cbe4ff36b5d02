//! The loop that drives a policy, and the part that policies take in requests.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

/// A source that has scores at hand, or gives up; it records the questions.
struct ScriptedSignals {
    scores: Result<[f32; 3], &'static str>,
    asked: Vec<String>,
}

impl SignalSource for ScriptedSignals {
    type Stop = &'static str;

    async fn pin(&mut self) -> Result<PinLookup, Self::Stop> {
        self.asked.push("pin".to_owned());
        Ok(PinLookup::Nothing)
    }

    async fn scores(&mut self, classifier: &Name) -> Result<Result<Scores, ClassifierFailure>, Self::Stop> {
        self.asked.push(classifier.to_string());
        let head = |scores: [f32; 3]| HeadScores::new("tier", &["simple", "medium", "complex"], &scores);
        self.scores.map(|scores| Ok(Scores::of(vec![head(scores)])))
    }

    async fn similarities(
        &mut self,
        _strategy: &str,
    ) -> Result<Result<RouteSimilarities, ClassifierFailure>, Self::Stop> {
        Err("no similarities")
    }

    async fn judgement(&mut self, _strategy: &str) -> Result<Result<Judgement, UnansweredQuestion>, Self::Stop> {
        Err("no judge")
    }
}

/// A world whose kill switch is turned.
struct KilledWorld;

impl PolicyWorld for KilledWorld {
    fn is_killed(&self, _policy: &Name) -> bool {
        true
    }
}

/// Drives the first policy of `file`; the source has everything at hand, so that nothing waits.
fn drive(
    file: &str,
    signals: &mut KnownSignals,
    source: &mut ScriptedSignals,
) -> Result<(String, &'static str), &'static str> {
    let set = set(file);
    let (facts, features) = (facts("auto"), Features::default());
    let decided = pin!(set.policies[0].decide(&facts, &features, signals, source));
    match decided.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(PolicyOutcome::Decided(decision))) => Ok((decision.model.to_string(), decision.reason.as_str())),
        Poll::Ready(Ok(PolicyOutcome::Denied(denial))) => panic!("{denial:?}"),
        Poll::Ready(Err(stop)) => Err(stop),
        Poll::Pending => panic!("a source that has everything at hand does not wait"),
    }
}

fn with_affinity() -> String {
    FILE.replacen("    strategy:", "    affinity: {}\n    strategy:", 1)
}

#[test]
fn each_signal_is_asked_for_once_in_the_order_of_need_and_kept() {
    let mut signals = KnownSignals::default();
    let mut source = ScriptedSignals { scores: Ok([1.0, 0.0, 0.0]), asked: Vec::new() };

    let first = drive(&with_affinity(), &mut signals, &mut source);
    let again = drive(&with_affinity(), &mut signals, &mut source);

    assert_eq!(first, Ok(chosen("small", "tier")));
    assert_eq!(again, first);
    assert_eq!(source.asked, ["pin", "default"]);
}

#[test]
fn a_source_that_gives_up_ends_the_decision() {
    let mut source = ScriptedSignals { scores: Err("no log"), asked: Vec::new() };

    assert_eq!(drive(FILE, &mut KnownSignals::default(), &mut source), Err("no log"));
}

#[test]
fn mode_kill_switch_and_rollout_say_which_part_a_policy_takes() {
    let part = |mode: &str, live: &(dyn PolicyWorld + Sync)| {
        let file = FILE.replacen("    strategy:", &format!("    {mode}\n    strategy:"), 1);
        set(&file).policies[0].participation(&RequestFacts { live, ..facts("auto") })
    };

    assert_eq!(part("mode: route", &UnknownWorld), PolicyParticipation::Decide);
    assert_eq!(part("mode: shadow", &UnknownWorld), PolicyParticipation::Decide);
    assert_eq!(part("mode: off", &UnknownWorld), PolicyParticipation::None);
    assert_eq!(part("mode: route", &KilledWorld), PolicyParticipation::StandIn(Reason::KillSwitch));
    assert_eq!(part("mode: shadow", &KilledWorld), PolicyParticipation::None);
    assert_eq!(part("rollout: 0", &UnknownWorld), PolicyParticipation::StandIn(Reason::NotRolledOut));
}
