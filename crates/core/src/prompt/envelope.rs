//! Envelopes: text that the harness of an agent or an editor puts into a person's turns.
//!
//! Owns the list of them, [`ENVELOPE_TABLE`] and what the operator adds, and the scan that finds them in a text. A
//! block counts only as a whole: its tag opens on a line of its own and closes again, outside fenced code. What a
//! person quotes in a sentence, shows in code or leaves open stays the person's. Refuses to say what is left of a turn:
//! that is [`ask`](super::ask).

mod definition;
mod scan;
mod table;

use std::sync::{Arc, LazyLock};

use memchr::memmem::Finder;
use rustc_hash::FxHashMap;

pub use self::definition::{EnvelopeDefinition, EnvelopeForm};
pub(super) use self::scan::EnvelopeCut;
pub use self::table::ENVELOPE_TABLE;

/// The envelopes that are known to one configuration; clones share them.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelopes(Arc<EnvelopeIndex>);

#[derive(Debug)]
struct EnvelopeIndex {
    tags: FxHashMap<Arc<str>, EnvelopeTag>,
    /// Beginnings of three letters that tags have: most of a text's own markup is told by them.
    beginnings: TagBeginnings,
    openings: Vec<EnvelopeOpening>,
}

/// A tag, and what finds it.
#[derive(Debug)]
struct EnvelopeTag {
    content: BlockContent,
    /// Finds it where it opens first on a line.
    open: Finder<'static>,
    /// Finds its closing counterpart.
    close: Finder<'static>,
}

/// A set of beginnings of tags, as bits by a hash: what is not in it begins no tag.
#[derive(Debug)]
struct TagBeginnings([u64; 64]);

impl PartialEq for EnvelopeIndex {
    fn eq(&self, other: &Self) -> bool {
        let contents = |known: &Self| known.tags.iter().map(|(name, tag)| (Arc::clone(name), tag.content)).collect();
        let [own, theirs]: [FxHashMap<Arc<str>, BlockContent>; 2] = [self, other].map(contents);
        own == theirs && self.openings == other.openings
    }
}

/// The beginning of a part of a turn that is no person's.
#[derive(Debug, PartialEq)]
struct EnvelopeOpening {
    name: Arc<str>,
    begins: Arc<str>,
    extent: OpeningExtent,
}

/// The content of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BlockContent {
    /// The harness's words.
    Harness,
    /// The person's: the tags are left out and the words stay.
    Ask,
    /// The harness's, where a tag around the person's words stands in the same part; else a person's own markup.
    BesideAsk,
}

/// The reach of an opening.
#[derive(Debug, Clone, PartialEq)]
enum OpeningExtent {
    /// The opening reaches to the end of its part of the turn.
    Part,
    /// The opening reaches to the end of the turn, but for tags around the person's words.
    Turn,
    /// The opening reaches to the end of its part, if that holds nothing else.
    Whole,
    /// The opening reaches to the first tag around the person's words that stands first on a line, else to the end of
    /// its part.
    ToAskTag,
    /// The opening reaches to the end of its line.
    Line,
    /// The opening reaches through the line that begins with this, after which the person's words stand; without one it
    /// is no envelope.
    Until(Arc<str>),
}

/// An envelope of an operator's own harness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnEnvelope {
    /// A block between a tag and its closing counterpart.
    Tag {
        /// The tag's name, without brackets.
        name: String,
        /// True where the block holds the person's own words, so that only its tags are left out.
        holds_ask: bool,
    },
    /// A part of a turn that begins with a text.
    Opening {
        /// The text.
        begins: String,
        /// The beginning of the line after which the person's own words stand; without it the whole part is left out.
        ask_after: Option<String>,
    },
}

/// A stretch of a text that an envelope takes up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeStretch {
    /// The envelope's tag, or what the table calls it.
    pub envelope: Arc<str>,
    /// The bytes of the turn's text that the envelope takes up, tags included.
    pub bytes: usize,
}

