//! The files that a store names: URLs, passwords and authorities.

use super::{FileRole, NamedFile, NamesFiles};
use crate::config::store::{PlacedStoreAddress, RedisConfig, SentinelConfig, StoreAddress, StoreConfig, StoreUrl};

impl NamesFiles for StoreConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        match self {
            Self::Redis(redis) => redis.add_files(files),
        }
    }
}

impl NamesFiles for RedisConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self {
            url,
            urls,
            cluster: _,
            sentinel,
            username: _,
            password,
            database: _,
            zone: _,
            tls,
            timeout: _,
            prefix: _,
        } = self;
        url.add_files(files);
        urls.add_files(files);
        sentinel.add_files(files);
        password.add_files(files);
        tls.add_files(files);
    }
}

impl NamesFiles for SentinelConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { master: _, urls, username: _, password } = self;
        urls.add_files(files);
        password.add_files(files);
    }
}

impl NamesFiles for StoreAddress {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        match self {
            Self::Plain(url) => url.add_files(files),
            Self::Placed(placed) => placed.add_files(files),
        }
    }
}

impl NamesFiles for PlacedStoreAddress {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { url, zone: _ } = self;
        url.add_files(files);
    }
}

impl NamesFiles for StoreUrl {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        match self {
            Self::Plain(_) | Self::Env { env: _ } => {}
            Self::File { file } => files.push(FileRole::Secret.of(file)),
        }
    }
}
