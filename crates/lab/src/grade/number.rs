//! The number that an answer gives, and whether it is the one that is right.
//!
//! What is marked as the result counts first: `####` as GSM8K's solutions have it, `\boxed{...}`, "the answer is ...".
//! Else the last number counts, or the result of a calculation in the last sentence. Units and currencies are passed over.

use std::sync::LazyLock;

use pointsman_core::judgement::spoken;
use regex::Regex;

use super::choice::Unclear;

/// Numbers that differ by less than this share of themselves are equal.
const EXACT: f64 = 1e-9;

/// A number as somebody wrote it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct WrittenNumber {
    pub(super) value: f64,
    /// True when a percent sign follows: 25 % may be 25 or 0.25.
    pub(super) is_percent: bool,
}

/// The difference between numbers that is forgiven.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum NumberTolerance {
    /// So much, whatever the number.
    Absolute(f64),
    /// A share of the right number.
    Relative(f64),
}

/// A number with what may stand before and after it. The order of alternatives matters: the longest form comes first.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?x)
        (?P<sign>[-−–+]\s?)? (?:[$€£¥₹]\s?)? (?P<late>[-−])?
        (?:
            \\d?frac\s*\{\s*(?P<ltop>-?\d+(?:\.\d+)?)\s*\}\s*\{\s*(?P<lbottom>\d+(?:\.\d+)?)\s*\}
          | (?: (?P<whole>\d+)\s+ )? (?P<top>\d+) \s*[/⁄]\s* (?P<bottom>\d+)
          | (?P<digits> \d{1,3}(?:,\d{3})+(?:\.\d+)? | \d{1,3}(?:['’\u{a0}\u{202f}\u{2009}]\d{3})+(?:[.,]\d+)? | \d{1,3}(?:\.\d{3}){2,}(?:,\d+)?
              | \d{1,3}(?:\.\d{3})+,\d+ | \d{1,3}(?:\ \d{3})+(?:[.,]\d+)? | \d+[.,]\d+ | \d+ | \.\d+ ) (?P<vulgar>[½⅓⅔¼¾⅕⅛])?
              (?: [eE](?P<exponent>[-+]?\d{1,3})\b | \s*(?:[×x·*]|\\times|\\cdot)\s*10\s*(?:\^|\*\*)\s*\{?(?P<power>[-−]?\d{1,3})\}? )?
          | (?P<alone>[½⅓⅔¼¾⅕⅛])
        )
        (?: \s*(?P<percent>\\?%|percent\b|per\s+cent\b|Prozent\b) | [\s-]*(?P<scale>thousand|million|billion|trillion)\b )?",
    )
});

/// A cue that the result follows, in several languages.
static RESULT: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?i)(?:\banswer\b(?:\s+(?:to|for)\s[^.\n]{0,80}?)?|\b(?:final\s+)?result\b|\bantwort\b|\bergebnis\b|\bréponse\b|\brésultat\b|\brespuesta\b|\bresultado\b|\bresposta\b|\brisposta\b|\brisultato\b|ответ|答案|答え|正解|정답)[\s*_]*(?:\bis\b|\bist\b|\blautet\b|\best\b|\bes\b|é|è|是|为|は|은|는|[:：=])",
    )
});

/// A second number beside the first.
static OTHER: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?i)^[\s*_$]*(?:or|oder|ou|o)\s+[$€£¥]?\s?[-−]?\d"));

impl WrittenNumber {
    /// Reads a number that stands by itself, such as a reference.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let plain = plain(text);
        numbers(&plain).last().map(|found| found.number)
    }

    /// Reads the number that an answer gives as its result.
    pub(super) fn of_answer(answer: &str) -> Result<Self, Unclear> {
        let text = spoken(answer);
        if let Some((_, result)) = text.rsplit_once("####") {
            let line = plain(result.lines().find(|line| !line.trim().is_empty()).unwrap_or_default());
            return numbers(&line).first().map(|found| found.number).ok_or("no number follows ####");
        }
        if let Some(boxed) = boxed(&text) {
            let boxed = plain(boxed);
            // `x = 5`: what is asked for stands last.
            return numbers(&boxed).last().map(|found| found.number).ok_or("the box holds no number");
        }
        let text = plain(&text);
        for cue in RESULT.find_iter(&text).collect::<Vec<_>>().into_iter().rev() {
            let line = text[cue.end()..].trim_start_matches(|c: char| c.is_whitespace() || "*_$:".contains(c));
            let line = line.lines().next().unwrap_or_default();
            if let Some(found) = stated(line) {
                return found;
            }
        }
        last(&text).ok_or("the answer has no number")
    }

    /// Returns whether this is the number that is right.
    pub(super) fn equals(self, right: Self, tolerance: NumberTolerance) -> bool {
        let near = |value: f64| {
            let room = match tolerance {
                NumberTolerance::Absolute(room) => room.max(right.value.abs() * EXACT),
                NumberTolerance::Relative(share) => right.value.abs() * share.max(EXACT),
            };
            (value - right.value).abs() <= room
        };
        let other = match (self.is_percent, right.is_percent) {
            (true, false) => self.value / 100.0,
            (false, true) => self.value * 100.0,
            _ => self.value,
        };
        near(self.value) || near(other)
    }
}

