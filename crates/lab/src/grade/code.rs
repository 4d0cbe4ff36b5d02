//! The code that an answer holds.

use pointsman_core::judgement::spoken;

/// A fenced block of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FencedBlock<'t> {
    /// The word after the opening fence; empty where there is none.
    pub(super) language: &'t str,
    pub(super) text: &'t str,
}

/// The code of an answer and the name of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AnswerCode {
    pub(super) text: String,
    pub(super) extension: &'static str,
}

/// Names of languages and the extensions of their files.
const EXTENSIONS: [(&str, &str); 20] = [
    ("python", "py"),
    ("python3", "py"),
    ("py", "py"),
    ("rust", "rs"),
    ("rs", "rs"),
    ("javascript", "js"),
    ("js", "js"),
    ("typescript", "ts"),
    ("ts", "ts"),
    ("go", "go"),
    ("golang", "go"),
    ("java", "java"),
    ("c", "c"),
    ("cpp", "cpp"),
    ("c++", "cpp"),
    ("ruby", "rb"),
    ("php", "php"),
    ("bash", "sh"),
    ("sh", "sh"),
    ("sql", "sql"),
];

/// Returns the code of an answer: the longest fenced block, as shorter ones show how to call it; without fences the
/// whole text.
pub(super) fn code_of(answer: &str) -> AnswerCode {
    let text = spoken(answer);
    let blocks = fenced(&text);
    let longest = blocks.iter().rev().max_by_key(|block| block.text.len());
    let (code, language) = longest.map_or((&*text, ""), |block| (block.text, block.language));
    let known = EXTENSIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(language));
    AnswerCode { text: code.to_owned(), extension: known.map_or("py", |(_, extension)| extension) }
}

/// Returns the fenced blocks of a text. One that does not close goes on to the end: the answer was cut.
pub(super) fn fenced(text: &str) -> Vec<FencedBlock<'_>> {
    let (mut blocks, mut open): (Vec<FencedBlock<'_>>, Option<OpenFence<'_>>) = (Vec::new(), None);
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let trimmed = line.trim();
        let Some(fence) = ["```", "~~~"].into_iter().find(|fence| trimmed.starts_with(fence)) else { continue };
        match &open {
            None => {
                let language = trimmed.trim_start_matches(['`', '~']).split_whitespace().next().unwrap_or_default();
                open = Some(OpenFence { fence, language, from: at });
            }
            Some(opened) if opened.fence == fence && trimmed.trim_matches(['`', '~']).is_empty() => {
                blocks.push(FencedBlock { language: opened.language, text: &text[opened.from..start] });
                open = None;
            }
            Some(_) => {}
        }
    }
    blocks.extend(open.map(|opened| FencedBlock { language: opened.language, text: &text[opened.from..] }));
    blocks
}

/// A fence that has not closed yet.
struct OpenFence<'t> {
    fence: &'static str,
    language: &'t str,
    from: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_block_is_the_code_and_its_language_names_the_file() {
        let answer = "Here:\n```python\ndef f(x):\n    return x + 1\n```\nCall it:\n```python\nf(1)\n```\n";

        assert_eq!(code_of(answer), AnswerCode { text: "def f(x):\n    return x + 1\n".into(), extension: "py" });
        assert_eq!(code_of("```rust\nfn f() {}\n```").extension, "rs");
        assert_eq!(code_of("~~~C++\nint f();\n~~~"), AnswerCode { text: "int f();\n".into(), extension: "cpp" });
    }

    #[test]
    fn an_answer_without_fences_is_code_and_a_fence_that_does_not_close_goes_on_to_the_end() {
        assert_eq!(code_of("def f(): pass"), AnswerCode { text: "def f(): pass".into(), extension: "py" });
        assert_eq!(code_of("So:\n```js\nf()\ng()").text, "f()\ng()");
        assert_eq!(code_of("<think>```js\nno\n```</think>\n```js\nyes\n```").text, "yes\n");
    }

    #[test]
    fn a_fence_of_the_other_kind_within_a_block_is_its_text() {
        assert_eq!(fenced("```md\n~~~\n```\n"), [FencedBlock { language: "md", text: "~~~\n" }]);
    }
}
