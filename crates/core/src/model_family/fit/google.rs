//! Google's thinking: a budget of tokens or a level, in `generationConfig.thinkingConfig`.

use serde_json::{Map, Value};

use super::super::effort_rule::{EffortRule, EffortSpelling, GoogleThinking, IdleByDefault};
use super::draft::FitDraft;
use crate::config::Effort::{self, High, Low, Medium, Minimal, Xhigh};

/// The names of the settings, in both spellings of the API.
const CONFIG: [&str; 2] = ["generationConfig", "generation_config"];
const THINKING: [&str; 2] = ["thinkingConfig", "thinking_config"];
const BUDGET: [&str; 2] = ["thinkingBudget", "thinking_budget"];
const LEVEL: [&str; 2] = ["thinkingLevel", "thinking_level"];
const SHOWN: [&str; 2] = ["includeThoughts", "include_thoughts"];

/// The budget by which a client leaves the amount to the model.
const AS_WANTED: i64 = -1;

/// The rule for a model of no family, for which the catalog names an effort.
const NO_FAMILY: EffortRule = EffortRule {
    levels: &[Minimal, Low, Medium, High, Xhigh],
    responses_only: &[],
    idle_by_default: IdleByDefault::Thinks,
    spelling: EffortSpelling::Google(GoogleThinking::Level),
    source: "",
};

/// The thinking that a request asks for.
#[derive(Debug, Default)]
struct AskedThinking {
    /// The place of the settings, whether there are any or not.
    path: String,
    settings: Map<String, Value>,
    budget: Option<i64>,
    level: Option<Effort>,
}

/// The setting that fits the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FittingAmount {
    Budget(u64),
    Level(Effort),
}

impl FitDraft<'_> {
    /// Sets the budget or the level that the model has, nearest to the catalog's effort or to what the client asks for.
    pub(super) fn fit_google_thinking(&mut self) {
        let rule = match (self.profile.family, self.profile.effort) {
            (Some(family), _) => family.effort.as_ref(),
            (None, Some(_)) => Some(&NO_FAMILY),
            (None, None) => None,
        };
        let Some((rule, form)) = rule.and_then(|rule| match rule.spelling {
            EffortSpelling::Google(form) => Some((rule, form)),
            _ => None,
        }) else {
            return;
        };
        let asked = self.asked_thinking();
        let amount = match form {
            GoogleThinking::Budget { least, most } => self.budget(rule, &asked, (least, most)),
            GoogleThinking::Level => self.level(rule, &asked),
        };
        self.thinks = amount.map_or(asked.budget != Some(0), |amount| amount != FittingAmount::Budget(0));
        if let Some(amount) = amount {
            let reason = self.effort_reason(rule.source);
            self.set(&asked.path, &asked.with(amount), reason);
        }
    }

    fn asked_thinking(&self) -> AskedThinking {
        let key = CONFIG.into_iter().find(|key| self.members.has(key)).unwrap_or(CONFIG[0]);
        let paths = THINKING.map(|thinking| format!("{key}.{thinking}"));
        let [first, _] = &paths;
        let path = paths.iter().find(|path| self.members.has(path)).unwrap_or(first).clone();
        let settings: Map<String, Value> = self.members.read(&path).unwrap_or_default();
        let value = |names: [&str; 2]| names.iter().find_map(|name| settings.get(*name));
        #[expect(clippy::cast_possible_truncation, reason = "what is no whole number asks for nothing that there is")]
        let budget = value(BUDGET).and_then(Value::as_f64).map(|tokens| tokens as i64);
        let level = value(LEVEL).and_then(Value::as_str).and_then(|word| Effort::of(&word.to_ascii_lowercase()));
        AskedThinking { path, budget, level, settings }
    }

    /// Returns the budget that is to be set; `None` where the client's fits.
    fn budget(&self, rule: &EffortRule, asked: &AskedThinking, (least, most): (u64, u64)) -> Option<FittingAmount> {
        if let Some(effort) = self.profile.effort.or(asked.level) {
            let effort = rule.nearest(effort, self.dialect)?;
            let budget = if effort == Effort::None { 0 } else { budget_of(effort).clamp(least, most) };
            return Some(FittingAmount::Budget(budget));
        }
        let budget = asked.budget.filter(|budget| *budget != AS_WANTED)?;
        let budget = u64::try_from(budget).unwrap_or_default();
        let may_be_none = budget == 0 && rule.allows(Effort::None, self.dialect);
        let fitting = budget.clamp(least, most);
        (!may_be_none && fitting != budget).then_some(FittingAmount::Budget(fitting))
    }

    /// Returns the level that is to be set; `None` where what the client asks for is taken.
    fn level(&self, rule: &EffortRule, asked: &AskedThinking) -> Option<FittingAmount> {
        let is_off = asked.budget == Some(0);
        let effort = self.profile.effort.or(asked.level).or_else(|| is_off.then_some(Effort::None))?;
        let level = rule.nearest(effort, self.dialect)?;
        (self.profile.effort.is_some() || asked.level != Some(level)).then_some(FittingAmount::Level(level))
    }
}