static STANDARD: LazyLock<Envelopes> = LazyLock::new(|| Envelopes::new(&[]));

impl Envelopes {
    /// Returns those of the [`ENVELOPE_TABLE`].
    #[must_use]
    pub fn standard() -> Self {
        STANDARD.clone()
    }

    /// Returns those of the [`ENVELOPE_TABLE`] and the operator's.
    #[must_use]
    pub fn new(own: &[OwnEnvelope]) -> Self {
        let beginnings = TagBeginnings([0; 64]);
        let mut known = EnvelopeIndex { tags: FxHashMap::default(), beginnings, openings: Vec::new() };
        ENVELOPE_TABLE.iter().for_each(|spec| known.add(spec.mark));
        own.iter().for_each(|envelope| known.add_own(envelope));
        Self(Arc::new(known))
    }
}

impl EnvelopeIndex {
    fn add(&mut self, mark: EnvelopeForm) {
        let opening =
            |name: &str, begins: &str, extent| EnvelopeOpening { name: name.into(), begins: begins.into(), extent };
        match mark {
            EnvelopeForm::Tag(name) => self.add_tag(name, BlockContent::Harness),
            EnvelopeForm::AskTag(name) => self.add_tag(name, BlockContent::Ask),
            EnvelopeForm::BesideAskTag(name) => self.add_tag(name, BlockContent::BesideAsk),
            EnvelopeForm::Whole { name, text } => self.openings.push(opening(name, text, OpeningExtent::Whole)),
            EnvelopeForm::ToAskTag { name, begins } => {
                self.openings.push(opening(name, begins, OpeningExtent::ToAskTag));
            }
            EnvelopeForm::Part { name, begins } => self.openings.push(opening(name, begins, OpeningExtent::Part)),
            EnvelopeForm::Turn { name, begins } => self.openings.push(opening(name, begins, OpeningExtent::Turn)),
            EnvelopeForm::Line { name, begins } => self.openings.push(opening(name, begins, OpeningExtent::Line)),
            EnvelopeForm::Before { name, begins, ask } => {
                self.openings.push(opening(name, begins, OpeningExtent::Until(ask.into())));
            }
        }
    }

    fn add_tag(&mut self, name: &str, content: BlockContent) {
        let open = Finder::new(&format!("\n<{name}")).into_owned();
        let close = Finder::new(&format!("</{name}")).into_owned();
        self.beginnings.add(name);
        self.tags.insert(name.into(), EnvelopeTag { content, open, close });
    }

    fn add_own(&mut self, envelope: &OwnEnvelope) {
        match envelope {
            OwnEnvelope::Tag { name, holds_ask } => {
                self.add_tag(name, if *holds_ask { BlockContent::Ask } else { BlockContent::Harness });
            }
            OwnEnvelope::Opening { begins, ask_after } => {
                let extent = ask_after.as_deref().map_or(OpeningExtent::Part, |ask| OpeningExtent::Until(ask.into()));
                self.openings.push(EnvelopeOpening {
                    name: begins.as_str().into(),
                    begins: begins.as_str().into(),
                    extent,
                });
            }
        }
    }
}

impl TagBeginnings {
    fn add(&mut self, name: &str) {
        let bit = Self::bit_of(name.as_bytes());
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    /// Tells whether a tag may begin as `name` does, which may be longer.
    fn may_begin(&self, name: &[u8]) -> bool {
        let bit = Self::bit_of(name);
        self.0[bit / 64] & (1 << (bit % 64)) != 0
    }

    /// Hashes the first three letters of a name, or those that it has.
    fn bit_of(name: &[u8]) -> usize {
        let letters = name.iter().take(3).take_while(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte));
        letters.fold(0, |hash, byte| hash * 31 + usize::from(*byte)) % 4096
    }
}

#[cfg(test)]
mod tests;
