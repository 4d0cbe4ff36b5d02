//! The memory that this process may take, as the system says it: what its control groups allow, and what there is.
//!
//! Read once: a limit that is lowered while the process runs is met by the kernel, not by us.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The most that request bodies may take together where nothing else is said.
const MOST: u64 = 1 << 30;

/// The least; a process that may take less has no room for a request.
const LEAST: u64 = 1 << 20;

/// The share of the memory that request bodies may take together: a part, because bundles, answers and the memory that
/// an allocator keeps for the next body need theirs.
const SHARE: u64 = 4;

static BYTES_IN_FLIGHT: LazyLock<usize> = LazyLock::new(|| {
    let share = allowed(Path::new("/")).map_or(MOST, |bytes| bytes / SHARE);
    usize::try_from(share.clamp(LEAST, MOST)).unwrap_or(usize::MAX)
});

/// Returns what request bodies may take together where the configuration does not say: a quarter of the memory that the
/// process may take, at most 1 GiB.
pub(super) fn default_bytes_in_flight() -> usize {
    *BYTES_IN_FLIGHT
}

/// Returns the memory that the process may take, in bytes; `None` where the system does not tell.
fn allowed(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().flat_map(|group| limits_of(root, group));
    limits.chain(physical(root)).min()
}

/// Returns the limits of one of the process's control groups and of those around it. A container sees its own group as
/// the root, whatever the path says that the host knows it by.
fn limits_of(root: &Path, group: &str) -> Vec<u64> {
    let mut fields = group.splitn(3, ':');
    let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
        return Vec::new();
    };
    let (mount, file) = match controllers {
        "" => ("sys/fs/cgroup", "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        _ => return Vec::new(),
    };
    let path: PathBuf =
        Path::new(path).components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect();
    let limit = |folder: &Path| number(&root.join(mount).join(folder).join(file));
    path.ancestors().filter_map(limit).collect()
}

/// Returns a file's number; a group without a limit says `max`.
fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn physical(root: &Path) -> Option<u64> {
    let known = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let total = known.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// Makes the files of a system with 8 GiB of memory.
    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a temporary folder");
        let memory = [("proc/meminfo", "MemTotal:        8388608 kB\nMemFree: 1 kB\n")];
        for (path, text) in memory.iter().chain(files) {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        root
    }

    fn allowed_by(files: &[(&str, &str)]) -> Option<u64> {
        allowed(system(files).path())
    }

    #[test]
    fn without_groups_the_memory_of_the_machine_is_allowed() {
        assert_eq!(allowed_by(&[]), Some(8 * GIB));
        assert_eq!(allowed(Path::new("/nowhere")), None);
    }

    #[test]
    fn the_tightest_of_a_groups_own_limit_and_of_those_around_it_holds() {
        let group = ("proc/self/cgroup", "0::/pods/pod7/proxy\n");
        let (own, around) = ("sys/fs/cgroup/pods/pod7/proxy/memory.max", "sys/fs/cgroup/pods/memory.max");

        assert_eq!(allowed_by(&[group, (own, "max\n")]), Some(8 * GIB));
        assert_eq!(allowed_by(&[group, (own, "2147483648\n"), (around, "4294967296\n")]), Some(2 * GIB));
        assert_eq!(allowed_by(&[group, (own, "max\n"), (around, "1073741824\n")]), Some(GIB));
    }

    #[test]
    fn in_a_container_the_root_of_the_groups_is_its_own() {
        let files = [("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "536870912\n")];

        assert_eq!(allowed_by(&files), Some(GIB / 2));
    }

    #[test]
    fn the_older_groups_are_read_too_and_a_path_out_of_them_leads_nowhere() {
        let groups = ("proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/../../1f\n");
        let limit = |bytes| ("sys/fs/cgroup/memory/memory.limit_in_bytes", bytes);

        assert_eq!(allowed_by(&[groups, limit("268435456\n")]), Some(GIB / 4));
        assert_eq!(allowed_by(&[groups, limit("9223372036854771712\n")]), Some(8 * GIB));
    }
}
