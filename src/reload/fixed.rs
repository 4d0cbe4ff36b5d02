//! What a reload cannot change: addresses and TLS of listeners, which are bound when the process starts.

use std::path::Path;

use pointsman_core::config::Config;

use super::ReloadError;

/// Refuses a configuration whose listeners are others than those that serve, by the first key that differs.
pub(crate) fn refuse_fixed(serving: &Config, file: &Config) -> Result<(), ReloadError> {
    let listeners = |config: &Config| {
        let shown = config.listen.iter().map(|listen| match &listen.tls {
            Some(_) => format!("{} with TLS", listen.address),
            None => listen.address.to_string(),
        });
        shown.collect::<Vec<_>>().join(", ")
    };
    let admin = |config: &Config| match &config.admin.tls {
        Some(_) => format!("{} with TLS", config.admin.address),
        None => config.admin.address.to_string(),
    };
    let ext_proc = |config: &Config| match &config.ext_proc {
        Some(section) if section.tls.is_some() => format!("{} with TLS", section.address),
        Some(section) => section.place(Path::new("")).to_string(),
        None => "none".to_owned(),
    };
    let grpc = |config: &Config| config.grpc.as_ref().map_or("none".to_owned(), |grpc| grpc.address.to_string());
    let fixed = [
        ("listen.address", listeners(serving), listeners(file)),
        ("admin.address", admin(serving), admin(file)),
        ("grpc.address", grpc(serving), grpc(file)),
        ("ext_proc.address", ext_proc(serving), ext_proc(file)),
    ];
    match fixed.into_iter().find(|(_, serving, file)| serving != file) {
        Some((key, serving, file)) => Err(ReloadError::Fixed { key, serving, file }),
        None => Ok(()),
    }
}
