//! The scan of one turn's text for envelopes.
//!
//! One pass at memory speed over the bytes that can begin a tag; a text without any is told in a few microseconds for
//! 100 KB.

use std::ops::Range;
use std::sync::Arc;

use memchr::{memchr, memchr_iter, memmem, memrchr};

use super::{BlockContent, EnvelopeIndex, EnvelopeStretch, EnvelopeTag, Envelopes, OpeningExtent};

/// The longest name of a tag that is looked up.
const MAX_NAME: usize = 64;

/// The longest opening tag, attributes included.
const MAX_TAG: usize = 512;

/// Blanks before a tag from which on Markdown reads code.
const CODE_INDENT: usize = 4;

/// The number of closing tags that are looked at for the one that balances a block; a text of many is not read again
/// for each.
const MAX_CLOSINGS: usize = 16;

/// The end of the first line of a tool's result that comes as plain text.
const RESULT: &str = "Result:";

/// The deepest nesting of tags around the person's words.
const MAX_DEPTH: usize = 4;

/// The outcome of a scan.
#[derive(Debug, Default)]
pub(in crate::prompt) struct EnvelopeCut {
    /// Stretches of the text that no envelope takes up, in order; may be blank.
    pub(in crate::prompt) kept: Vec<Range<usize>>,
    /// Stretches that envelopes take up, in order.
    pub(in crate::prompt) taken: Vec<Range<usize>>,
    /// Names of the envelopes, one for each stretch that they take up.
    pub(in crate::prompt) names: Vec<Arc<str>>,
}

/// A block that a tag opens.
struct EnvelopeBlock<'k> {
    name: &'k Arc<str>,
    content: BlockContent,
    inner: Range<usize>,
    end: usize,
}

/// A tag that closes a block, and whether it balances all that open within.
#[derive(Clone, Copy)]
struct ClosingTag {
    start: usize,
    end: usize,
    is_balanced: bool,
}

/// The place where a closing tag must stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TagPlacement {
    Anywhere,
    FirstOnLine,
}

/// One part of a turn's text, and how far it has been read.
struct ScannedPart<'t> {
    text: &'t str,
    /// The bytes of the part in the text.
    range: Range<usize>,
    /// The end of the newest envelope.
    read: usize,
    /// The first character after the newest envelope that is no white space.
    content: usize,
    fences: CodeFences<'t>,
    /// Tags that do not close any more, so that a text full of them is not read again for each.
    unclosed: Vec<&'t str>,
    /// The number of tags around the person's words that the part stands within.
    depth: usize,
    /// True where the part holds a tag around the person's words; `None` before somebody asked.
    has_ask: Option<bool>,
}

/// Fenced code up to a place; asked for places in ascending order.
struct CodeFences<'t> {
    text: &'t str,
    read: usize,
    /// The mark and the length of the fence that is open.
    open: Option<(u8, usize)>,
}

impl Envelopes {
    /// Finds the envelopes in a turn's text, whose parts after the first begin at `breaks`.
    pub(in crate::prompt) fn cut(&self, text: &str, breaks: &[usize]) -> EnvelopeCut {
        let mut cut = EnvelopeCut::default();
        let ends = breaks.iter().map(|at| at - 1).chain([text.len()]);
        let mut start = 0;
        let whole = self.0.turn_opening(text);
        for end in ends {
            match whole.filter(|_| !self.0.opens_ask(&text[start..end])) {
                Some(name) => cut.take(name, start..end),
                None => self.0.cut_part(ScannedPart::new(text, start..end), &mut cut),
            }
            start = end + 1;
        }
        cut
    }

    /// Tells whether a turn's text holds nothing but envelopes. Reads no further than the first word that is no
    /// envelope's.
    pub(in crate::prompt) fn take_all(&self, text: &str, breaks: &[usize]) -> bool {
        if self.0.turn_opening(text).is_some() {
            return self.cut(text, breaks).kept.iter().all(|range| text[range.clone()].trim().is_empty());
        }
        let mut start = 0;
        breaks.iter().map(|at| at - 1).chain([text.len()]).all(|end| {
            let part = ScannedPart::new(text, start..end);
            start = end + 1;
            self.0.takes(part)
        })
    }
}

