//! Efforts by name and by the tokens of a thinking budget.

use crate::neutral::{Effort, ReasoningMode};

/// Returns the name of an effort, which the APIs share.
#[must_use]
pub const fn name(effort: Effort) -> &'static str {
    match effort {
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::XHigh => "xhigh",
        Effort::Max => "max",
    }
}

/// Returns the effort called `name`; `None` for a name that no API has, and for `none`, which is no effort.
#[must_use]
pub fn named(name: &str) -> Option<Effort> {
    Some(match name {
        "minimal" => Effort::Minimal,
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        "xhigh" => Effort::XHigh,
        "max" => Effort::Max,
        _ => return None,
    })
}

/// Returns the effort that is nearest to a budget of thinking tokens.
#[must_use]
pub const fn of_budget(tokens: u64) -> Effort {
    match tokens {
        0..4096 => Effort::Low,
        4096..16384 => Effort::Medium,
        16384..32768 => Effort::High,
        _ => Effort::XHigh,
    }
}

/// Returns the budget of thinking tokens that is nearest to an effort.
#[must_use]
pub const fn budget(effort: Effort) -> u64 {
    match effort {
        Effort::Minimal => 512,
        Effort::Low => 2048,
        Effort::Medium => 8192,
        Effort::High => 16384,
        Effort::XHigh => 24576,
        Effort::Max => 32768,
    }
}

/// Returns the effort that an amount of thinking is in an API that knows efforts alone; `None` where there is no
/// thinking, and where the model chooses.
#[must_use]
pub fn of_mode(mode: ReasoningMode) -> Option<Effort> {
    match mode {
        ReasoningMode::Off => None,
        ReasoningMode::Adaptive { effort } => effort,
        ReasoningMode::Effort(effort) => Some(effort),
        ReasoningMode::Budget { tokens, effort } => Some(effort.unwrap_or_else(|| of_budget(tokens))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Effort; 6] = [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High, Effort::XHigh, Effort::Max];

    #[test]
    fn every_effort_has_a_name_that_leads_back_to_it() {
        for effort in ALL {
            assert_eq!(named(name(effort)), Some(effort));
        }
        assert_eq!(named("none"), None);
    }

    #[test]
    fn a_greater_effort_has_a_greater_budget_and_the_budgets_of_the_middle_lead_back() {
        assert!(ALL.windows(2).all(|pair| budget(pair[0]) < budget(pair[1])));
        for effort in [Effort::Low, Effort::Medium, Effort::High] {
            assert_eq!(of_budget(budget(effort)), effort);
        }
        assert_eq!(of_budget(31_999), Effort::High);
    }
}
