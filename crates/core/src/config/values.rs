//! Newtypes that make a bad value unrepresentable.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de};

/// A name that operators give to a provider, model, classifier, policy or label.
///
/// 1 to 128 characters out of letters, digits and `._:/-`: safe as a header value and as a metric label. Cheap to
/// clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Name(Arc<str>);

/// A number between 0 and 1, both included; never NaN.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize)]
pub struct Ratio(f64);

/// A length of time, written as a number with a unit: `20ms`, `2s`, `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeSpan(pub Duration);

/// A pattern over a whole text: `*` stands for any characters, `?` for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Glob(Box<str>);

/// Labels and their models in the file's order: the lowest tier first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TierModels(Vec<(Name, Name)>);

impl Name {
    /// Checks and wraps `text`.
    ///
    /// # Errors
    /// Says what is allowed when `text` is empty, too long or holds another character.
    pub fn new(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._:/-".contains(c);
        if text.is_empty() || text.len() > 128 || !text.chars().all(allowed) {
            return Err(format!("`{text}` is not a name (allowed: 1 to 128 letters, digits and `._:/-`)"));
        }
        Ok(Self(text.into()))
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ratio {
    /// Checks and wraps `value`.
    ///
    /// # Errors
    /// When `value` is not between 0 and 1.
    pub fn new(value: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(format!("must be between 0 and 1, got {value}"))
        }
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TimeSpan {
    /// Wraps whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Wraps whole milliseconds.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }
}

impl Glob {
    /// Checks and wraps `pattern`.
    ///
    /// # Errors
    /// When `pattern` is empty, longer than 256 characters, or holds braces, backslashes, exclamation marks or control
    /// characters. Other tools give the former a meaning that this one does not have; brackets are ordinary characters,
    /// because names of models have them.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let refused = |c: char| c.is_control() || "{}\\!".contains(c);
        if pattern.is_empty() || pattern.chars().count() > 256 || pattern.contains(refused) {
            return Err(format!(
                "`{pattern}` is not a pattern (allowed: text in which `*` is any characters and `?` is one)"
            ));
        }
        Ok(Self(pattern.into()))
    }

    /// Returns the one text that fits, if there is only one.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        Some(&*self.0).filter(|pattern| !pattern.contains(['*', '?']))
    }

    /// Returns the pattern in lower case, as far as it is ASCII.
    pub(super) fn in_lower_case(&self) -> Self {
        Self(self.0.to_ascii_lowercase().into())
    }

    /// Tells whether the whole of `text` fits. Case counts; takes at most pattern x text steps and no memory.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.chars(), text.chars());
        // Where to go on, one character later each time, when what follows the last `*` does not fit.
        let mut retry = None;
        loop {
            let here = rest.clone();
            match (pattern.next(), rest.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    retry = Some((pattern.clone(), here.clone()));
                    rest = here;
                }
                (Some('?'), Some(_)) => {}
                (Some(wanted), Some(got)) if wanted == got => {}
                _ => {
                    let Some((after_star, mut later)) = retry else { return false };
                    if later.next().is_none() {
                        return false;
                    }
                    (pattern, rest) = (after_star.clone(), later.clone());
                    retry = Some((after_star, later));
                }
            }
        }
    }

    /// Returns the pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TierModels {
    /// Returns the model of `label`.
    #[must_use]
    pub fn get(&self, label: &str) -> Option<&Name> {
        self.0.iter().find(|(own, _)| own.as_str() == label).map(|(_, model)| model)
    }

    /// Iterates over labels and models, the lowest tier first.
    #[must_use = "iterators do nothing by themselves"]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Name, &Name)> + Clone {
        self.0.iter().map(|(label, model)| (label, model))
    }

    /// Tells whether there is no tier.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Reads an address and says what one looks like when it is none.
pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        de::Error::custom(format!(
            "`{text}` is not an address (allowed: an IP address and a port, such as 127.0.0.1:8080)"
        ))
    })
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(f64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Self).map_err(|_| {
            de::Error::custom(format!(
                "`{text}` is not a duration (allowed: a number with a unit, such as 20ms, 2s or 1h)"
            ))
        })
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl FromIterator<(Name, Name)> for TierModels {
    fn from_iter<I: IntoIterator<Item = (Name, Name)>>(tiers: I) -> Self {
        Self(tiers.into_iter().collect())
    }
}

impl<'de> Deserialize<'de> for TierModels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> de::Visitor<'de> for InOrder {
            type Value = TierModels;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of labels to models")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<TierModels, A::Error> {
                std::iter::from_fn(|| map.next_entry().transpose()).collect::<Result<_, _>>()
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl Serialize for TierModels {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl Serialize for TimeSpan {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        Glob::new(pattern).expect("a pattern").matches(text)
    }

    #[test]
    fn a_star_stands_for_any_characters_and_a_question_mark_for_one() {
        assert!(fits("gpt-*", "gpt-4.1-nano") && fits("gpt-*", "gpt-") && fits("*", "") && fits("a*b*c", "a-b-b-c"));
        assert!(fits("gpt-?", "gpt-4") && fits("gpt-?", "gpt-\u{e9}"));
        assert!(
            !fits("gpt-*", "my-gpt-4") && !fits("gpt-?", "gpt-") && !fits("gpt-?", "gpt-41") && !fits("a*b", "a-b-c")
        );
    }

    #[test]
    fn a_pattern_without_wildcards_is_the_text_itself() {
        assert!(fits("auto", "auto"));
        assert!(!fits("auto", "Auto") && !fits("auto", "automatic") && !fits("auto", ""));
    }

    #[test]
    fn many_stars_over_a_long_text_end_soon() {
        let text = "a".repeat(10_000);

        assert!(!fits("*a*a*a*a*a*a*a*a*b", &text));
    }

    #[test]
    fn brackets_are_ordinary_characters() {
        assert!(fits("claude-sonnet-4-5[1m]", "claude-sonnet-4-5[1m]") && fits("*[1m]", "opus[1m]"));
        assert!(!fits("gpt-[34]", "gpt-3") && !fits("*[1m]", "opus"));
    }

    #[test]
    fn a_pattern_is_bounded_and_holds_no_sets() {
        assert!(Glob::new(&"a".repeat(256)).is_ok());
        for pattern in ["", "{a,b}", "!auto", "a\nb", &"a".repeat(257)] {
            assert!(Glob::new(pattern).is_err(), "{pattern:?}");
        }
    }

    #[test]
    fn a_name_has_1_to_128_safe_characters() {
        assert!(Name::new("a").is_ok() && Name::new(&"a".repeat(128)).is_ok() && Name::new("org/llama-3.1:8b").is_ok());
        for name in ["", "a b", "a\n", "é", &"a".repeat(129)] {
            assert!(Name::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_ratio_is_between_0_and_1() {
        assert!(Ratio::new(0.0).is_ok() && Ratio::new(1.0).is_ok());
        for value in [-0.001, 1.001, f64::NAN, f64::INFINITY] {
            assert!(Ratio::new(value).is_err(), "{value}");
        }
    }
}
