//! The merges of a piece that is no token itself.
//!
//! Two neighbours whose bytes together are a token are merged, those of the lowest rank first, the leftmost of equals.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::vocabulary::rank;

/// The bytes up to which looking at all parts for the next merge is cheaper than a heap.
const SHORT: usize = 100;

/// A part of a piece while it is merged.
#[derive(Clone, Copy)]
struct Part {
    /// The byte that it starts at.
    start: usize,
    /// The rank of what it and its right neighbour would be.
    rank: u32,
}

/// Merges of one piece after another, in the same memory.
#[derive(Default)]
pub(super) struct Merges {
    parts: Vec<Part>,
}

impl Merges {
    /// Counts the tokens of a piece of at least one byte.
    pub(super) fn count(&mut self, piece: &[u8]) -> usize {
        if piece.len() < SHORT { self.short(piece) } else { long(piece) }
    }

    fn short(&mut self, piece: &[u8]) -> usize {
        let pair = |start| rank_of(piece, start, start + 2);
        self.parts.clear();
        self.parts.extend((0..piece.len()).map(|start| Part { start, rank: pair(start) }));
        while let Some((index, part)) = self.parts.iter().enumerate().min_by_key(|(_, part)| part.rank)
            && part.rank != u32::MAX
        {
            self.parts.remove(index + 1);
            self.rank(piece, index);
            if index > 0 {
                self.rank(piece, index - 1);
            }
        }
        self.parts.len()
    }

    /// Ranks the part at `index` with its right neighbour anew.
    fn rank(&mut self, piece: &[u8], index: usize) {
        let end = match self.parts.get(index + 2) {
            Some(part) => part.start,
            None if index + 1 < self.parts.len() => piece.len(),
            None => usize::MAX,
        };
        self.parts[index].rank = rank_of(piece, self.parts[index].start, end);
    }
}

/// A part of a long piece: where it and the part after it end, and where the part before it starts.
struct Link {
    before: usize,
    end: usize,
    rank: u32,
}

/// Counts by a heap of all merges, of which those that a later one made void are skipped.
fn long(piece: &[u8]) -> usize {
    let mut links: Vec<Link> = (0..piece.len())
        .map(|start| Link { before: start.wrapping_sub(1), end: start + 1, rank: rank_of(piece, start, start + 2) })
        .collect();
    let mut heap: BinaryHeap<Reverse<(u32, usize)>> = (0..piece.len())
        .filter(|start| links[*start].rank != u32::MAX)
        .map(|start| Reverse((links[start].rank, start)))
        .collect();
    let mut count = piece.len();
    while let Some(Reverse((rank, start))) = heap.pop() {
        if links[start].rank != rank {
            continue;
        }
        let right = links[start].end;
        let end = links[right].end;
        links[right].rank = u32::MAX;
        links[start].end = end;
        if let Some(link) = links.get_mut(end) {
            link.before = start;
        }
        count -= 1;
        for start in [Some(start), links.get(start).map(|link| link.before)].into_iter().flatten() {
            let Some(after) = links.get(start).and_then(|link| links.get(link.end)).map(|link| link.end) else {
                if let Some(link) = links.get_mut(start) {
                    link.rank = u32::MAX;
                }
                continue;
            };
            links[start].rank = rank_of(piece, start, after);
            if links[start].rank != u32::MAX {
                heap.push(Reverse((links[start].rank, start)));
            }
        }
    }
    count
}

/// Returns the rank of a token within a piece; the highest number where it is none.
fn rank_of(piece: &[u8], start: usize, end: usize) -> u32 {
    piece.get(start..end).and_then(rank).unwrap_or(u32::MAX)
}
