//! The ONNX Runtime library: where it is looked for, and the one environment a process may have.
//!
//! The library is loaded while the program runs, so a machine without it still serves every request: its classifiers
//! are [`Degraded::RuntimeMissing`](pointsman_core::scores::ClassifierFailure::RuntimeMissing).

use std::any::Any;
use std::env;
use std::ffi::OsString;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;

/// The release that `make setup` installs.
const PINNED: &str = "1.31.1";

/// The library's folder as `make install` makes it, seen from the prefix, in whose `bin` the executable is.
const INSTALLED: &str = "lib/pointsman";

/// The variable that names the library's file.
const VARIABLE: &str = "ORT_DYLIB_PATH";

/// ONNX Runtime allows one library and one environment a process; whoever loads second gets the first one's.
static LOADED: Mutex<Option<Arc<OnnxRuntime>>> = Mutex::new(None);

/// The loaded ONNX Runtime library and its environment.
#[derive(Debug)]
pub struct OnnxRuntime {
    path: PathBuf,
    version: String,
    environment: Environment,
    /// The plug-ins that are loaded.
    providers: Mutex<Vec<&'static str>>,
}

/// A plug-in of ONNX Runtime that runs models on something other than the CPU: a library beside ONNX Runtime's own.
///
/// Plug-ins need no feature of ort, so a build needs no CUDA and knows nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExecutionProvider {
    /// The name that ONNX Runtime's devices give of their provider.
    pub(crate) name: &'static str,
    /// The file of the library, without the platform's prefix and suffix.
    library: &'static str,
}

/// An error of loading ONNX Runtime.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum OnnxRuntimeError {
    /// None of the places holds the library.
    #[error("no ONNX Runtime library found; run `make setup` or set {VARIABLE} (looked for {})", listed(.looked))]
    Missing { looked: Vec<PathBuf> },
    /// A file is there, but it is no library, no ONNX Runtime, or too old.
    #[error("{} is not a usable ONNX Runtime library; run `make setup`: {message}", path.display())]
    Unusable { path: PathBuf, message: String },
}

impl OnnxRuntime {
    /// The release that is installed with Pointsman, and tested with it.
    pub const TESTED: &str = PINNED;

    /// Finds and loads the library: the file that `ORT_DYLIB_PATH` names and no other, else the first that exists
    /// beside the executable, in `../lib/pointsman` of its folder (where `make install` puts it), in `.tools/` of the
    /// current directory, or in `.tools/` of a folder above the executable.
    ///
    /// The second call returns what the first one loaded. A program that embeds this calls
    /// [`switch_off_vendor_reports`](crate::switch_off_vendor_reports) first.
    ///
    /// # Errors
    /// When no file is found, or when the one found does not load; a later call tries again.
    pub fn load() -> Result<Arc<Self>, OnnxRuntimeError> {
        let named = env::var_os(VARIABLE).filter(|path| !path.is_empty());
        Self::load_from(&candidates(named, env::current_exe().ok().as_deref(), env::current_dir().ok().as_deref()))
    }

    /// Loads the first of `candidates` that exists, unless a library is loaded already.
    ///
    /// # Errors
    /// As [`OnnxRuntime::load`].
    pub fn load_from(candidates: &[PathBuf]) -> Result<Arc<Self>, OnnxRuntimeError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*loaded {
            return Ok(Arc::clone(runtime));
        }
        let path = candidates
            .iter()
            .find(|path| path.is_file())
            .ok_or_else(|| OnnxRuntimeError::Missing { looked: candidates.to_vec() })?;
        let runtime = Arc::new(Self::open(path)?);
        *loaded = Some(Arc::clone(&runtime));
        Ok(runtime)
    }

    /// Returns the library's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the library's version as its build states it, such as `1.31.1`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the environment, for embedders with sessions of their own: a process cannot have a second one.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Returns whether there is a CUDA plug-in; whether it works, only a session tells.
    pub(crate) fn has_cuda(&self) -> bool {
        self.provider_path(ExecutionProvider::CUDA).is_file()
    }

    /// Loads a plug-in, once.
    pub(crate) fn load_provider(&self, provider: ExecutionProvider) -> ort::Result<()> {
        let path = self.provider_path(provider);
        if !path.is_file() {
            return Err(ort::Error::new(format!("there is no {}", path.display())));
        }
        let mut loaded = self.providers.lock().unwrap_or_else(PoisonError::into_inner);
        if !loaded.contains(&provider.name) {
            self.environment.register_ep_library(provider.name, path)?;
            loaded.push(provider.name);
        }
        Ok(())
    }

    fn provider_path(&self, provider: ExecutionProvider) -> PathBuf {
        self.path.with_file_name(format!("{}{}{}", env::consts::DLL_PREFIX, provider.library, env::consts::DLL_SUFFIX))
    }

    fn open(path: &Path) -> Result<Self, OnnxRuntimeError> {
        let unusable = |message| OnnxRuntimeError::Unusable { path: path.to_owned(), message };
        // The real path: ort takes a relative one as relative to the executable, and the real name tells the version.
        let path = path.canonicalize().map_err(|error| unusable(error.to_string()))?;
        // ort asserts that the library's tables are there, so a strange library panics.
        let environment = panic::catch_unwind(AssertUnwindSafe(|| environment(&path)))
            .unwrap_or_else(|panic| Err(panic_message(&*panic)))
            .map_err(unusable)?;
        let providers = Mutex::default();
        Ok(Self { version: version(&path, ort::info()), path, environment, providers })
    }
}

