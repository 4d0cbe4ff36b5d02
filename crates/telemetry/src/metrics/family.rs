//! One metric and its children, one for each combination of label values.
//!
//! Used instead of the `prometheus` crate's own vectors for two reasons. Those key their children by a hash of the
//! label values run together, so `("a", "bc")` and `("ab", "c")` are counted as one series; and they lock on every
//! look-up. Here children are keyed by the values themselves and a look-up neither locks nor allocates.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use pointsman_core::config::Name;
use prometheus::core::{Collector, Desc, Metric};
use prometheus::proto::{MetricFamily, MetricType};
use prometheus::{Counter, Gauge, Histogram, HistogramOpts, IntCounter, IntGauge, Opts};
use rustc_hash::FxHashMap;

use super::catalogue::MetricDescription;

/// The definition of a metric: name, help text, labels and buckets.
#[derive(Debug, Clone, Copy)]
pub(super) struct MetricDefinition<const N: usize> {
    /// The full name, unit and `_total` included.
    pub(super) name: &'static str,
    /// The text behind `# HELP`.
    pub(super) help: &'static str,
    /// The labels' names.
    pub(super) labels: [&'static str; N],
    /// The histogram's upper bounds; empty for counters and gauges.
    pub(super) buckets: &'static [f64],
}

/// The registered families and their descriptions: the crate's registry does not tell what was registered.
#[derive(Default)]
pub(super) struct Registry {
    inner: prometheus::Registry,
    described: Mutex<Vec<MetricDescription>>,
}

/// A label's value. No variant can be built from a client's text; compares and hashes as its text.
#[derive(Debug, Clone)]
pub(super) enum LabelValue {
    /// A word of the program.
    Static(&'static str),
    /// A name from the configuration.
    Name(Name),
    /// A text of an operator's: a bundle's head, label, version or checksum, or a peer of the configuration.
    Operator(Arc<str>),
}

/// A kind of metric that a [`Family`] can have as children.
pub(super) trait MetricKind: Metric + 'static {
    /// The type as Prometheus names it.
    const TYPE: MetricType;
    /// Creates one child with its label values.
    fn child<const N: usize>(definition: &MetricDefinition<N>, labels: HashMap<String, String>) -> Self;
}

/// No client chooses a label's value, so the hash need not be hard to guess.
type FamilyChildren<M, const N: usize> = FxHashMap<[LabelValue; N], M>;

/// A metric with its children. Cheap to clone; clones share the children.
pub(super) struct Family<M, const N: usize> {
    definition: MetricDefinition<N>,
    desc: Arc<Desc>,
    children: Arc<ArcSwap<FamilyChildren<M, N>>>,
}

impl Registry {
    /// Returns every family that has a child.
    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        self.inner.gather()
    }

    /// Returns what was registered, by name.
    pub(super) fn described(&self) -> Vec<MetricDescription> {
        let mut described = self.described.lock().unwrap_or_else(PoisonError::into_inner).clone();
        described.sort_by_key(|metric| metric.name);
        described
    }

    fn add(&self, collector: Box<dyn Collector>, described: MetricDescription) {
        self.inner.register(collector).expect("every definition has its own name");
        self.described.lock().unwrap_or_else(PoisonError::into_inner).push(described);
    }
}

impl<const N: usize> MetricDefinition<N> {
    fn describe(&self, kind: MetricType) -> MetricDescription {
        let Self { name, help, labels, buckets } = *self;
        MetricDescription { name, kind: kind_name(kind), help, labels: labels.to_vec(), buckets }
    }
}

const fn kind_name(kind: MetricType) -> &'static str {
    match kind {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        MetricType::SUMMARY => "summary",
        MetricType::UNTYPED => "untyped",
    }
}

impl<M: MetricKind, const N: usize> Family<M, N> {
    /// Creates the family and registers it.
    pub(super) fn register(registry: &Registry, definition: MetricDefinition<N>) -> Self {
        let labels = definition.labels.iter().map(ToString::to_string).collect();
        let desc = Desc::new(definition.name.into(), definition.help.into(), labels, HashMap::new())
            .expect("definitions are literals with valid names");
        let family = Self { definition, desc: Arc::new(desc), children: Arc::default() };
        registry.add(Box::new(family.clone()), definition.describe(M::TYPE));
        family
    }

    /// Returns the child with these label values, and creates it at zero the first time.
    #[expect(clippy::needless_pass_by_value, reason = "call sites write the labels as a literal")]
    pub(super) fn with(&self, labels: [LabelValue; N]) -> M {
        if let Some(child) = self.children.load().get(&labels) {
            return child.clone();
        }
        self.insert(&labels)
    }

    /// Creates the children with these label values at zero, where there are none: all of them in one copy of the map.
    pub(super) fn add(&self, labels: impl Iterator<Item = [LabelValue; N]>) {
        let children = self.children.load();
        let new = labels.filter(|labels| !children.contains_key(labels));
        let new: Vec<_> = new.map(|labels| (self.child(&labels), labels)).collect();
        self.children.rcu(|children| {
            let mut next = FamilyChildren::clone(children);
            for (child, labels) in &new {
                next.entry(labels.clone()).or_insert_with(|| child.clone());
            }
            next
        });
    }

    /// Removes every child that `keep` does not want. Handles to a removed child still count, but nobody sees it.
    pub(super) fn retain(&self, keep: impl Fn(&[LabelValue; N]) -> bool) {
        self.children.rcu(|children| {
            let kept = children.iter().filter(|(labels, _)| keep(labels));
            kept.map(|(labels, child)| (labels.clone(), child.clone())).collect::<FamilyChildren<M, N>>()
        });
    }

    fn child(&self, labels: &[LabelValue; N]) -> M {
        let named = self.definition.labels.iter().zip(labels).map(|(name, value)| ((*name).into(), (**value).into()));
        M::child(&self.definition, named.collect())
    }

