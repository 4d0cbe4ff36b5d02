//! The configuration that `init` writes, as commented YAML. Keys of providers stand in it by the names of their variables
//! alone.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use pointsman_core::config::{KnownModel, known_models_date};

use super::first_client::{self, FirstClient};
use super::survey::FoundProvider;
use super::tiers::CandidateModel;

/// Whose keys go upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum KeyOwner {
    /// Pointsman's, out of its environment.
    Env,
    /// Each client's own.
    Passthrough,
}

/// A model of the catalog to be written.
#[derive(Debug, Clone)]
pub(super) struct PlannedModel {
    /// The name in the catalog.
    pub name: String,
    pub choice: CandidateModel,
}

/// All that is written.
pub(super) struct ConfigPlan {
    /// The configuration's file as people type it.
    pub file: String,
    /// The file of the schema, as an editor finds it; `None` where none is written.
    pub schema: Option<String>,
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    pub keys: KeyOwner,
    /// The client that is written where other machines reach the listener.
    pub client: Option<FirstClient>,
    pub providers: Vec<FoundProvider>,
    pub models: Vec<PlannedModel>,
    /// The tiers' models by their places, the simplest tier first.
    pub tiers: [(&'static str, usize); 3],
    /// The models that stand in when a provider fails.
    pub fallback: Vec<usize>,
    pub bundle: PathBuf,
}

impl ConfigPlan {
    /// Returns what the listener gives to whoever reaches it; `None` where nobody else does, or a client needs a key.
    pub(super) fn open_warning(&self) -> Option<String> {
        let is_open = first_client::is_open(self.listen) && self.client.is_none();
        is_open.then(|| first_client::open_warning(self.listen, &self.providers, self.keys)).flatten()
    }
}

/// Writes the whole configuration.
pub(super) fn write(plan: &ConfigPlan) -> String {
    let mut text = String::new();
    if let Some(schema) = &plan.schema {
        let _ = writeln!(text, "# yaml-language-server: $schema={schema}");
    }
    text.push_str(&head(plan));
    text.push_str(&clients(plan));
    text.push_str(&retry(plan));
    text.push_str(&providers(plan));
    text.push_str(&models(plan));
    text.push_str(&classifier(plan));
    text.push_str(&policy(plan));
    text.push_str(&test_section(plan));
    text
}

fn head(plan: &ConfigPlan) -> String {
    let file = &plan.file;
    let (listen, admin) = (address(plan.listen), address(plan.admin));
    let default = plan.providers.first().map_or("", |provider| &provider.name);
    let who = match plan.client {
        Some(_) => "Other machines reach it: `clients` says who may ask.",
        None => "Whoever reaches it may ask: before other machines do, say who may with `clients`.",
    };
    format!(
        "\
# Pointsman's configuration, as `pointsman init` proposed it. Change whatever you like:
#
#   pointsman check -c {file}     # every mistake at once; runs the tests at the end of this file
#   pointsman doctor -c {file}    # what keeps it from working on this machine
#   pointsman serve -c {file}     # picks up changes of this file by itself
#
# Clients ask for the model `auto`. A model of the catalog below answers to its own name; every other name goes to
# `default_provider` as it is. docs/start.md, docs/policies.md and docs/operations.md say what else there is.
version: 1

# Where clients connect. {who}
listen:
  address: {listen}

# Where you and Prometheus connect: /metrics /healthz /readyz /v1/decide. It asks for no key: keep it on loopback.
admin:
  address: {admin}

# Requests that no policy matches go here, untouched. Without this key they get a 404.
default_provider: {}

",
        scalar(default)
    )
}

fn clients(plan: &ConfigPlan) -> String {
    let Some(client) = &plan.client else { return String::new() };
    format!(
        "\
# Who may ask: each client by the SHA-256 of its keys (`pointsman hash-key`). The keys themselves stand nowhere.
clients:
  {}:
    keys: [{{sha256: {}}}]

",
        first_client::NAME,
        client.hash()
    )
}

/// Writes the time for attempts where a provider may be silent for longer than the default.
fn retry(plan: &ConfigPlan) -> String {
    if !plan.providers.iter().any(|provider| provider.is_local) {
        return String::new();
    }
    "\
# Attempts may start for longer than a server of your own is silent while it loads a model (`first_byte` below).
retry: {deadline: 6m}

"
    .to_owned()
}

fn providers(plan: &ConfigPlan) -> String {
    let mut text =
        "# The services that answer. Keys stand here by the name of their environment variable, never themselves.\n\
                    providers:\n"
            .to_owned();
    for provider in &plan.providers {
        let _ = writeln!(text, "  {}:\n    base_url: {}", scalar(&provider.name), scalar(&provider.base_url));
        let credential = match (&provider.variable, plan.keys) {
            (Some(variable), KeyOwner::Env) => format!("{{env: {}}}", scalar(variable)),
            _ if provider.is_local => "none              # a client's key does not go there".to_owned(),
            _ => "passthrough       # each client brings its own key".to_owned(),
        };
        let _ = writeln!(text, "    credential: {credential}");
        if provider.is_local {
            text.push_str("    timeouts: {first_byte: 5m}    # a model that is not loaded yet is loaded first\n");
        }
    }
    text + "\n"
}

fn models(plan: &ConfigPlan) -> String {
    let mut text = format!(
        "# The catalog: what a decision may choose. Prices, windows and abilities of hosted models are built in (list of\n\
         # {}, `pointsman models`); say `price`, `context` or `supports` where yours differ.\nmodels:\n",
        known_models_date()
    );
    for model in &plan.models {
        let provider = &plan.providers[model.choice.provider];
        let choice = &model.choice;
        let _ = write!(text, "  {}: {{provider: {}", scalar(&model.name), scalar(&provider.name));
        if model.name != choice.upstream {
            let _ = write!(text, ", name: {}", scalar(&choice.upstream));
        }
        let is_built_in = KnownModel::find(&provider.base_url, &choice.upstream).is_some();
        match choice.price {
            _ if is_built_in => {}
            Some(price) => {
                let _ = write!(text, ", price: {{input: {}, output: {}}}", price.input, price.output);
            }
            None if provider.is_local => text.push_str(", price: {input: 0, output: 0}"),
            None => {}
        }
        if let Some(context) = choice.context.filter(|_| !is_built_in) {
            let _ = write!(text, ", context: {context}");
        }
        text.push('}');
        match choice.price.filter(|_| is_built_in) {
            Some(price) => {
                let _ = writeln!(text, "    # $ {} in, $ {} out, a million tokens", price.input, price.output);
            }
            None => text.push('\n'),
        }
    }
    text + "\n"
}

fn classifier(plan: &ConfigPlan) -> String {
    format!(
        "\
# The model that judges prompts, on this machine. Its weights are swapped when the folder's content changes.
classifiers:
  default:
    bundle: {}
    deadline: 50ms              # a prompt that is not judged by then goes to `otherwise`

",
        scalar(&plan.bundle.display().to_string())
    )
}

fn policy(plan: &ConfigPlan) -> String {
    let name = |place: usize| scalar(&plan.models[place].name);
    let tiers: Vec<String> = plan.tiers.iter().map(|(label, place)| format!("{label}: {}", name(*place))).collect();
    let [_, (_, medium), (_, complex)] = plan.tiers;
    let fallback = if plan.fallback.is_empty() {
        "    # fallback: [MODEL]         # asked next when the chosen model's provider fails\n".to_owned()
    } else {
        let names: Vec<String> = plan.fallback.iter().map(|place| name(*place)).collect();
        format!("    fallback: [{}]    # asked next when the chosen model's provider fails\n", names.join(", "))
    };
    format!(
        "\
# The first policy that matches a request decides where it goes.
policies:
  - name: auto
    match:
      model: [auto, pointsman]  # `pointsman` for programs in which `auto` means something else
    # CEL expressions (docs/features.md); the first that is true decides.
    rules:
      - {{when: 'prompt.tool_errors > 1 || prompt.stalled', use: {complex}}}
    strategy:
      kind: tiers               # the classifier's label chooses the model
      classifier: default
      tiers: {{{tiers}}}
      min_confidence: 0.45      # below it the classifier abstains
      otherwise: {medium}
{fallback}    # A conversation may move up and never down, and its model never changes between a tool call and its result.
    affinity: {{key: conversation, hold: 1h, move: up_only}}
    housekeeping: cheapest      # titles, summaries, probes that agents send for themselves: docs/agents.md

",
        tiers = tiers.join(", "),
        complex = name(complex),
        medium = name(medium),
    )
}

fn test_section(plan: &ConfigPlan) -> String {
    let name = |place: usize| scalar(&plan.models[place].name);
    let [(_, simple), _, (_, complex)] = plan.tiers;
    format!(
        "\
# `pointsman check` sends each of these through the policies and says what is not as expected. Nothing is sent upstream.
tests:
  - {{prompt: \"What is the capital of France?\", expect: {{model: {simple}, reason: tier}}}}
  - prompt: Design a lock-free multi-producer queue in Rust, prove its linearizability and discuss the memory orderings that it needs.
    expect: {{model: {complex}}}
  - name: an agent that is stuck gets the strongest model
    body:
      messages:
        - {{role: user, content: Run the tests.}}
        - {{role: assistant, tool_calls: [{{id: a, type: function, function: {{name: run, arguments: '{{}}'}}}}]}}
        - {{role: tool, tool_call_id: a, content: 'Error: no such file'}}
        - {{role: assistant, tool_calls: [{{id: b, type: function, function: {{name: run, arguments: '{{}}'}}}}]}}
        - {{role: tool, tool_call_id: b, content: 'Error: no such file'}}
    expect: {{model: {complex}, rule: 0}}
",
        simple = name(simple),
        complex = name(complex),
    )
}

/// Returns an address as YAML spells it: the brackets of IPv6 would begin a list.
fn address(address: SocketAddr) -> String {
    if address.is_ipv6() { format!("\"{address}\"") } else { address.to_string() }
}

/// Returns a text as YAML spells it: in quotes where it could be taken for something else.
fn scalar(text: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "._/-".contains(character);
    let begins_well = text.chars().next().is_some_and(|first| first.is_ascii_alphabetic() || first == '/');
    let is_word =
        matches!(&*text.to_ascii_lowercase(), "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    if begins_well && !is_word && text.chars().all(is_plain) {
        return text.to_owned();
    }
    serde_json::to_string(text).expect("a text is JSON")
}

#[cfg(test)]
mod tests {
    use super::scalar;

    #[test]
    fn a_text_that_yaml_could_take_for_something_else_is_quoted() {
        for plain in ["gpt-4.1-nano", "openai", "/opt/models", "meta-llama/Llama-3.1-8B"] {
            assert_eq!(scalar(plain), plain);
        }
        for (text, quoted) in [
            ("qwen2.5:7b", r#""qwen2.5:7b""#),
            ("4.1", r#""4.1""#),
            ("no", r#""no""#),
            ("", r#""""#),
            ("a\"b", r#""a\"b""#),
            ("../x", r#""../x""#),
            ("https://h/v1", r#""https://h/v1""#),
        ] {
            assert_eq!(scalar(text), quoted);
        }
    }
}
