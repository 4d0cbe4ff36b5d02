//! The `pointsman` binary: arguments, then the command that they name.

use std::process::ExitCode;

/// A request makes a few hundred small allocations, on a thread that another one may free them on. ONNX Runtime takes its
/// memory here too: what it frees when weights are swapped goes back to the system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    pointsman::run_command_line(std::env::args_os())
}
