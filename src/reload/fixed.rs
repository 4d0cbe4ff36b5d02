//! What a reload cannot change: addresses and TLS of listeners, which are bound when the process starts.

use std::fmt::Display;
use std::path::Path;

use pointsman_core::config::Config;

use super::ReloadError;

/// Refuses a configuration whose listeners are others than those that serve, by the first key that differs.
pub(crate) fn refuse_fixed(serving: &Config, file: &Config) -> Result<(), ReloadError> {
    let listeners = |config: &Config| {
        let shown = config.listen.iter().map(|listen| shown(listen.address, listen.tls.is_some()));
        shown.collect::<Vec<_>>().join(", ")
    };
    let admin = |config: &Config| shown(config.admin.address, config.admin.tls.is_some());
    let ext_proc = |config: &Config| match &config.ext_proc {
        Some(section) => shown(section.place(Path::new("")), section.tls.is_some()),
        None => "none".to_owned(),
    };
    let grpc = |config: &Config| match &config.grpc {
        Some(section) => shown(section.address, section.tls.is_some()),
        None => "none".to_owned(),
    };
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

fn shown(place: impl Display, has_tls: bool) -> String {
    if has_tls { format!("{place} with TLS") } else { place.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(serving: &str, file: &str) -> Option<String> {
        let config = |sections: &str| {
            let text = format!("version: 1\nlisten: {{address: '127.0.0.1:1'}}\nproviders: {{}}\n{sections}\n");
            Config::parse(&text, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"))
        };
        refuse_fixed(&config(serving), &config(file)).err().map(|error| error.to_string())
    }

    #[test]
    fn places_and_whether_there_is_tls_are_fixed_and_files_of_certificates_are_not() {
        const TLS: &str = "tls: {cert: a, key: b}";
        const OTHER_TLS: &str = "tls: {cert: c, key: d, client_ca: e}";
        for (section, one, other) in [
            ("grpc", "address: '127.0.0.1:2'", "address: '127.0.0.1:3'"),
            ("ext_proc", "address: '127.0.0.1:2'", "address: '127.0.0.1:3'"),
            ("ext_proc", "socket: a.sock", "socket: b.sock"),
        ] {
            let with = |keys: [&str; 2]| format!("{section}: {{{}, {}}}", keys[0], keys[1]);
            let key = format!("{section}.address");
            for (serving, file) in [
                (with([one, TLS]), with([other, TLS])),
                (with([one, "allow_open: true"]), with([one, TLS])),
                (with([one, TLS]), String::new()),
            ] {
                let said = refused(&serving, &file).unwrap_or_else(|| panic!("{serving} -> {file}"));
                assert!(said.contains(&key), "{said}");
            }
            assert_eq!(refused(&with([one, TLS]), &with([one, OTHER_TLS])), None);
        }
    }
}
