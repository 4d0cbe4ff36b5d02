//! Logging for a whole process, which is why this test has one of its own.

use pointsman_telemetry::logging;
use pointsman_telemetry::logging::LogFormat;

#[test]
fn records_of_the_log_crate_are_taken_in_and_filtered() {
    logging::init(LogFormat::Text).expect("the first logger of this process");

    assert!(log::log_enabled!(target: "pingora_core::server", log::Level::Warn));
    assert!(!log::log_enabled!(target: "pingora_core::server", log::Level::Info));
    assert!(!log::log_enabled!(target: "pingora_proxy", log::Level::Error));
    assert!(logging::init(LogFormat::Text).is_err(), "a second logger is refused");
}
