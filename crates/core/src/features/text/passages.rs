//! The lines of a text, put together into passages of prose and of fenced code.

use memchr::memchr;

use super::steps::is_list_item;

/// Lines that follow each other and are all prose or all code.
#[derive(Clone, Copy)]
pub(super) struct Passage<'t> {
    /// The lines, with the line feeds between them.
    pub(super) text: &'t str,
    pub(super) kind: PassageKind,
}

/// The kind of the lines of a passage.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PassageKind {
    Prose,
    /// Fences and what stands between them.
    Code,
}

/// Lines by kind.
#[derive(Clone, Copy, Default)]
pub(super) struct LineCounts {
    pub(super) lines: u32,
    /// Fences that open a block.
    pub(super) blocks: u32,
    /// Lines of code, without the fences.
    pub(super) code: u32,
    /// Lines of prose that begin as an item of a list.
    pub(super) list_items: u32,
}

/// Cuts a text into passages, and counts its lines on the way.
pub(super) struct Passages<'t> {
    text: &'t str,
    /// The start of the passage that comes next.
    start: usize,
    /// The start of the line that comes next; `None` after the last one.
    line: Option<usize>,
    kind: PassageKind,
    /// The fence that opened the block that the next line is in.
    fence: Option<&'static str>,
    counts: LineCounts,
}

impl<'t> Passages<'t> {
    /// Begins with the first line of a text that is not empty.
    pub(super) fn of(text: &'t str) -> Self {
        let counts = LineCounts::default();
        let mut passages = Self { text, start: 0, line: Some(0), kind: PassageKind::Prose, fence: None, counts };
        passages.kind = passages.take_line(0);
        passages
    }

    /// Returns the counts of all lines that were read.
    pub(super) const fn counts(&self) -> LineCounts {
        self.counts
    }

    /// Reads the line that starts at `start`, and moves on to the next.
    fn take_line(&mut self, start: usize) -> PassageKind {
        let rest = &self.text[start..];
        let end = memchr(b'\n', rest.as_bytes());
        self.line = end.map(|end| start + end + 1);
        self.counts.lines += 1;
        let line = end.map_or(rest, |end| &rest[..end]);
        // Most lines begin with a letter: they are no fence and no item.
        let mark = line.bytes().find(|byte| !matches!(byte, b' ' | b'\t'));
        let fence = match mark {
            Some(b'`') => fence(line, "```"),
            Some(b'~') => fence(line, "~~~"),
            _ => None,
        };
        let kind = self.kind_of(fence);
        if kind == PassageKind::Prose && mark.is_some_and(|mark| mark.is_ascii_digit()) {
            self.counts.list_items += u32::from(is_list_item(line));
        }
        kind
    }

    /// Follows the fences; a fence is code, whether it opens or closes.
    fn kind_of(&mut self, fence: Option<&'static str>) -> PassageKind {
        match (self.fence, fence) {
            (None, None) => return PassageKind::Prose,
            (None, Some(_)) => {
                self.counts.blocks += 1;
                self.fence = fence;
            }
            (Some(open), Some(close)) if open == close => self.fence = None,
            (Some(_), _) => self.counts.code += 1,
        }
        PassageKind::Code
    }
}

impl<'t> Iterator for Passages<'t> {
    type Item = Passage<'t>;

    fn next(&mut self) -> Option<Passage<'t>> {
        if self.start > self.text.len() {
            return None;
        }
        let (start, kind) = (self.start, self.kind);
        while let Some(line) = self.line {
            self.kind = self.take_line(line);
            if self.kind != kind {
                self.start = line;
                return Some(Passage { text: &self.text[start..line], kind });
            }
        }
        self.start = self.text.len() + 1;
        Some(Passage { text: &self.text[start..], kind })
    }
}

fn fence(line: &str, fence: &'static str) -> Option<&'static str> {
    line.trim_start_matches([' ', '\t']).starts_with(fence).then_some(fence)
}
