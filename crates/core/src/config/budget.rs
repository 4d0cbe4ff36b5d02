//! The section `budgets`: what clients, teams, keys and sessions may spend in a minute, hour, day, week or month.
//!
//! Periods are those of the calendar in UTC, so that every replica begins anew at the same moment.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::quota::QuotaOnRules;
use super::values::{Glob, Name, Ratio, TimeSpan};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;

/// Bounds what each holder may spend in a period: US dollars, tokens, requests, or several of these.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetConfig {
    /// Shown to clients, and in metrics, explanations and logs.
    pub name: Name,
    /// The holder of one allowance. Default `client`.
    #[serde(default)]
    pub per: BudgetHolder,
    /// Globs over the clients that it is for; absent means all.
    #[serde(default)]
    pub clients: Option<Vec<Glob>>,
    /// Globs over the teams that it is for; absent means all, and clients without a team.
    #[serde(default)]
    pub teams: Option<Vec<Glob>>,
    /// US dollars in a period.
    #[serde(default)]
    pub dollars: Option<f64>,
    /// Tokens in a period, prompts and answers together.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// Requests in a period that a provider answers.
    #[serde(default)]
    pub requests: Option<u64>,
    /// The length of a period, by the calendar in UTC. Default `day`.
    #[serde(default)]
    pub period: BudgetPeriod,
    /// The share of the budget beyond which policies move to cheaper models, as their `budget` says. Default 0.8.
    #[serde(default = "BudgetConfig::default_soft")]
    pub soft: Ratio,
    /// The effect on requests beyond the whole budget. Default `refuse`.
    #[serde(default)]
    pub beyond: BudgetBeyond,
    /// The way on while the store that replicas count in does not answer. Default `local`.
    #[serde(default)]
    pub without_store: BudgetWithoutStore,
    /// The time that a process may hold an unused part of the budget, which it drew from the store ahead of need. 0 has
    /// the store asked about every request. With `store` only. Default 1s.
    #[serde(default = "BudgetConfig::default_lease")]
    pub lease: TimeSpan,
    /// Sessions that have an allowance of their own; any more share one. With `per: session` only. Default 10000.
    #[serde(default = "BudgetConfig::default_max_sessions")]
    pub max_sessions: usize,
}

/// The holder of one allowance of a budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetHolder {
    /// The client whose key came with the request.
    #[default]
    Client,
    /// The client's team: all of its clients together.
    Team,
    /// The key that came with the request.
    Key,
    /// The session that the client names, else the conversation by how it begins: its system texts and its first ask.
    /// A request of neither, such as an upload, is not counted.
    Session,
}

/// The length of a budget's period. A week begins on Monday.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetPeriod {
    /// From second 0 to the next.
    Minute,
    /// From minute 0 to the next.
    Hour,
    /// From midnight to midnight.
    #[default]
    Day,
    /// From Monday to Monday.
    Week,
    /// From the first to the first of the next month.
    Month,
}

/// The effect of a budget on requests beyond it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetBeyond {
    /// They get a 429 with the code `quota_exceeded`, until the period ends.
    #[default]
    Refuse,
    /// They are served; policies keep to cheaper models.
    Serve,
}

/// The way on while the store that replicas count in does not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetWithoutStore {
    /// Each process goes by what it last heard and has counted since.
    #[default]
    Local,
    /// Requests are served, and counted once the store answers.
    Allow,
    /// Requests get a 503 with the code `budget_unavailable`.
    Refuse,
}

/// A policy's `budget`: its part in a budget that is nearly used up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyBudgetRule {
    /// The effect of a budget that is used beyond its `soft` share. Default `cheapest`.
    pub soft: SoftBudgetMove,
    /// The models that serve then, in this order, in place of the cheapest.
    pub otherwise: Vec<Name>,
    /// The effect on models that rules choose. Default `exempt`.
    pub rules: QuotaOnRules,
}

/// The effect of a budget that is used beyond its `soft` share on a policy's choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SoftBudgetMove {
    /// The cheapest of the policy's models that can serve the request, by the prices for input and output together.
    #[default]
    Cheapest,
    /// The choice stays.
    Keep,
}

/// One period of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetSpan {
    /// The first second, since 1970.
    pub start: u64,
    /// The first second of the next period.
    pub end: u64,
}

impl BudgetConfig {
    fn default_soft() -> Ratio {
        Ratio::new(0.8).expect("a ratio")
    }

    const fn default_lease() -> TimeSpan {
        TimeSpan::from_millis(1000)
    }

    const fn default_max_sessions() -> usize {
        10_000
    }

    /// Returns whether the budget is for a client of this name and team.
    #[must_use]
    pub fn is_for(&self, client: Option<&Name>, team: Option<&Name>) -> bool {
        let fits = |globs: &Option<Vec<Glob>>, name: Option<&Name>| {
            globs.as_ref().is_none_or(|globs| name.is_some_and(|name| globs.iter().any(|glob| glob.matches(name))))
        };
        let has_holder = match self.per {
            BudgetHolder::Client | BudgetHolder::Key => client.is_some(),
            BudgetHolder::Team => team.is_some(),
            BudgetHolder::Session => true,
        };
        has_holder && fits(&self.clients, client) && fits(&self.teams, team)
    }
}

