//! Near-duplicates: rows with the same words, and rows most of whose shingles are another's.
//!
//! A shingle is three words in a row, or five characters where a script writes no blanks. Two rows are as alike as the
//! share of shingles that both have among those that either has (Jaccard). MinHash proposes pairs, and the shingles
//! themselves decide, so that the threshold means what it says; a pair that MinHash does not propose is missed (1 % of
//! those at 0.6, one in 20,000 of those at 0.8).

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use super::{DropReason, GROUPED};

/// Bands of a signature, and hashes in each: two rows whose share is s meet in a band with probability 1 - (1 - s^4)^32.
const BANDS: usize = 32;
const ROWS: usize = 4;

/// Words of a shingle, and characters where words are not told apart by blanks.
const SHINGLE_WORDS: usize = 3;
const SHINGLE_CHARACTERS: usize = 5;

/// Characters of a word, on average, from which a text is one without blanks between words.
const UNSPACED: usize = 12;

/// The most shingles of a row that are kept: the smallest hashes, which are a sample that all rows draw alike.
const MOST_SHINGLES: usize = 4096;

/// The most rows in a bucket that a new one is compared with.
const MOST_COMPARED: usize = 64;

/// Signs without which two sums have the same words.
const SIGNS: [char; 9] = ['+', '*', '/', '^', '<', '>', '=', '%', '−'];

type SeedlessHasher = BuildHasherDefault<DefaultHasher>;

/// The rows that were kept, to find those that are alike.
pub(super) struct SimilarRows {
    threshold: f64,
    same: HashSet<u64, SeedlessHasher>,
    buckets: HashMap<(usize, u64), Vec<usize>, SeedlessHasher>,
    shingles: Vec<Vec<u64>>,
    /// The first row that each row is alike to, which may be alike to another.
    parents: Vec<usize>,
}

impl SimilarRows {
    pub(super) fn new(threshold: f64) -> Self {
        Self {
            threshold,
            same: HashSet::default(),
            buckets: HashMap::default(),
            shingles: Vec::new(),
            parents: Vec::new(),
        }
    }

    /// Takes a row, unless it repeats one before.
    ///
    /// # Errors
    /// Says how it repeats another.
    pub(super) fn admit(&mut self, text: &str) -> Result<(), DropReason> {
        let normal = normal(text);
        if !self.same.insert(hash(&normal)) {
            return Err(DropReason::Duplicate);
        }
        let shingles = shingles(&normal);
        let bands = bands(&shingles);
        let alike = self.alike(&shingles, &bands);
        if alike.iter().any(|(_, share)| *share >= self.threshold) {
            return Err(DropReason::NearDuplicate);
        }
        let index = self.parents.len();
        self.parents.push(index);
        for (other, _) in alike {
            let (a, b) = (self.root(index), self.root(other));
            self.parents[a.max(b)] = a.min(b);
        }
        for (band, key) in bands.into_iter().enumerate() {
            self.buckets.entry((band, key)).or_default().push(index);
        }
        self.shingles.push(shingles);
        Ok(())
    }

    /// Returns for each row that was taken the first row of its group.
    pub(super) fn groups(&self) -> Vec<usize> {
        (0..self.parents.len()).map(|index| self.root(index)).collect()
    }

    /// Returns the rows that are at least half like this one.
    fn alike(&self, shingles: &[u64], bands: &[u64]) -> Vec<(usize, f64)> {
        let buckets = bands.iter().enumerate().filter_map(|(band, key)| self.buckets.get(&(band, *key)));
        let candidates: HashSet<usize, SeedlessHasher> =
            buckets.flat_map(|rows| rows.iter().rev().take(MOST_COMPARED).copied()).collect();
        let mut alike: Vec<(usize, f64)> = candidates
            .into_iter()
            .map(|other| (other, jaccard(shingles, &self.shingles[other])))
            .filter(|(_, share)| *share >= GROUPED)
            .collect();
        alike.sort_by_key(|(other, _)| *other);
        alike
    }

    fn root(&self, mut index: usize) -> usize {
        while self.parents[index] != index {
            index = self.parents[index];
        }
        index
    }
}

/// Returns the words of a text in lower case, and the signs that sums and comparisons differ by, with blanks between; a
/// text without either is itself.
fn normal(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_alphanumeric() {
            normal.extend(character.to_lowercase());
        } else if SIGNS.contains(&character) {
            normal.extend([' ', character, ' ']);
        } else if !normal.ends_with(' ') {
            normal.push(' ');
        }
    }
    let normal = normal.split_whitespace().collect::<Vec<_>>().join(" ");
    if normal.is_empty() { text.trim().to_owned() } else { normal }
}

