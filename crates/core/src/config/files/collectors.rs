//! Files of the sections that name collectors.

use super::{NamedFile, NamesFiles};
use crate::config::{MetricsConfig, OtlpConfig, OtlpMetricsConfig, TracingConfig};

impl NamesFiles for TracingConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { otlp } = self;
        otlp.add_files(files);
    }
}

impl NamesFiles for OtlpConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { endpoint: _, tls, sample: _, credential, headers, timeout: _ } = self;
        tls.add_files(files);
        credential.add_files(files);
        headers.add_files(files);
    }
}

impl NamesFiles for MetricsConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { gen_ai: _, otlp } = self;
        otlp.add_files(files);
    }
}

impl NamesFiles for OtlpMetricsConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { endpoint: _, tls, credential, headers, timeout: _, interval: _ } = self;
        tls.add_files(files);
        credential.add_files(files);
        headers.add_files(files);
    }
}
