//! Switchyard's routes, each as a policy.

use super::target::TargetCatalog;
use crate::draft::{Draft, DraftPolicy, DraftRule, always, name_of, split};
use crate::reader::SourceValue;
use crate::yaml_text::{YamlEntries, YamlValue};

const REASONS: [(&str, &str); 9] = [
    ("handoff_notes", "no note is added to a conversation: it stays the client's"),
    ("strong_system_prompt", "no prompt is added to a conversation: it stays the client's"),
    ("weak_system_prompt", "no prompt is added to a conversation: it stays the client's"),
    ("capable_system_prompt", "no prompt is added to a conversation: it stays the client's"),
    ("efficient_system_prompt", "no prompt is added to a conversation: it stays the client's"),
    ("tool_semantics", "results of tools are read whatever the tools are called"),
    ("enable_stats", "metrics stand on the admin listener"),
    ("affinity", "`affinity` of the policy keeps conversations (docs/affinity.md)"),
    ("context_window", "the window stands under `context` of the model"),
];
/// What the judge is told of the two tiers.
const WEAK_IS_FOR: &str = "everyday asks, short facts, small edits and routine steps, which a small model answers well";
const STRONG_IS_FOR: &str = "hard asks: proofs, intricate code, unclear failures, plans with many dependencies";

/// What the judge is told of a target that is known by its name alone.
const CHOSEN_IS_FOR: &str = "prompts for which the instructions name it";

/// A route that is served: the name that clients ask for, and how its model is chosen.
pub(super) struct Route {
    id: String,
    rules: Vec<DraftRule>,
    strategy: YamlValue,
    fallback: Vec<String>,
    more: YamlEntries,
}

/// The two tiers of a route.
struct Tiers {
    strong: String,
    weak: String,
}

