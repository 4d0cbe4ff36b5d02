//! The survey of `init`: which vendors there are keys for, which servers answer on this machine, and what each offers.
//!
//! A key is sent to its own vendor alone, or to the URL that the operator named for it.

use std::time::Duration;

use futures::future::join_all;
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Uri};
use pointsman_core::config::KeyHeader;
use pointsman_http_client::{HttpError, HttpOrigin, ServerTrust};

use super::vendors::{HostedVendor, LOCAL_SERVERS, VENDORS};
use crate::cli::models_api::{self, ModelsAnswer, ModelsCall, OfferedModel};
use crate::upstream::{BaseUrl, key_field};

/// The patience with vendors, and with servers on this machine.
const PATIENCE: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(2)];

/// The owner that a Pointsman names for its models.
const OURSELVES: &str = "pointsman";

/// A provider that the operator named, with its URL where it is not the vendor's own.
#[derive(Debug, Clone)]
pub(in crate::cli) struct NamedProvider {
    pub name: String,
    pub base_url: Option<String>,
}

/// Whether providers are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SurveyReach {
    /// Providers are asked for their models.
    Asks,
    /// Nobody is asked: the built-in list says which models there are.
    Offline,
}

/// The places where the survey looks.
pub(super) struct SurveyPlan<'s> {
    /// Looks environment variables up.
    pub environment: &'s dyn Fn(&str) -> Option<String>,
    pub named: &'s [NamedProvider],
    /// Addresses at which a server of one's own may answer: `host:port`.
    pub local: &'s [String],
    pub reach: SurveyReach,
}

/// A provider that was found.
#[derive(Debug, Clone)]
pub(super) struct FoundProvider {
    pub name: String,
    pub base_url: String,
    /// The vendor of the built-in list whose models it serves.
    pub vendor: Option<&'static HostedVendor>,
    /// The environment variable that holds its key.
    pub variable: Option<String>,
    /// True for a server on this machine, which costs nothing by the token.
    pub is_local: bool,
    pub offer: ModelOffer,
}

/// The models of a provider, as far as they are known.
#[derive(Debug, Clone)]
pub(super) enum ModelOffer {
    /// The provider lists them.
    Listed(Vec<OfferedModel>),
    /// Those of the built-in list, and why nothing better is known.
    Assumed(String),
    /// None: the provider refuses the key with this status.
    Refused(u16),
}

/// Reads an address at which a server of one's own may answer; an empty text is none.
pub(super) fn local_address(text: &str) -> Result<String, String> {
    let authority = text.parse::<Authority>().ok().filter(|authority| !authority.as_str().contains('@'));
    let is_place = authority.is_some_and(|own| !own.host().is_empty() && own.port_u16().is_some_and(|port| port > 0));
    if is_place || text.is_empty() {
        return Ok(text.to_owned());
    }
    Err("is no address of a server (allowed: HOST:PORT such as 127.0.0.1:8000, or an empty text)".to_owned())
}

/// Looks for providers: named ones and vendors first, then servers on this machine.
pub(super) async fn look(plan: &SurveyPlan<'_>) -> Vec<FoundProvider> {
    let subjects = subjects(plan);
    let asked = subjects.into_iter().map(|subject| ask(subject, plan));
    let hosted = join_all(asked).await;
    let own: &[String] = if plan.reach == SurveyReach::Asks { plan.local } else { &[] };
    let is_asked = |address: &&String| hosted.iter().any(|other| is_at(&other.base_url, address));
    let servers = join_all(own.iter().filter(|address| !is_asked(address)).map(|address| server_at(address))).await;
    let mut found = hosted;
    for mut server in servers.into_iter().flatten() {
        server.name = free_name(&server.name, &found);
        found.push(server);
    }
    found
}

/// Returns the vendors that there is a key for, and the providers that were named.
fn subjects(plan: &SurveyPlan<'_>) -> Vec<FoundProvider> {
    let held = |variable: &str| (plan.environment)(variable).is_some_and(|value| !value.trim().is_empty());
    let is_named = |name: &str| plan.named.iter().find(|named| named.name == name);
    let vendors = VENDORS.iter().filter_map(|vendor| {
        let variable = vendor.variables.iter().find(|variable| held(variable)).map(|&variable| variable.to_owned());
        let named = is_named(vendor.name);
        let url = named.and_then(|named| named.base_url.clone());
        (variable.is_some() || named.is_some()).then(|| FoundProvider {
            name: vendor.name.to_owned(),
            base_url: url.unwrap_or_else(|| vendor.base_url.to_owned()),
            vendor: Some(vendor),
            variable,
            is_local: false,
            offer: ModelOffer::Listed(Vec::new()),
        })
    });
    let others = plan.named.iter().filter(|named| HostedVendor::named(&named.name).is_none()).filter_map(|named| {
        let variable = variable_of(&named.name);
        Some(FoundProvider {
            name: named.name.clone(),
            base_url: named.base_url.clone()?,
            vendor: None,
            variable: Some(variable).filter(|variable| held(variable)),
            is_local: false,
            offer: ModelOffer::Listed(Vec::new()),
        })
    });
    vendors.chain(others).collect()
}

