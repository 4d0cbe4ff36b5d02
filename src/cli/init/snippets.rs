//! What a client is told so that it asks Pointsman: coding agents, editors, the SDKs of vendors.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::yaml::KeyOwner;

/// Returns the settings of the usual clients for a gateway at this address, and the commands that come next.
pub(super) fn text(listen: SocketAddr, keys: KeyOwner, client_key: Option<&str>, file: &str) -> String {
    let origin = format!("http://{}", reachable(listen));
    let (key, about) = match (client_key, keys) {
        (Some(key), _) => (key, "Pointsman has the keys of the providers: clients send the one above."),
        // Replaced by the provider's.
        (None, KeyOwner::Env) => {
            ("pointsman", "Pointsman has the keys of the providers: clients send any word in place of one.")
        }
        (None, KeyOwner::Passthrough) => ("YOUR-KEY", "Each client sends its own key of the provider."),
    };
    format!(
        r#"
Next:

  pointsman doctor -c {file}
  pointsman serve -c {file}

Then let clients ask for the model `auto`. {about}

Claude Code

  export ANTHROPIC_BASE_URL={origin} ANTHROPIC_API_KEY={key}
  claude --model auto

Codex, in ~/.codex/config.toml (with `export OPENAI_API_KEY={key}`)

  model = "auto"
  model_provider = "pointsman"

  [model_providers.pointsman]
  name = "Pointsman"
  base_url = "{origin}/v1"
  env_key = "OPENAI_API_KEY"
  wire_api = "responses"
  supports_websockets = true

Cursor, under Settings, Models: add the model `pointsman`, and

  OpenAI API Key             {key}
  Override OpenAI Base URL   {origin}/v1    # Cursor asks from its own servers: they must reach this address

OpenAI's SDK for Python; others read OPENAI_BASE_URL and OPENAI_API_KEY as it does

  from openai import OpenAI
  client = OpenAI(base_url="{origin}/v1", api_key="{key}")
  client.chat.completions.create(model="auto", messages=[{{"role": "user", "content": "Hello"}}])

OpenAI's SDK for JavaScript

  import OpenAI from "openai";
  const client = new OpenAI({{ baseURL: "{origin}/v1", apiKey: "{key}" }});
  await client.chat.completions.create({{ model: "auto", messages: [{{ role: "user", content: "Hello" }}] }});

curl

  curl -i {origin}/v1/chat/completions -H 'content-type: application/json' -H 'authorization: Bearer {key}' \
    -d '{{"model": "auto", "messages": [{{"role": "user", "content": "Hello"}}]}}'
"#
    )
}

/// Returns where clients of this machine reach a listener: an address of every network card is loopback's too.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_an_address_that_they_can_reach() {
        let shown = |listen: &str| text(listen.parse().expect("an address"), KeyOwner::Env, None, "p.yaml");

        assert!(shown("0.0.0.0:8080").contains("ANTHROPIC_BASE_URL=http://127.0.0.1:8080 "));
        assert!(shown("[::]:8080").contains("base_url = \"http://[::1]:8080/v1\""));
        assert!(shown("10.0.0.7:80").contains("http://10.0.0.7:80/v1"));
    }

    #[test]
    fn clients_that_need_a_key_are_told_it() {
        let listen = "10.0.0.7:80".parse().expect("an address");

        let shown = text(listen, KeyOwner::Env, Some("pm-planted"), "p.yaml");

        assert!(shown.contains("ANTHROPIC_API_KEY=pm-planted\n") && !shown.contains("any word"), "{shown}");
    }
}
