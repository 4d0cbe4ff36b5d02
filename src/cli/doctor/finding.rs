//! A finding of `doctor`: what was looked at, how it is, and what to do.

use serde::Serialize;

/// How good it is what was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FindingGrade {
    /// All is well.
    Ok,
    /// Nothing was found out.
    Skipped,
    /// It works, and not as well as it should.
    Warn,
    /// It does not work.
    Fail,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct DoctorFinding {
    /// What was looked at, such as `providers.openai.key`.
    pub check: String,
    pub grade: FindingGrade,
    /// How it is.
    pub finding: String,
    /// What to do about it.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl FindingGrade {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skip",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

impl DoctorFinding {
    pub(super) fn ok(check: impl Into<String>, finding: impl Into<String>) -> Self {
        Self { check: check.into(), grade: FindingGrade::Ok, finding: finding.into(), advice: None }
    }

    pub(super) fn skipped(check: impl Into<String>, finding: impl Into<String>) -> Self {
        Self { grade: FindingGrade::Skipped, ..Self::ok(check, finding) }
    }

    pub(super) fn warn(check: impl Into<String>, finding: impl Into<String>, advice: &str) -> Self {
        Self { grade: FindingGrade::Warn, advice: Some(advice.to_owned()), ..Self::ok(check, finding) }
    }

    pub(super) fn fail(check: impl Into<String>, finding: impl Into<String>, advice: &str) -> Self {
        Self { grade: FindingGrade::Fail, ..Self::warn(check, finding, advice) }
    }

    /// Returns the finding as lines of text; `width` is that of the longest check's name.
    pub(super) fn render(&self, width: usize) -> String {
        let mut finding = self.finding.trim_end().replace('\n', "\n      ");
        if let Some(advice) = &self.advice {
            finding = format!("{finding}\n      do: {}", advice.replace('\n', "\n          "));
        }
        format!("{:<4}  {:<width$}  {finding}\n", self.grade.as_str(), self.check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_what_to_do_on_a_line_of_its_own() {
        let finding = DoctorFinding::fail("admin", "another program listens there", "stop it");

        assert_eq!(finding.render(8), "FAIL  admin     another program listens there\n      do: stop it\n");
        assert_eq!(DoctorFinding::ok("a", "b").render(1), "ok    a  b\n");
    }
}
