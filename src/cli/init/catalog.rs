//! The plan of `init`: the models of the catalog, and the tiers among them, as proposed and as answered.

use std::path::PathBuf;

use pointsman_core::config::Name;

use super::first_client::{self, FirstClient};
use super::questions::Questions;
use super::survey::FoundProvider;
use super::tiers::{self, CandidateModel, TierChoices};
use super::yaml::{ConfigPlan, KeyOwner, PlannedModel};
use super::{InitArguments, InitError, SCHEMA};

/// Makes the plan: asks for each tier's model, for the keys and for the address.
pub(super) fn plan(
    arguments: &InitArguments,
    found: Vec<FoundProvider>,
    bundle: PathBuf,
    questions: &mut Questions,
) -> Result<ConfigPlan, InitError> {
    let mut tiers = tiers::propose(&found).ok_or(InitError::NoModels)?;
    let all: Vec<CandidateModel> =
        found.iter().enumerate().flat_map(|(place, provider)| tiers::candidates(place, provider)).collect();
    settle(arguments, &mut tiers, &all, questions)?;
    let keys = keys(arguments, &found, questions)?;
    let listen = questions
        .ask("Where clients connect", &arguments.listen.to_string(), |answer| {
            answer.parse().map_err(|_| format!("`{answer}` is no address (allowed: such as 127.0.0.1:8080)"))
        })
        .map_err(InitError::Answer)?;
    let mut models = Vec::new();
    let places = tiers.by_label().map(|(label, choice)| (label, place(&mut models, choice, &found)));
    let others = fallback(&tiers, &found);
    let fallback = others.iter().map(|choice| place(&mut models, choice, &found)).collect();
    for (at, provider) in found.iter().enumerate().filter(|(_, provider)| !provider.is_local) {
        for choice in tiers::ladder(at, provider) {
            place(&mut models, &choice, &found);
        }
    }
    let file = arguments.out.display().to_string();
    let is_printed = file == "-";
    let has_client =
        first_client::is_open(listen) && !found.iter().any(|provider| first_client::takes_client_keys(provider, keys));
    let client = if has_client { Some(FirstClient::make().ok_or(InitError::NoRandom)?) } else { None };
    Ok(ConfigPlan {
        file: if is_printed { "pointsman.yaml".to_owned() } else { typed(&file) },
        schema: (!is_printed).then(|| format!("./{SCHEMA}")),
        listen,
        admin: arguments.admin,
        keys,
        client,
        providers: found,
        models,
        tiers: places,
        fallback,
        bundle,
    })
}

/// Replaces proposals by what the arguments and the answers say.
fn settle(
    arguments: &InitArguments,
    tiers: &mut TierChoices,
    all: &[CandidateModel],
    questions: &mut Questions,
) -> Result<(), InitError> {
    let named = [("simple", &arguments.simple), ("medium", &arguments.medium), ("complex", &arguments.complex)];
    for (label, argument) in named {
        let Some(choice) = tiers.of_label_mut(label) else { continue };
        if let Some(name) = argument {
            *choice = find(all, name).ok_or_else(|| unknown(name, all))?;
            continue;
        }
        let question = format!("Model for {label} prompts");
        let read = |answer: &str| {
            // Of two providers' models of one name the proposed one counts.
            let own = (answer == choice.upstream).then(|| choice.clone());
            own.or_else(|| find(all, answer)).ok_or_else(|| unknown(answer, all).to_string())
        };
        *choice = questions.ask(&question, &choice.upstream.clone(), read).map_err(InitError::Answer)?;
    }
    Ok(())
}

fn find(all: &[CandidateModel], name: &str) -> Option<CandidateModel> {
    all.iter().find(|choice| choice.upstream == name).cloned()
}

fn unknown(name: &str, all: &[CandidateModel]) -> InitError {
    let mut known: Vec<&str> = all.iter().map(|choice| &*choice.upstream).collect();
    let more = known.len().saturating_sub(20);
    known.truncate(20);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    InitError::UnknownModel { name: name.to_owned(), known: known.join(", ") + &more }
}

