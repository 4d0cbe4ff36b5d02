//! What this machine gives a gateway: ONNX Runtime, file descriptors, watches on files.

use std::path::Path;

use pointsman_classifier::OnnxRuntime;
use pointsman_core::config::Config;
use rustix::process::{Resource, getrlimit};

use super::finding::DoctorFinding;
use crate::snapshot::{ClassifierState, Snapshot};

/// File descriptors beside those of connections: listeners, logs, watches, libraries.
const OWN_DESCRIPTORS: u64 = 128;

/// Looks for the library that runs encoders.
pub(super) fn onnx_runtime(config: Option<&Config>) -> DoctorFinding {
    const CHECK: &str = "onnxruntime";
    if config.is_some_and(|config| config.classifiers.values().all(|section| section.bundle.is_none())) {
        return DoctorFinding::skipped(CHECK, "no classifier with a bundle is configured");
    }
    match OnnxRuntime::load() {
        Ok(library) if library.version() == OnnxRuntime::TESTED => {
            DoctorFinding::ok(CHECK, format!("{} in {}", library.version(), library.path().display()))
        }
        Ok(library) => DoctorFinding::warn(
            CHECK,
            format!(
                "{} in {}; releases are tested with {}",
                library.version(),
                library.path().display(),
                OnnxRuntime::TESTED
            ),
            "install the tested one (`make setup`) if classifiers do not answer as they should",
        ),
        Err(error) => DoctorFinding::warn(
            CHECK,
            format!("{error}: heads over words answer alone, and less well"),
            "run `make setup`, or let ORT_DYLIB_PATH name the library's file",
        ),
    }
}

/// Says whether each classifier scores.
pub(super) fn classifiers(snapshot: &Snapshot) -> Vec<DoctorFinding> {
    let finding = |name: &str, state: &ClassifierState| {
        let check = format!("classifiers.{name}");
        match state {
            ClassifierState::Ready(classifier) => match classifier.trouble().filter(|_| classifier.is_down()) {
                Some(trouble) if classifier.server().is_some() => DoctorFinding::warn(
                    check,
                    format!("{trouble}; the bundle answers where there is one, else `otherwise`"),
                    "start the server, or mend `remote.url`, its credential or its TLS (docs/remote-classifiers.md)",
                ),
                None => {
                    let identity = classifier.identity();
                    DoctorFinding::ok(check, format!("{} {}", identity.name, identity.version))
                }
                Some(trouble) => DoctorFinding::warn(
                    check,
                    format!("{trouble}: heads over words answer alone"),
                    "see `onnxruntime` and `device` (docs/operations.md, degrade ladder)",
                ),
            },
            ClassifierState::Unavailable { reason, detail } => DoctorFinding::fail(
                check,
                format!("{}: {detail}", reason.as_str()),
                "mend the bundle's folder, or name another one in `bundle`; until then `otherwise` serves",
            ),
        }
    };
    snapshot.classifiers.iter().map(|(name, state)| finding(name, state)).collect()
}

/// Compares the open files that the process may have with what the limits of the configuration allow clients to take.
pub(super) fn file_descriptors(config: &Config) -> DoctorFinding {
    const CHECK: &str = "file descriptors";
    let limits = &config.limits;
    // A client's connection, and one to an upstream for each request under way.
    let needed = limits.max_connections as u64 + limits.max_requests as u64 + OWN_DESCRIPTORS;
    let limit = getrlimit(Resource::Nofile);
    match limit.current {
        Some(current) if current < needed => DoctorFinding::warn(
            CHECK,
            format!("{current} may be open; {needed} are taken at `limits.max_connections` and `limits.max_requests`"),
            "raise the limit (`ulimit -n`, LimitNOFILE of a systemd unit), or lower those two",
        ),
        Some(current) => DoctorFinding::ok(CHECK, format!("{current} may be open, {needed} can be needed")),
        None => DoctorFinding::ok(CHECK, "as many as wanted may be open"),
    }
}

/// Tries to watch the configuration's folder, by which changes of files are noticed.
#[cfg(target_os = "linux")]
pub(super) fn watches(file: &Path) -> DoctorFinding {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    const CHECK: &str = "file watches";
    let limit = |name: &str| std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).unwrap_or_default();
    let limits = format!(
        "{} instances and {} watches for a user",
        limit("max_user_instances").trim(),
        limit("max_user_watches").trim()
    );
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let watched = init(CreateFlags::CLOEXEC).and_then(|queue| add_watch(&queue, folder, WatchFlags::MODIFY).map(drop));
    match watched {
        Ok(()) => DoctorFinding::ok(CHECK, limits),
        Err(error) => DoctorFinding::warn(
            CHECK,
            format!("no watch on `{}`: {error} ({limits}): changes are only found by looking", folder.display()),
            "raise fs.inotify.max_user_instances and fs.inotify.max_user_watches with sysctl",
        ),
    }
}

/// Says that this system gives no events of files.
#[cfg(not(target_os = "linux"))]
pub(super) fn watches(_: &Path) -> DoctorFinding {
    DoctorFinding::skipped("file watches", "this system has no inotify: changes are only found by looking")
}