impl Route {
    /// Reads a route; nothing, with a finding, where it cannot be served.
    pub(super) fn read<'s>(
        name: &str,
        value: &SourceValue<'s>,
        catalog: &mut TargetCatalog<'s>,
        draft: &mut Draft,
    ) -> Option<Self> {
        let id = value.text_at("id").unwrap_or(name).to_owned();
        let kind = value.get("type")?;
        value.take_all(&["capabilities"]);
        let route = match kind.text()? {
            "model" | "passthrough" => match value.get("target") {
                Some(target) => Self::plain(id, always(&catalog.model(&target, draft)?)),
                None => {
                    value.leave_out("a route to whatever an upstream lists: name the models under `models`, or set `default_provider`");
                    return None;
                }
            },
            "random" | "random_routing" => Self::random(id, value, catalog, draft)?,
            "llm_classifier" if value.text_at("mode") == Some("custom") => Self::chosen(id, value, catalog, draft)?,
            "llm_classifier" | "deterministic" => Self::judged(id, value, catalog, draft)?,
            "stage_router" => Self::staged(id, value, catalog, draft)?,
            "noop" => {
                value.leave_out("a route that answers by itself, for benchmarks");
                return None;
            }
            other => {
                value.leave_out(format!("no strategy of Pointsman's does what `{other}` does (docs/policies.md)"));
                return None;
            }
        };
        value.leave_out_all(&REASONS);
        Some(route)
    }

    const fn plain(id: String, strategy: YamlValue) -> Self {
        Self { id, rules: Vec::new(), strategy, fallback: Vec::new(), more: Vec::new() }
    }

    fn random<'s>(
        id: String,
        value: &SourceValue<'s>,
        catalog: &mut TargetCatalog<'s>,
        draft: &mut Draft,
    ) -> Option<Self> {
        let shares: Vec<(String, f64)> = if let Some(targets) = value.get("targets") {
            let weights = value.get("weights").map_or_else(Vec::new, |weights| weights.items());
            let weight = |index: usize| weights.get(index).and_then(SourceValue::number).unwrap_or(1.0);
            let models = targets.items().into_iter().enumerate();
            models.filter_map(|(index, target)| Some((catalog.model(&target, draft)?, weight(index)))).collect()
        } else {
            let Tiers { strong, weak } = tiers(value, catalog, draft)?;
            let share = value.number_at("strong_probability").unwrap_or(0.5).clamp(0.0, 1.0);
            vec![(strong, share), (weak, 1.0 - share)]
        };
        if shares.is_empty() {
            return None;
        }
        if let Some(seed) = value.get("seed") {
            seed.change("the draw follows from the conversation: `seed` of the strategy tells experiments apart");
        }
        value.take_all(&["fallback_target_on_evict"]);
        let fallback = shares.iter().map(|(model, _)| model.clone()).collect();
        let drawn: Vec<&(String, f64)> = shares.iter().filter(|(_, share)| *share > 0.0).collect();
        let strategy = match drawn.as_slice() {
            [(model, _)] => always(model),
            _ => split(&shares),
        };
        Some(Self { fallback, ..Self::plain(id, strategy) })
    }

    fn judged<'s>(
        id: String,
        value: &SourceValue<'s>,
        catalog: &mut TargetCatalog<'s>,
        draft: &mut Draft,
    ) -> Option<Self> {
        let Tiers { strong, weak } = tiers(value, catalog, draft)?;
        let classifier = value.get("classifier");
        let target = value.get("classifier_target").or_else(|| classifier.clone())?;
        let judge = catalog.model(&target, draft)?;
        if let Some(escalation) = value.get("escalation") {
            escalation.leave_out("no answer is judged before the client gets it: `feedback` and a `bandit` learn from answers (docs/closed-loop.md)");
        }
        let strategy = judge_strategy(
            &JudgedTiers { judge: &judge, strong: &strong, weak: &weak },
            &[Some(value), classifier.as_ref()],
        );
        let more = held(value);
        value.take_all(&["message_hash_fallback", "fallback_target_on_evict", "mode"]);
        if let Some(profile) = value.get("profile") {
            profile.change("`instructions` of the judge take the place of a profile");
        }
        Some(Self { fallback: vec![strong, weak], more, ..Self::plain(id, strategy) })
    }

    /// A route whose judge answers with the name of the target.
    fn chosen<'s>(
        id: String,
        value: &SourceValue<'s>,
        catalog: &mut TargetCatalog<'s>,
        draft: &mut Draft,
    ) -> Option<Self> {
        let Some(targets) = ChosenTargets::read(value, catalog, draft) else {
            value.leave_out_unsaid("its judge, or one of its targets, is not in the file");
            return None;
        };
        let choice = |(label, model): &(String, String)| {
            let entries = [("label", label.as_str()), ("model", model), ("description", CHOSEN_IS_FOR)];
            YamlValue::map(entries.map(|(key, value)| (key, YamlValue::text(value))))
        };
        let mut entries = vec![
            ("kind".to_owned(), YamlValue::text("judge")),
            ("judge".to_owned(), YamlValue::text(&targets.judge)),
            ("choices".to_owned(), YamlValue::List(targets.choices.iter().map(choice).collect())),
        ];
        if let Some(prompt) = value.get("prompt") {
            entries.push(("instructions".to_owned(), YamlValue::text(prompt.text().unwrap_or_default())));
            prompt
                .change("the judge is told this beside the labels, of which it answers with one: describe each choice");
        }
        entries.push(("otherwise".to_owned(), YamlValue::text(&targets.otherwise)));
        value.leave_out_all(&[
            ("response_schema", "the judge answers with a label of `choices`"),
            ("policy", "the judge answers with a label of `choices`"),
            ("max_output_tokens", "a label has few tokens"),
        ]);
        value.take_all(&["mode", "message_hash_fallback"]);
        let fallback = targets.choices.into_iter().map(|(_, model)| model).collect();
        Some(Self { fallback, more: held(value), ..Self::plain(id, YamlValue::Map(entries)) })
    }

    fn staged<'s>(
        id: String,
        value: &SourceValue<'s>,
        catalog: &mut TargetCatalog<'s>,
        draft: &mut Draft,
    ) -> Option<Self> {
        let Tiers { strong, weak } = tiers(value, catalog, draft)?;
        let picker = value.get("picker");
        let is_capable_first =
            picker.as_ref().and_then(SourceValue::text).is_some_and(|picker| picker.contains("capable_first"));
        let in_trouble =
            DraftRule { when: "prompt.stalled || prompt.tool_errors >= 2".to_owned(), model: strong.clone() };
        let mut rules = vec![in_trouble];
        if is_capable_first {
            let when = "prompt.tool_calls > 0 && prompt.tool_errors == 0 && !prompt.plan_mode".to_owned();
            rules.push(DraftRule { when, model: weak.clone() });
        }
        for key in ["confidence_threshold", "signal_recent_window", "recent_turn_window", "capable_hold_turns"] {
            if let Some(weighed) = value.get(key) {
                weighed.change("rules over `prompt.stalled` and `prompt.tool_errors` take the place of weighed signals: the tool loop since the newest ask counts");
            }
        }
        let otherwise = if is_capable_first { &strong } else { &weak };
        let classifier = value.get("classifier");
        let judge = classifier.as_ref().and_then(|classifier| {
            catalog.model(&classifier.get("target").unwrap_or_else(|| classifier.clone()), draft)
        });
        let strategy = match judge {
            Some(judge) => {
                judge_strategy(&JudgedTiers { judge: &judge, strong: &strong, weak: &weak }, &[classifier.as_ref()])
            }
            None => always(otherwise),
        };
        value.take_all(&["fallback_target_on_evict"]);
        Some(Self { rules, fallback: vec![strong, weak], ..Self::plain(id, strategy) })
    }

    pub(super) fn add_policy(self, draft: &mut Draft) {
        let policy = DraftPolicy {
            name: draft.free_policy_name(&name_of(&self.id)),
            models: vec![self.id],
            rules: self.rules,
            strategy: Some(self.strategy),
            fallback: self.fallback,
            more: self.more,
            ..DraftPolicy::default()
        };
        draft.policies.push(policy);
    }
}

