//! A decision as its line says it. Lines of older versions lack what came later.

use pointsman_telemetry::decision_log::record::DecisionRecord;

use super::key;

/// A request that was decided.
pub type LoggedDecision = DecisionRecord<'static>;

/// Returns the key that equal prompts share: of the hash, else of the text, else of the request itself.
#[must_use]
pub fn prompt_group(decision: &LoggedDecision) -> u128 {
    key(decision.text_hash.as_deref().or(decision.text.as_deref()).unwrap_or(&decision.request_id))
}

#[cfg(test)]
mod tests {
    use pointsman_core::scores::{Familiarity, HeadLabels, UnfamiliarPart};
    use serde_json::Value;

    use super::super::LogLine;

    #[test]
    fn what_affinity_did_and_rules_set_is_read_back_and_old_lines_lack_it() {
        let old = r#"{"kind":"decision","request_id":"a","policy":"p","model":"m","answered_by":"m"}"#;
        let new = r#"{"kind":"decision","request_id":"a","policy":"p","model":"m","time":"1970-01-02T00:00:00.000Z",
            "conversation":"00000000000000ff","pin":{"model":"m","last":"m","age_seconds":1,"idle_seconds":1,
            "in_tool_loop":false,"outcome":"kept","instead_of":"n"},"set":{"seed":7}}"#;
        let read = |line: &str| match LogLine::parse(line.as_bytes()) {
            Some(LogLine::Decision(decision)) => *decision,
            other => panic!("{other:?}"),
        };

        let (old, new) = (read(old), read(new));

        let (pin, instead_of) = new.pin.as_ref().map(|pin| (&*pin.outcome, pin.instead_of.as_deref())).expect("a pin");
        assert_eq!(
            (&old.pin, old.set.len(), &old.conversation, old.answered_by.as_deref()),
            (&None, 0, &None, Some("m"))
        );
        assert_eq!((pin, instead_of), ("kept", Some("n")));
        assert_eq!((&new.set["seed"], new.at(), new.conversation()), (&Value::from(7), 86_400, Some(255)));
        assert_eq!(new.answered_by, None);
    }

    #[test]
    fn what_was_unfamiliar_is_read_back_with_the_scores_and_another_word_is_nothing() {
        let read = |beyond: &str| {
            let line = format!(
                r#"{{"kind":"decision","request_id":"a","policy":"p","model":"m","known_ngrams":0.25,{beyond}
                "scores":{{"tier":{{"simple":1}}}}}}"#
            );
            let Some(LogLine::Decision(decision)) = LogLine::parse(line.as_bytes()) else { panic!("{line}") };
            decision
                .scores(|_| Some(HeadLabels { names: ["simple".into()].into(), levels: None }))
                .expect("scores")
                .familiarity
        };

        let told = [r#""unfamiliar":"language","#, r#""unfamiliar":"mood","#, ""].map(read);

        let expected = [Some(UnfamiliarPart::Language), None, None];
        assert_eq!(told, expected.map(|unfamiliar| Familiarity { known_ngrams: Some(0.25), unfamiliar }));
    }
}
