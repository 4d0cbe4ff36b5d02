//! The questions of `init`. An empty answer, and the end of the input, take what is proposed.

use std::io::{self, BufRead};

/// Asks on stderr and reads answers, or takes every proposal.
pub(super) struct Questions {
    input: Option<Box<dyn BufRead>>,
}

impl Questions {
    /// Asks, and reads answers from `input`.
    pub(super) fn reading(input: Box<dyn BufRead>) -> Self {
        Self { input: Some(input) }
    }

    /// Asks nothing.
    pub(super) const fn none() -> Self {
        Self { input: None }
    }

    /// Asks until `read` takes the answer; what it refuses is said, and asked again.
    pub(super) fn ask<T>(
        &mut self,
        question: &str,
        proposal: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> io::Result<T> {
        let proposed = |problem: String| io::Error::new(io::ErrorKind::InvalidInput, problem);
        loop {
            let Some(input) = &mut self.input else { return read(proposal).map_err(proposed) };
            eprint!("{question} [{proposal}]: ");
            let mut line = String::new();
            if input.read_line(&mut line)? == 0 {
                eprintln!();
                self.input = None;
                continue;
            }
            let answer = match line.trim() {
                "" => proposal,
                answer => answer,
            };
            match read(answer) {
                Ok(value) => return Ok(value),
                Err(problem) => eprintln!("  {problem}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn answered(input: &'static str) -> io::Result<u16> {
        let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is no number"));
        Questions::reading(Box::new(Cursor::new(input))).ask("Which?", "7", number)
    }

    #[test]
    fn an_empty_answer_and_no_answer_take_the_proposal_and_a_bad_one_is_asked_again() {
        for (input, wanted) in [("\n", 7), ("", 7), ("9\n", 9), ("nine\n 9 \n", 9), ("nine", 7)] {
            assert_eq!(answered(input).expect("an answer"), wanted, "{input:?}");
        }
    }

    #[test]
    fn a_proposal_that_is_refused_without_a_question_is_an_error() {
        let refused = Questions::none().ask("Which?", "x", |text| Err::<(), _>(format!("`{text}` is none")));

        assert_eq!(refused.expect_err("refused").to_string(), "`x` is none");
    }
}
