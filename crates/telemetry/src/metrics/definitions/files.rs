//! The metrics of the watch on files.

use super::MetricDefinition;

pub(in super::super) const FILE_LOOKS: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_file_looks_total",
    help: "Looks at the stamps of watched files, by what made it look: an event, or the interval of two seconds.",
    labels: ["cause"],
    buckets: &[],
};

pub(in super::super) const FILE_CHANGES: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_file_changes_total",
    help: "Changes of watched files that started a reload, by what made it look.",
    labels: ["cause"],
    buckets: &[],
};

pub(in super::super) const FILE_WATCHES: MetricDefinition<0> = MetricDefinition {
    name: "pointsman_file_watches",
    help: "Folders on the way to watched files that give events.",
    labels: [],
    buckets: &[],
};

pub(in super::super) const FILE_WATCHES_MISSING: MetricDefinition<0> = MetricDefinition {
    name: "pointsman_file_watches_missing",
    help: "Folders on the way to watched files that give no events; the files are looked at every two seconds all the same.",
    labels: [],
    buckets: &[],
};

pub(in super::super) const FILE_WATCHES_LOST: MetricDefinition<0> = MetricDefinition {
    name: "pointsman_file_watches_lost_total",
    help: "Watches that ended because the folder was moved, replaced, deleted or unmounted; they are put up again at the next look.",
    labels: [],
    buckets: &[],
};

pub(in super::super) const FILE_WATCH_ERRORS: MetricDefinition<0> = MetricDefinition {
    name: "pointsman_file_watch_errors_total",
    help: "Folders that the system would not watch, overflows of its queue of events, and looks that failed.",
    labels: [],
    buckets: &[],
};
