//! The `pointsman` binary: arguments, then [`pointsman::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    pointsman::cli::run(std::env::args_os())
}