/// Returns the hashes of a text's shingles, in ascending order and each once.
fn shingles(normal: &str) -> Vec<u64> {
    let words: Vec<&str> = normal.split_whitespace().collect();
    let characters = normal.chars().filter(|c| !c.is_whitespace()).count();
    let mut hashes: Vec<u64> = if words.is_empty() || characters / words.len().max(1) >= UNSPACED {
        let characters: Vec<char> = normal.chars().filter(|c| !c.is_whitespace()).collect();
        characters.windows(SHINGLE_CHARACTERS.min(characters.len()).max(1)).map(hash).collect()
    } else {
        words.windows(SHINGLE_WORDS.min(words.len())).map(hash).collect()
    };
    hashes.sort_unstable();
    hashes.dedup();
    hashes.truncate(MOST_SHINGLES);
    hashes
}

/// Returns the key of each band of a signature.
fn bands(shingles: &[u64]) -> Vec<u64> {
    let least = |function: u64| shingles.iter().map(|shingle| mixed(*shingle, function)).min().unwrap_or_default();
    let band = |band: usize| hash((band * ROWS..(band + 1) * ROWS).map(|row| least(row as u64)).collect::<Vec<_>>());
    (0..BANDS).map(band).collect()
}

/// Returns the share of shingles that both have.
fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let (mut i, mut j, mut both) = (0, 0, 0_usize);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => (i, j, both) = (i + 1, j + 1, both + 1),
        }
    }
    let either = a.len() + b.len() - both;
    if either == 0 { 1.0 } else { both as f64 / either as f64 }
}

/// Returns one of many hashes of a hash: a multiplication and two shifts (splitmix64's last steps).
const fn mixed(hash: u64, function: u64) -> u64 {
    let mut x = hash ^ (function + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Returns the same hash in every process.
fn hash(of: impl std::hash::Hash) -> u64 {
    SeedlessHasher::default().hash_one(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "Write a polite email to my landlord in which I ask him to fix the broken heating in our flat \
        within one week, and mention that we have two small children who are cold at night because of it";

    fn admitted(texts: &[&str]) -> Vec<Result<(), DropReason>> {
        let mut rows = SimilarRows::new(0.8);
        texts.iter().map(|text| rows.admit(text)).collect()
    }

    #[test]
    fn the_same_words_are_a_duplicate_whatever_their_case_and_punctuation() {
        assert_eq!(admitted(&["What is DNA?", "what  is dna\n"]), [Ok(()), Err(DropReason::Duplicate)]);
        for others in [["What is DNA?", "What is RNA?"], ["What is 2+2?", "What is 2*2?"], ["?", "!"]] {
            assert_eq!(admitted(&others), [Ok(()), Ok(())]);
        }
    }

    #[test]
    fn nearly_the_same_words_are_a_near_duplicate_from_the_threshold_on() {
        let with_a_word_more = format!("{LONG} again");
        let with_another_end = LONG.replace("because of it", "and cannot sleep");

        assert_eq!(admitted(&[LONG, &with_a_word_more]), [Ok(()), Err(DropReason::NearDuplicate)]);
        assert_eq!(admitted(&[LONG, &with_another_end])[1], Err(DropReason::NearDuplicate));
        assert_eq!(admitted(&[LONG, &LONG[..120]]), [Ok(()), Ok(())]);
    }

    #[test]
    fn scripts_without_blanks_are_compared_by_characters() {
        let one = "请写一封礼貌的电子邮件给我的房东，请他在一周之内修好我们公寓里坏掉的暖气，因为家里有两个小孩子，晚上非常冷。";
        let other = one.replace("非常冷", "特别冷");

        assert_eq!(admitted(&[one, &other]), [Ok(()), Err(DropReason::NearDuplicate)]);
        assert_eq!(admitted(&[one, "今天天气怎么样？明天会不会下雨？请告诉我需要不需要带伞出门。"])[1], Ok(()));
    }

    #[test]
    fn rows_that_are_half_alike_are_one_group() {
        let mut rows = SimilarRows::new(0.9);
        for text in [LONG, "What is the capital of France?", &LONG[..130], "Sum up the text."] {
            rows.admit(text).expect("no duplicate");
        }

        assert_eq!(rows.groups(), [0, 1, 0, 3]);
    }
}
