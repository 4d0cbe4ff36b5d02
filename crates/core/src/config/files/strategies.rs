//! The files that a policy's strategy names.

use super::{FileRole, NamedFile, NamesFiles};
use crate::config::strategy::{
    CascadeConfig, HierarchyBranch, HierarchyConfig, SimilarityConfig, SimilarityRoute, StrategyConfig,
};

impl NamesFiles for StrategyConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        match self {
            Self::Similarity(similarity) => similarity.add_files(files),
            Self::Cascade(stages) => stages.add_files(files),
            Self::Hierarchy(hierarchy) => hierarchy.add_files(files),
            Self::Tiers(_)
            | Self::Threshold(_)
            | Self::Utility(_)
            | Self::Bandit(_)
            | Self::Judge(_)
            | Self::Escalate(_)
            | Self::Split(_)
            | Self::Random(_) => {}
        }
    }
}

impl NamesFiles for SimilarityConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { classifier: _, routes, top_k: _, threshold: _, background: _, otherwise: _ } = self;
        routes.add_files(files);
    }
}

impl NamesFiles for SimilarityRoute {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { name: _, model: _, description: _, examples: _, examples_file, threshold: _ } = self;
        files.extend(examples_file.iter().map(|path| FileRole::Examples.of(path)));
    }
}

impl NamesFiles for CascadeConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { stages, otherwise: _ } = self;
        stages.add_files(files);
    }
}

impl NamesFiles for HierarchyConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self {
            classifier: _,
            head: _,
            min_confidence: _,
            max_truncated_tokens: _,
            unfamiliar: _,
            branches,
            default,
            otherwise: _,
        } = self;
        branches.add_files(files);
        default.add_files(files);
    }
}

impl NamesFiles for HierarchyBranch {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { labels: _, strategy } = self;
        strategy.add_files(files);
    }
}
