//! How well an encoder tells a strategy's routes from each other and from what is about none of them.
//!
//! Encoders that were tuned for something else than subjects put all short texts near each other. A threshold below
//! what unrelated texts get sends every prompt to some route, and nothing else shows it.

use pointsman_core::config;
use pointsman_core::config::BackgroundTexts;

use super::everyday::EVERYDAY;

/// Texts of a route that are compared with the others.
pub(super) const MOST_OWN: usize = 50;

/// A threshold that more than this share of the everyday asks reach lets everything in; some of them may well be about
/// a route.
const LET_IN: f64 = 0.25;

/// The share of them that a good threshold lets in.
const STRAY: f64 = 0.05;

/// Routes overlap where more than this share of the one's texts are nearer to the other.
const OVERLAP: f64 = 1.0 / 3.0;

/// The nearness of texts to the routes of a strategy, in cosines.
#[derive(Debug, Default)]
pub(super) struct RouteSeparation {
    /// The nearness `[everyday ask][route]`; the rest of the background is after the routes, if there is one.
    pub(super) everyday: Vec<Vec<f32>>,
    /// The nearness `[own route][text][route]` of each route's own texts; a text is not compared with itself.
    pub(super) own: Vec<Vec<Vec<f32>>>,
}

/// Something that cannot be meant: of a route, or of the strategy's threshold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SeparationFinding {
    pub(super) route: Option<usize>,
    pub(super) is_threshold: bool,
    pub(super) message: String,
}

impl RouteSeparation {
    /// Returns what is wrong with a strategy's routes and thresholds to its encoder.
    pub(super) fn findings(&self, section: &config::SimilarityConfig) -> Vec<SeparationFinding> {
        let (own, shared): (Vec<usize>, Vec<usize>) =
            (0..section.routes.len()).partition(|index| section.routes[*index].threshold.is_some());
        let shared = Some((None, section.threshold.get(), shared)).filter(|(.., routes)| !routes.is_empty());
        let own = own.into_iter().map(|index| {
            let threshold = section.routes[index].threshold.unwrap_or(section.threshold);
            (Some(index), threshold.get(), vec![index])
        });
        let thresholds = shared.into_iter().chain(own).filter_map(|(route, threshold, routes)| {
            let message = self.lets_in(threshold, &routes, section)?;
            Some(SeparationFinding { route, is_threshold: true, message })
        });
        let overlaps = (0..section.routes.len()).filter_map(|route| {
            let message = self.overlaps(route, section)?;
            Some(SeparationFinding { route: Some(route), is_threshold: false, message })
        });
        thresholds.chain(overlaps).collect()
    }

    /// Says how many everyday asks a threshold of some routes lets in, if they are too many, and which would be better.
    fn lets_in(&self, threshold: f64, routes: &[usize], section: &config::SimilarityConfig) -> Option<String> {
        let best = |near: &Vec<f32>| routes.iter().map(|route| near[*route]).fold(f32::NEG_INFINITY, f32::max);
        let is_let_in = |near: &&Vec<f32>| {
            let background = near.get(self.own.len()).copied().unwrap_or(f32::NEG_INFINITY);
            f64::from(best(near)) >= threshold && best(near) >= background
        };
        let within = self.everyday.iter().filter(is_let_in).count();
        let mut everyday: Vec<f32> = self.everyday.iter().map(best).filter(|near| near.is_finite()).collect();
        everyday.sort_by(f32::total_cmp);
        // Who asks for nothing takes the nearest route whatever it is.
        if threshold <= 0.0 || within as f64 <= LET_IN * everyday.len() as f64 {
            return None;
        }
        let median = everyday[everyday.len() / 2];
        let stray = f64::from(everyday[everyday.len() - 1 - (STRAY * everyday.len() as f64) as usize]);
        let own: Vec<f32> = routes.iter().flat_map(|route| self.own[*route].iter().map(|near| near[*route])).collect();
        let known = own.iter().filter(|near| near.is_finite()).count();
        let reach = own.iter().filter(|near| f64::from(**near) > stray).count();
        let background = match section.background {
            BackgroundTexts::None => ", `background: everyday`",
            BackgroundTexts::Everyday => "",
        };
        let advice = if known > 0 && 2 * reach > known {
            format!("above {stray:.2} one in twenty would, and {reach} of {known} of the routes' own texts")
        } else {
            format!(
                "no threshold tells them apart, above {stray:.2}, which one in twenty reach, are {reach} of {known} of the routes' own \
                 texts (allowed: a classifier whose encoder knows these subjects{background})"
            )
        };
        Some(format!(
            "{within} of {} everyday asks that are about nothing in particular reach {threshold} (half of them {median:.2}): {advice}",
            EVERYDAY.len()
        ))
    }

