//! The proposal of `init`: which of the models that were found answer simple, medium and complex prompts.
//!
//! The newest model of each of a vendor's lines is a candidate, and prices say which is the simplest tier. A vendor
//! without known lines, and one that lists none of them, is proposed for by price alone: its cheapest, its middle and
//! its dearest model of text. A server of one's own costs nothing by the token, so that it takes simple prompts.

use pointsman_core::config::{Capability, KnownModel, TokenPrice, known_models};

use super::survey::{FoundProvider, ModelOffer};
use crate::cli::models_api::is_chat_name;

/// The smallest window that a model of a hosted vendor needs to be proposed by its price: agents send long prompts.
const MIN_CONTEXT: u64 = 100_000;

/// A model that can be chosen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CandidateModel {
    /// The provider's place among those that were found.
    pub provider: usize,
    /// The provider's name for the model.
    pub upstream: String,
    pub price: Option<TokenPrice>,
    pub context: Option<u64>,
}

/// The model of each tier.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TierChoices {
    pub simple: CandidateModel,
    pub medium: CandidateModel,
    pub complex: CandidateModel,
}

/// Returns every model of text that a provider offers.
pub(super) fn candidates(place: usize, found: &FoundProvider) -> Vec<CandidateModel> {
    let vendor = found.vendor.map(|vendor| vendor.name);
    let choice = |name: &str, said: Option<u64>| {
        let known = vendor.and_then(|vendor| KnownModel::of_vendor(vendor, name));
        let price = known.map(|known| known.price);
        let context = said.or_else(|| known?.context);
        CandidateModel { provider: place, upstream: name.to_owned(), price, context }
    };
    match &found.offer {
        ModelOffer::Listed(models) => {
            models.iter().filter(|model| model.is_chat()).map(|model| choice(&model.name, model.context)).collect()
        }
        ModelOffer::Assumed(_) => {
            let listed = known_models().filter(|model| Some(model.vendor) == vendor && is_chat_name(model.name));
            let name = |listed: &str| found.vendor.map_or_else(|| listed.to_owned(), |vendor| vendor.api_name(listed));
            listed.map(|model| choice(&name(model.name), None)).collect()
        }
        ModelOffer::Refused(_) => Vec::new(),
    }
}

/// Returns the models of a provider that make good tiers, the simplest first; three at most.
pub(super) fn ladder(place: usize, found: &FoundProvider) -> Vec<CandidateModel> {
    let all = candidates(place, found);
    if found.is_local {
        return spread(by_size(all));
    }
    let of_lines = newest_of_lines(&all, found);
    if !of_lines.is_empty() {
        return of_lines;
    }
    let Some(vendor) = found.vendor else { return spread(all) };
    let is_fit = |choice: &CandidateModel| {
        let known = KnownModel::of_vendor(vendor.name, &choice.upstream);
        known.is_some_and(|known| known.price.output > 0.0 && !known.lacks.contains(&Capability::Tools))
            && choice.context.is_some_and(|context| context >= MIN_CONTEXT)
    };
    let mut fit: Vec<CandidateModel> = all.into_iter().filter(is_fit).collect();
    fit.sort_by(|one, other| blended(one).total_cmp(&blended(other)).then_with(|| one.upstream.cmp(&other.upstream)));
    spread(fit)
}

/// Returns the newest model of each rank of the vendor's lines, the cheapest first.
fn newest_of_lines(all: &[CandidateModel], found: &FoundProvider) -> Vec<CandidateModel> {
    let lines = found.vendor.map_or(&[][..], |vendor| vendor.lines);
    let mut ranks: Vec<u8> = lines.iter().map(|line| line.rank).collect();
    ranks.dedup();
    let newest = |rank: u8| {
        let of_rank = lines.iter().filter(move |line| line.rank == rank).enumerate();
        let versions = of_rank.flat_map(|(place, line)| {
            all.iter().filter_map(move |choice| Some((line.version(&choice.upstream)?, usize::MAX - place, choice)))
        });
        // Of two that are as new, the line that is written first.
        versions.max_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1))).map(|(_, _, choice)| choice.clone())
    };
    let mut models: Vec<CandidateModel> = ranks.into_iter().filter_map(newest).collect();
    models.sort_by(|one, other| blended(one).total_cmp(&blended(other)));
    models
}

/// Returns the models of a server of one's own by the size that their names tell, the smallest first.
fn by_size(mut models: Vec<CandidateModel>) -> Vec<CandidateModel> {
    models.sort_by(|one, other| billions(&one.upstream).total_cmp(&billions(&other.upstream)));
    models
}

/// Returns the billions of parameters that a name tells, such as 8 of `llama-3.1-8b-instruct`; 7 where it does not.
fn billions(name: &str) -> f64 {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|character: char| !(character.is_ascii_alphanumeric() || character == '.'));
    words.find_map(|word| word.strip_suffix('b')?.parse().ok()).unwrap_or(7.0)
}

/// Returns the first, the middle and the last of models in order; fewer where there are fewer.
fn spread(models: Vec<CandidateModel>) -> Vec<CandidateModel> {
    if models.len() <= 3 {
        return models;
    }
    let (middle, last) = (models.len() / 2, models.len() - 1);
    let picked = models.into_iter().enumerate().filter(|(place, _)| [0, middle, last].contains(place));
    picked.map(|(_, model)| model).collect()
}

