//! Thresholds on the expected level, which decide a head's label in place of the most probable one.
//!
//! The most probable label treats every mistake alike, and a rare label is hardly ever the most probable one. The
//! expected level orders prompts better than the labels do. Where it is cut depends on what mistakes cost, so a head has
//! thresholds for each lean.

use serde::{Deserialize, Serialize};

/// The mistake that a choice by levels avoids more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LevelLean {
    /// A model that is dearer than need be counts more than one that is too weak.
    Cheap,
    /// Both mistakes count alike.
    #[default]
    Even,
    /// A model that is too weak counts more than one that is dearer than need be.
    Strong,
}

/// The thresholds of a head on its expected level, for each lean, and the prior that they were fitted for.
///
/// Each list has one number less than the head has labels: the k-th is the level from which on a label above the k-th
/// is decided.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LevelThresholds {
    /// The shares of the labels among the prompts that the thresholds were fitted for; they sum to one.
    pub prior: Vec<f32>,
    /// The thresholds where a model that is too dear costs more than one that is too weak.
    pub cheap: Vec<f32>,
    /// The thresholds where both mistakes count alike.
    pub even: Vec<f32>,
    /// The thresholds where a model that is too weak costs more than one that is too dear.
    pub strong: Vec<f32>,
}

impl LevelLean {
    /// Every lean, from the cheapest up.
    pub const ALL: [Self; 3] = [Self::Cheap, Self::Even, Self::Strong];

    /// Returns the name as manifests spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cheap => "cheap",
            Self::Even => "even",
            Self::Strong => "strong",
        }
    }
}

impl LevelThresholds {
    /// Returns the thresholds of a lean.
    #[must_use]
    pub fn of(&self, lean: LevelLean) -> &[f32] {
        match lean {
            LevelLean::Cheap => &self.cheap,
            LevelLean::Even => &self.even,
            LevelLean::Strong => &self.strong,
        }
    }

    /// Returns the place of the label that a level decides; the lowest for a level that is not a number.
    #[must_use]
    pub fn place(&self, level: f64, lean: LevelLean) -> usize {
        self.of(lean).iter().take_while(|threshold| level >= f64::from(**threshold)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thresholds() -> LevelThresholds {
        LevelThresholds {
            prior: vec![0.6, 0.25, 0.15],
            cheap: vec![0.5, 0.75],
            even: vec![0.25, 0.5],
            strong: vec![0.125, 0.25],
        }
    }

    #[test]
    fn a_level_decides_the_label_whose_thresholds_it_stands_between() {
        let places = |lean| [0.0, 0.125, 0.25, 0.5, 0.75, 1.0].map(|level| thresholds().place(level, lean));

        assert_eq!(places(LevelLean::Cheap), [0, 0, 0, 1, 2, 2]);
        assert_eq!(places(LevelLean::Even), [0, 0, 1, 2, 2, 2]);
        assert_eq!(places(LevelLean::Strong), [0, 1, 2, 2, 2, 2]);
    }

    #[test]
    fn a_level_that_is_not_a_number_decides_the_lowest() {
        assert_eq!(thresholds().place(f64::NAN, LevelLean::Strong), 0);
    }
}