impl EnvelopeStretch {
    /// Returns what a cut left out, one entry for each envelope's name.
    pub(in crate::prompt) fn of(cut: &EnvelopeCut) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for (name, range) in cut.names.iter().zip(&cut.taken) {
            match all.iter_mut().find(|known| known.envelope == *name) {
                Some(known) => known.bytes += range.len(),
                None => all.push(Self { envelope: Arc::clone(name), bytes: range.len() }),
            }
        }
        all
    }
}

impl EnvelopeCut {
    fn take(&mut self, name: &Arc<str>, range: Range<usize>) {
        if !range.is_empty() {
            self.names.push(Arc::clone(name));
            self.taken.push(range);
        }
    }

    fn keep(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.kept.push(range);
        }
    }
}

impl EnvelopeIndex {
    fn cut_part(&self, mut part: ScannedPart<'_>, cut: &mut EnvelopeCut) {
        let ScannedPart { text, ref range, .. } = part;
        let Range { start, end } = *range;
        let blank = range.len() - text[start..end].trim_start().len();
        // Within a tag around the person's words all words are the person's.
        if let Some((name, until)) = self.opening(text, start + blank..end).filter(|_| part.depth == 0) {
            cut.take(name, start..until);
            part.read_to(until);
        }
        let first = part.read;
        for at in memchr_iter(b'<', &text.as_bytes()[first..end]).map(|offset| first + offset) {
            // Most markup is a text's own.
            if at < part.read || !self.beginnings.may_begin(&text.as_bytes()[at + 1..end]) {
                continue;
            }
            let Some(block) = self.block(&mut part, at) else { continue };
            cut.keep(part.read..at);
            if block.content == BlockContent::Ask {
                cut.take(block.name, at..block.inner.start);
                // What the person wrote may hold envelopes itself.
                self.cut_part(
                    ScannedPart { depth: part.depth + 1, ..ScannedPart::new(text, block.inner.clone()) },
                    cut,
                );
                cut.take(block.name, block.inner.end..block.end);
            } else {
                cut.take(block.name, at..block.end);
            }
            part.read_to(block.end);
        }
        cut.keep(part.read..end);
    }

    /// Tells whether envelopes take a part up.
    fn takes(&self, mut part: ScannedPart<'_>) -> bool {
        let Range { start, end } = part.range;
        if let Some((_, until)) = self.opening(part.text, part.content..end).filter(|_| part.depth == 0) {
            part.read_to(until.max(start));
        }
        while part.content < end {
            let at = part.content;
            let block = if part.text.as_bytes()[at] == b'<' { self.block(&mut part, at) } else { None };
            let Some(EnvelopeBlock { content, inner, end, .. }) = block else { return false };
            let within = ScannedPart { depth: part.depth + 1, ..ScannedPart::new(part.text, inner) };
            if content == BlockContent::Ask && !self.takes(within) {
                return false;
            }
            part.read_to(end);
        }
        true
    }

    /// Returns the opening that a part begins with, and where it ends.
    fn opening(&self, text: &str, range: Range<usize>) -> Option<(&Arc<str>, usize)> {
        let rest = &text[range.clone()];
        let opening = self.openings.iter().find(|opening| rest.starts_with(&*opening.begins))?;
        let line_end =
            |from: usize| memchr(b'\n', &rest.as_bytes()[from..]).map_or(range.end, |at| range.start + from + at);
        let end = match &opening.extent {
            OpeningExtent::Part => range.end,
            OpeningExtent::Turn => return None, // asked of the whole turn, before
            OpeningExtent::Whole if rest.trim_end() == &*opening.begins => range.end,
            OpeningExtent::Whole => return None,
            OpeningExtent::Line => line_end(0),
            OpeningExtent::ToAskTag => {
                let lines = memchr_iter(b'\n', rest.as_bytes()).map(|at| at + 1);
                lines.into_iter().find(|at| self.opens_ask(&rest[*at..])).map_or(range.end, |at| range.start + at)
            }
            OpeningExtent::Until(ask) => {
                let marks = memmem::find_iter(rest.as_bytes(), ask.as_bytes());
                line_end(marks.filter(|at| *at == 0 || rest.as_bytes()[at - 1] == b'\n').last()?)
            }
        };
        Some((&opening.name, end))
    }

