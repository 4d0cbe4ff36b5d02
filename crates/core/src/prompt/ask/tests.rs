use proptest::prelude::*;
use serde_json::{Value, json};

use super::standing::{AskStanding, PrecedingWords};
use super::{AskSource, MAX_BEFORE};
use crate::prompt::{Dialect, Prompt};

#[test]
fn consent_and_calls_to_go_on_depend_on_what_they_answer() {
    for reply in [
        "yes",
        "continue",
        "go on",
        "shorter",
        "now in French",
        "why?",
        "the second one",
        "Python 3.11",
        "make it shorter",
        "and for the other one?",
        "??",
        "ja bitte",
        "oui, continue",
        "继续",
        "続けて",
        "계속",
        "продолжай",
        "10 more",
        "do it",
        "ok, go ahead",
        "fix it",
    ] {
        let standing = AskStanding::of(reply, PrecedingWords::Question);
        assert!(matches!(standing, AskStanding::Dependent | AskStanding::Empty), "{reply}: {standing:?}");
    }
}

#[test]
fn what_says_nothing_beyond_what_it_answers_is_told_from_a_demand() {
    for empty in ["yes", "continue", "why?", "shorter", "now in French", "the second one", "ja bitte", "继续", "??"] {
        assert_eq!(AskStanding::of(empty, PrecedingWords::Statement), AskStanding::Empty, "{empty}");
    }
    for demand in ["now prove it", "derive it step by step", "make it thread safe", "and for PostgreSQL?"] {
        assert_eq!(AskStanding::of(demand, PrecedingWords::Statement), AskStanding::Dependent, "{demand}");
    }
}

#[test]
fn what_goes_on_behind_a_courtesy_is_the_reply() {
    for reply in [
        "Perfect! Now implement it.",
        "thanks, now the second one",
        "great, and now in French",
        "danke, jetzt auf Deutsch",
        "thanks. but why?",
    ] {
        assert!(
            matches!(AskStanding::of(reply, PrecedingWords::Statement), AskStanding::Dependent | AskStanding::Empty),
            "{reply}"
        );
    }
}

#[test]
fn praise_and_thumbs_consent_where_something_was_asked() {
    for reply in ["👍", "Great!", "Perfect", "Parfait", "太好了"] {
        assert_eq!(AskStanding::of(reply, PrecedingWords::Question), AskStanding::Empty, "{reply}");
        assert_eq!(AskStanding::of(reply, PrecedingWords::Statement), AskStanding::Courtesy, "{reply}");
    }
    assert_eq!(AskStanding::of("thanks!", PrecedingWords::Question), AskStanding::Courtesy);
}

#[test]
fn thanks_in_advance_take_nothing_from_an_ask_that_nobody_has_answered() {
    let hard = "Prove that there are infinitely many primes congruent to 3 modulo 4.";

    let found = read(&json!([user(hard), user("Thanks in advance!")]));

    assert_eq!(found, (AskSource::EarlierAsk, "Thanks in advance!".to_owned(), Some(hard.to_owned())));
}

#[test]
fn courtesies_ask_for_nothing() {
    for reply in ["thanks!", "ok thanks", "bye", "no thanks", "that's all", "danke schön", "谢谢", "🙂"] {
        assert_eq!(AskStanding::of(reply, PrecedingWords::Statement), AskStanding::Courtesy, "{reply}");
    }
}

#[test]
fn what_has_content_of_its_own_stands_alone() {
    for ask in [
        "What is the capital of France?",
        "Now prove that the algorithm is optimal and give a tight lower bound.",
        "Write a poem about autumn rain",
        "Who wrote Hamlet?",
        "Explain quicksort",
        "What is 2+2?",
        "How do I reverse a linked list in Rust?",
        "Which files are in this folder?",
        "What does this function do?",
    ] {
        assert_eq!(AskStanding::of(ask, PrecedingWords::Question), AskStanding::Alone, "{ask}");
    }
    let long = "yes ".repeat(41);
    assert_eq!(AskStanding::of(&long, PrecedingWords::Question), AskStanding::Alone);
}

#[test]
fn a_fragment_is_an_answer_after_a_question_and_else_a_command() {
    for fragment in ["Python 3.11", "git status", "commit the changes"] {
        assert_eq!(AskStanding::of(fragment, PrecedingWords::Question), AskStanding::Dependent, "{fragment}");
        assert_eq!(AskStanding::of(fragment, PrecedingWords::Statement), AskStanding::Alone, "{fragment}");
    }
    assert_eq!(PrecedingWords::of("Done. Shall I run the tests as well?\n"), PrecedingWords::Question);
    assert_eq!(PrecedingWords::of("Why? Because it was cold. "), PrecedingWords::Question);
    assert_eq!(PrecedingWords::of("Done."), PrecedingWords::Statement);
}

proptest! {
    #[test]
    fn any_reply_has_a_standing(text in "\\PC{0,80}") {
        let _standing = AskStanding::of(&text, PrecedingWords::Statement);
    }
}

fn read(messages: &Value) -> (AskSource, String, Option<String>) {
    let body = json!({"model": "m", "messages": messages}).to_string();
    let prompt = Prompt::parse(Dialect::Messages, body.as_bytes()).expect("a prompt");
    (prompt.ask().source(), prompt.newest_ask().to_owned(), prompt.answered_text().map(str::to_owned))
}

fn user(content: impl Into<Value>) -> Value {
    json!({"role": "user", "content": content.into()})
}

