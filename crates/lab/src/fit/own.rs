//! The base's own heads of the task, as members: what a fit starts from, so that it is no worse than what it replaces.
//!
//! They are the base's weights under other names. A head that is a mixture lends its members, each with its share.

use pointsman_classifier::{Blocks, Bundle, Gate, HeadKind, HeadSpec, Kind, Manifest, Share};
use pointsman_core::config::Name;
use pointsman_core::scores::HeadScores;

use super::examples::Example;
use super::heads::Fitted;
use super::keep::Parts;
use super::task::{Inputs, Task};
use super::train::Form;
use super::{Fit, FitError};

/// The least probability that is taken the logarithm of, as in mixtures when they serve.
const FLOOR: f32 = 1e-6;

/// The most members of a mixture that is taken over, as each fit on top of another adds some.
const MOST_MEMBERS: usize = 16;

/// The names of the base's heads that mean what the new ones will, one for each new head; none where one is missing.
#[derive(Debug, Clone, Default)]
pub(super) struct Own {
    full: Vec<String>,
    lexical: Vec<String>,
    confidence: Option<f32>,
}

impl Own {
    /// Looks for heads called `heads` that have the `labels`.
    pub(super) fn find(fit: &Fit, base: &Manifest, heads: &[String], labels: &[Name]) -> Self {
        if fit.fresh || base.kind != Kind::Encoder || fit.inputs == Inputs::Dense {
            return Self::default();
        }
        let fits = |spec: &&HeadSpec| spec.labels == *labels && spec.mix.len() <= MOST_MEMBERS;
        let all = |names: Vec<Option<String>>| names.into_iter().collect::<Option<Vec<_>>>().unwrap_or_default();
        let full = |head: &String| base.head(head).filter(fits).map(|spec| spec.name.to_string());
        let lexical = |head: &String| base.lexical_form(head).filter(fits).map(|spec| spec.name.to_string());
        let full = if fit.inputs == Inputs::Full { heads.iter().map(full).collect() } else { Vec::new() };
        let confidence = base.lexical_form(&heads[0]).and_then(|spec| spec.confidence);
        Self { full: all(full), lexical: all(heads.iter().map(lexical).collect()), confidence }
    }

    /// Returns the base's heads for a form; empty where it has none.
    pub(super) fn names(&self, form: Form) -> &[String] {
        if form == Form::Full { &self.full } else { &self.lexical }
    }

    /// Returns from which probability on the base's lexical form was enough.
    pub(super) fn confidence(&self) -> Option<f64> {
        self.confidence.map(f64::from)
    }

    /// Returns what they say of a row, form by form: log probabilities by head and label.
    pub(super) fn logs(&self, base: &Bundle, row: &Example) -> Result<[Vec<Vec<f64>>; 2], FitError> {
        if self.full.is_empty() && self.lexical.is_empty() {
            return Ok(Default::default());
        }
        let features = base.inputs().scale(&row.features);
        let blocks = Blocks { embedding: &row.embedding, features: &features, ngrams: &row.ngrams };
        let scores =
            if self.full.is_empty() { base.heads().score_lexical(blocks)? } else { base.heads().score(blocks)? };
        let log = |p: &f32| f64::from(p.max(FLOOR).ln());
        let logs = |scores: &HeadScores| scores.probabilities.iter().map(log).collect();
        let of = |name: &String| scores.iter().find(|scores| *scores.head == **name).map(logs).unwrap_or_default();
        Ok([&self.full, &self.lexical].map(|names| names.iter().map(of).collect()))
    }
}

/// Returns the shares that make up the base's head `name`, itself or its members, with what each is called below `below`.
pub(super) fn shares(base: &Manifest, name: &str, below: &str) -> Vec<(Share, String)> {
    let Some(spec) = base.head(name) else { return Vec::new() };
    if spec.mix.is_empty() {
        return vec![(Share { head: named(below), weight: 1.0 }, name.to_owned())];
    }
    // What a mixture divides its members' sum by is a factor of each.
    let one = |(place, share): (usize, &Share)| {
        let head = named(&format!("{below}/{place}"));
        (Share { head, weight: share.weight / spec.temperature }, share.head.to_string())
    };
    spec.mix.iter().enumerate().map(one).collect()
}

