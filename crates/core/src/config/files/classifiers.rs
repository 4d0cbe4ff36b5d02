//! The files that the server of a remote classifier needs.

use super::{NamedFile, NamesFiles};
use crate::config::classifier::RemoteClassifierConfig;

impl NamesFiles for RemoteClassifierConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self {
            protocol: _,
            url: _,
            urls: _,
            model: _,
            version: _,
            input: _,
            path: _,
            credential,
            headers,
            tls,
            timeout: _,
            max_concurrent: _,
            max_chars: _,
            hedge: _,
            breaker: _,
            heads: _,
        } = self;
        credential.add_files(files);
        headers.add_files(files);
        tls.add_files(files);
    }
}
