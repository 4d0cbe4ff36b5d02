//! ONNX Runtime libraries that are missing or wrong. A process of its own: here no library is ever loaded for good, so
//! every test meets the loader.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pointsman_classifier::{OnnxRuntime, OnnxRuntimeError};

fn refusal(path: &Path) -> String {
    OnnxRuntime::load_from(&[path.to_owned()]).expect_err("no usable library").to_string()
}

/// Builds a shared library out of C, with the compiler that `make setup` asks for.
fn library(folder: &Path, source: &str) -> PathBuf {
    let (code, library) = (folder.join("fake.c"), folder.join("libonnxruntime.so"));
    fs::write(&code, source).expect("written");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&code).status();
    assert!(compiled.expect("cc runs; run `make setup`").success());
    library
}

#[test]
fn no_file_at_all_lists_every_place_and_the_way_out() {
    let looked = ["/nowhere/libonnxruntime.so", "/nor/here/libonnxruntime.so"].map(PathBuf::from);

    let error = OnnxRuntime::load_from(&looked).expect_err("no library");

    assert!(matches!(&error, OnnxRuntimeError::Missing { looked: named } if named[..] == looked));
    assert_eq!(
        error.to_string(),
        "no ONNX Runtime library found; run `make setup` or set ORT_DYLIB_PATH \
         (looked for /nowhere/libonnxruntime.so, /nor/here/libonnxruntime.so)"
    );
}

#[test]
fn a_file_that_is_no_library_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("libonnxruntime.so");
    fs::write(&file, "not a library").expect("written");

    let refusal = refusal(&file);

    assert!(refusal.contains(&*file.to_string_lossy()) && refusal.contains("run `make setup`"), "{refusal}");
}

#[test]
fn a_library_that_is_no_onnx_runtime_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = library(folder.path(), "int something_else(void) { return 7; }");

    let refusal = refusal(&file);

    assert!(refusal.contains("OrtGetApiBase"), "{refusal}");
}

#[test]
fn a_library_that_is_too_old_is_refused_with_its_version() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = r#"
        struct base { const void *(*api)(unsigned); const char *(*version)(void); };
        static const void *api(unsigned version) { return 0; }
        static const char *version(void) { return "1.17.0"; }
        static const struct base BASE = { api, version };
        const struct base *OrtGetApiBase(void) { return &BASE; }"#;
    let file = library(folder.path(), source);

    let refusal = refusal(&file);

    assert!(refusal.contains("1.17.0") && refusal.contains("1.24"), "{refusal}");
}

#[test]
fn a_library_that_makes_the_loader_panic_is_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = library(folder.path(), "const void *OrtGetApiBase(void) { return 0; }");

    let refusal = refusal(&file);

    assert!(refusal.contains("is not a usable ONNX Runtime library"), "{refusal}");
}
