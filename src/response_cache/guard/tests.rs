use super::*;

fn agree(one: &str, other: &str, guard: SemanticGuard) -> bool {
    AskWords::of(one).agree(&AskWords::of(other), guard)
}

/// Asserts that none of these pairs gets one answer by the guard `content`.
fn are_apart(pairs: &[(&str, &str)]) {
    for (one, other) in pairs {
        assert!(!agree(one, other, SemanticGuard::Content), "{one} | {other}");
    }
}

#[test]
fn an_ask_in_another_dress_is_the_same() {
    for (one, other) in [
        ("What is the capital of France?", "what is the capital of France"),
        ("what's the capital of France", "Please, what is the capital of France?"),
        ("What is the capital of France?", "What is the capital of France? Thanks!"),
        ("Please explain how \"ls\" works.", "explain how \"ls\" works"),
        ("Could you please define entropy?", "Define entropy."),
        ("Is water safe to drink?", " is water safe to drink\n"),
        ("Write a poem", "write a poem"),
    ] {
        assert!(agree(one, other, SemanticGuard::Content), "{one} | {other}");
        assert!(agree(one, other, SemanticGuard::Figures), "{one} | {other}");
    }
}

#[test]
fn another_word_or_another_order_is_another_ask() {
    are_apart(&[
        ("What is the capital of France?", "What is the capital of Spain?"),
        ("Convert euros to dollars", "Convert dollars to euros"),
        ("Is water safe to drink?", "Is water safe to drink cold?"),
        ("Who is president of France?", "Who was president of France?"),
        ("Explain C", "Explain C++"),
    ]);
    assert!(agree("What is the capital of France?", "What is the capital of Spain?", SemanticGuard::Figures));
}

#[test]
fn a_word_in_another_case_is_another_word() {
    are_apart(&[
        ("rename Foo.txt to foo.txt", "rename foo.txt to Foo.txt"),
        ("convert 5 MB to Mb", "convert 5 Mb to MB"),
        ("What is 5 m in feet?", "What is 5 M in feet?"),
        ("Is the word Polish capitalized?", "Is the word polish capitalized?"),
        ("What is IT?", "What is it?"),
        ("Define AIDS.", "Define aids."),
        ("What does US mean?", "What does us mean?"),
        ("How many capital letters are in \"HELLO\"?", "How many capital letters are in \"hello\"?"),
        ("Wer sind Sie", "Wer sind sie"),
    ]);
}

#[test]
fn a_first_word_that_may_be_a_name_is_taken_as_it_is_written() {
    are_apart(&[
        ("Apple price", "apple price"),
        ("Polish shoes", "polish shoes"),
        ("May is which month?", "may is which month?"),
        ("US size 8", "us size 8"),
        ("WHO members", "who members"),
        ("C is what?", "c is what?"),
    ]);
}

#[test]
fn articles_and_forms_of_to_be_tell_asks_apart() {
    are_apart(&[
        ("Who is The Who?", "Who is Who?"),
        ("What is the capital of France", "What is a capital of France"),
        ("what is the plural of mouse", "what is the plural of the mouse"),
        ("Could you list the members of The The?", "Could you list the members of the?"),
        ("What is the meaning of to be", "What is the meaning of be"),
        ("Is \"they is\" right?", "Is \"they are\" right?"),
    ]);
}

#[test]
fn a_way_to_ask_is_part_of_the_ask() {
    are_apart(&[
        ("What is a joke?", "Tell me a joke"),
        ("I want music", "I love music"),
        ("Can you swim?", "I want to swim"),
        ("Can you write poems?", "Write poems"),
        ("Hello, how are you in French?", "How are you in French?"),
        ("May", "may I"),
    ]);
}

#[test]
fn courtesies_inside_an_ask_and_in_what_it_is_about_tell_asks_apart() {
    are_apart(&[
        ("Translate please to French", "Translate to French"),
        ("Translate: \"please\"", "Translate: \"thanks\""),
        ("Translate to German: thank you", "Translate to German:"),
        ("Please write me back: is this polite?", "Write me back: is this polite?"),
        ("Please give me the bill in Japanese", "Give me the bill in Japanese"),
        ("Please explain yourself. Is that polite?", "Explain yourself. Is that polite?"),
        ("What does it mean if someone says no, thanks?", "What does it mean if someone says no?"),
        ("What rhymes with please?", "What rhymes with?"),
        ("How do I say thank you?", "How do I say?"),
    ]);
}

#[test]
fn punctuation_that_says_something_tells_asks_apart() {
    are_apart(&[
        ("Let's eat, grandma: is it correct?", "Let's eat grandma: is it correct?"),
        ("Is it safe to drive?", "Is it safe, to drive?"),
        ("What is 5!", "What is 5?"),
        ("You are going?", "You are going."),
        ("Is it well or we'll?", "Is it well or well?"),
        ("Summarize: A B C", "Summarize A B C"),
        ("What is ??", "What is ?"),
        ("Explain git add .", "Explain git add"),
        ("What is a.b.c?", "What is a b c?"),
        ("what does `LS` do", "what does LS do"),
        ("Is this valid?\nif a:\n  b()", "Is this valid?\nif a:\nb()"),
        ("What is √4?", "What is 4?"),
    ]);
}

#[test]
fn figures_quotations_and_negations_tell_asks_apart_for_every_guard() {
    for (one, other) in [
        ("What is 12 + 30?", "What is 12 + 31?"),
        ("What is 5 - 3?", "What is 5 + 3?"),
        ("What is 5!", "What is 5?"),
        ("Round 3.5 to the nearest whole number", "Round 3.7 to the nearest whole number"),
        ("How long is 5MB at 1MB a second?", "How long is 5Mb at 1MB a second?"),
        ("Translate \"good morning\"", "Translate \"good evening\""),
        ("Translate \"Polish\"", "Translate \"polish\""),
        ("May I take this with alcohol?", "May I not take this with alcohol?"),
        ("Tomatoes don't need sun", "Tomatoes need sun"),
        ("It didn’t work", "It worked"),
        ("Is -5 even?", "Is 5 even?"),
    ] {
        for guard in [SemanticGuard::Content, SemanticGuard::Figures] {
            assert!(!agree(one, other, guard), "{one} | {other}");
        }
    }
}

#[test]
fn an_ask_of_courtesies_alone_is_itself() {
    for greeting in ["hello ", "Hello!", "Hello ?"] {
        assert!(agree("hello", greeting, SemanticGuard::Content), "{greeting}");
    }
    are_apart(&[
        ("hello you", "thank you"),
        ("hello", "hi"),
        ("HI", "hi"),
        ("please", "thanks"),
        ("Please ", ""),
        ("thank you", "thanks"),
    ]);
}
