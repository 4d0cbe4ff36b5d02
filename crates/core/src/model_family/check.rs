//! The catalog against the table: mistakes, and what is worth knowing.

use pointsman_translation::DialectFamily;

use super::ModelFamily;
use super::profile::ModelProfile;
use crate::config::{CatalogEntry, Config, ConfigProblem, KeyPath, Name, SpokenDialects};
use crate::prompt::Dialect;

/// The APIs whose dropped parameters are named, where the model is asked in them.
const NOTED: [DialectFamily; 2] = [DialectFamily::Chat, DialectFamily::Messages];

/// Finds models of families that there are not, and with efforts that they do not have.
#[must_use]
pub fn catalog_problems(config: &Config) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    for (name, entry) in &config.models {
        let path = KeyPath::root().key("models").key(name);
        let family = match ModelProfile::family_of(entry.upstream_name(name), &entry.adapt) {
            Ok(family) => family,
            Err(unknown) => {
                problems.extend(config.problem(&path.key("adapt").key("family"), unknown.to_string()));
                continue;
            }
        };
        if let Some(problem) = family.and_then(|family| effort_problem(family, entry)) {
            problems.extend(config.problem(&path.key("effort"), problem));
        }
    }
    problems
}

fn effort_problem(family: &ModelFamily, entry: &CatalogEntry) -> Option<String> {
    let effort = entry.effort?;
    let levels = family.efforts();
    if levels.contains(&effort) {
        return None;
    }
    let (name, effort) = (family.name, effort.as_str());
    let words: Vec<&str> = levels.iter().map(|level| level.as_str()).collect();
    Some(if words.is_empty() {
        format!("`{effort}`: models of the family `{name}` have no effort to choose (allowed: no `effort`)")
    } else {
        format!("models of the family `{name}` have no effort `{effort}` (allowed: {})", words.join(", "))
    })
}

/// Says what is worth knowing of the catalog's models: which are of no family, and what requests to the others lose.
#[must_use]
pub fn catalog_notes(config: &Config) -> Vec<String> {
    let note = |(name, entry): (&Name, &CatalogEntry)| {
        let known = entry.upstream_name(name);
        let family = ModelProfile::family_of(known, &entry.adapt).ok()?;
        match family {
            None if entry.adapt.family.is_some() => None,
            None => Some(format!(
                "models.{name}: `{known}` is of no known family: its requests keep their parameters (`adapt.family` names one)"
            )),
            Some(family) => dropped(family, spoken(config, entry, known)).map(|dropped| {
                format!("models.{name}: requests lose {dropped}, which the family `{}` does not take", family.name)
            }),
        }
    };
    config.models.iter().filter_map(note).collect()
}

/// Returns the APIs in which a model is asked.
fn spoken(config: &Config, entry: &CatalogEntry, known: &str) -> SpokenDialects {
    config.providers.get(&entry.provider).map_or(SpokenDialects::EVERY, |provider| provider.spoken_dialects(known))
}

/// Returns the parameters that requests in these APIs lose, whatever else they hold.
fn dropped(family: &ModelFamily, spoken: SpokenDialects) -> Option<String> {
    let asked = NOTED.into_iter().filter(|api| spoken.has(*api)).map(Dialect::of_family);
    let mut names: Vec<&str> = asked.flat_map(|dialect| family.usually_dropped(dialect)).collect();
    names.sort_unstable();
    names.dedup();
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    (!quoted.is_empty()).then(|| quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(models: &str) -> Config {
        let file = format!(
            "version: 1\nlisten: {{address: 127.0.0.1:1}}\nproviders: {{p: {{base_url: http://h/v1}}}}\nmodels:\n{models}"
        );
        Config::parse(&file, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"))
    }

    #[test]
    fn an_effort_that_a_family_does_not_have_is_a_mistake() {
        let config = config(
            "  a: {provider: p, name: o4-mini, effort: max}\n  b: {provider: p, name: gpt-4.1, effort: low}\n  c: {provider: p, name: gpt-5.6, effort: max}\n  d: {provider: p, name: mine, effort: max}\n  e: {provider: p, name: mine, effort: max, adapt: {family: openai-o}}\n  f: {provider: p, adapt: {family: gpt}}\n",
        );

        let problems: Vec<String> =
            catalog_problems(&config).iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();

        assert_eq!(
            problems[0],
            "models.a.effort: models of the family `openai-o` have no effort `max` (allowed: low, medium, high)"
        );
        assert!(problems[1].starts_with("models.b.effort: `low`: models of the family `openai-gpt-4` have no effort"));
        assert!(problems[2].starts_with("models.e.effort: models of the family `openai-o`"), "{problems:?}");
        assert!(problems[3].starts_with("models.f.adapt.family: there is no family `gpt` (allowed: none, "));
        assert_eq!(problems.len(), 4);
    }

    #[test]
    fn notes_name_what_requests_lose_in_the_apis_in_which_a_model_is_asked() {
        let noted = |dialects: &str| {
            let file = format!(
                "version: 1\nlisten: {{address: 127.0.0.1:1}}\nproviders: {{p: {{base_url: http://h/v1, dialects: [{dialects}]}}}}\nmodels:\n  a: {{provider: p, name: gemini-3-pro}}\n"
            );
            catalog_notes(&Config::parse(&file, "p.yaml").unwrap_or_else(|problems| panic!("{problems}")))
        };

        assert_eq!(noted("gemini"), Vec::<String>::new(), "the family's rules are for chat completions");
        let notes = noted("chat, gemini");
        assert!(notes[0].starts_with("models.a: requests lose `frequency_penalty`, "), "{notes:?}");
    }

    #[test]
    fn notes_name_models_of_no_family_and_what_requests_to_others_lose() {
        let config = config(
            "  a: {provider: p, name: o4-mini}\n  b: {provider: p, name: mine}\n  c: {provider: p, name: mine, adapt: {family: none}}\n  d: {provider: p, name: gpt-5.4}\n",
        );

        let notes = catalog_notes(&config);

        assert_eq!(notes.len(), 3, "{notes:?}");
        assert!(notes[0].starts_with("models.a: requests lose `frequency_penalty`, "), "{}", notes[0]);
        assert!(notes[0].contains("`temperature`") && notes[0].ends_with("the family `openai-o` does not take"));
        assert!(notes[1].starts_with("models.b: `mine` is of no known family"), "{}", notes[1]);
        assert!(!notes[2].contains("`temperature`"), "{}", notes[2]);
    }
}
