//! The texts that a bundle's training covers, and how far a text lies within them.
//!
//! Heads answer whatever they are given. Where they never saw a text's script, language or n-grams, what they say is no
//! evidence, however sure it sounds: hashed n-grams that nobody saw fall into buckets of others, and a tokenizer that
//! splits a text into single characters leaves the encoder little to read. So scores carry their [`Familiarity`], and a
//! lexical form that does not know a text leaves it to the encoder.

use pointsman_core::features::Language;
use pointsman_core::scores::{Familiarity, UnfamiliarPart};
use unicode_script::{Script, UnicodeScript};

use super::ngrams;
use super::scorer::ScorerInput;
use crate::manifest::{Manifest, ManifestError, NgramsSpec, ScopeError, script};

/// The size of a record of n-grams, in bytes; a power of two, so that a bit in it is found without division.
const RECORD_BYTES: std::ops::RangeInclusive<usize> = 1 << 10..=1 << 18;

/// Bits that a record has for each n-gram, at least, where it may still grow: with four probes one in 400 is found
/// falsely.
const BITS_OF_ONE: usize = 16;

/// The fewest n-grams of which a small share says something: a name and a greeting have fewer.
const MIN_NGRAMS: usize = 12;

/// The texts that a bundle was trained for. A part that it does not declare excludes nothing.
#[derive(Debug, Default)]
pub(crate) struct TrainingScope {
    languages: Vec<String>,
    scripts: Vec<Script>,
    record: Option<NgramFilter>,
}

/// The n-grams that training saw, as a Bloom filter (Bloom 1970): what was seen is always found, what was not hardly
/// ever.
#[derive(Debug)]
pub struct NgramFilter {
    bits: Vec<u8>,
    probes: u32,
    sure: f32,
    least: f32,
}

/// The verdict of a scope on one text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ScopeVerdict {
    pub(crate) familiarity: Familiarity,
    /// True where lexical forms know the text: they read its n-grams and little else.
    pub(crate) is_lexical: bool,
}

impl ScopeVerdict {
    /// The verdict on a text where no scope is declared.
    pub(crate) const UNKNOWN: Self = Self { familiarity: Familiarity::UNKNOWN, is_lexical: true };
}

impl TrainingScope {
    /// Reads the scope of a checked manifest; `record` holds the bytes of its file of n-grams.
    pub(crate) fn parse(manifest: &Manifest, record: Option<Vec<u8>>) -> Result<Self, ManifestError> {
        let record = manifest.ngrams.as_ref().zip(record);
        Ok(Self {
            languages: manifest.languages.clone(),
            scripts: manifest.scripts.iter().filter_map(|name| script(name)).collect(),
            record: record.map(|(spec, bits)| NgramFilter::parse(spec, bits)).transpose()?,
        })
    }

    /// Returns whether it says nothing that a text could lie beyond.
    pub(crate) const fn is_silent(&self) -> bool {
        self.languages.is_empty() && self.scripts.is_empty() && self.record.is_none()
    }

    /// Says how far a text is known; `language` is asked where its n-grams leave a doubt.
    pub(crate) fn acquaintance(&self, input: &ScorerInput, language: impl FnOnce() -> Language) -> ScopeVerdict {
        let is_strange = self.is_mostly_beyond(input);
        let share = self.record.as_ref().and_then(|record| record.share(input.ngrams().hashes()));
        let is_known = self.record.as_ref().map(|record| share.is_none_or(|share| share >= record.sure));
        let unfamiliar = if is_strange && !self.scripts.is_empty() {
            Some(UnfamiliarPart::Script)
        } else if is_known == Some(true) {
            None
        } else {
            self.doubt(input, share, language)
        };
        // Without a record, the script is all that tells what a lexical form does not know.
        let is_lexical = unfamiliar.is_none() && is_known.unwrap_or(!is_strange);
        ScopeVerdict { familiarity: Familiarity { known_ngrams: share, unfamiliar }, is_lexical }
    }

    /// Returns what is unfamiliar of a text that its n-grams do not speak for.
    fn doubt(
        &self,
        input: &ScorerInput,
        share: Option<f32>,
        language: impl FnOnce() -> Language,
    ) -> Option<UnfamiliarPart> {
        let language = if self.languages.is_empty() { Language::default() } else { language() };
        if !language.is_unknown() {
            let is_declared = self.languages.iter().any(|code| code == language.code());
            return (!is_declared).then_some(UnfamiliarPart::Language);
        }
        let record = self.record.as_ref()?;
        let is_enough = input.ngrams().hashes().len() >= MIN_NGRAMS;
        (is_enough && share? < record.least).then_some(UnfamiliarPart::Ngrams)
    }

