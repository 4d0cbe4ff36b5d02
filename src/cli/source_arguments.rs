//! The arguments that say where the configuration comes from: a file, or a URL and the terms on which it is fetched.
//!
//! These are arguments and no file of their own: they cannot stand in what is fetched, they are few, and they belong to whatever
//! starts the process (a unit, a pod). Secrets never stand in them, only where the secrets are.

use std::path::PathBuf;
use std::time::Duration;

use ::http::Uri;
use pointsman_http_client::HttpOrigin;

use crate::source::{ConfigSource, HttpSettings, KeyError, SourceHeader, TrustedKey, is_loopback};

/// The shortest and the longest time between two questions to a source.
const INTERVALS: [Duration; 2] = [Duration::from_secs(1), Duration::from_hours(24)];

/// The shortest and the longest time for a fetch.
const TIMEOUTS: [Duration; 2] = [Duration::from_secs(2), Duration::from_mins(1)];

/// The variable in which systemd names the folder that a service keeps its state in (`StateDirectory=`).
const STATE_FOLDER: &str = "STATE_DIRECTORY";

/// The configuration to use, and where it comes from.
#[derive(Debug, clap::Args)]
pub(super) struct SourceArguments {
    /// The configuration: a file, or the URL of one, which is asked for changes again and again.
    #[arg(short, long, value_name = "FILE|URL")]
    pub(super) config: PathBuf,
    /// The minisign public key, or its file: the configuration counts only with a signature by it, in FILE.minisig or at
    /// URL.minisig.
    #[arg(long, visible_alias = "public-key", value_name = "KEY|FILE")]
    config_public_key: Option<String>,
    /// Takes a configuration from a URL without a signature.
    #[arg(long, conflicts_with = "config_public_key")]
    config_unsigned: bool,
    /// The time between two questions to the URL, such as 30s; from 1s to 24h.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    config_interval: Duration,
    /// The longest time for a configuration and its signature from the URL; from 2s to 60s.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    config_timeout: Duration,
    /// A header field of each request to the URL: NAME=env:VARIABLE or NAME=file:PATH, where the whole value stands.
    #[arg(long, value_name = "HEADER")]
    config_header: Vec<SourceHeader>,
    /// The file of the certificate authorities (PEM) that vouch for the URL's server, instead of the system's.
    #[arg(long, value_name = "FILE")]
    config_authorities: Option<PathBuf>,
    /// Takes a URL with `http:` from another machine.
    #[arg(long)]
    config_plain_http: bool,
    /// The folder where relative paths start in a configuration from a URL; by default the working folder.
    #[arg(long, value_name = "FOLDER")]
    config_folder: Option<PathBuf>,
    /// The folder in which the last configuration from the URL that served is kept, for a start without its server; by default
    /// systemd's STATE_DIRECTORY.
    #[arg(long, value_name = "FOLDER")]
    config_cache: Option<PathBuf>,
}

/// The reason why arguments name no source.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceArgumentError {
    #[error("--config-public-key: {0}")]
    Key(KeyError),
    #[error("--config-public-key is needed for a configuration from a URL, or --config-unsigned")]
    Unsigned,
    // Does not repeat it: it may hold a password.
    #[error("--config is no URL that can be asked (allowed: https://HOST/PATH without a user or a fragment)")]
    Url,
    #[error(
        "--config: `http:` shows the configuration to everybody on the way (allowed: https, http on this machine, or --config-plain-http)"
    )]
    PlainHttp,
    #[error("{key} is out of range (allowed: from {least} to {most})")]
    Range { key: &'static str, least: humantime::FormattedDuration, most: humantime::FormattedDuration },
    #[error("{0} is for a configuration from a URL")]
    ForUrl(&'static str),
}

impl SourceArguments {
    /// Makes the arguments of a file.
    pub(super) fn of_file(config: PathBuf) -> Self {
        Self {
            config,
            config_public_key: None,
            config_unsigned: false,
            config_interval: Duration::from_secs(30),
            config_timeout: Duration::from_secs(10),
            config_header: Vec::new(),
            config_authorities: None,
            config_plain_http: false,
            config_folder: None,
            config_cache: None,
        }
    }

    /// Returns the source that the arguments name.
    pub(super) fn source(&self) -> Result<ConfigSource, SourceArgumentError> {
        let key = self.config_public_key.as_deref().map(TrustedKey::read).transpose();
        let key = key.map_err(SourceArgumentError::Key)?;
        let Some(text) = url_text(&self.config) else {
            self.refuse_for_file()?;
            return Ok(ConfigSource::file(&self.config, key));
        };
        if key.is_none() && !self.config_unsigned {
            return Err(SourceArgumentError::Unsigned);
        }
        let url = self.url(text)?;
        in_range("--config-interval", self.config_interval, INTERVALS)?;
        in_range("--config-timeout", self.config_timeout, TIMEOUTS)?;
        let state = || std::env::var_os(STATE_FOLDER).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let settings = HttpSettings {
            url,
            interval: self.config_interval,
            timeout: self.config_timeout,
            headers: self.config_header.clone(),
            authorities: self.config_authorities.clone(),
            cache: self.config_cache.clone().or_else(state),
        };
        let folder = self.config_folder.clone().unwrap_or_default();
        Ok(ConfigSource::http(settings, &folder, key))
    }

    fn url(&self, text: &str) -> Result<Uri, SourceArgumentError> {
        let url = text.parse::<Uri>().ok().filter(|_| !text.contains('#')).ok_or(SourceArgumentError::Url)?;
        let origin = HttpOrigin::of(&url).ok_or(SourceArgumentError::Url)?;
        if !origin.is_tls() && !is_loopback(origin.host()) && !self.config_plain_http {
            return Err(SourceArgumentError::PlainHttp);
        }
        Ok(url)
    }

    fn refuse_for_file(&self) -> Result<(), SourceArgumentError> {
        let said = [
            ("--config-unsigned", self.config_unsigned),
            ("--config-header", !self.config_header.is_empty()),
            ("--config-authorities", self.config_authorities.is_some()),
            ("--config-plain-http", self.config_plain_http),
            ("--config-folder", self.config_folder.is_some()),
            ("--config-cache", self.config_cache.is_some()),
        ];
        said.into_iter().find(|(_, is_said)| *is_said).map_or(Ok(()), |(key, _)| Err(SourceArgumentError::ForUrl(key)))
    }
}

/// Returns the text of a URL; `None` for the path of a file.
pub(super) fn url_text(config: &std::path::Path) -> Option<&str> {
    let text = config.to_str()?;
    let scheme = text.split_once("://")?.0;
    ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)).then_some(text)
}