    /// Says which route of another model is nearer to a route's texts than their own.
    fn overlaps(&self, route: usize, section: &config::SimilarityConfig) -> Option<String> {
        let own: Vec<&Vec<f32>> = self.own[route].iter().filter(|near| near[route].is_finite()).collect();
        let is_other = |other: &usize| section.routes[*other].model != section.routes[route].model;
        let nearer = |other: usize| own.iter().filter(|near| near[other] >= near[route]).count();
        let others = (0..section.routes.len()).filter(is_other).map(|other| (other, nearer(other)));
        let (other, count) = others.max_by_key(|(_, count)| *count)?;
        (count as f64 > OVERLAP * own.len() as f64).then(|| {
            let name = section.routes[other].name();
            format!(
                "overlaps with `{name}`: {count} of {} of its texts are nearer to that than to the others of its own",
                own.len()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::config::{Config, StrategyConfig};

    use super::*;

    fn section(more: &str) -> config::SimilarityConfig {
        let text = format!(
            "version: 1
listen: {{address: 127.0.0.1:8080}}
providers: {{p: {{base_url: http://h}}}}
models: {{small: {{provider: p}}, frontier: {{provider: p}}}}
classifiers: {{default: {{bundle: b}}}}
policies:
  - name: auto
    strategy: {{kind: similarity, classifier: default, otherwise: small, threshold: 0.4, routes: [
      {{name: chat, model: small, examples: [a, b, c, d]}}, {{name: code, model: frontier, {more} examples: [e, f, g, h]}}]}}
"
        );
        let config = Config::parse(&text, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
        match &config.policies[0].strategy {
            StrategyConfig::Similarity(similarity) => similarity.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn separation(everyday: f32, own: f32, other: f32) -> RouteSeparation {
        let texts = |own: f32, other: f32| vec![vec![own, other]; 4];
        RouteSeparation {
            everyday: vec![vec![everyday, everyday]; 48],
            own: vec![texts(own, other), texts(other, own)],
        }
    }

    #[test]
    fn an_encoder_that_tells_subjects_apart_is_nothing_to_warn_of() {
        assert_eq!(separation(0.1, 0.6, 0.2).findings(&section("")), []);
    }

    #[test]
    fn a_threshold_that_everyday_asks_reach_is_warned_of_with_a_better_one() {
        let findings = separation(0.5, 0.8, 0.2).findings(&section(""));

        let [SeparationFinding { route: None, is_threshold: true, message }] = &findings[..] else {
            panic!("{findings:?}")
        };
        assert!(message.starts_with("48 of 48 everyday asks"), "{message}");
        assert!(message.contains("above 0.50 one in twenty would, and 8 of 8 of the routes' own texts"), "{message}");
    }

    #[test]
    fn everyday_asks_that_are_nearer_to_the_background_are_not_let_in() {
        let mut with = separation(0.5, 0.8, 0.2);
        with.everyday = vec![vec![0.5, 0.5, 0.6]; 48];

        assert_eq!(with.findings(&section("")), []);
    }

    #[test]
    fn a_threshold_of_nothing_is_meant() {
        let mut any = section("");
        any.threshold = config::Ratio::new(0.0).expect("a ratio");

        assert_eq!(separation(0.5, 0.8, 0.2).findings(&any), []);
    }

    #[test]
    fn where_no_threshold_helps_it_says_so() {
        let findings = separation(0.7, 0.6, 0.5).findings(&section(""));

        assert!(findings[0].message.contains("no threshold tells them apart, above 0.70"), "{findings:?}");
        assert!(findings[0].message.ends_with("knows these subjects, `background: everyday`)"), "{findings:?}");
    }

    #[test]
    fn a_route_s_own_threshold_is_looked_at_by_itself() {
        let findings = separation(0.5, 0.8, 0.2).findings(&section("threshold: 0.6,"));

        assert_eq!(findings.iter().map(|it| (it.route, it.is_threshold)).collect::<Vec<_>>(), [(None, true)]);
        let strict = separation(0.3, 0.8, 0.2).findings(&section("threshold: 0.2,"));
        assert_eq!(strict.iter().map(|it| (it.route, it.is_threshold)).collect::<Vec<_>>(), [(Some(1), true)]);
    }

    #[test]
    fn routes_of_several_models_that_overlap_are_warned_of() {
        let findings = separation(0.1, 0.5, 0.6).findings(&section(""));

        let [first, second] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((first.route, second.route, first.is_threshold), (Some(0), Some(1), false));
        assert!(first.message.starts_with("overlaps with `code`: 4 of 4 of its texts"), "{first:?}");
        let mut same = section("");
        same.routes[1].model = same.routes[0].model.clone();
        assert_eq!(separation(0.1, 0.5, 0.6).findings(&same), []);
    }

    #[test]
    fn a_route_of_one_text_has_nothing_to_compare_it_with() {
        let mut lone = separation(0.1, 0.5, 0.2);
        lone.own[0] = vec![vec![f32::NAN, 0.9]];

        assert_eq!(lone.findings(&section("")), []);
    }
}