/// Proposes the model of each tier: those of the first hosted provider, with a server of one's own for simple prompts.
/// `None` without any model.
pub(super) fn propose(found: &[FoundProvider]) -> Option<TierChoices> {
    let ladders = |is_local: bool| {
        let own = found.iter().enumerate().filter(move |(_, provider)| provider.is_local == is_local);
        own.map(|(place, provider)| ladder(place, provider)).find(|ladder| !ladder.is_empty())
    };
    let (hosted, own) = (ladders(false), ladders(true));
    match (hosted, own) {
        (Some(hosted), Some(own)) => {
            let simple = own.last().cloned()?;
            Some(TierChoices { simple, ..TierChoices::of_ladder(&hosted)? })
        }
        (hosted, own) => TierChoices::of_ladder(&hosted.or(own)?),
    }
}

impl TierChoices {
    fn of_ladder(ladder: &[CandidateModel]) -> Option<Self> {
        let (first, last) = (ladder.first()?, ladder.last()?);
        let middle = ladder.get(ladder.len() / 2)?;
        Some(Self { simple: first.clone(), medium: middle.clone(), complex: last.clone() })
    }

    /// Returns the tiers by the labels of the classifier's head.
    pub(super) fn by_label(&self) -> [(&'static str, &CandidateModel); 3] {
        [("simple", &self.simple), ("medium", &self.medium), ("complex", &self.complex)]
    }

    /// Returns the model of a label, to be replaced.
    pub(super) fn of_label_mut(&mut self, label: &str) -> Option<&mut CandidateModel> {
        match label {
            "simple" => Some(&mut self.simple),
            "medium" => Some(&mut self.medium),
            "complex" => Some(&mut self.complex),
            _ => None,
        }
    }
}

/// Returns the price of a token of usual traffic: three of prompts for one of answers.
fn blended(choice: &CandidateModel) -> f64 {
    choice.price.map_or(f64::INFINITY, |price| (3.0 * price.input + price.output) / 4.0)
}

#[cfg(test)]
mod tests {
    use super::super::vendors::{HostedVendor, VENDORS};
    use super::*;
    use crate::cli::models_api::OfferedModel;

    fn listing(vendor: Option<&str>, names: &[&str]) -> FoundProvider {
        let model = |name: &&str| OfferedModel { name: (*name).to_owned(), context: None, owner: None };
        FoundProvider {
            name: vendor.unwrap_or("own").to_owned(),
            base_url: "http://h/v1".to_owned(),
            vendor: vendor.and_then(HostedVendor::named),
            variable: None,
            is_local: vendor.is_none(),
            offer: ModelOffer::Listed(names.iter().map(model).collect()),
        }
    }

    fn names(tiers: &TierChoices) -> [&str; 3] {
        tiers.by_label().map(|(_, choice)| &*choice.upstream)
    }

    #[test]
    fn the_newest_of_each_line_is_proposed_and_days_and_other_models_are_not() {
        let listed = listing(
            Some("openai"),
            &[
                "gpt-5-nano",
                "gpt-5.4-nano",
                "gpt-5.4-nano-2026-03-17",
                "gpt-5.4-mini",
                "gpt-5.4",
                "gpt-5.5",
                "gpt-5.5-pro",
                "gpt-4o",
                "text-embedding-3-small",
                "gpt-realtime",
                "o3",
            ],
        );

        let tiers = propose(&[listed]).expect("models");

        assert_eq!(names(&tiers), ["gpt-5.4-nano", "gpt-5.4-mini", "gpt-5.5"]);
    }

    #[test]
    fn an_account_with_two_models_gets_two_tiers() {
        let tiers = propose(&[listing(
            Some("anthropic"),
            &["claude-opus-5-5", "claude-haiku-4-5-20251001", "claude-haiku-4-5"],
        )])
        .expect("models");

        assert_eq!(names(&tiers), ["claude-haiku-4-5", "claude-opus-5-5", "claude-opus-5-5"]);
    }

    #[test]
    fn a_server_of_ones_own_takes_simple_prompts() {
        let own = listing(None, &["llama-3.1-8b-instruct", "qwen3-32b", "nomic-embed-text"]);
        let hosted = listing(Some("openai"), &["gpt-5.4-nano", "gpt-5.4-mini", "gpt-5.5"]);

        assert_eq!(names(&propose(&[hosted, own.clone()]).expect("models")), ["qwen3-32b", "gpt-5.4-mini", "gpt-5.5"]);
        let alone = propose(&[own]).expect("models");
        assert_eq!(names(&alone), ["llama-3.1-8b-instruct", "qwen3-32b", "qwen3-32b"]);
    }

    #[test]
    fn every_vendor_is_proposed_for_out_of_the_built_in_list_and_prices_rise() {
        for vendor in VENDORS {
            let found = FoundProvider { offer: ModelOffer::Assumed(String::new()), ..listing(Some(vendor.name), &[]) };

            let tiers = propose(&[found]).unwrap_or_else(|| panic!("{}: nothing is proposed", vendor.name));

            let prices = tiers.by_label().map(|(_, choice)| blended(choice));
            assert!(prices.is_sorted(), "{}: {:?} {prices:?}", vendor.name, names(&tiers));
        }
    }

    #[test]
    fn nothing_is_proposed_where_nothing_was_found() {
        assert_eq!(propose(&[]), None);
        assert_eq!(propose(&[listing(None, &["nomic-embed-text"])]), None);
    }

    #[test]
    fn the_size_of_a_model_is_read_from_its_name() {
        assert_eq!(
            ["llama-3.1-8b-instruct", "qwen2.5:0.5b", "Qwen3-235B-A22B", "phi"].map(billions),
            [8.0, 0.5, 235.0, 7.0]
        );
    }
}