    /// Returns the name of the opening that takes up a whole turn, if the turn's text begins with one.
    fn turn_opening(&self, text: &str) -> Option<&Arc<str>> {
        let first = text.lines().next().filter(|first| first.trim_end().ends_with(RESULT))?;
        let mut turns = self.openings.iter().filter(|opening| opening.extent == OpeningExtent::Turn);
        turns.find(|opening| first.starts_with(&*opening.begins)).map(|opening| &opening.name)
    }

    /// Tells whether a text begins with a tag around a person's words.
    fn opens_ask(&self, text: &str) -> bool {
        tag_name(text.trim_start())
            .is_some_and(|name| self.tags.get(name).is_some_and(|tag| tag.content == BlockContent::Ask))
    }

    /// Tells whether a tag around a person's words opens anywhere in a part.
    fn holds_ask_tag(&self, part: &ScannedPart<'_>) -> bool {
        let text = &part.text.as_bytes()[part.range.clone()];
        let mut asks = self.tags.iter().filter(|(_, tag)| tag.content == BlockContent::Ask);
        asks.any(|(name, _)| memmem::find(text, format!("<{name}>").as_bytes()).is_some())
    }

    /// Returns the block whose tag opens at `at`, if it is an envelope.
    fn block<'k>(&'k self, part: &mut ScannedPart<'_>, at: usize) -> Option<EnvelopeBlock<'k>> {
        let open_end = part.opens_alone(at)?;
        let name = tag_name(&part.text[at..open_end])?;
        let (known, tag) = self.tags.get_key_value(name)?;
        let may_open = match tag.content {
            BlockContent::Harness => true,
            BlockContent::Ask => part.depth < MAX_DEPTH && at <= part.content,
            BlockContent::BesideAsk => at <= part.content && part.holds_ask_tag(|part| self.holds_ask_tag(part)),
        };
        if !may_open || part.unclosed.contains(&name) || part.fences.hold(at) {
            return None;
        }
        let Some((close, end)) = part.close(tag, open_end) else {
            part.unclosed.push(name);
            return None;
        };
        let block = EnvelopeBlock { name: known, content: tag.content, inner: open_end..close, end };
        let rest = &part.text[end..part.range.end];
        let is_envelope = match tag.content {
            // A person who quotes a block goes on in the same line.
            BlockContent::Harness | BlockContent::BesideAsk => {
                let follows = rest.trim_start_matches([' ', '\t']);
                part.text[at..end].contains('\n') || follows.is_empty() || follows.starts_with(['<', '\n', '\r'])
            }
            // A tag around the person's words holds all that envelopes leave of the part.
            BlockContent::Ask => rest.trim_start().is_empty() || self.goes_on(rest.trim_start()),
        };
        is_envelope.then_some(block)
    }

    /// Tells whether a text begins with a tag of an envelope.
    fn goes_on(&self, text: &str) -> bool {
        tag_name(text).is_some_and(|name| self.tags.contains_key(name))
    }
}

impl<'t> ScannedPart<'t> {
    fn new(text: &'t str, range: Range<usize>) -> Self {
        let (read, fences) = (range.start, CodeFences { text, read: range.start, open: None });
        let mut part = Self { text, range, read, content: read, fences, unclosed: Vec::new(), depth: 0, has_ask: None };
        part.read_to(read);
        part
    }

    /// Goes on after an envelope; what it holds opens no fence.
    fn read_to(&mut self, end: usize) {
        (self.read, self.fences.read) = (end, end);
        self.content = self.range.end - self.text[end..self.range.end].trim_start().len();
    }

    /// Tells whether it holds a tag around a person's words; looks once.
    fn holds_ask_tag(&mut self, look: impl FnOnce(&Self) -> bool) -> bool {
        let found = self.has_ask.unwrap_or_else(|| look(self));
        self.has_ask = Some(found);
        found
    }

