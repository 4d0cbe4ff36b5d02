//! The part of a decision's evidence that only an explanation shows.

use std::sync::Arc;

use pointsman_core::policy::{Judgement, RouteSimilarities, UnansweredQuestion};
use pointsman_core::scores::ClassifierFailure;

/// The part of a decision's evidence that only an explanation shows.
#[derive(Debug, Default)]
pub(super) struct ExplanationDetails {
    /// The value of each rule, tried or not.
    pub(super) rules: Vec<Option<bool>>,
    /// By the path of the strategy that compared.
    pub(super) similarities: Vec<(Arc<str>, Result<RouteSimilarities, ClassifierFailure>)>,
    /// By the path of the strategy that asked.
    pub(super) judgements: Vec<(Arc<str>, Result<Judgement, UnansweredQuestion>)>,
}