fn assistant(content: &str) -> Value {
    json!({"role": "assistant", "content": content})
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

const REMINDER: &str = "<system-reminder>\nThe to-do list is empty.\n</system-reminder>";

#[test]
fn the_newest_ask_is_found_behind_turns_that_are_the_harness_s() {
    let result = json!({"type": "tool_result", "tool_use_id": "t", "content": "x = 1"});

    for newest in [
        user(REMINDER),
        user(vec![text(REMINDER), text("[Request interrupted by user]")]),
        user(vec![result.clone(), text(REMINDER)]),
        user(vec![result.clone()]),
        user(vec![result, json!({"type": "image"}), text(REMINDER)]),
        user(""),
    ] {
        let found = read(&json!([user("What is DNA?"), assistant("One moment."), newest]));

        assert_eq!(found, (AskSource::Ask, "What is DNA?".to_owned(), None), "{newest}");
    }
}

#[test]
fn what_a_person_writes_beside_tool_results_is_the_ask() {
    let result = json!({"type": "tool_result", "tool_use_id": "t", "content": "x = 1"});
    let newest =
        user(vec![result, text("[Request interrupted by user for tool use]"), text("What is the capital of France?")]);

    let found = read(&json!([user("What is DNA?"), assistant("One moment."), newest]));

    assert_eq!(found, (AskSource::Ask, "What is the capital of France?".to_owned(), None));
}

#[test]
fn a_reply_is_read_with_the_last_ask_that_stands_by_itself() {
    let hard = "Prove that there are infinitely many primes congruent to 3 modulo 4.";
    let turns = json!([
        user(hard),
        assistant("Shall I?"),
        user("yes"),
        assistant("Done."),
        user("thanks!"),
        assistant("Welcome."),
        user("continue"),
    ]);

    assert_eq!(read(&turns), (AskSource::EarlierAsk, "continue".to_owned(), Some(hard.to_owned())));
}

#[test]
fn a_reply_whose_asks_were_cut_off_is_read_with_the_answer_before_it() {
    let turns = json!([
        assistant("Here is a plan for the lock-free queue."),
        user("continue"),
        assistant("Step one."),
        user("go on")
    ]);

    assert_eq!(read(&turns), (AskSource::Answer, "go on".to_owned(), Some("Step one.".to_owned())));
    assert_eq!(read(&json!([user("go on")])), (AskSource::Ask, "go on".to_owned(), None));
}

#[test]
fn the_ask_that_a_conversation_begins_with_is_what_replies_answer_however_it_is_put() {
    let turns = json!([user("Is this contract valid?"), assistant("Shall I look at each clause?"), user("Yes please")]);

    let found = read(&turns);

    assert_eq!(found, (AskSource::EarlierAsk, "Yes please".to_owned(), Some("Is this contract valid?".to_owned())));
}

#[test]
fn courtesies_are_read_alone() {
    let turns = json!([user("Prove that there are infinitely many primes."), assistant("Done."), user("thanks!")]);

    assert_eq!(read(&turns), (AskSource::Ask, "thanks!".to_owned(), None));
}

#[test]
fn where_nobody_asks_anything_there_is_no_ask() {
    assert_eq!(read(&json!([user(REMINDER)])), (AskSource::Nothing, String::new(), None));
    assert_eq!(read(&json!([])), (AskSource::Nothing, String::new(), None));
}

#[test]
fn an_image_alone_is_an_ask_without_words() {
    let turns = json!([user("What is DNA?"), assistant("Hm."), user(vec![json!({"type": "image"})])]);

    assert_eq!(read(&turns), (AskSource::Ask, String::new(), None));
}

#[test]
fn the_ask_is_what_is_left_between_envelopes_and_names_what_is_not() {
    let body = json!({"model": "m", "messages": [user(vec![text(REMINDER), text("What is\n"), text(REMINDER), text("DNA?")])]}).to_string();
    let prompt = Prompt::parse(Dialect::Messages, body.as_bytes()).expect("a prompt");

    assert_eq!(prompt.newest_ask(), "What is\nDNA?");
    let left_out: Vec<_> = prompt.ask().left_out().iter().map(|it| (it.envelope.to_string(), it.bytes)).collect();
    assert_eq!(left_out, [("system-reminder".to_owned(), 2 * REMINDER.len())]);
}

#[test]
fn a_long_text_before_a_reply_is_joined_by_its_ends() {
    let long = "explain every step of the proof ".repeat(2000);
    let body = json!({"model": "m", "messages": [user(long.clone()), assistant("ok"), user("yes")]}).to_string();
    let prompt = Prompt::parse(Dialect::Messages, body.as_bytes()).expect("a prompt");

    let joined = prompt.ask_text();

    assert!(joined.len() <= 2 * MAX_BEFORE + 16 && joined.ends_with("\nyes"), "{}", joined.len());
    assert_eq!(prompt.answered_text(), Some(&*long));
}

#[test]
fn every_dialect_finds_the_same_ask() {
    let turns = json!([user("What is DNA?"), assistant("Hm."), user(format!("{REMINDER}\nshorter"))]);
    for (dialect, key) in
        [(Dialect::ChatCompletions, "messages"), (Dialect::Messages, "messages"), (Dialect::Responses, "input")]
    {
        let body = json!({"model": "m", key: turns}).to_string();
        let prompt = Prompt::parse(dialect, body.as_bytes()).expect("a prompt");

        assert_eq!((prompt.newest_ask(), prompt.answered_text()), ("shorter", Some("What is DNA?")), "{dialect:?}");
    }
}