impl BudgetHolder {
    /// Returns the stable name used in metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Team => "team",
            Self::Key => "key",
            Self::Session => "session",
        }
    }
}

impl BudgetPeriod {
    /// Returns the name of the period.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// Returns the period that holds `now`, in seconds since 1970.
    #[must_use]
    pub const fn span_at(self, now: u64) -> BudgetSpan {
        match self {
            Self::Minute => BudgetSpan::of(now, MINUTE, 0),
            Self::Hour => BudgetSpan::of(now, HOUR, 0),
            Self::Day => BudgetSpan::of(now, DAY, 0),
            // 1970-01-01 was a Thursday: three days after a Monday.
            Self::Week => BudgetSpan::of(now, WEEK, 3 * DAY),
            Self::Month => month(now),
        }
    }
}

impl BudgetSpan {
    /// Returns the span of `length` that holds `now`; one began `ahead` seconds before 1970.
    const fn of(now: u64, length: u64, ahead: u64) -> Self {
        let start = ((now + ahead) / length * length).saturating_sub(ahead);
        Self { start, end: (now + ahead) / length * length + length - ahead }
    }
}

/// Returns the month that holds `now`, after Howard Hinnant's `civil_from_days`: years of the reckoning begin in March,
/// so that the leap day is the last of them.
const fn month(now: u64) -> BudgetSpan {
    let days = now / DAY + 719_468; // since 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153; // 0 is March
    let first = (153 * month + 2) / 5;
    let start = days - (day_of_year - first);
    let year = era * 400 + year_of_era;
    let length = match month {
        0 | 2 | 4 | 5 | 7 | 9 | 10 => 31,
        11 if is_leap(year + 1) => 29,
        11 => 28,
        _ => 30,
    };
    let start = (start - 719_468) * DAY;
    BudgetSpan { start, end: start + length * DAY }
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::UtcMoment;

    fn at(text: &str) -> u64 {
        text.parse::<UtcMoment>().expect("a moment").0
    }

    #[test]
    fn a_period_is_the_calendar_s() {
        for (period, now, start, end) in [
            (BudgetPeriod::Minute, "2026-11-30T11:15:59Z", "2026-11-30T11:15:00Z", "2026-11-30T11:16:00Z"),
            (BudgetPeriod::Hour, "2026-11-30T11:15:59Z", "2026-11-30T11:00:00Z", "2026-11-30T12:00:00Z"),
            (BudgetPeriod::Day, "2026-11-30T23:59:59Z", "2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z"),
            (BudgetPeriod::Week, "2026-11-30T00:00:00Z", "2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z"),
            (BudgetPeriod::Week, "2026-11-29T23:59:59Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
            (BudgetPeriod::Month, "2026-11-30T23:59:59Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            (BudgetPeriod::Month, "2026-12-31T00:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            (BudgetPeriod::Month, "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            (BudgetPeriod::Month, "2100-02-28T12:00:00Z", "2100-02-01T00:00:00Z", "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(period.span_at(at(now)), BudgetSpan { start: at(start), end: at(end) }, "{period:?} {now}");
        }
    }

    #[test]
    fn months_follow_each_other_without_a_gap() {
        let mut now = 0;
        for _ in 0..12 * 200 {
            let span = BudgetPeriod::Month.span_at(now);
            assert!(span.start == now && (28..=31).contains(&((span.end - now) / DAY)), "{now}");
            assert_eq!(BudgetPeriod::Month.span_at(span.end - 1), span);
            now = span.end;
        }
    }

    #[test]
    fn a_budget_is_for_those_whom_it_names_and_who_hold_it() {
        let name = |text: &str| Name::new(text).expect("a name");
        let (web, red) = (name("web"), name("red"));
        let budget = |text: &str| serde_json::from_str::<BudgetConfig>(text).expect("a budget");

        let all = budget(r#"{"name": "b", "requests": 1}"#);
        let team = budget(r#"{"name": "b", "requests": 1, "per": "team"}"#);
        let some = budget(r#"{"name": "b", "requests": 1, "clients": ["w*"], "teams": ["red"]}"#);

        assert_eq!((all.soft.get(), all.period, all.max_sessions), (0.8, BudgetPeriod::Day, 10_000));
        assert_eq!([all.is_for(None, None), all.is_for(Some(&web), None)], [false, true]);
        assert_eq!([team.is_for(Some(&web), None), team.is_for(Some(&web), Some(&red))], [false, true]);
        assert_eq!([some.is_for(Some(&web), None), some.is_for(Some(&web), Some(&red))], [false, true]);
        assert!(!some.is_for(Some(&red), Some(&red)));
    }
}
