//! The prompts and answers of a page as blocks of JSON: an index that is read at once, and texts in parts that are read
//! when somebody looks.

use std::collections::HashMap;
use std::fmt::Write as _;

use pointsman_lab::answers::{AnswerGrade, AnswerRow};
use pointsman_lab::comparison::{ChoiceVerdict, ComparedPrompt, Comparison, ContenderKind, RouterChoices};
use serde_json::{Value, json};

use crate::cli::table::shorten;

/// Prompts of one block.
const BLOCK: usize = 100;
/// Characters of a prompt in the list.
const HEAD: usize = 160;
/// The longest text of a page, in characters.
const TEXT: usize = 20_000;

/// Returns the blocks as elements that no browser runs.
pub(super) fn blocks(comparison: &Comparison) -> String {
    let mut html = block("index", &index(comparison));
    for (place, prompts) in comparison.prompts.chunks(BLOCK).enumerate() {
        let texts: Vec<Value> = prompts.iter().map(|prompt| texts(comparison, prompt)).collect();
        html += &block(&format!("texts-{place}"), &json!(texts));
    }
    html
}

/// Returns JSON as an element's content. With no `<` in it, nothing within can end the element or begin another.
fn block(id: &str, value: &Value) -> String {
    let text = value.to_string().replace('<', "\\u003c");
    format!("<script type=\"application/json\" id=\"{id}\">{text}</script>\n")
}

fn index(comparison: &Comparison) -> Value {
    let heads: Vec<String> = comparison.prompts.iter().map(|prompt| shorten(&prompt.text, HEAD)).collect();
    let ids: Vec<&str> = comparison.prompts.iter().map(|prompt| &*prompt.id).collect();
    let models: Vec<Value> = comparison
        .models
        .iter()
        .map(|model| {
            let quality: Vec<Value> = model.outcomes.iter().map(|outcome| short(outcome.quality)).collect();
            json!({"name": model.name, "quality": quality})
        })
        .collect();
    let routers: Vec<Value> = comparison.routers.iter().map(router).collect();
    json!({"block": BLOCK, "ids": ids, "heads": heads, "models": models, "routers": routers})
}

fn router(router: &RouterChoices) -> Value {
    let mut order: Vec<usize> = (0..router.choices.len()).collect();
    let key = |row: &usize| router.choices[*row].order();
    order.sort_by(|a, b| {
        let (a, b) = (key(a), key(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let (mut models, mut labels, mut reasons) = (Names::default(), Names::default(), Names::default());
    let rows: Vec<Value> = router
        .choices
        .iter()
        .map(|judged| {
            let (choice, outcome) = (&judged.choice, &judged.outcome);
            json!([
                models.place(&choice.model),
                labels.place(choice.label.as_deref().unwrap_or_default()),
                reasons.place(choice.reason.as_deref().unwrap_or_default()),
                choice.score.map(short),
                verdict(judged.verdict),
                short(outcome.quality),
                outcome.cost.map(|cost| short(1000.0 * cost)),
                outcome.duration_ms.map(short),
            ])
        })
        .collect();
    json!({
        "name": router.name, "offline": router.kind == ContenderKind::PolicyOffline, "models": models.names,
        "labels": labels.names, "reasons": reasons.names, "rows": rows, "order": order,
    })
}

/// Names that rows repeat, by their places.
#[derive(Default)]
struct Names {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Names {
    fn place(&mut self, name: &str) -> usize {
        *self.places.entry(name.to_owned()).or_insert_with(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        })
    }
}

const fn verdict(verdict: ChoiceVerdict) -> u8 {
    match verdict {
        ChoiceVerdict::Wrong => 0,
        ChoiceVerdict::Dear => 1,
        ChoiceVerdict::Right => 2,
    }
}

fn texts(comparison: &Comparison, prompt: &ComparedPrompt) -> Value {
    let of = |rows: Option<&Vec<AnswerRow>>| -> Vec<Value> { rows.into_iter().flatten().map(answer).collect() };
    let models: Vec<Vec<Value>> = comparison.models.iter().map(|model| of(prompt.answers.get(&model.name))).collect();
    let routers: Vec<Vec<Value>> = comparison
        .routers
        .iter()
        .map(|router| match router.kind {
            ContenderKind::PolicyOffline => Vec::new(),
            _ => of(prompt.routed.get(&router.name)),
        })
        .collect();
    let history: Vec<Value> = prompt.history.iter().map(|turn| json!([turn["role"], said(&turn["content"])])).collect();
    json!({"prompt": cut(&prompt.text), "history": history, "models": models, "routers": routers})
}

fn answer(row: &AnswerRow) -> Value {
    let calls = (!row.tool_calls.is_empty()).then(|| cut(&json!(row.tool_calls).to_string()));
    let grades: Vec<Value> = row.grades.iter().map(grade).collect();
    let mut answer = json!({
        "text": row.answer.as_deref().map(cut), "calls": calls,
        "error": row.error.as_ref().map(|error| cut(&format!("{}: {}", error.code, error.message))),
        "model": row.model, "grades": grades, "cost": row.cost_usd, "judge": row.judge_cost_usd, "ms": row.duration_ms,
        "first": row.first_byte_ms, "own": row.overhead_us, "input": row.input_tokens, "output": row.output_tokens,
        "finish": row.finish_reason, "scores": row.scores.as_ref().map(|scores| cut(&scores.to_string())),
    });
    answer.as_object_mut().into_iter().for_each(|keys| keys.retain(|_, value| !value.is_null()));
    answer
}

fn grade(grade: &AnswerGrade) -> Value {
    json!([
        grade.grader,
        short(grade.score),
        grade.correct,
        grade.reason.as_deref().map(cut),
        grade.judge,
        grade.unclear
    ])
}

/// Returns the text of a turn.
fn said(content: &Value) -> String {
    content.as_str().map_or_else(|| cut(&content.to_string()), cut)
}

/// Cuts a text that is too long for a page, and says so.
fn cut(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(TEXT) else { return text.to_owned() };
    let mut kept = text[..end].to_owned();
    let _ = write!(kept, "\n[... cut here: {} characters in all]", text.chars().count());
    kept
}

/// Returns a number with no more digits than anybody reads.
fn short(value: f64) -> Value {
    if value == 0.0 || !value.is_finite() {
        return json!(0);
    }
    let digits = 10_f64.powf(5.0 - value.abs().log10().floor());
    json!((value * digits).round() / digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_end_its_block_or_begin_another() {
        let html = block("texts-0", &json!(["</script><script>alert(1)</script>", "<!-- <script>", "a < b"]));

        let content = html.strip_prefix("<script type=\"application/json\" id=\"texts-0\">").expect("an element");
        let content = content.strip_suffix("</script>\n").expect("an element");
        assert!(!content.contains('<'), "{content}");
        let back: Value = serde_json::from_str(content).expect("JSON");
        assert_eq!(back[0], "</script><script>alert(1)</script>");
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        let text = "ü".repeat(TEXT + 5);

        let cut = cut(&text);

        assert!(cut.starts_with("üü") && cut.ends_with("[... cut here: 20005 characters in all]"));
    }

    #[test]
    fn numbers_have_six_digits() {
        assert_eq!(
            [short(0.123_456_789), short(1_234.567_89), short(0.0)],
            [json!(0.123_457), json!(1234.57), json!(0)]
        );
    }
}
