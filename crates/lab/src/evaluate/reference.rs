//! What a bundle's scores and features are like on given rows: the reference that live traffic is compared with.

use std::path::Path;

use futures::{StreamExt, stream};
use pointsman_classifier::{
    Bundle, Classifier, ClassifierError, ClassifierHost, ReferenceCollector, ReferenceDistributions,
};
use pointsman_core::config;
use pointsman_core::config::TimeSpan;
use pointsman_core::scores::ClassifierFailure;
use tokio::time::Instant;

use super::scoring::PATIENCE;
use super::{EvaluateError, IN_FLIGHT};
use crate::dataset::{Dataset, DatasetError, DatasetRow};

/// Judges every row of the file at `data` by the bundle in the folder `bundle`, encoder included, and returns the
/// distributions. Rows without text, replies in a conversation and rows of held-out sets are left out.
///
/// # Errors
/// When the bundle is unsound, a row cannot be read or judged, or no row is left.
pub async fn reference(
    bundle: &Path,
    data: &Path,
    host: &ClassifierHost,
) -> Result<ReferenceDistributions, EvaluateError> {
    let opened = Bundle::open(&host.base_dir.join(bundle)).map_err(ClassifierError::from)?;
    let (name, mut collector) =
        (opened.manifest().name.clone(), ReferenceCollector::new(opened.manifest(), opened.inputs()));
    let config = config::ClassifierConfig {
        deadline: TimeSpan::from_secs(1),
        queue: IN_FLIGHT,
        batch: config::BatchLimits::of_one(),
        cache: config::ScoreCacheLimits { max_entries: 0, max_bytes: 0 },
        cascade: config::LexicalCascade { enabled: false, confidence: None },
        ..config::ClassifierConfig::of(bundle)
    };
    let classifier = Classifier::start_bundle(&name, &config, host, opened)?;
    let mut dataset = Dataset::open(data)?;
    let judged = async |row: Result<DatasetRow, DatasetError>| {
        let row = row?;
        let features = row.asked.features();
        let scores = match classifier.classify(&row.asked.text, &features, Instant::now() + PATIENCE).await {
            _ if row.contaminated || row.asked.is_reply() => None,
            Ok(scores) => Some(scores).filter(|scores| scores.source.degraded().is_none()),
            Err(ClassifierFailure::NoText) => None,
            Err(reason) => return Err(EvaluateError::Unscored { line: row.line, reason: reason.as_str() }),
        };
        Ok((features, scores))
    };
    let mut rows = Box::pin(stream::iter(&mut dataset).map(judged).buffered(IN_FLIGHT));
    while let Some(row) = rows.next().await {
        if let (features, Some(scores)) = row? {
            collector.add(&scores, &features);
        }
    }
    drop(rows);
    collector.finish().ok_or_else(|| EvaluateError::Empty { path: data.to_owned() })
}
