//! A judge's question in the protocols for typed decisions: OpenAI's `/v1/decisions` and TypeSafe's `/v1/systemone`.
//!
//! Both take the request as an input and one question with options, and answer with one of the options and a probability
//! for each. Nothing is written, so there is nothing to look for a label in: an option that was not offered is no answer.

use bytes::Bytes;
use pointsman_core::config::JudgeProtocol;
use pointsman_core::judgement::{JudgeAnswer, JudgeLabels};
use serde_json::{Map, Value, json};

use super::description::RequestDescription;
use super::question::JudgeQuestion;

/// The name of the only question.
const NAME: &str = "route";

/// A question in one of the protocols.
pub(super) struct DecisionCall {
    protocol: DecisionProtocol,
    body: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DecisionProtocol {
    Decisions,
    Systemone,
}

impl DecisionCall {
    /// Makes the call; `None` where the judge is asked in chat completions.
    pub(super) fn new(
        protocol: JudgeProtocol,
        question: &JudgeQuestion,
        description: &RequestDescription,
        model: &str,
    ) -> Option<Self> {
        let protocol = match protocol {
            JudgeProtocol::Chat => return None,
            JudgeProtocol::Decisions => DecisionProtocol::Decisions,
            JudgeProtocol::Systemone => DecisionProtocol::Systemone,
        };
        let body = protocol.body(question, description, model).to_string().into();
        Some(Self { protocol, body })
    }

    pub(super) const fn path(&self) -> &'static str {
        match self.protocol {
            DecisionProtocol::Decisions => "/v1/decisions",
            DecisionProtocol::Systemone => "/v1/systemone",
        }
    }

    pub(super) const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Reads the option that was chosen, and its probability.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn read(&self, answer: &Value, labels: &JudgeLabels) -> Result<JudgeAnswer, String> {
        let answer = match self.protocol {
            DecisionProtocol::Decisions => &answer["answers"][0],
            DecisionProtocol::Systemone => &answer["answers"][NAME],
        };
        match answer["type"].as_str() {
            Some("choice") => {}
            Some("refusal") => return Err("the judge declined to answer".to_owned()),
            _ => return Err("there is no answer of the type `choice`".to_owned()),
        }
        let choice = answer["choice"].as_str().ok_or("the choice is no text")?;
        let label = labels.iter().find(|label| *label == choice).ok_or("the choice is none that was offered")?;
        let confidence = self.probability(answer, choice).or_else(|| answer["confidence"].as_f64());
        let confidence = confidence.filter(|confidence| (0.0..=1.0).contains(confidence));
        Ok(JudgeAnswer {
            label: label.into(),
            confidence: confidence.map(|confidence| confidence as f32),
            rationale: None,
        })
    }

    fn probability(&self, answer: &Value, choice: &str) -> Option<f64> {
        let probabilities = &answer["probabilities"];
        match self.protocol {
            DecisionProtocol::Decisions => {
                let own = probabilities.as_array()?.iter().find(|option| option["value"] == choice)?;
                own["probability"].as_f64()
            }
            DecisionProtocol::Systemone => probabilities[choice].as_f64(),
        }
    }
}

impl DecisionProtocol {
    /// Keeps the ask apart from what is said of it: heads behind the protocol judge the user's turn alone.
    fn body(self, question: &JudgeQuestion, description: &RequestDescription, model: &str) -> Value {
        let (about, ask) = (description.about(), description.ask());
        let (instructions, options) = (&question.choice.instructions, &question.choice.options);
        match self {
            Self::Decisions => {
                let choices =
                    options.iter().map(|(label, description)| json!({"value": label, "description": description}));
                let choices: Vec<Value> = choices.collect();
                let asked = json!({"type": "choice", "name": NAME, "instructions": instructions, "choices": choices});
                let turns =
                    [("developer", about), ("user", ask)].into_iter().filter(|(_, content)| !content.is_empty());
                let turns = turns.map(|(role, content)| json!({"type": "message", "role": role, "content": content}));
                let input: Vec<Value> = turns.collect();
                json!({"model": model, "input": input, "questions": [asked]})
            }
            Self::Systemone => {
                let criteria = options.iter().map(|(label, description)| (label.clone(), json!(description)));
                let criteria: Map<String, Value> = criteria.collect();
                let asked = json!({"type": "choice", "instructions": instructions, "criteria": criteria});
                let state = json!({"about": about, "request": ask});
                json!({"model": model, "state": state, "questions": {NAME: asked}})
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(protocol: DecisionProtocol) -> DecisionCall {
        DecisionCall { protocol, body: Bytes::new() }
    }

    fn labels() -> JudgeLabels {
        JudgeLabels::new(["easy", "hard"].into_iter())
    }

    #[test]
    fn an_option_and_its_probability_are_read_in_either_protocol() {
        let decisions = json!({"answers": [{"type": "choice", "name": "route", "choice": "hard", "confidence": 0.5,
            "probabilities": [{"value": "easy", "probability": 0.25}, {"value": "hard", "probability": 0.75}]}]});
        let systemone = json!({"answers": {"route": {"type": "choice", "choice": "hard", "confidence": 0.5,
            "probabilities": {"easy": 0.25, "hard": 0.75}}}});

        for (protocol, answer) in [(DecisionProtocol::Decisions, decisions), (DecisionProtocol::Systemone, systemone)] {
            let said = call(protocol).read(&answer, &labels()).expect("an answer");
            assert_eq!((&*said.label, said.confidence), ("hard", Some(0.75)), "{protocol:?}");
        }
    }

    #[test]
    fn what_was_not_offered_was_declined_or_has_another_type_is_no_answer() {
        for (answer, why) in [
            (json!({"type": "refusal", "name": "route"}), "declined"),
            (json!({"type": "choice", "choice": "medium"}), "none that was offered"),
            (json!({"type": "choice", "choice": true}), "no text"),
            (json!({"type": "predicate", "probability": 1.0}), "of the type `choice`"),
            (json!(null), "of the type `choice`"),
        ] {
            let said = call(DecisionProtocol::Decisions).read(&json!({"answers": [answer]}), &labels());
            assert!(said.is_err_and(|said| said.contains(why)), "{why}");
        }
    }

    #[test]
    fn a_probability_beyond_one_is_none() {
        let answer = json!({"answers": [{"type": "choice", "choice": "easy", "confidence": 1.5}]});

        let said = call(DecisionProtocol::Decisions).read(&answer, &labels()).expect("an answer");

        assert_eq!((&*said.label, said.confidence), ("easy", None));
    }
}
