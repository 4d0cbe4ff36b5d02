//! Sets up where log records go: standard error, as text or JSON, filtered by `RUST_LOG`.
//!
//! Also takes in the records of the `log` crate, which pingora writes.

pub(crate) mod escape;

use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};
use std::{env, thread};

use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, ParseError, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use self::escape::EscapingMaker;

/// The directives of the filter; those of `RUST_LOG` are added and win.
///
/// Pingora reports clients that leave, scan or speak no HTTP as errors. `pingora_proxy` has nothing else to say: what
/// fails towards an upstream is logged, counted and answered by our own proxy, with the provider's name. From
/// `pingora_core` remain the records of the server and its listeners, such as a failing `accept`.
///
/// Audit lines are written whatever the general level is; `audit=off` leaves them out.
pub const DEFAULT_FILTER: &str =
    "info,audit=info,pingora_core=warn,pingora_core::apps=off,pingora_core::protocols=error,pingora_proxy=off";

/// How records are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line, for machines.
    Json,
}

/// The reason why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `RUST_LOG` cannot be read.
    #[error("RUST_LOG is `{value}`, which is no list of directives such as `info,pointsman=debug`")]
    Filter {
        /// The variable's value.
        value: String,
        /// The directive at fault.
        source: ParseError,
    },
    /// The process already has a logger.
    #[error("logging was already set up")]
    AlreadySet(#[from] TryInitError),
}

/// Sets up logging for the whole process.
///
/// # Errors
/// When `RUST_LOG` cannot be read, or another logger is already set.
pub fn init(format: LogFormat) -> Result<(), LoggingError> {
    init_with(format, "")
}

/// Sets up logging for the whole process with more directives; those of `RUST_LOG` come after, and so prevail.
///
/// # Errors
/// When `RUST_LOG` cannot be read, or another logger is already set.
pub fn init_with(format: LogFormat, directives: &str) -> Result<(), LoggingError> {
    let directives = format!("{directives},{}", env::var("RUST_LOG").unwrap_or_default());
    let subscriber = subscriber(format, &directives, io::stderr, io::stderr().is_terminal())?;
    subscriber.try_init()?;
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Logs where a thread panicked, and nothing else: the message of a failed slice quotes the text, which may be a
/// prompt.
fn log_panic(panicked: &PanicHookInfo<'_>) {
    let location = panicked.location().map(ToString::to_string);
    let thread = thread::current();
    tracing::error!(location, thread = thread.name(), "Panicked; this is a bug in Pointsman");
}

fn subscriber<W>(
    format: LogFormat,
    directives: &str,
    writer: W,
    ansi: bool,
) -> Result<impl SubscriberInitExt, LoggingError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(format!("{DEFAULT_FILTER},{directives}"))
        .map_err(|source| LoggingError::Filter { value: directives.trim_matches(',').to_owned(), source })?;
    let registry = tracing_subscriber::registry().with(filter).with(filter_fn(keeps_secrets));
    Ok(registry.with(writes(format, writer, ansi)))
}

/// The crates of the workspace that log; what they log at debug and trace holds no prompt and no key.
const OURS: [&str; 4] = ["pointsman", "pointsman_classifier", "pointsman_lab", "pointsman_telemetry"];

/// Refuses the debug and trace records of other crates, whatever `RUST_LOG` says: pingora's print whole request
/// headers.
fn keeps_secrets(metadata: &Metadata<'_>) -> bool {
    let krate = metadata.target().split("::").next();
    *metadata.level() <= LevelFilter::INFO || krate.is_some_and(|krate| OURS.contains(&krate))
}

fn writes<S, W>(format: LogFormat, writer: W, ansi: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'s> tracing_subscriber::registry::LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let writer = EscapingMaker::new(writer, format);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(ansi);
    match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    }
}

#[cfg(test)]
pub(crate) mod capture {
    //! Lets tests read what was written.

    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panicked").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns what `act` logs on this thread when `RUST_LOG` is `directives`.
    pub(crate) fn captured(format: LogFormat, directives: &str, act: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = subscriber(format, directives, move || writer.clone(), false).expect("valid directives");

        let guard = subscriber.set_default();
        act();
        drop(guard);

        let bytes = buffer.0.lock().expect("no writer panicked").clone();
        String::from_utf8(bytes).expect("records are UTF-8")
    }
}

#[cfg(test)]
mod tests {
    use tracing::{debug, error, info, warn};

    use super::capture::captured;
    use super::*;

    #[test]
    fn pingora_s_complaints_about_clients_are_not_written() {
        let text = captured(LogFormat::Text, "", || {
            error!(target: "pingora_proxy", "reset");
            error!(target: "pingora_core::apps", "no h2");
            warn!(target: "pingora_core::protocols::http::v1::body", "extra");
            info!(target: "pingora_core::server", "starting");
        });

        assert_eq!(text, "");
    }

    #[test]
    fn pingora_s_complaints_about_the_server_are_written() {
        let text = captured(LogFormat::Text, "", || error!(target: "pingora_core::services::listening", "accept"));

        assert!(text.contains("ERROR pingora_core::services::listening: accept"), "{text}");
    }

    #[test]
    fn rust_log_is_added_to_the_default() {
        let text = captured(LogFormat::Text, "debug,pingora_core=info", || {
            debug!("ours");
            info!(target: "pingora_core::server", "starting");
            error!(target: "pingora_proxy", "reset");
        });

        assert!(text.contains("ours") && text.contains("starting") && !text.contains("reset"), "{text}");
    }

    #[test]
    fn another_crate_s_debug_records_are_never_written() {
        let text = captured(LogFormat::Text, "trace,pingora_proxy=trace", || {
            debug!(target: "pingora_proxy::proxy_h1", "authorization: sk-planted");
            debug!(target: "pointsman_lookalike", "sk-planted");
        });

        assert_eq!(text, "");
    }

    #[test]
    fn an_unreadable_rust_log_is_named() {
        let error = subscriber(LogFormat::Text, "a=b=c", io::sink, false).err().expect("refused");

        assert!(error.to_string().contains("RUST_LOG is `a=b=c`"), "{error}");
    }
}
