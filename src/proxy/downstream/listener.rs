//! The listener that a request came to, as the configuration describes it.

use std::net::SocketAddr;

use pingora::proxy::Session;
use pointsman_core::config::{Config, ListenerConfig};

/// Returns the listener that a request came to: known by its address, else by its port.
pub(in crate::proxy) fn of<'c>(session: &Session, config: &'c Config) -> Option<&'c ListenerConfig> {
    at(config, session.server_addr().and_then(|address| address.as_inet()).copied())
}

fn at(config: &Config, local: Option<SocketAddr>) -> Option<&ListenerConfig> {
    let by = |is_it: &dyn Fn(SocketAddr, SocketAddr) -> bool| {
        let local = local?;
        config.listen.iter().find(|listen| is_it(listen.address, local))
    };
    let exactly = by(&|own, local| own.port() == local.port() && own.ip() == local.ip().to_canonical());
    exactly.or_else(|| by(&|own, local| own.port() == local.port())).or(config.listen.first())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_listeners_on_one_port_the_address_tells_which_it_is() {
        let listen = "[{address: 127.0.0.1:80}, {address: 127.0.0.2:80, decisions: true}, {address: '0.0.0.0:81'}]";
        let text = format!("version: 1\nlisten: {listen}\nproviders: {{one: {{base_url: 'http://127.0.0.1:1'}}}}\n");
        let config = Config::parse(&text, "p.yaml").expect("a good file");
        let found = |address: &str| at(&config, Some(address.parse().expect("an address"))).expect("there is one");

        assert!(found("127.0.0.2:80").decisions && found("[::ffff:127.0.0.2]:80").decisions);
        assert!(!found("127.0.0.1:80").decisions);
        assert_eq!(found("10.0.0.1:81").address.port(), 81);
    }
}
