use serde_json::{Value, json};

use super::signs::{SIGNS, SignPosition};
use super::*;
use crate::prompt::{Dialect, Prompt};

fn read(body: &Value) -> (Purpose, bool) {
    let body = body.to_string();
    let prompt = Prompt::parse(Dialect::Messages, body.as_bytes()).expect("a prompt");
    (prompt.purpose, prompt.is_planning)
}

fn purpose(system: &str, ask: &str) -> Purpose {
    read(&json!({"model": "m", "system": system, "messages": [{"role": "user", "content": ask}]})).0
}

#[test]
fn every_sign_is_told_where_it_stands() {
    for sign in SIGNS {
        let found = match sign.place {
            SignPosition::Ask => {
                purpose("You are an agent.", &format!("<system-reminder>\nx\n</system-reminder>\n{} …", sign.begins))
            }
            SignPosition::System => {
                purpose(&format!("x-anthropic-billing-header: cc\nYou are an agent.\n{} …", sign.begins), "hi")
            }
        };

        assert_eq!(found, sign.purpose, "{}", sign.begins);
    }
}

#[test]
fn a_person_who_asks_for_a_title_or_a_summary_gets_an_answer() {
    for ask in [
        "Give me a title for my essay on bees",
        "Summarize the conversation so far",
        "Please generate a concise, 3-5 word title for my talk",
        "What do you suggest I ask next?",
    ] {
        assert_eq!(purpose("You are a helpful assistant.", ask), Purpose::Answer, "{ask}");
    }
}

#[test]
fn a_probe_asks_for_one_token_of_next_to_nothing() {
    let body = |max_tokens: u64, ask: &str| json!({"model": "m", "max_tokens": max_tokens, "messages": [{"role": "user", "content": ask}]});

    assert_eq!(read(&body(1, "quota")).0, Purpose::Probe);
    assert_eq!(read(&body(2, "quota")).0, Purpose::Answer);
    assert_eq!(read(&body(1, "Is this review positive? Answer Y or N: great!")).0, Purpose::Answer);
}

#[test]
fn the_newest_mode_marker_that_is_not_a_person_s_decides() {
    let plan = "<system-reminder>\nPlan mode is active. The user indicated that they do not want you to execute yet\n</system-reminder>";
    let exit = "<system-reminder>\n## Exited Plan Mode\n</system-reminder>";
    let planning = |texts: &[&str]| {
        let messages: Vec<Value> = texts.iter().map(|text| json!({"role": "user", "content": text})).collect();
        read(&json!({"model": "m", "tools": [{}], "messages": messages})).1
    };

    assert!(planning(&[plan, "and the tests?"]));
    assert!(planning(&[&format!("{plan}\nplan it")]));
    assert!(!planning(&[plan, exit, "go"]));
    assert!(!planning(&["What does it mean that Plan mode is active?"]));
    assert!(planning(&["<environment_details>\n# Current Mode\nPLAN MODE\nx\n</environment_details>"]));
}

#[test]
fn a_heading_of_project_instructions_sets_no_mode() {
    let instructions =
        "# AGENTS.md instructions for /p\n\n<INSTRUCTIONS>\n## Plan Mode\nWrite plans as lists.\n</INSTRUCTIONS>";
    let body = json!({"model": "m", "tools": [{}], "messages": [{"role": "user", "content": [
        {"type": "text", "text": instructions}, {"type": "text", "text": "go"}]}]});

    assert!(!read(&body).1);
}

#[test]
fn cline_s_command_that_condenses_is_a_summary() {
    let command = "<explicit_instructions type=\"condense\">\nSum it up.\n</explicit_instructions>\nplease";

    assert_eq!(purpose("You are Cline.", command), Purpose::Summary);
}

#[test]
fn codex_s_modes_are_items_of_the_developer_s() {
    let planning = |modes: &[&str]| {
        let mode = |mode: &&str| json!({"role": "developer", "content": format!("<collaboration_mode># {mode}\nx</collaboration_mode>")});
        let mut input: Vec<Value> = modes.iter().map(mode).collect();
        input.push(json!({"role": "user", "content": "go"}));
        let body = json!({"model": "m", "tools": [{}], "input": input}).to_string();
        Prompt::parse(Dialect::Responses, body.as_bytes()).expect("a prompt").is_planning
    };

    assert!(planning(&["Collaboration Mode: Default", "Plan Mode (Conversational)"]));
    assert!(!planning(&["Plan Mode (Conversational)", "Collaboration Mode: Default"]));
}
