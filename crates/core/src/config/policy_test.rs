//! The `tests` section: prompts, and the outcome that each must have.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::values::Name;

/// One request, and what is to become of it.
#[derive(Debug, Clone, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyTest {
    /// The test's name in reports; by default the prompt's beginning.
    #[serde(default)]
    pub name: Option<String>,
    /// The prompt, as one user turn; either this or `body`.
    #[serde(default)]
    pub prompt: Option<String>,
    /// The whole request body.
    #[serde(default)]
    pub body: Option<Value>,
    /// The model that is asked for, where `body` does not say it. By default the first exact name that a policy
    /// matches.
    #[serde(default)]
    pub model: Option<String>,
    /// The request's path.
    #[serde(default = "PolicyTest::default_path")]
    pub path: String,
    /// The request's headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The client that asks, by its name in `clients`; nobody in particular by default.
    #[serde(default)]
    pub client: Option<Name>,
    /// The time at which the request comes, so that the outcome never depends on when the test runs.
    #[serde(default)]
    pub now: UtcMoment,
    /// Answers that the test takes for given.
    #[serde(default)]
    pub given: GivenAnswers,
    /// The outcome that the test demands.
    pub expect: ExpectedOutcome,
}

/// Answers that a test takes for given, so that it asks nobody who costs money.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GivenAnswers {
    /// The label that every judge answers; without it judges do not answer.
    pub judgement: Option<String>,
}

/// The outcome that a test demands; every part that is present must be so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedOutcome {
    /// The model that is chosen, by its name in the catalog.
    pub model: Option<Name>,
    /// The policy that decides.
    pub policy: Option<Name>,
    /// The position of the rule that chooses or denies, from 0.
    pub rule: Option<usize>,
    /// The reason for the model, as decisions show it.
    pub reason: Option<String>,
    /// The status that a rule denies it with; 400 where no model's API can say what it must be told.
    pub denied: Option<u16>,
}

/// A moment, written as in RFC 3339: `2026-11-23T09:30:00Z`. By default noon of a Monday, 1 January 2024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UtcMoment(
    /// Seconds since 1970, UTC.
    pub u64,
);

impl PolicyTest {
    fn default_path() -> String {
        "/v1/chat/completions".to_owned()
    }
}

impl Default for UtcMoment {
    fn default() -> Self {
        Self(1_704_110_400)
    }
}

impl<'de> Deserialize<'de> for UtcMoment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl FromStr for UtcMoment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let moment = humantime::parse_rfc3339(text).ok();
        let since = moment.and_then(|moment| moment.duration_since(SystemTime::UNIX_EPOCH).ok());
        since.map(|since| Self(since.as_secs())).ok_or_else(|| {
            format!("`{text}` is not a moment (allowed: date and time in UTC, such as 2026-11-23T09:30:00Z)")
        })
    }
}

impl Serialize for UtcMoment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_secs(self.0)))
    }
}