    #[cold]
    fn insert(&self, labels: &[LabelValue; N]) -> M {
        let child = self.child(labels);
        self.children.rcu(|children| {
            let mut next = FamilyChildren::clone(children);
            next.entry(labels.clone()).or_insert_with(|| child.clone());
            next
        });
        // Another thread may have been first: its child counts, not ours.
        self.children.load().get(labels).unwrap_or(&child).clone()
    }
}

impl<M: Clone, const N: usize> Clone for Family<M, N> {
    fn clone(&self) -> Self {
        Self { definition: self.definition, desc: Arc::clone(&self.desc), children: Arc::clone(&self.children) }
    }
}

impl<M: MetricKind, const N: usize> Collector for Family<M, N> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut family = MetricFamily::default();
        family.set_name(self.definition.name.into());
        family.set_help(self.definition.help.into());
        family.set_field_type(M::TYPE);
        family.set_metric(self.children.load().values().map(Metric::metric).collect());
        vec![family]
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl MetricKind for IntCounter {
    const TYPE: MetricType = MetricType::COUNTER;

    fn child<const N: usize>(definition: &MetricDefinition<N>, labels: HashMap<String, String>) -> Self {
        let options = Opts::new(definition.name, definition.help).const_labels(labels);
        Self::with_opts(options).expect("the family was registered with the same names")
    }
}

impl MetricKind for Counter {
    const TYPE: MetricType = MetricType::COUNTER;

    fn child<const N: usize>(definition: &MetricDefinition<N>, labels: HashMap<String, String>) -> Self {
        let options = Opts::new(definition.name, definition.help).const_labels(labels);
        Self::with_opts(options).expect("the family was registered with the same names")
    }
}

impl MetricKind for Gauge {
    const TYPE: MetricType = MetricType::GAUGE;

    fn child<const N: usize>(definition: &MetricDefinition<N>, labels: HashMap<String, String>) -> Self {
        let options = Opts::new(definition.name, definition.help).const_labels(labels);
        Self::with_opts(options).expect("the family was registered with the same names")
    }
}

impl MetricKind for IntGauge {
    const TYPE: MetricType = MetricType::GAUGE;

    fn child<const N: usize>(definition: &MetricDefinition<N>, labels: HashMap<String, String>) -> Self {
        let options = Opts::new(definition.name, definition.help).const_labels(labels);
        Self::with_opts(options).expect("the family was registered with the same names")
    }
}

impl MetricKind for Histogram {
    const TYPE: MetricType = MetricType::HISTOGRAM;

    fn child<const N: usize>(definition: &MetricDefinition<N>, labels: HashMap<String, String>) -> Self {
        let options = HistogramOpts::new(definition.name, definition.help).const_labels(labels);
        Self::with_opts(options.buckets(definition.buckets.to_vec())).expect("buckets are literals that ascend")
    }
}

impl Deref for LabelValue {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Static(text) => text,
            Self::Name(name) => name,
            Self::Operator(text) => text,
        }
    }
}

impl PartialEq for LabelValue {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for LabelValue {}

impl Hash for LabelValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl From<&'static str> for LabelValue {
    fn from(text: &'static str) -> Self {
        Self::Static(text)
    }
}

impl From<&Name> for LabelValue {
    fn from(name: &Name) -> Self {
        Self::Name(name.clone())
    }
}

impl From<&Arc<str>> for LabelValue {
    fn from(text: &Arc<str>) -> Self {
        Self::Operator(Arc::clone(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: MetricDefinition<2> =
        MetricDefinition { name: "pairs_total", help: "Pairs.", labels: ["a", "b"], buckets: &[] };

    fn family() -> Family<IntCounter, 2> {
        Family::register(&Registry::default(), PAIRS)
    }

    #[test]
    fn label_values_that_read_the_same_when_run_together_are_two_series() {
        let pairs = family();

        pairs.with(["a".into(), "bc".into()]).inc();

        assert_eq!(pairs.with(["a".into(), "bc".into()]).get(), 1);
        assert_eq!(pairs.with(["ab".into(), "c".into()]).get(), 0);
    }

    #[test]
    fn a_label_is_its_text_wherever_it_came_from() {
        let pairs = family();
        let name = Name::new("small").expect("a valid name");

        pairs.with([(&name).into(), "x".into()]).inc();
        pairs.with(["small".into(), (&Arc::<str>::from("x")).into()]).inc();

        assert_eq!(pairs.with(["small".into(), "x".into()]).get(), 2);
    }

    #[test]
    fn threads_that_create_the_same_child_at_once_share_it() {
        let pairs = family();

        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| pairs.with(["a".into(), "b".into()]).inc());
            }
        });

        assert_eq!(pairs.with(["a".into(), "b".into()]).get(), 8);
    }

    #[test]
    fn many_children_are_added_at_once_and_those_that_were_there_go_on_counting() {
        let pairs = family();
        pairs.with(["a".into(), "0".into()]).inc();
        let names: Vec<Arc<str>> = (0..50_000).map(|number| number.to_string().into()).collect();

        pairs.add(names.iter().map(|name| ["a".into(), name.into()]));

        assert_eq!(pairs.collect()[0].get_metric().len(), names.len());
        assert_eq!(pairs.with(["a".into(), "0".into()]).get(), 1);
    }

    #[test]
    fn a_child_that_is_not_retained_is_no_longer_exported() {
        let pairs = family();
        pairs.with(["old".into(), "x".into()]).inc();
        pairs.with(["new".into(), "x".into()]).inc();

        pairs.retain(|[first, _]| &**first == "new");

        assert_eq!(pairs.collect()[0].get_metric().len(), 1);
    }
}
