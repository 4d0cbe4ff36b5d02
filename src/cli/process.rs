//! The settings of the whole process, made before it does anything else.

use pointsman_classifier::switch_off_vendor_reports;
use rustix::thread::disable_transparent_huge_pages;

/// Makes the settings of the whole process. Comes first, while there is one thread.
pub(super) fn set_up() {
    switch_off_vendor_reports();
    // A huge page is two megabytes for the first byte that is written to it: of 84 MB without a classifier 21 were never
    // used, and clearing them took a quarter of the start. Kernels without them refuse, and then there is nothing to do.
    let _ = disable_transparent_huge_pages(true);
}
