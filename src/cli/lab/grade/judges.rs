//! The judges of `pointsman grade`, from the command line.

use std::path::{Path, PathBuf};

use pointsman_core::config::{SecretSource, TokenPrice};
use pointsman_lab::grade::{JudgePanel, PanelJudge};
use pointsman_lab::judge::{JudgeClient, JudgeClientError, JudgeEndpoint, Rubric, RubricError};

use crate::cli::{CONFIG, USAGE};

/// The judges.
#[derive(Debug, clap::Args)]
pub(super) struct JudgeArguments {
    /// A judging model; may be given several times, and then the report says how far they agree.
    #[arg(long, value_name = "MODEL", requires = "judge_url")]
    judge: Vec<String>,
    /// The judges' API, OpenAI-compatible: `http(s)://host[:port][/prefix]`; one for all, or one for each in their
    /// order.
    #[arg(long, value_name = "URL", requires = "judge")]
    judge_url: Vec<String>,
    /// The environment variable that holds the key; one for all, or one for each; left out, no key is sent.
    #[arg(long, value_name = "VARIABLE", requires = "judge")]
    key_env: Vec<String>,
    /// A rubric of your own with a `scale`, as for `label`; it may show `{prompt}`, `{answer}` and `{reference}`. Without
    /// it answers are graded 1 to 5, and 4 suffices.
    #[arg(long, value_name = "FILE", requires = "judge")]
    pub(super) rubric: Option<PathBuf>,
    /// What a judge costs, in US dollars per million tokens of prompts and of answers: `MODEL=2.5,10`.
    #[arg(long, value_name = "MODEL=IN,OUT", value_parser = price, requires = "judge")]
    price: Vec<NamedPrice>,
    /// The most US dollars that this run may spend.
    #[arg(long, value_name = "USD", value_parser = crate::cli::dollars, requires = "price")]
    max_cost: Option<f64>,
    /// Leaves the temperature to the judges; needed by models that take no other.
    #[arg(long, requires = "judge")]
    own_temperature: bool,
    /// The model whose answers the others are compared with, two by two and in both orders; the judges do not learn
    /// whose an answer is.
    #[arg(long, value_name = "MODEL", requires = "judge")]
    pub(super) baseline: Option<String>,
}

#[derive(Debug, Clone)]
struct NamedPrice {
    model: String,
    price: TokenPrice,
}

/// Why there are no judges.
#[derive(Debug, thiserror::Error)]
pub(super) enum JudgeFailure {
    #[error(transparent)]
    Rubric(#[from] RubricError),
    #[error(transparent)]
    Client(#[from] JudgeClientError),
    #[error("{0}")]
    Key(String),
    #[error("`{option}` is given {given} times for {judges} judges (allowed: once, or once for each)")]
    Number { option: &'static str, given: usize, judges: usize },
}

impl JudgeArguments {
    /// Returns the panel; `None` where no judge was named.
    pub(super) fn panel(&self) -> Result<Option<JudgePanel>, JudgeFailure> {
        if self.judge.is_empty() {
            return Ok(None);
        }
        let rubric = self.rubric.as_deref().map(Rubric::load).transpose()?.unwrap_or_else(Rubric::quality);
        let judges = (0..self.judge.len()).map(|place| self.judge(place)).collect::<Result<_, _>>()?;
        Ok(Some(JudgePanel { judges, rubric, max_cost: self.max_cost }))
    }

    fn judge(&self, place: usize) -> Result<PanelJudge, JudgeFailure> {
        let model = &self.judge[place];
        let base_url = self.of("--judge-url", &self.judge_url, place)?.cloned().unwrap_or_default();
        let lookup = |name: &str| std::env::var(name).ok();
        let variable = self.of("--key-env", &self.key_env, place)?.cloned();
        let key = variable.map(|name| SecretSource::Env(name).resolve(&lookup, Path::new("")));
        let key = key.transpose().map_err(JudgeFailure::Key)?;
        let endpoint = JudgeEndpoint { base_url, model: model.clone(), key, own_temperature: self.own_temperature };
        let price = self.price.iter().find(|price| price.model == *model).map(|price| price.price);
        Ok(PanelJudge { client: JudgeClient::new(endpoint)?, price })
    }

    /// Returns a judge's value of an option that is given once for all, or once for each.
    fn of<'v>(
        &self,
        option: &'static str,
        values: &'v [String],
        place: usize,
    ) -> Result<Option<&'v String>, JudgeFailure> {
        let judges = self.judge.len();
        match values.len() {
            0 => Ok(None),
            1 => Ok(values.first()),
            given if given == judges => Ok(values.get(place)),
            given => Err(JudgeFailure::Number { option, given, judges }),
        }
    }
}

/// Reads `model=input,output`.
fn price(text: &str) -> Result<NamedPrice, String> {
    let dollars = |text: &str| text.trim().parse::<f64>().ok().filter(|price| price.is_finite() && *price >= 0.0);
    let read = text.rsplit_once('=').and_then(|(model, prices)| {
        let (input, output) = prices.split_once(',')?;
        let price = TokenPrice::new(dollars(input)?, dollars(output)?);
        (!model.is_empty()).then(|| NamedPrice { model: model.to_owned(), price })
    });
    read.ok_or_else(|| format!("`{text}` is no price (allowed: MODEL=INPUT,OUTPUT in US dollars per million tokens)"))
}

impl JudgeFailure {
    pub(super) const fn code(&self) -> u8 {
        match self {
            Self::Client(JudgeClientError::Url { .. }) | Self::Number { .. } => USAGE,
            Self::Rubric(_) | Self::Key(_) | Self::Client(_) => CONFIG,
        }
    }
}