    /// Returns where the opening tag at `at` ends, if nothing but a few blanks stands before it on its line, an
    /// envelope apart, and it is not the first word of a sentence.
    fn opens_alone(&self, at: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let before = &bytes[self.read.max(at.saturating_sub(CODE_INDENT))..at];
        let blanks = before.iter().rev().take_while(|byte| **byte == b' ').count();
        let is_first = at - blanks == self.read || (blanks < CODE_INDENT && bytes[at - blanks - 1] == b'\n');
        // Claude Code indents the blocks of one command below its first.
        let follows_envelope = self.read > self.range.start && at <= self.content;
        if !is_first && !follows_envelope {
            return None;
        }
        let tag = &bytes[at..self.range.end.min(at + MAX_TAG)];
        let end = at + memchr(b'>', tag)? + 1;
        let is_whole = !bytes[at..end].contains(&b'\n') && bytes[end - 2] != b'/';
        (is_whole && bytes.get(end) != Some(&b' ')).then_some(end)
    }

    /// Returns where the tag's closing counterpart begins and ends. Of a block that begins with a line of its own it
    /// closes on one, where there is one: what the block quotes within a line does not end it.
    fn close(&self, tag: &EnvelopeTag, from: usize) -> Option<(usize, usize)> {
        let is_block = self.text.as_bytes().get(from) == Some(&b'\n');
        let on_its_line = if is_block { self.closing_tag(tag, from, TagPlacement::FirstOnLine) } else { None };
        let balanced = on_its_line.filter(|closing| closing.is_balanced);
        let closing = balanced.or_else(|| self.closing_tag(tag, from, TagPlacement::Anywhere))?;
        Some((closing.start, closing.end))
    }

    /// Returns the closing tag that balances a block, else the first there is: blocks of the same name may stand within
    /// each other, and one within that never closes, such as one that is quoted, keeps none open.
    fn closing_tag(&self, tag: &EnvelopeTag, from: usize, placement: TagPlacement) -> Option<ClosingTag> {
        let within = &self.text.as_bytes()[from..self.range.end];
        let EnvelopeTag { open, close, .. } = tag;
        let mut first = None;
        let (mut depth, mut read) = (1_usize, 0);
        // Claude Code repeats attributes in the closing tag.
        let closing = |at: usize| {
            let end = at + close.needle().len();
            let is_whole = matches!(within.get(end), Some(b'>' | b' '));
            let is_placed = placement == TagPlacement::Anywhere || (at > 0 && within[at - 1] == b'\n');
            let bracket = memchr(b'>', &within[end..within.len().min(end + MAX_TAG)])?;
            (is_whole && is_placed).then_some((at, end + bracket + 1))
        };
        for (at, end) in close.find_iter(within).take(MAX_CLOSINGS).filter_map(closing) {
            depth = depth + open.find_iter(&within[read..at.max(read)]).count() - 1;
            read = end;
            let found = ClosingTag { start: from + at, end: from + end, is_balanced: depth == 0 };
            if found.is_balanced {
                return Some(found);
            }
            first.get_or_insert(found);
        }
        first
    }
}

impl CodeFences<'_> {
    /// Tells whether `at` is within fenced code.
    fn hold(&mut self, at: usize) -> bool {
        let lines = &self.text[self.read..at];
        let whole = memrchr(b'\n', lines.as_bytes()).map_or(0, |end| end + 1);
        lines[..whole].lines().for_each(|line| self.read_line(line));
        self.read += whole;
        self.open.is_some()
    }

    /// Follows CommonMark: a fence is closed by one of the same mark that is no shorter and stands alone on its line,
    /// and a line that goes on with a backtick opens none.
    fn read_line(&mut self, line: &str) {
        let start = line.trim_start_matches([' ', '\t']);
        let Some(mark) = start.bytes().next().filter(|byte| matches!(byte, b'`' | b'~')) else { return };
        let length = start.bytes().take_while(|byte| *byte == mark).count();
        let rest = &start[length..];
        match self.open {
            _ if length < 3 => {}
            None if mark == b'~' || !rest.contains('`') => self.open = Some((mark, length)),
            Some((open, least)) if open == mark && length >= least && rest.trim().is_empty() => self.open = None,
            _ => {}
        }
    }
}

/// Returns the name of the opening tag that a text begins with.
fn tag_name(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('<')?;
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    let length = rest.bytes().take(MAX_NAME).take_while(is_part).count();
    let ends = matches!(rest.as_bytes().get(length), Some(b'>' | b' '));
    (length > 0 && ends).then(|| &rest[..length])
}
