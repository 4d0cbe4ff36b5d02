//! Addresses of listeners, and who may reach them.

use super::*;

#[test]
fn listen_and_admin_differ_unless_the_port_is_free_choice() {
    let admin = |address: &str| {
        GOOD.replacen("default_provider", &format!("admin: {{address: '{address}'}}\ndefault_provider"), 1)
    };

    for bad in ["127.0.0.1:8080", "0.0.0.0:8080', allow_open: true, hosts: ['a.b"] {
        let bad = admin(bad).replace("'a.b'}", "'a.b']}");
        assert_eq!(problems(&bad), ["admin.address: must differ from listen.address, which is 127.0.0.1:8080"]);
    }
    let free = admin("127.0.0.1:0").replacen("127.0.0.1:8080", "127.0.0.1:0", 1);
    assert!(Config::parse(&free, "p.yaml").is_ok());
}

#[test]
fn the_listener_for_grpc_differs_from_every_other() {
    let grpc = |address: &str, sections: &str| {
        let sections = format!("grpc: {{address: '{address}'}}\n{sections}default_provider");
        GOOD.replacen("default_provider", &sections, 1)
    };

    for (address, sections) in [
        ("127.0.0.1:8080", ""),
        ("127.0.0.1:9002", "ext_proc: {}\n"),
        ("127.0.0.1:7", "admin: {address: '127.0.0.1:7'}\n"),
    ] {
        let expected = format!("grpc.address: must differ from that of another listener, which is {address}");
        assert_eq!(problems(&grpc(address, sections)), [expected]);
    }
    assert!(Config::parse(&grpc("127.0.0.1:9095", "ext_proc: {}\n"), "p.yaml").is_ok());
}

#[test]
fn an_admin_plane_that_other_machines_reach_is_refused_unless_it_is_said() {
    let admin = |rest: &str| GOOD.replacen("default_provider", &format!("admin: {{{rest}}}\ndefault_provider"), 1);

    for address in ["0.0.0.0:9090", "[::]:9090", "10.0.0.7:9090"] {
        let found = problems(&admin(&format!("address: '{address}'")));
        assert!(found[0].starts_with("admin.address: other machines may reach"), "{found:?}");
        assert!(found.len() == 1 && found[0].contains("allow_open: true"), "{found:?}");
        let said = admin(&format!("address: '{address}', allow_open: true"));
        assert!(Config::parse(&said, "p.yaml").is_ok(), "{address}");
    }
    assert!(Config::parse(&admin("address: '[::1]:9090'"), "p.yaml").is_ok());
    assert_eq!(problems(&admin("hosts: ['http://x']")).len(), 1);
}

#[test]
fn an_admin_plane_that_knows_its_callers_may_be_reached_by_other_machines() {
    let admin = |rest: &str| {
        let text = rest.replace("HASH", &"0f".repeat(32));
        GOOD.replacen("default_provider", &format!("admin: {{address: '0.0.0.0:9090', {text}}}\ndefault_provider"), 1)
    };
    let certified =
        "tls: {cert: c, key: k, client_ca: a}, auth: {certificates: [{name: a, san: a.example, role: edit}]}";

    for good in ["auth: {tokens: [{name: ci, sha256: HASH, role: operate}]}", certified] {
        assert!(Config::parse(&admin(good), "p.yaml").is_ok(), "{good}");
    }
    for (bad, expected) in [
        ("auth: {}", "admin.auth: must name at least one caller (allowed: `tokens`, `certificates`)"),
        (
            "auth: {tokens: [{name: a, sha256: HASH, role: view}, {name: b, sha256: HASH, role: edit}]}",
            "admin.auth.tokens[1].sha256: is the token of tokens[0] already",
        ),
        (
            "tls: {cert: c, key: k, client_ca: a}, auth: {certificates: [{name: a, role: view}]}",
            "admin.auth.certificates[0]: must say by one name which certificate is meant (allowed: `common_name` or `san`)",
        ),
        (
            "auth: {certificates: [{name: a, common_name: a, role: view}]}",
            "admin.auth.certificates: nobody vouches for them: set `admin.tls.client_ca`",
        ),
        (
            "tls: {cert: c, key: k, client_ca: a}, auth: {tokens: [{name: ci, sha256: HASH, role: view}]}",
            "admin.tls.client_ca: no certificate is a caller's: name some in `admin.auth.certificates`",
        ),
    ] {
        assert_eq!(problems(&admin(bad)), [expected], "{bad}");
    }
}

#[test]
fn a_listener_for_grpc_that_other_machines_reach_knows_its_callers_or_says_that_it_does_not() {
    let grpc = |rest: &str| GOOD.replacen("default_provider", &format!("grpc: {{{rest}}}\ndefault_provider"), 1);
    let open = "address: '0.0.0.0:9095'";

    for unknown in [open.to_owned(), format!("{open}, tls: {{cert: a, key: b}}")] {
        let found = problems(&grpc(&unknown));
        assert!(found.len() == 1 && found[0].starts_with("grpc.address: other machines may reach"), "{found:?}");
    }
    for known in ["tls: {cert: a, key: b, client_ca: c}", "allow_open: true"] {
        assert!(Config::parse(&grpc(&format!("{open}, {known}")), "p.yaml").is_ok(), "{known}");
    }
    let empty = problems(&grpc("address: '127.0.0.1:9095', tls: {cert: a, key: ''}"));
    assert_eq!(empty, ["grpc.tls.key: must be the path of a PEM file"]);
}
