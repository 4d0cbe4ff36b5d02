//! Borrowed heads: the base's own, hidden under other names as members of the new ones.
//!
//! A head that is a mixture lends its members, each with its share.

use pointsman_classifier::{GateSpec, HeadSpec, Manifest, MixtureMember};
use pointsman_core::config::Name;

use super::retained::BaseHeadsFile;
use super::weights::HeadWeights;

/// Returns the shares that make up the base's head `name`, itself or its members, with what each is called below
/// `below`.
pub(super) fn shares(base: &Manifest, name: &str, below: &str) -> Vec<(MixtureMember, String)> {
    let Some(spec) = base.head(name) else { return Vec::new() };
    if spec.mix.is_empty() {
        return vec![(MixtureMember { head: named(below), weight: 1.0 }, name.to_owned())];
    }
    // What a mixture divides its members' sum by is a factor of each.
    let one = |(place, share): (usize, &MixtureMember)| {
        let head = named(&format!("{below}/{place}"));
        (MixtureMember { head, weight: share.weight / spec.temperature }, share.head.to_string())
    };
    spec.mix.iter().enumerate().map(one).collect()
}

/// Returns the base's head `of` as a hidden member called `name`, and the heads that its gate asks.
pub(super) fn member(base: &Manifest, parts: Option<&BaseHeadsFile<'_>>, of: &str, name: &Name) -> Vec<HeadWeights> {
    let (Some(spec), Some(parts)) = (base.head(of), parts) else { return Vec::new() };
    let below = |part: &str| named(&format!("{name}/{part}"));
    let gated = spec.gate.iter().flat_map(|gate| [(&gate.head, below("gate")), (&gate.otherwise, below("otherwise"))]);
    let mut fitted: Vec<HeadWeights> =
        gated.flat_map(|(of, name)| member(base, Some(parts), of.as_str(), &name)).collect();
    let gate = spec.gate.as_ref().map(|_| GateSpec { head: below("gate"), otherwise: below("otherwise") });
    let tensors = parts.of(spec, name.as_str());
    let spec = HeadSpec {
        name: name.clone(),
        aliases: Default::default(),
        hidden: true,
        stands_for: None,
        confidence: None,
        levels: None,
        gate,
        ..spec.clone()
    };
    fitted.push(HeadWeights { spec, tensors });
    fitted
}

fn named(name: &str) -> Name {
    Name::new(name).expect("a head's name and a part's are a name")
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
}