    /// Returns whether most letters are of scripts that are not declared; where none is, of others than Latin. Letters
    /// count by their bytes: one that takes three says about as much as three that take one.
    fn is_mostly_beyond(&self, input: &ScorerInput) -> bool {
        let scripts = if self.scripts.is_empty() { &[Script::Latin] } else { &*self.scripts };
        let (mut within, mut beyond) = (0, 0);
        for part in input.excerpt.parts(ngrams::MAX_CHARS) {
            let letters = ascii_letters(part);
            *(if scripts.contains(&Script::Latin) { &mut within } else { &mut beyond }) += letters;
            if part.is_ascii() {
                continue;
            }
            for letter in part.chars().filter(|c| !c.is_ascii() && c.is_alphabetic()) {
                let script = letter.script();
                // Marks and letters that several scripts share say nothing.
                if scripts.contains(&script) {
                    within += letter.len_utf8();
                } else if !matches!(script, Script::Common | Script::Inherited | Script::Unknown) {
                    beyond += letter.len_utf8();
                }
            }
        }
        beyond > within
    }
}

/// Counts by blocks whose count fits a byte, which the compiler makes vector instructions of.
fn ascii_letters(text: &str) -> usize {
    let blocks = text.as_bytes().chunks(usize::from(u8::MAX));
    let count = |block: &[u8]| block.iter().fold(0_u8, |count, byte| count + u8::from(byte.is_ascii_alphabetic()));
    blocks.map(|block| usize::from(count(block))).sum()
}

impl NgramFilter {
    /// Takes the bytes of its file.
    ///
    /// # Errors
    /// When their number is not a power of two from 1 to 256 KiB.
    pub fn parse(spec: &NgramsSpec, bits: Vec<u8>) -> Result<Self, ManifestError> {
        if !(RECORD_BYTES.contains(&bits.len()) && bits.len().is_power_of_two()) {
            return Err(ManifestError::Scope(ScopeError::Record { file: spec.file.clone(), bytes: bits.len() }));
        }
        Ok(Self { bits, probes: spec.probes, sure: spec.sure, least: spec.least })
    }

    /// Returns the share of n-grams that training saw; `None` of a text that has none, such as a number.
    fn share(&self, hashes: &[u64]) -> Option<f32> {
        let known = hashes.iter().filter(|hash| self.has(**hash)).count();
        (!hashes.is_empty()).then(|| known as f32 / hashes.len() as f32)
    }

    fn has(&self, hash: u64) -> bool {
        self.positions(hash).all(|bit| self.bits[bit / 8] >> (bit % 8) & 1 == 1)
    }

    /// Adds n-grams by their hashes. A record twice as long whose halves are alike holds the same, so it grows with
    /// them.
    pub fn add(&mut self, hashes: Vec<u64>) {
        while 8 * self.bits.len() < BITS_OF_ONE * hashes.len() && self.bits.len() < *RECORD_BYTES.end() {
            self.bits.extend_from_within(..);
        }
        for hash in hashes {
            let bits: Vec<usize> = self.positions(hash).collect();
            bits.into_iter().for_each(|bit| self.bits[bit / 8] |= 1 << (bit % 8));
        }
    }

    /// Returns the bytes of its file.
    pub fn into_bits(self) -> Vec<u8> {
        self.bits
    }

    /// Returns the bits of an n-gram: two halves of one hash give all probes (Kirsch, Mitzenmacher 2006).
    fn positions(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        // Of a power of two, so that positions in a shorter record are those of a longer one less a multiple of its
        // length.
        let (mask, step) = (8 * self.bits.len() as u64 - 1, (hash >> 32) | 1);
        (0..u64::from(self.probes)).map(move |probe| (hash.wrapping_add(probe.wrapping_mul(step)) & mask) as usize)
    }
}

/// Returns the script that most letters of a text are of, by Unicode's name in lower case; `None` without letters.
pub fn main_script(text: &str) -> Option<String> {
    let mut bytes: Vec<(Script, usize)> = Vec::new();
    for letter in text.chars().filter(|c| c.is_alphabetic()) {
        let script = letter.script();
        match bytes.iter_mut().find(|(own, _)| *own == script) {
            Some((_, bytes)) => *bytes += letter.len_utf8(),
            None => bytes.push((script, letter.len_utf8())),
        }
    }
    let (script, _) = bytes.into_iter().max_by_key(|(_, bytes)| *bytes)?;
    Some(script.full_name().to_ascii_lowercase()).filter(|name| crate::manifest::script(name).is_some())
}

#[cfg(test)]
mod tests;