/// Returns a head of the base as a hidden member called `name`, and the heads that its gate asks.
pub(super) fn member(base: &Manifest, parts: Option<&Parts<'_>>, of: &str, name: &Name) -> Vec<Fitted> {
    let (Some(spec), Some(parts)) = (base.head(of), parts) else { return Vec::new() };
    let below = |part: &str| named(&format!("{name}/{part}"));
    let asked = spec.gate.iter().flat_map(|gate| [(&gate.head, below("gate")), (&gate.otherwise, below("otherwise"))]);
    let mut fitted: Vec<Fitted> = asked.flat_map(|(of, name)| member(base, Some(parts), of.as_str(), &name)).collect();
    let gate = spec.gate.as_ref().map(|_| Gate { head: below("gate"), otherwise: below("otherwise") });
    let tensors = parts.of(spec, name.as_str());
    let spec = HeadSpec {
        name: name.clone(),
        aliases: Default::default(),
        hidden: true,
        stands_for: None,
        confidence: None,
        gate,
        ..spec.clone()
    };
    fitted.push(Fitted { spec, tensors });
    fitted
}

fn named(name: &str) -> Name {
    Name::new(name).expect("a head's name and a part's are a name")
}

/// Returns whether labels of a task have an order that the base or their names tell.
pub(super) fn ordered(task: Task, template: Option<&HeadSpec>, labels: &[Name]) -> bool {
    let number = |label: &Name| label.as_str().parse::<u32>().is_ok();
    match template {
        _ if labels.len() < 3 => false,
        Some(head) => task == Task::Tier || head.kind == HeadKind::Ordinal,
        None => task == Task::Tier && labels.iter().all(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::fixtures::manifest_of_heads;

    const HEADS: &str = "
- {name: tier, kind: ordinal, labels: [low, mid, high], inputs: [embedding], temperature: 1}
- {name: words, kind: multinomial, labels: [weak, strong], inputs: [ngrams], temperature: 1, hidden: true}
- {name: near, kind: multinomial, labels: [weak, strong], inputs: [embedding], temperature: 1}
- {name: wins, kind: multinomial, labels: [weak, strong], temperature: 2, mix: [{head: words, weight: 0.5}, {head: near, weight: 2}]}
";

    #[test]
    fn a_mixture_lends_its_members_with_what_is_left_of_their_weights() {
        let base = manifest_of_heads(HEADS).expect("sound");

        let lent = |name: &str| -> Vec<(String, f32, String)> {
            let shares = shares(&base, name, "wins/base").into_iter();
            shares.map(|(share, of)| (share.head.to_string(), share.weight, of)).collect()
        };

        let words = ("wins/base/0".to_owned(), 0.25, "words".to_owned());
        assert_eq!(lent("wins"), [words, ("wins/base/1".to_owned(), 1.0, "near".to_owned())]);
        assert_eq!(lent("near"), [("wins/base".to_owned(), 1.0, "near".to_owned())]);
    }

    #[test]
    fn tiers_have_an_order_where_the_base_or_numbers_tell_it() {
        let base = manifest_of_heads(HEADS).expect("sound");
        let labels = |labels: [&str; 3]| labels.map(|label| Name::new(label).expect("a name")).to_vec();
        let tier = base.head("tier");

        assert!(ordered(Task::Tier, tier, &labels(["low", "mid", "high"])));
        assert!(ordered(Task::Tier, None, &labels(["0", "1", "2"])));
        assert!(!ordered(Task::Tier, None, &labels(["high", "low", "mid"])));
        assert!(!ordered(Task::Domain, None, &labels(["0", "1", "2"])));
    }
}