impl ExecutionProvider {
    /// NVIDIA GPUs.
    pub(crate) const CUDA: Self = Self { name: "CUDAExecutionProvider", library: "onnxruntime_providers_cuda" };
    /// NVIDIA GPUs, by engines that are built for a model and a GPU.
    pub(crate) const TENSORRT: Self =
        Self { name: "TensorrtExecutionProvider", library: "onnxruntime_providers_tensorrt" };
}

fn environment(path: &Path) -> Result<Environment, String> {
    let builder = ort::init_from(path).map_err(|error| error.to_string())?;
    builder.with_name("pointsman").with_telemetry(false).build().map_err(|error| error.to_string())
}

/// Returns the version that the build information or, failing that, the file's name tells.
fn version(path: &Path, build_info: &str) -> String {
    let branch = build_info.split("git-branch=rel-").nth(1).and_then(|rest| rest.split(',').next());
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let suffix = name.split(".so.").nth(1);
    branch.or(suffix).unwrap_or("unknown").trim().to_owned()
}

fn candidates(named: Option<OsString>, executable: Option<&Path>, directory: Option<&Path>) -> Vec<PathBuf> {
    if let Some(named) = named {
        return vec![named.into()];
    }
    let above = || executable.into_iter().flat_map(|path| path.ancestors().skip(1));
    let folders = above()
        .take(1)
        .map(Path::to_owned)
        .chain(above().nth(1).map(|prefix| prefix.join(INSTALLED)))
        .chain(directory.map(|path| path.join(".tools")))
        .chain(above().map(|path| path.join(".tools")));
    let plain = format!("{}onnxruntime{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    let pinned = format!("{plain}.{PINNED}");
    let mut files = Vec::new();
    for file in folders.flat_map(|folder| [folder.join(&plain), folder.join(&pinned)]) {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    files
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("the loader panicked").to_owned()
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_is_the_only_place_when_it_is_set() {
        let files = candidates(Some("/opt/ort.so".into()), Some(Path::new("/a/bin/pointsman")), Some(Path::new("/b")));

        assert_eq!(files, [Path::new("/opt/ort.so")]);
    }

    #[test]
    fn the_search_goes_from_the_executable_over_what_was_installed_with_it_and_the_current_directory_to_the_folders_above()
     {
        let files = candidates(None, Some(Path::new("/a/bin/pointsman")), Some(Path::new("/b")));

        let plain: Vec<_> = files.iter().step_by(2).map(|path| path.to_str().expect("ASCII")).collect();
        assert_eq!(
            plain,
            [
                "/a/bin/libonnxruntime.so",
                "/a/lib/pointsman/libonnxruntime.so",
                "/b/.tools/libonnxruntime.so",
                "/a/bin/.tools/libonnxruntime.so",
                "/a/.tools/libonnxruntime.so",
                "/.tools/libonnxruntime.so",
            ]
        );
        assert!(files.contains(&PathBuf::from("/b/.tools/libonnxruntime.so.1.31.1")));
    }

    #[test]
    fn no_place_is_named_twice() {
        let files = candidates(None, Some(Path::new("/a/pointsman")), Some(Path::new("/a")));

        let tools = files.iter().filter(|path| **path == Path::new("/a/.tools/libonnxruntime.so")).count();
        assert_eq!(tools, 1);
    }

    #[test]
    fn the_version_comes_from_the_build_and_else_from_the_file_name() {
        let file = Path::new("/x/libonnxruntime.so.1.30.0");

        assert_eq!(version(file, "ORT Build Info: git-branch=rel-1.31.1, git-commit-id=ab"), "1.31.1");
        assert_eq!(version(file, "ORT Build Info: git-branch=HEAD"), "1.30.0");
        assert_eq!(version(Path::new("/x/libonnxruntime.so"), ""), "unknown");
    }
}