/// Returns the number of a line that follows a cue: the last of a calculation (`6 * 7 = 42`), else the first.
fn stated(line: &str) -> Option<Result<WrittenNumber, Unclear>> {
    let sentence = line.split_once(". ").map_or(line, |(first, _)| first);
    let found = numbers(sentence);
    let first = found.first()?;
    if OTHER.is_match(&sentence[first.end..]) {
        return Some(Err("the answer states several numbers"));
    }
    let after = sentence.rfind(['=', '≈']);
    let result = after.and_then(|equals| found.iter().find(|number| number.start > equals)).unwrap_or(first);
    Some(Ok(result.number))
}

/// Returns the last number of a text; of a last sentence that calculates (`9 * 2 = 18 in 2 days`) its result.
fn last(text: &str) -> Option<WrittenNumber> {
    let found = numbers(text);
    let last = found.last()?;
    let starts = text[..last.start].rfind('\n').map_or(0, |line| line + 1);
    let sentence = text[starts..last.start].rfind(". ").map_or(starts, |dot| starts + dot + 1);
    let equals = text[sentence..last.start].rfind(['=', '≈']).map(|equals| sentence + equals);
    let result = equals.and_then(|equals| found.iter().find(|number| number.start > equals));
    Some(result.unwrap_or(last).number)
}

/// A number and its place in a text.
struct FoundNumber {
    number: WrittenNumber,
    start: usize,
    end: usize,
}

/// Returns the numbers of a text, in their order.
fn numbers(text: &str) -> Vec<FoundNumber> {
    let mut all = Vec::new();
    for found in NUMBER.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        let part = |name: &str| found.name(name).map(|part| part.as_str());
        let Some(size) = size(part) else { continue };
        let before = text[..whole.start()].chars().next_back();
        // `10-5` subtracts, `x-5` too, and `B12` is no number; `-5` is below zero.
        if found.name("sign").is_none() && before.is_some_and(|c| c.is_ascii_alphabetic() || c == '_') {
            continue;
        }
        let is_sign =
            |sign: &str| !sign.starts_with('+') && !before.is_some_and(|c| c.is_alphanumeric() || ")]".contains(c));
        let is_below = part("sign").is_some_and(is_sign) || part("late").is_some();
        let value = if is_below { -size } else { size };
        let number = WrittenNumber { value, is_percent: part("percent").is_some() };
        all.push(FoundNumber { number, start: whole.start(), end: whole.end() });
    }
    all
}

/// Returns a number without its sign, from the parts of its pattern.
fn size<'t>(part: impl Fn(&str) -> Option<&'t str>) -> Option<f64> {
    let number = |name: &str| part(name)?.parse::<f64>().ok();
    let size = if let Some((top, bottom)) = number("ltop").zip(number("lbottom")) {
        (bottom != 0.0).then(|| top / bottom)?
    } else if let Some((top, bottom)) = number("top").zip(number("bottom")) {
        (bottom != 0.0).then(|| number("whole").unwrap_or(0.0) + top / bottom)?
    } else if let Some(alone) = part("alone") {
        vulgar(alone)
    } else {
        let power = part("exponent").or_else(|| part("power")).map(|power| power.replace('−', "-"));
        let scale = power.and_then(|power| power.parse::<i32>().ok()).map_or(1.0, |power| 10_f64.powi(power));
        (digits(part("digits")?)? + part("vulgar").map_or(0.0, vulgar)) * scale
    };
    let scale = match part("scale") {
        Some("thousand") => 1e3,
        Some("million") => 1e6,
        Some("billion") => 1e9,
        Some("trillion") => 1e12,
        _ => 1.0,
    };
    Some(size * scale)
}

/// Reads digits with separators. `1,234` are a thousand and more; `1,5` and `1.234,56` have a decimal comma.
fn digits(text: &str) -> Option<f64> {
    let text: String = text.chars().filter(|c| c.is_ascii_digit() || matches!(c, '.' | ',')).collect();
    let (points, commas) = (text.matches('.').count(), text.matches(',').count());
    let comma_is_decimal = match (text.rfind('.'), text.rfind(',')) {
        (Some(point), Some(comma)) => comma > point,
        (None, Some(comma)) => commas == 1 && text.len() - comma != 4,
        _ => false,
    };
    let plain = if comma_is_decimal {
        text.replace('.', "").replace(',', ".")
    } else if points > 1 {
        text.replace(['.', ','], "")
    } else {
        text.replace(',', "")
    };
    plain.parse().ok()
}

fn vulgar(fraction: &str) -> f64 {
    match fraction {
        "½" => 1.0 / 2.0,
        "⅓" => 1.0 / 3.0,
        "⅔" => 2.0 / 3.0,
        "¼" => 1.0 / 4.0,
        "¾" => 3.0 / 4.0,
        "⅕" => 1.0 / 5.0,
        _ => 1.0 / 8.0,
    }
}

/// Returns what the last `\boxed{...}` of a text holds.
fn boxed(text: &str) -> Option<&str> {
    let (_, rest) = text.rsplit_once("\\boxed")?;
    let inner = rest.trim_start().strip_prefix('{')?;
    let mut depth = 1;
    for (place, c) in inner.char_indices() {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        if depth == 0 {
            return Some(&inner[..place]);
        }
    }
    None
}

/// Takes out what LaTeX and Markdown put into numbers.
fn plain(text: &str) -> String {
    let gone = ["{,}", "\\,", "\\!", "\\;", "\\left", "\\right", "**"];
    let mut plain = text.replace("{,}", ",").replace("\\$", "$").replace("\\%", "%").replace("^\\circ", " ");
    for mark in gone {
        plain = plain.replace(mark, "");
    }
    plain
}

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of our own")
}

#[cfg(test)]
mod tests;
