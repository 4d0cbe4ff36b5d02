//! The audit line: one record for each change of what serves, made or refused, with who asked for it.
//!
//! Says who, what and what became of it, never a token, a certificate or the text of a configuration.

use std::net::IpAddr;

use tracing::info;

/// The target of the records; `RUST_LOG=audit=off` silences them, a general level such as `warn` does not.
pub const TARGET: &str = "audit";

/// A change that was asked for.
#[derive(Debug, Clone, Copy)]
pub struct AuditLine<'r> {
    /// The change: `reload`, `rollback`, `kill_switch`.
    pub action: &'static str,
    /// The object of the change, such as a policy, as the configuration names it.
    pub subject: Option<&'r str>,
    /// The way in which the caller is known: `token`, `certificate`, `loopback`, `open`, `command` for a command of the command
    /// line, or `process` for what no caller asked for.
    pub caller_kind: &'static str,
    /// The name of the caller's token or certificate, the user whose command it is, or the trigger of what no caller asked for.
    pub caller: &'r str,
    /// The caller's role.
    pub role: Option<&'static str>,
    /// The address that the request came from.
    pub peer: Option<IpAddr>,
    /// The method and the path's pattern: `POST /reload`.
    pub route: Option<&'r str>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// What became of the change.
    pub outcome: AuditOutcome,
    /// The generation that served before; `None` for a change that is no generation's.
    pub generation_before: Option<u64>,
    /// The generation that serves after it.
    pub generation_after: Option<u64>,
}

/// The outcome of a change that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditOutcome {
    /// The change was made, or there was nothing to change.
    Done,
    /// The change was tried and did not come about.
    Failed,
    /// The caller may not make it.
    Refused,
}

impl AuditOutcome {
    /// Returns the outcome of an answer with this status.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            ..400 => Self::Done,
            _ => Self::Failed,
        }
    }

    /// Returns the outcome as the line says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

impl<'r> AuditLine<'r> {
    /// Makes the line of a change that was made, without a request and without a generation.
    #[must_use]
    pub const fn of_change(action: &'static str, subject: &'r str, caller_kind: &'static str, caller: &'r str) -> Self {
        Self {
            action,
            subject: Some(subject),
            caller_kind,
            caller,
            role: None,
            peer: None,
            route: None,
            status: None,
            outcome: AuditOutcome::Done,
            generation_before: None,
            generation_after: None,
        }
    }

    /// Writes the line.
    pub fn emit(&self) {
        info!(
            target: TARGET,
            action = self.action,
            subject = self.subject,
            outcome = self.outcome.as_str(),
            caller = self.caller,
            caller_kind = self.caller_kind,
            role = self.role,
            peer = self.peer.map(tracing::field::display),
            route = self.route,
            status = self.status,
            generation_before = self.generation_before,
            generation_after = self.generation_after,
            "Change"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::LogFormat;
    use crate::logging::capture::captured;

    fn line() -> AuditLine<'static> {
        AuditLine {
            action: "rollback",
            subject: None,
            caller_kind: "token",
            caller: "ci",
            role: Some("operate"),
            peer: Some(IpAddr::from([10, 0, 0, 7])),
            route: Some("POST /rollback"),
            status: Some(200),
            outcome: AuditOutcome::of_status(200),
            generation_before: Some(3),
            generation_after: Some(4),
        }
    }

    #[test]
    fn a_line_says_who_changed_what_and_from_which_generation_to_which() {
        let written = captured(LogFormat::Json, "", || line().emit());

        let read: serde_json::Value = serde_json::from_str(&written).expect("JSON");
        for (key, expected) in [("caller", "ci"), ("role", "operate"), ("outcome", "done"), ("peer", "10.0.0.7")] {
            assert_eq!(read[key], expected, "{written}");
        }
        assert_eq!((&read["generation_before"], &read["generation_after"]), (&3.into(), &4.into()));
        assert!(read.get("subject").is_none(), "{written}");
    }

    #[test]
    fn a_general_level_leaves_the_lines_and_their_own_does_not() {
        assert!(!captured(LogFormat::Text, "warn", || line().emit()).is_empty());
        assert!(captured(LogFormat::Text, "audit=off", || line().emit()).is_empty());
    }
}