fn keys(arguments: &InitArguments, found: &[FoundProvider], questions: &mut Questions) -> Result<KeyOwner, InitError> {
    if found.iter().all(|provider| provider.variable.is_none()) {
        return Ok(arguments.keys);
    }
    let proposal = match arguments.keys {
        KeyOwner::Env => "env",
        KeyOwner::Passthrough => "passthrough",
    };
    let read = |answer: &str| match answer {
        "env" => Ok(KeyOwner::Env),
        "passthrough" => Ok(KeyOwner::Passthrough),
        other => Err(format!("`{other}` is neither (allowed: env, passthrough)")),
    };
    let question = "Whose keys go upstream: Pointsman's (env) or each client's own (passthrough)";
    questions.ask(question, proposal, read).map_err(InitError::Answer)
}

/// Returns the models that stand in when a provider fails: the middle of every other hosted provider.
fn fallback(tiers: &TierChoices, found: &[FoundProvider]) -> Vec<CandidateModel> {
    let mut others = Vec::new();
    if found[tiers.simple.provider].is_local && tiers.medium.provider != tiers.simple.provider {
        others.push(tiers.medium.clone());
    }
    for (place, provider) in found.iter().enumerate() {
        let serves = tiers.by_label().iter().any(|(_, choice)| choice.provider == place);
        if !serves && !provider.is_local {
            let ladder = tiers::ladder(place, provider);
            others.extend(ladder.get(ladder.len() / 2).cloned());
        }
    }
    others
}

/// Returns a model's place in the catalog, where it is put if it is not there yet.
fn place(models: &mut Vec<PlannedModel>, choice: &CandidateModel, found: &[FoundProvider]) -> usize {
    let is_it =
        |model: &PlannedModel| model.choice.provider == choice.provider && model.choice.upstream == choice.upstream;
    if let Some(place) = models.iter().position(is_it) {
        return place;
    }
    let mut name = catalog_name(&choice.upstream);
    if models.iter().any(|model| model.name == name) {
        name = catalog_name(&format!("{}/{name}", found[choice.provider].name));
    }
    models.push(PlannedModel { name, choice: choice.clone() });
    models.len() - 1
}

/// Returns a name that a catalog may have, as near to the provider's as possible.
fn catalog_name(upstream: &str) -> String {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "._:/-".contains(character);
    let name: String = upstream.chars().take(128).map(|own| if allowed(own) { own } else { '-' }).collect();
    if Name::new(&name).is_ok() { name } else { "model".to_owned() }
}

/// Returns a file's name as it is typed in a shell, on one line.
fn typed(file: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "._/-+,:@=".contains(c);
    if file.chars().all(is_plain) && !file.starts_with('-') {
        return file.to_owned();
    }
    // A line feed would end the comment of the configuration in which the name stands.
    let shown: String = file.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let quoted = format!("'{}'", shown.replace('\'', r"'\''"));
    if file.starts_with('-') { format!("./{quoted}") } else { quoted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_s_name_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(typed("config/my-gateway.yaml"), "config/my-gateway.yaml");
        assert_eq!(typed("my gateway.yaml"), "'my gateway.yaml'");
        assert_eq!(typed("it's; rm.yaml"), r"'it'\''s; rm.yaml'");
        assert_eq!(typed("a\nversion: 2"), "'a?version: 2'");
        assert_eq!(typed("-c.yaml"), "./'-c.yaml'");
    }

    #[test]
    fn a_name_that_the_catalog_cannot_have_is_spelt_otherwise() {
        assert_eq!(catalog_name("meta-llama/Llama-3.1:8b"), "meta-llama/Llama-3.1:8b");
        assert_eq!(catalog_name("my model@v1"), "my-model-v1");
        assert_eq!(catalog_name(""), "model");
    }
}