fn in_range(key: &'static str, own: Duration, [least, most]: [Duration; 2]) -> Result<(), SourceArgumentError> {
    if (least..=most).contains(&own) {
        return Ok(());
    }
    let shown = |own| humantime::format_duration(own);
    Err(SourceArgumentError::Range { key, least: shown(least), most: shown(most) })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        source: SourceArguments,
    }

    fn source(arguments: &[&str]) -> Result<ConfigSource, String> {
        let line =
            Line::try_parse_from(["pointsman", "-c"].iter().chain(arguments)).map_err(|error| error.to_string())?;
        line.source.source().map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_needs_a_key_or_the_word_that_it_has_none() {
        let url = "https://config.example/p.yaml?token=secret";

        let refused = source(&[url]).expect_err("unsigned");
        let unsigned = source(&[url, "--config-unsigned"]).expect("a source");
        let file = source(&["p.yaml"]).expect("a source");

        assert!(refused.contains("--config-public-key is needed"), "{refused}");
        assert_eq!(unsigned.name(), "https://config.example/p.yaml");
        assert!(unsigned.as_http().is_some() && file.as_http().is_none());
    }

    #[test]
    fn http_is_for_this_machine_unless_it_is_said() {
        let unsigned = |url| source(&[url, "--config-unsigned"]);

        assert!(unsigned("http://127.0.0.1:8000/p.yaml").is_ok());
        assert!(unsigned("http://localhost/p.yaml").is_ok());
        assert!(unsigned("http://config.example/p.yaml").expect_err("plain").contains("https"));
        assert!(source(&["http://config.example/p.yaml", "--config-unsigned", "--config-plain-http"]).is_ok());
    }

    #[test]
    fn what_cannot_be_asked_or_meant_is_refused_without_repeating_a_secret() {
        let bad = [
            (vec!["https://user:secret@config.example/p.yaml", "--config-unsigned"], "is no URL"),
            (vec!["https://config.example/p.yaml#secret", "--config-unsigned"], "is no URL"),
            (
                vec!["https://config.example/p.yaml", "--config-unsigned", "--config-interval", "10ms"],
                "from 1s to 1day",
            ),
            (vec!["https://config.example/p.yaml", "--config-unsigned", "--config-timeout", "1h"], "from 2s to 1m"),
            (vec!["p.yaml", "--config-cache", "/var/lib"], "--config-cache is for a configuration from a URL"),
            (vec!["p.yaml", "--config-public-key", "/no/such"], "--config-public-key: cannot read"),
            (
                vec!["https://c.example/p", "--config-unsigned", "--config-header", "authorization=secret"],
                "NAME=env:VARIABLE",
            ),
        ];

        for (arguments, wanted) in bad {
            let error = source(&arguments).expect_err(wanted);
            assert!(error.contains(wanted), "{error}");
            assert!(!error.contains("user:secret") && !error.contains("#secret"), "{error}");
        }
    }
}
