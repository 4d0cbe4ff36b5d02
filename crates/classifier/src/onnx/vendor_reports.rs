//! The reports of ONNX Runtime to its vendor, which a process switches off before it loads the library.
//!
//! From 1.31 on the vendor's builds for Linux have them on: they keep an identifier of the machine and a database of events
//! in the user's cache folder, and send them some seconds after the start, a description of the machine among them. The
//! C API can end them only after the first is made. What ends all of them are environment variables that the library
//! reads while it is loaded.

/// The variables that switch the reports off. Release 1.31.1 still sends a description of the process under the first
/// one, which later releases take for all; the second one is that of the library's own tests.
const OFF: [&str; 2] = ["ORT_TELEMETRY_DISABLED", "ORT_RUNNING_UNIT_TESTS"];

/// Makes this process's ONNX Runtime send nothing to its vendor and keep nothing for it.
///
/// It sets environment variables, so it comes first in a program, before there is a second thread. A variable that is set
/// already keeps its value.
pub fn switch_off_vendor_reports() {
    let variables = OFF.map(|variable| format!("{variable}=1\n")).concat();
    let _ = dotenvy::from_read(variables.as_bytes()); // fails for what is no line of a name and a value
}
