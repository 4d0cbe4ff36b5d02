//! `pointsman ext-proc`: decides for Envoy over its external processing protocol, without listeners for clients;
//! or prints the configuration of an Envoy that asks it.

mod envoy;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pointsman_core::config::Config;
use pointsman_telemetry::logging::LogFormat;

use self::envoy::{EnvoyBootstrap, PrintedMode};
use super::gateway::ListenerSource;
use super::source_arguments::SourceArguments;
use super::{CONFIG, USAGE, fail, print_whole, serve};
use crate::source::{ConfigSource, FetchReason};

/// What `ext-proc` can be asked for.
#[derive(Debug, clap::Args)]
pub(super) struct ExtProcArguments {
    #[command(flatten)]
    source: SourceArguments,
    /// Prints the bootstrap of an Envoy that asks the listener and sends requests to the providers of the configuration,
    /// and serves nothing.
    #[arg(long)]
    print_envoy: bool,
    /// The address at which that Envoy listens for clients.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:10000", requires = "print_envoy")]
    envoy_listen: SocketAddr,
    /// The way in which that Envoy sends the bodies of requests.
    #[arg(long, value_enum, default_value_t = PrintedMode::Buffered, requires = "print_envoy")]
    body_mode: PrintedMode,
    /// Has that Envoy show answers too: for the usage of answers, and budgets that go by it.
    #[arg(long, requires = "print_envoy")]
    answers: bool,
    /// The file of the certificate that this Envoy shows Pointsman, where `ext_proc.tls.client_ca` wants one.
    #[arg(long, value_name = "FILE", requires_all = ["print_envoy", "envoy_key"])]
    envoy_cert: Option<PathBuf>,
    /// The file of that certificate's key.
    #[arg(long, value_name = "FILE", requires_all = ["print_envoy", "envoy_cert"])]
    envoy_key: Option<PathBuf>,
}

pub(super) fn run(arguments: &ExtProcArguments, format: LogFormat) -> ExitCode {
    if !arguments.print_envoy {
        return serve::run_from(&arguments.source, ListenerSource::ExtProc, format);
    }
    let source = match arguments.source.source() {
        Ok(source) => source,
        Err(error) => return fail(&error, USAGE),
    };
    match load(&source) {
        Ok(config) => {
            let file = std::path::absolute(source.path()).unwrap_or_default();
            let bootstrap = EnvoyBootstrap {
                config: &config,
                folder: file.parent().unwrap_or(Path::new("")),
                listen: arguments.envoy_listen,
                mode: arguments.body_mode,
                shows_answers: arguments.answers,
                certificate: arguments.certificate(),
            };
            print_whole(bootstrap.to_string().as_bytes())
        }
        Err(problems) => {
            eprintln!("{problems}");
            CONFIG.into()
        }
    }
}

impl ExtProcArguments {
    /// Returns the files of the certificate that Envoy shows, as it finds them wherever it is started.
    fn certificate(&self) -> Option<(PathBuf, PathBuf)> {
        let place = |file: &PathBuf| std::path::absolute(file).unwrap_or_else(|_| file.clone());
        self.envoy_cert.as_ref().map(place).zip(self.envoy_key.as_ref().map(place))
    }
}

/// Reads the configuration that `source` has now.
fn load(source: &ConfigSource) -> Result<Config, String> {
    source.fetch(FetchReason::Demand).map_err(|error| error.to_string())?;
    let text = source.read().map_err(|error| error.to_string())?.text;
    Config::parse(&text, source.name()).map_err(|problems| problems.to_string())
}