/// The targets among which a judge chooses by their names.
struct ChosenTargets {
    judge: String,
    /// Labels, and the models of the catalog.
    choices: Vec<(String, String)>,
    otherwise: String,
}

impl ChosenTargets {
    fn read<'s>(value: &SourceValue<'s>, catalog: &mut TargetCatalog<'s>, draft: &mut Draft) -> Option<Self> {
        let pools = value.get("models").map_or_else(Vec::new, |pools| pools.entries());
        let mut judge =
            value.first(&["classifier_target", "classifier"]).and_then(|judge| catalog.model(&judge, draft));
        let mut choices = Vec::new();
        for (label, pool) in pools {
            let targets = pool.items();
            let model = targets.first().and_then(|target| catalog.model(target, draft));
            match label {
                "judge" => judge = judge.or(model),
                // All of them, for whoever asks for no certain one.
                "any" => pool.take(),
                _ => choices.push((label.to_owned(), model?)),
            }
            for more in targets.iter().skip(1).filter(|_| label != "any") {
                more.leave_out("a choice has one model: `fallback` of the policy has others");
            }
        }
        for target in value.get("targets").map_or_else(Vec::new, |targets| targets.items()) {
            choices.push((target.text()?.to_owned(), catalog.model(&target, draft)?));
        }
        let said = value.text_at("default_target");
        let default = choices.iter().find(|(label, _)| said == Some(label.as_str())).or_else(|| choices.first());
        let otherwise = default.map(|(_, model)| model.clone())?;
        Some(Self { judge: judge?, choices, otherwise })
    }
}

/// Returns the affinity of a route that keeps a session's model.
fn held(value: &SourceValue<'_>) -> YamlEntries {
    let trigger = value.text_at("classify_trigger");
    let holds =
        value.flag_at("session_affinity") == Some(true) || trigger.is_some_and(|trigger| trigger != "every_request");
    let moves = YamlValue::map([("key", YamlValue::text("conversation")), ("move", YamlValue::text("never"))]);
    if holds { vec![("affinity".to_owned(), moves)] } else { YamlEntries::new() }
}

/// The models of a judged route.
struct JudgedTiers<'m> {
    judge: &'m str,
    strong: &'m str,
    weak: &'m str,
}

/// Makes the strategy that asks another model which of two tiers a prompt is for; `said` are the places of its
/// settings.
fn judge_strategy(tiers: &JudgedTiers<'_>, said: &[Option<&SourceValue<'_>>]) -> YamlValue {
    let get = |key: &str| said.iter().flatten().find_map(|place| place.get(key));
    let choice = |label: &str, model: &str, description: &str| {
        let entries = [("label", label), ("model", model), ("description", description)];
        YamlValue::map(entries.map(|(key, value)| (key, YamlValue::text(value))))
    };
    let choices = vec![choice("weak", tiers.weak, WEAK_IS_FOR), choice("strong", tiers.strong, STRONG_IS_FOR)];
    let mut entries = vec![
        ("kind".to_owned(), YamlValue::text("judge")),
        ("judge".to_owned(), YamlValue::text(tiers.judge)),
        ("choices".to_owned(), YamlValue::List(choices)),
    ];
    let seconds = get("timeout_secs").and_then(|seconds| seconds.number());
    if let Some(seconds) = seconds.filter(|seconds| (0.001..=60.0).contains(seconds)) {
        entries.push(("timeout".to_owned(), YamlValue::milliseconds(seconds * 1000.0)));
    }
    let confidence = get("min_confidence").and_then(|confidence| confidence.number());
    if let Some(confidence) = confidence.filter(|confidence| *confidence > 0.0 && *confidence <= 1.0) {
        entries.push(("min_confidence".to_owned(), YamlValue::number(confidence)));
    }
    let weighed = ["base_threshold", "threshold_step", "capability_elevated_floor"];
    for value in weighed.iter().filter_map(|key| get(key)) {
        value.change("the judge answers with one of two labels, and no probability is compared: `min_confidence` asks how sure it is");
    }
    for value in ["recent_turn_window"].iter().filter_map(|key| get(key)) {
        value.change("the judge reads the newest ask, and what a short reply answers");
    }
    if let Some(open) = get("fail_open") {
        open.change("where the judge gives no answer, `otherwise` serves: the strong tier");
    }
    entries.push(("otherwise".to_owned(), YamlValue::text(tiers.strong)));
    YamlValue::Map(entries)
}

fn tiers<'s>(value: &SourceValue<'s>, catalog: &mut TargetCatalog<'s>, draft: &mut Draft) -> Option<Tiers> {
    let mut model = |keys: &[&str]| value.first(keys).and_then(|target| catalog.model(&target, draft));
    let strong = model(&["strong_target", "capable_target", "strong", "capable"]);
    let weak = model(&["weak_target", "efficient_target", "weak", "efficient"]);
    match (strong, weak) {
        (Some(strong), Some(weak)) => Some(Tiers { strong, weak }),
        _ => {
            value.leave_out("one of its two tiers is not in the file");
            None
        }
    }
}
