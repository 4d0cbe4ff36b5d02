//! Statistics of predictions beside outcomes: classification, calibration, routing curves, and how sure each figure is.
//!
//! Pure functions of their arguments: no files, no clocks, no classifier. A seed decides every draw.

mod agreement;
mod arena;
mod binary;
mod bins;
mod bootstrap;
mod calibration;
pub(crate) mod classification;
mod paired;
mod routing;
mod running_mean;
mod sample_mean;
mod spread;

pub use self::agreement::{FleissAgreement, ItemRatings, PairAgreement, RaterAgreement};
pub use self::arena::arena_score;
pub(crate) use self::binary::area;
pub use self::binary::{BinaryClaim, EventFigures, auc, reliability};
pub use self::bins::{BINS, ReliabilityBin};
pub use self::bootstrap::{ConfidenceInterval, LabelIntervals, RESAMPLES};
pub(crate) use self::bootstrap::{RandomDraws, percentile};
pub(crate) use self::calibration::squares;
pub use self::calibration::{CalibrationFigures, CalibrationTally};
pub(crate) use self::classification::mean;
pub use self::classification::{ClassFigures, ClassificationFigures, ConfusionMatrix};
pub(crate) use self::paired::PairedMeans;
pub use self::routing::{
    PromptRanking, RoutedOutcome, RoutingCurve, RoutingCurvePoint, RoutingFigures, RoutingIntervals,
};
pub(crate) use self::running_mean::RunningMean;
pub(crate) use self::sample_mean::SampleMean;
pub(crate) use self::spread::BootstrapRows;
pub use self::spread::{CalibrationIntervals, ScoreIntervals};
