use proptest::prelude::*;

use super::standing::Standing;

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
        assert_eq!(Standing::of(reply), Standing::Dependent, "{reply}");
    }
}

#[test]
fn courtesies_ask_for_nothing() {
    for reply in ["thanks!", "ok thanks", "bye", "no thanks", "that's all", "danke schön", "谢谢", "🙂"] {
        assert_eq!(Standing::of(reply), Standing::Courtesy, "{reply}");
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
    ] {
        assert_eq!(Standing::of(ask), Standing::Alone, "{ask}");
    }
    let long = "yes ".repeat(41);
    assert_eq!(Standing::of(&long), Standing::Alone);
}

proptest! {
    #[test]
    fn any_reply_has_a_standing(text in "\\PC{0,80}") {
        let _standing = Standing::of(&text);
    }
}
