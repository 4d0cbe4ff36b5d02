//! `pointsman models`: models with their prices, windows and abilities, as a table or as JSON.
//!
//! Shows the built-in list, or the catalog of a configuration as it is completed from the list.

use std::cmp::Ordering;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use pointsman_core::config::{
    Capability, CatalogEntry, Config, ConfigProblems, Glob, ListedModel, Name, TokenPrice, known_models,
    known_models_date,
};
use serde_json::{Value, json};

use super::table::{ColumnAlign, TextTable};
use super::{CONFIG, fail, print_whole};

/// What `models` can be asked for.
#[derive(Debug, clap::Args)]
pub(super) struct ModelsArguments {
    /// A pattern over names, such as `gpt-*`: `*` stands for any characters, `?` for one.
    #[arg(value_parser = Glob::new)]
    pattern: Option<Glob>,
    /// The catalog of this configuration in place of the built-in list.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Vendors of the list, or providers of the configuration.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    vendor: Vec<String>,
    /// Abilities that a model must not be known to lack: tools, images, audio, files, `json_schema`.
    #[arg(long, value_name = "ABILITY", value_delimiter = ',')]
    supports: Vec<NeededAbility>,
    /// The highest price of a million tokens of prompts, in US dollars.
    #[arg(long, value_name = "DOLLARS", value_parser = super::dollars)]
    max_input: Option<f64>,
    /// The highest price of a million tokens of answers, in US dollars.
    #[arg(long, value_name = "DOLLARS", value_parser = super::dollars)]
    max_output: Option<f64>,
    /// The smallest context window, in tokens.
    #[arg(long, value_name = "TOKENS")]
    min_context: Option<u64>,
    /// The order of the models.
    #[arg(long, value_enum, default_value_t = ModelOrder::Name)]
    sort: ModelOrder,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// The order in which models are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ModelOrder {
    /// By vendor and name.
    Name,
    /// By price: three tokens of prompts for one of answers, the cheapest first.
    Price,
    /// By context window, the largest first.
    Context,
}

/// An ability that a model must have.
#[derive(Debug, Clone, Copy)]
struct NeededAbility(Capability);

/// A model as it is shown.
#[derive(Debug, Clone)]
struct ModelRow {
    vendor: String,
    name: String,
    /// The provider's name for the model, where it is another.
    upstream: Option<String>,
    price: Option<TokenPrice>,
    context: Option<u64>,
    max_output: Option<u64>,
    abilities: Vec<Capability>,
}

pub(super) fn run(arguments: &ModelsArguments) -> ExitCode {
    let rows = match rows(arguments) {
        Ok(rows) => rows,
        Err(problems) => return fail(&problems, CONFIG),
    };
    let mut rows: Vec<ModelRow> = rows.into_iter().filter(|row| arguments.takes(row)).collect();
    rows.sort_by(|one, other| arguments.sort.compare(one, other));
    if arguments.json {
        let models: Vec<Value> = rows.iter().map(ModelRow::as_json).collect();
        return print_whole(format!("{}\n", json!({"date": known_models_date(), "models": models})).as_bytes());
    }
    let date = known_models_date();
    let prices = match arguments.config {
        None => format!("list prices of {date}"),
        Some(_) => format!("prices of the configuration, and list prices of {date} where it has none,"),
    };
    print_whole(shown(&rows, &prices).as_bytes())
}

fn rows(arguments: &ModelsArguments) -> Result<Vec<ModelRow>, ConfigProblems> {
    match &arguments.config {
        None => Ok(known_models().map(ModelRow::listed).collect()),
        Some(path) => Ok(ModelRow::of_catalog(&Config::load(path)?)),
    }
}