async fn ask(mut subject: FoundProvider, plan: &SurveyPlan<'_>) -> FoundProvider {
    let key = subject.variable.as_deref().and_then(plan.environment);
    subject.offer = match (plan.reach, key) {
        (SurveyReach::Offline, _) => ModelOffer::Assumed("not asked".to_owned()),
        (SurveyReach::Asks, None) if subject.vendor.is_some() => ModelOffer::Assumed("no key to ask with".to_owned()),
        (SurveyReach::Asks, key) => {
            let header = subject.vendor.map_or(KeyHeader::Authorization, |vendor| vendor.key_header);
            let key = key.and_then(|key| key_field(header, key.trim()));
            offer(models(&subject.base_url, key.as_ref(), PATIENCE[0]).await)
        }
    };
    subject
}

fn offer(answer: Result<ModelsAnswer, String>) -> ModelOffer {
    match answer {
        Ok(answer) if matches!(answer.status.as_u16(), 401 | 403) => ModelOffer::Refused(answer.status.as_u16()),
        Ok(answer) if answer.models.is_empty() => {
            ModelOffer::Assumed(format!("lists no models (status {})", answer.status.as_u16()))
        }
        Ok(answer) => ModelOffer::Listed(answer.models),
        Err(reason) => ModelOffer::Assumed(reason),
    }
}

/// Returns the server that answers at an address of this machine, if one does, and is none of ours.
async fn server_at(address: &str) -> Option<FoundProvider> {
    let base_url = format!("http://{address}/v1");
    let answer = models(&base_url, None, PATIENCE[1]).await.ok()?;
    let is_ours = answer.models.iter().any(|model| model.owner.as_deref() == Some(OURSELVES));
    let name = server_name(address, &answer.models).to_owned();
    let offer = offer(Ok(answer));
    let says_nothing = matches!(offer, ModelOffer::Assumed(_));
    if says_nothing || is_ours {
        return None;
    }
    Some(FoundProvider { name, base_url, vendor: None, variable: None, is_local: true, offer })
}

/// Returns whether a URL is of this address.
fn is_at(base_url: &str, address: &str) -> bool {
    base_url.parse::<Uri>().is_ok_and(|url| url.authority().is_some_and(|own| own.as_str() == address))
}

/// Returns the variable that holds the key of a provider which the operator named.
fn variable_of(provider: &str) -> String {
    format!("{}_API_KEY", provider.to_ascii_uppercase().replace(['-', '.'], "_"))
}

/// Returns the name, with a number where another provider has it.
fn free_name(wanted: &str, found: &[FoundProvider]) -> String {
    let is_free = |name: &String| found.iter().all(|other| other.name != *name);
    let numbered = (2..).map(|number| format!("{wanted}-{number}"));
    std::iter::once(wanted.to_owned()).chain(numbered).find(is_free).unwrap_or_default()
}

/// Returns what kind of server it is: by the owner that it names for its models, else by its port.
fn server_name(address: &str, models: &[OfferedModel]) -> &'static str {
    let owners: Vec<&str> = models.iter().filter_map(|model| model.owner.as_deref()).collect();
    for (owner, name) in
        [("vllm", "vllm"), ("sglang", "sglang"), ("library", "ollama"), ("organization_owner", "lmstudio")]
    {
        if owners.contains(&owner) {
            return name;
        }
    }
    let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
    LOCAL_SERVERS.iter().find(|server| Some(server.port) == port).map_or("local", |server| server.name)
}

async fn models(
    base_url: &str,
    key: Option<&(HeaderName, HeaderValue)>,
    patience: Duration,
) -> Result<ModelsAnswer, String> {
    let base: BaseUrl = base_url.parse()?;
    let origin = base_url.parse::<Uri>().ok().and_then(|url| HttpOrigin::of(&url)).ok_or("is no URL of a server")?;
    let destination = tokio::time::timeout(patience, origin.destination(ServerTrust::System)).await;
    let destination = destination.unwrap_or(Err(HttpError::ConnectTimeout)).map_err(|error| error.to_string())?;
    let path = models_api::path(&base);
    let key = key.map(|(field, value)| (field, value));
    let call = ModelsCall { destination: &destination, path: &path, key, patience };
    models_api::ask(call).await.map_err(|error| error.to_string())
}

