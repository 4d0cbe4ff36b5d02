//! The order in which macros are compiled: each after those that it uses.
//!
//! Works without recursion, in time linear in the uses: a file may hold tens of thousands of macros in one chain.

use std::collections::VecDeque;

/// The order of some macros, which their positions in the file stand for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CompilationOrder {
    /// The macros that can be compiled, each after those that it uses.
    pub(super) sorted: Vec<usize>,
    /// The macros that use each other in a circle: each uses the next one, and the last one the first.
    pub(super) circles: Vec<Vec<usize>>,
}

impl CompilationOrder {
    /// Orders macros; `uses` are the macros that each of them uses.
    pub(super) fn of(uses: &[Vec<usize>]) -> Self {
        let mut users: Vec<Vec<usize>> = vec![Vec::new(); uses.len()];
        for (user, used) in uses.iter().enumerate() {
            used.iter().for_each(|used| users[*used].push(user));
        }
        let mut waiting: Vec<usize> = uses.iter().map(Vec::len).collect();
        let mut ready: VecDeque<usize> = (0..uses.len()).filter(|own| waiting[*own] == 0).collect();
        let mut sorted = Vec::with_capacity(uses.len());
        while let Some(own) = ready.pop_front() {
            sorted.push(own);
            for user in &users[own] {
                waiting[*user] -= 1;
                if waiting[*user] == 0 {
                    ready.push_back(*user);
                }
            }
        }
        Self { sorted, circles: circles(uses, &waiting) }
    }
}

/// Finds a circle behind each macro that still waits, as long as no earlier one led there.
fn circles(uses: &[Vec<usize>], waiting: &[usize]) -> Vec<Vec<usize>> {
    // The walk on which a macro was met, and its place in that walk.
    let mut met: Vec<Option<(usize, usize)>> = vec![None; uses.len()];
    let mut circles = Vec::new();
    for start in (0..uses.len()).filter(|own| waiting[*own] > 0) {
        let mut walk = Vec::new();
        let mut next = Some(start);
        while let Some(own) = next {
            match met[own] {
                Some((walked, place)) => {
                    if walked == start {
                        circles.push(walk.split_off(place));
                    }
                    break;
                }
                None => met[own] = Some((start, walk.len())),
            }
            walk.push(own);
            next = uses[own].iter().copied().find(|used| waiting[*used] > 0);
        }
    }
    circles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_macro_comes_after_those_that_it_uses() {
        let order = CompilationOrder::of(&[vec![2], vec![], vec![1, 1], vec![0, 2]]);

        assert_eq!(order, CompilationOrder { sorted: vec![1, 2, 0, 3], circles: vec![] });
    }

    #[test]
    fn every_circle_is_found_once_and_those_who_use_it_are_in_none() {
        let order = CompilationOrder::of(&[vec![1], vec![2], vec![1], vec![3], vec![], vec![0, 4]]);

        assert_eq!(order, CompilationOrder { sorted: vec![4], circles: vec![vec![1, 2], vec![3]] });
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_is_ordered_from_either_end() {
        let last = 100_000;
        let down: Vec<Vec<usize>> = (0..=last).map(|own| if own < last { vec![own + 1] } else { vec![] }).collect();
        let round: Vec<Vec<usize>> = (0..=last).map(|own| vec![(own + 1) % (last + 1)]).collect();

        assert_eq!(CompilationOrder::of(&down).sorted.first(), Some(&last));
        assert_eq!(CompilationOrder::of(&round).circles.len(), 1);
    }
}