fn shown(rows: &[ModelRow], prices: &str) -> String {
    use ColumnAlign::{Left, Right};
    let mut table = TextTable::new(
        ["vendor", "model", "$/M in", "$/M out", "$/M cached", "context", "max output", "abilities"],
        [Left, Left, Right, Right, Right, Right, Right, Left],
    );
    let unknown = || "-".to_owned();
    for row in rows {
        let price = |pick: &dyn Fn(TokenPrice) -> Option<f64>| {
            row.price.and_then(pick).map_or_else(unknown, |dollars| dollars.to_string())
        };
        let tokens = |count: Option<u64>| count.map_or_else(unknown, |count| count.to_string());
        let name = row.upstream.as_ref().map_or_else(|| row.name.clone(), |own| format!("{} ({own})", row.name));
        let abilities: Vec<&str> = row.abilities.iter().map(|ability| ability.as_str()).collect();
        table.push([
            row.vendor.clone(),
            name,
            price(&|price| Some(price.input)),
            price(&|price| Some(price.output)),
            price(&|price| price.cached_input),
            tokens(row.context),
            tokens(row.max_output),
            abilities.join(" "),
        ]);
    }
    format!(
        "{}\n  {} models; {prices} in US dollars for a million tokens, - where nothing is known\n",
        table.render(),
        rows.len()
    )
}

impl ModelsArguments {
    fn takes(&self, row: &ModelRow) -> bool {
        let most = |limit: Option<f64>, pick: fn(TokenPrice) -> f64| {
            limit.is_none_or(|limit| row.price.is_some_and(|price| pick(price) <= limit))
        };
        let names = [Some(&row.name), row.upstream.as_ref()];
        self.pattern.as_ref().is_none_or(|glob| names.into_iter().flatten().any(|name| glob.matches(name)))
            && (self.vendor.is_empty() || self.vendor.contains(&row.vendor))
            && self.supports.iter().all(|needed| row.abilities.contains(&needed.0))
            && most(self.max_input, |price| price.input)
            && most(self.max_output, |price| price.output)
            && self.min_context.is_none_or(|least| row.context.is_some_and(|context| context >= least))
    }
}

impl ModelOrder {
    fn compare(self, one: &ModelRow, other: &ModelRow) -> Ordering {
        let by_name = (&one.vendor, &one.name).cmp(&(&other.vendor, &other.name));
        match self {
            Self::Name => by_name,
            Self::Price => one.blended().total_cmp(&other.blended()).then(by_name),
            Self::Context => other.context.cmp(&one.context).then(by_name),
        }
    }
}

impl ModelRow {
    fn listed(model: ListedModel) -> Self {
        Self {
            vendor: model.vendor.to_owned(),
            name: model.name.to_owned(),
            upstream: None,
            price: Some(model.facts.price),
            context: model.facts.context,
            max_output: model.facts.max_output,
            abilities: model.facts.abilities().collect(),
        }
    }

    fn of_catalog(config: &Config) -> Vec<Self> {
        let row = |(name, model): (&Name, &CatalogEntry)| Self {
            vendor: model.provider.to_string(),
            name: name.to_string(),
            upstream: model.name.clone().filter(|own| **own != **name),
            price: model.price,
            context: model.context,
            max_output: model.output_limit(),
            abilities: model.supports.clone().unwrap_or_else(|| Capability::ALL.to_vec()),
        };
        config.models.iter().map(row).collect()
    }

    /// Returns the price of a token of usual traffic; without a price it is the last.
    fn blended(&self) -> f64 {
        self.price.map_or(f64::INFINITY, |price| (3.0 * price.input + price.output) / 4.0)
    }

    fn as_json(&self) -> Value {
        let abilities: Vec<&str> = self.abilities.iter().map(|ability| ability.as_str()).collect();
        json!({
            "vendor": self.vendor,
            "model": self.name,
            "upstream_name": self.upstream,
            "price": self.price,
            "context": self.context,
            "max_output": self.max_output,
            "supports": abilities,
        })
    }
}

impl FromStr for NeededAbility {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Capability::ALL.into_iter().find(|ability| ability.as_str() == text);
        let names = Capability::ALL.map(Capability::as_str).join(", ");
        found.map(Self).ok_or_else(|| format!("`{text}` is no ability (allowed: {names})"))
    }
}