impl FoundProvider {
    /// Returns one line for people: what was found, and whether it counts.
    pub(super) fn report(&self) -> String {
        let source = self.variable.as_deref().unwrap_or(&self.base_url);
        let said = match &self.offer {
            ModelOffer::Listed(models) => format!("{source}, {} models", models.len()),
            ModelOffer::Assumed(reason) if self.vendor.is_some() => {
                format!("{source}: {reason}; the built-in list says which models there are")
            }
            ModelOffer::Assumed(reason) => format!("{source}: {reason}; left out"),
            ModelOffer::Refused(status) if self.is_local => format!(
                "{source}: wants a key ({status}); left out: `--provider {}={}` asks with the one in {}",
                self.name,
                self.base_url,
                variable_of(&self.name)
            ),
            ModelOffer::Refused(status) => format!("{source}: the key is refused ({status}); left out"),
        };
        format!("  {:<10} {said}", self.name)
    }

    /// Returns whether its models can be proposed.
    pub(super) fn is_usable(&self) -> bool {
        match &self.offer {
            ModelOffer::Listed(models) => !models.is_empty(),
            ModelOffer::Assumed(_) => self.vendor.is_some(),
            ModelOffer::Refused(_) => false,
        }
    }
}

impl std::str::FromStr for NamedProvider {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, url) = text.split_once('=').map_or((text, None), |(name, url)| (name, Some(url)));
        let known: Vec<&str> = VENDORS.iter().map(|vendor| vendor.name).collect();
        let wrong = |problem: &str| format!("`{text}` {problem} (allowed: {}, or NAME=URL)", known.join(", "));
        pointsman_core::config::Name::new(name).map_err(|_| wrong("has no name of a provider"))?;
        if url.is_none() && !known.contains(&name) {
            return Err(wrong("is no vendor that is known"));
        }
        if let Some(url) = url {
            url.parse::<BaseUrl>().map_err(|problem| wrong(&format!("has no URL: {problem}")))?;
        }
        Ok(Self { name: name.to_owned(), base_url: url.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(owner: Option<&str>) -> Vec<OfferedModel> {
        vec![OfferedModel { name: "m".to_owned(), context: None, owner: owner.map(str::to_owned) }]
    }

    #[test]
    fn a_server_is_told_by_the_owner_of_its_models_and_else_by_its_port() {
        assert_eq!(server_name("127.0.0.1:9", &owned(Some("vllm"))), "vllm");
        assert_eq!(server_name("127.0.0.1:9", &owned(Some("library"))), "ollama");
        assert_eq!(server_name("127.0.0.1:1234", &owned(None)), "lmstudio");
        assert_eq!(server_name("[::1]:9", &owned(Some("somebody"))), "local");
    }

    #[test]
    fn a_server_gets_a_name_that_no_other_provider_has() {
        let provider = |name: &str| FoundProvider {
            name: name.to_owned(),
            base_url: "http://h/v1".to_owned(),
            vendor: None,
            variable: None,
            is_local: true,
            offer: ModelOffer::Listed(owned(None)),
        };
        let found = [provider("vllm-2"), provider("vllm"), provider("local-models")];

        assert_eq!(free_name("vllm", &found), "vllm-3");
        assert_eq!(free_name("local", &found), "local");
    }

    #[test]
    fn an_address_of_a_server_has_a_host_and_a_port() {
        for good in ["127.0.0.1:8000", "[::1]:8000", "gpu.example:1", ""] {
            assert!(local_address(good).is_ok(), "{good}");
        }
        for bad in ["foo", "127.0.0.1", ":8000", "h:0", "h:70000", "http://h:8000", "a@h:1", "h:1/v1"] {
            assert!(local_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_provider_is_named_by_a_vendor_or_with_its_url() {
        let named: NamedProvider = "mine=http://10.0.0.7:8000/v1".parse().expect("a provider");

        assert_eq!((&*named.name, named.base_url.as_deref()), ("mine", Some("http://10.0.0.7:8000/v1")));
        assert!("openai".parse::<NamedProvider>().is_ok());
        for bad in ["mine", "=http://h", "mine=h", "a b=http://h", ""] {
            assert!(bad.parse::<NamedProvider>().is_err(), "{bad}");
        }
    }
}