impl AskedThinking {
    /// Returns the settings with another amount.
    fn with(&self, amount: FittingAmount) -> String {
        let mut settings = self.settings.clone();
        BUDGET.iter().chain(&LEVEL).for_each(|name| drop(settings.remove(*name)));
        match amount {
            FittingAmount::Budget(tokens) => {
                if tokens == 0 {
                    SHOWN.iter().for_each(|name| drop(settings.remove(*name))); // nothing is there to be shown
                }
                settings.insert(BUDGET[0].to_owned(), tokens.into());
            }
            FittingAmount::Level(level) => {
                settings.insert(LEVEL[0].to_owned(), level.as_str().to_ascii_uppercase().into());
            }
        }
        Value::Object(settings).to_string()
    }
}

/// Returns the budget that stands for an effort, as translations have it.
const fn budget_of(effort: Effort) -> u64 {
    match effort {
        Effort::None => 0,
        Minimal => 512,
        Low => 2048,
        Medium => 8192,
        High => 16_384,
        Xhigh => 24_576,
        Effort::Max => 32_768,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::model_family::{ModelProfile, ParameterFit};
    use crate::prompt::Dialect;

    /// Returns `generationConfig` as the model gets it.
    fn fitted(model: &str, effort: Option<Effort>, config: &Value) -> Value {
        let body = Bytes::from(json!({"contents": [], "generationConfig": config}).to_string());
        let mut profile = ModelProfile::of_unlisted(model);
        profile.effort = effort;
        let dialect = Dialect::StreamGenerateContent;
        let fit = profile.fit(&ParameterFit { dialect, body: &body, limit: None, refused: &[] });
        let (body, _) = fit.edits.apply_around(&body, 0..0);
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        body["generationConfig"].clone()
    }

    fn thinking(model: &str, asked: &Value) -> Value {
        fitted(model, None, &json!({"topP": 0.5, "thinkingConfig": asked}))["thinkingConfig"].clone()
    }

    #[test]
    fn what_a_client_asks_for_becomes_what_the_model_has() {
        for (model, asked, expected) in [
            ("gemini-3-pro", json!({"thinkingLevel": "MEDIUM"}), json!({"thinkingLevel": "HIGH"})),
            ("gemini-3-pro", json!({"thinkingLevel": "low"}), json!({"thinkingLevel": "low"})),
            ("gemini-3-pro", json!({"thinkingBudget": 0}), json!({"thinkingLevel": "LOW"})),
            ("gemini-3-pro", json!({"thinkingBudget": -1}), json!({"thinkingBudget": -1})),
            ("gemini-3-flash", json!({"thinkingLevel": "XHIGH"}), json!({"thinkingLevel": "HIGH"})),
            (
                "gemini-2.5-pro",
                json!({"thinking_level": "LOW", "include_thoughts": true}),
                json!({"include_thoughts": true, "thinkingBudget": 2048}),
            ),
            ("gemini-2.5-pro", json!({"thinkingBudget": 0}), json!({"thinkingBudget": 128})),
            ("gemini-2.5-flash", json!({"thinkingBudget": 0}), json!({"thinkingBudget": 0})),
            ("gemini-2.5-flash", json!({"thinkingBudget": 30000.0}), json!({"thinkingBudget": 24_576})),
            ("gemini-2.0-flash", json!({"thinkingBudget": 5}), Value::Null),
            ("unheard-of", json!({"thinkingBudget": 5}), json!({"thinkingBudget": 5})),
        ] {
            assert_eq!(thinking(model, &asked), expected, "{model}: {asked}");
        }
    }

    #[test]
    fn the_catalog_s_effort_counts_and_the_rest_of_the_settings_stays() {
        let shown = json!({"topP": 0.5, "thinkingConfig": {"includeThoughts": true, "thinkingBudget": 7}});
        for (model, effort, config, expected) in [
            ("gemini-3-flash", Low, json!({"topP": 0.5}), json!({"thinkingLevel": "LOW"})),
            ("gemini-3-flash", Low, shown.clone(), json!({"thinkingLevel": "LOW", "includeThoughts": true})),
            ("gemini-2.5-flash", Effort::None, shown.clone(), json!({"thinkingBudget": 0})),
            ("gemini-2.5-pro", Effort::Max, shown, json!({"thinkingBudget": 16_384, "includeThoughts": true})),
            ("unheard-of", High, json!({"topP": 0.5}), json!({"thinkingLevel": "HIGH"})),
        ] {
            let fitted = fitted(model, Some(effort), &config);
            assert_eq!((&fitted["topP"], &fitted["thinkingConfig"]), (&json!(0.5), &expected), "{model}");
        }
    }
}
