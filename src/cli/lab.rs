//! The subcommands of the laboratory: offline, over files. A build without the feature `lab` has none of them.

pub(super) mod answers;
pub(super) mod calibrate;
pub(super) mod collect;
mod diff;
pub(super) mod eval;
mod files;
pub(super) mod fit;
mod from_log;
pub(super) mod grade;
pub(super) mod label;
pub(super) mod prepare;
mod record;
pub(super) mod reference;
pub(super) mod replay;
pub(super) mod runs;
pub(super) mod simulate;

/// The exit code for bad data (`EX_DATAERR`).
const DATA: u8 = 65;

/// Reads a share: `25%` or `0.25`.
fn share(text: &str) -> Result<f64, String> {
    let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |number| (number.trim_end(), 100.0));
    let share = number.parse::<f64>().map(|number| number / scale).ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("`{text}` is not a share (allowed: 0% to 100%, or 0 to 1)"))
}
