use super::layer::dot;
use super::sparse::SparseWeights;
use super::trees::TreeQuestion;
use super::*;
use crate::scoring::tokenize::TokenBudget;

fn layer(weight: &[f32], bias: &[f32]) -> DenseLayer {
    DenseLayer { weight: weight.to_vec(), bias: bias.to_vec(), inputs: weight.len() / bias.len(), sparse: None }
}

fn blocks<'p>(embedding: &'p [f32], features: &'p [f32]) -> HeadInputs<'p> {
    static NONE: std::sync::LazyLock<Ngrams> = std::sync::LazyLock::new(Ngrams::default);
    HeadInputs { embedding, features, ngrams: &NONE }
}

fn head(layers: Vec<DenseLayer>, temperature: f32) -> Head {
    Head {
        name: "tier".into(),
        kind: HeadKind::Multinomial,
        labels: HeadLabels { names: ["simple", "complex"].map(Arc::from).into(), levels: None },
        inputs: vec![InputBlock::Features, InputBlock::Embedding],
        activation: Activation::Relu,
        temperature,
        isotonic: None,
        layers: layers.into(),
        neighbours: None,
        forest: None,
        members: Vec::new(),
        gate: None,
    }
}

#[test]
fn trees_add_the_leaf_that_their_questions_lead_to() {
    // Whether input 1 is above 0, then whether input 0 is above 2: 1 and 2 of 4 leaves.
    let leaves = [[0.0; 2], [1.0, 0.0], [0.0, 5.0], [0.0; 2]].concat();
    let questions = vec![TreeQuestion { input: 1, threshold: 0.0 }, TreeQuestion { input: 0, threshold: 2.0 }];
    let forest = Some(TreeEnsemble::of(2, questions, leaves, vec![0.5, 0.5]));
    let head = Head { forest: forest.map(Arc::new), ..head(Vec::new(), 1.0) };

    let scores = head.score(blocks(&[1.0], &[0.0])).expect("finite");

    let expected = 1.0 / (1.0 + (-1.0_f32).exp());
    assert!((scores.probabilities[0] - expected).abs() < 1e-6, "{scores:?}");
}

#[test]
fn independent_labels_have_a_probability_each() {
    let layers = vec![layer(&[0.0; 4], &[0.0, 2.0 * 3.0_f32.ln()])];
    let head = Head { kind: HeadKind::Independent, ..head(layers, 2.0) };

    let scores = head.score(blocks(&[0.0], &[0.0])).expect("finite");

    assert!((scores.probabilities[0] - 0.5).abs() < 1e-6, "{scores:?}");
    assert!((scores.probabilities[1] - 0.75).abs() < 1e-6, "{scores:?}");
}

#[test]
fn a_mixture_adds_weighted_log_probabilities() {
    let logits = |bias: &[f32]| head(vec![layer(&[0.0; 4], bias)], 1.0);
    let member = |head, weight| WeightedHead { head, weight };
    let members = vec![member(logits(&[3.0_f32.ln(), 0.0]), 1.0), member(logits(&[0.0, 3.0_f32.ln()]), 2.0)];
    let mixture = Head { members, ..head(Vec::new(), 1.0) };

    let scores = mixture.score(blocks(&[0.0], &[0.0])).expect("finite");

    // 3/4 * (1/4)^2 against 1/4 * (3/4)^2.
    assert!((scores.probabilities[0] - 0.25).abs() < 1e-6, "{scores:?}");
}

#[test]
fn a_gate_adds_the_chances_of_two_heads_by_how_known_the_prompt_is() {
    let of = |p: f32| head(vec![layer(&[0.0; 4], &[(1.0 - p).ln(), p.ln()])], 1.0);
    let gate = Some(Box::new(HeadGate { by: of(0.75), otherwise: of(0.2) }));
    let gated = Head { gate, ..of(0.6) };

    let scores = gated.score(blocks(&[0.0], &[0.0])).expect("finite");

    assert!((scores.probabilities[1] - (0.75 * 0.6 + 0.25 * 0.2)).abs() < 1e-6, "{scores:?}");
    assert!((scores.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{scores:?}");
    assert!(scores.known.is_some_and(|known| (known - 0.75).abs() < 1e-6), "{scores:?}");
}

#[test]
fn a_mixture_may_have_a_gate_too() {
    let spec = "
- {name: known, kind: multinomial, labels: [foreign, known], inputs: [features], temperature: 1, hidden: true}
- {name: wins, kind: multinomial, labels: [weak, strong], temperature: 1, mix: [{head: own, weight: 2}], gate: {head: known, otherwise: own}}
- {name: own, kind: multinomial, labels: [weak, strong], inputs: [features], temperature: 1, hidden: true}
";
    let manifest = Manifest::of_heads(spec).expect("sound");
    let of =
        |name: &str, p: f32| Head { name: name.into(), ..head(vec![layer(&[0.0; 2], &[(1.0 - p).ln(), p.ln()])], 1.0) };
    let gated = Head::assemble(manifest.head("wins").expect("a head"), &manifest, &[of("known", 0.75), of("own", 0.8)]);

    let scores = gated.score(blocks(&[], &[0.0])).expect("finite");

    // A weight of two makes 16/17 of 4/5.
    assert!((scores.probabilities[1] - (0.75 * 16.0 / 17.0 + 0.25 * 0.8)).abs() < 1e-6, "{scores:?}");
}

#[test]
fn a_gated_head_is_lexical_only_if_its_parts_are() {
    let of = |inputs: Vec<InputBlock>| Head { inputs, ..head(Vec::new(), 1.0) };
    let gated = |by: InputBlock| {
        let gate = HeadGate { by: of(vec![by]), otherwise: of(vec![InputBlock::Features]) };
        Head { gate: Some(Box::new(gate)), ..of(vec![InputBlock::Features]) }
    };

    assert!(gated(InputBlock::Ngrams).is_lexical() && gated(InputBlock::Ngrams).reads(InputBlock::Ngrams));
    assert!(!gated(InputBlock::Embedding).is_lexical());
}

#[test]
fn the_nearest_exemplars_vote_and_the_others_do_not() {
    let exemplars = layer(&[1.0, 0.0, 0.0, 1.0, 0.8, 0.6], &[0.0; 3]);
    let targets = layer(&[1.0, 0.0, 0.0, 0.0, 1.0, 1.0], &[0.5, 0.5]);
    let neighbours = Some(NeighbourVote { count: 2, sharpness: 0.0 });
    let head = Head { inputs: vec![InputBlock::Embedding], neighbours, ..head(vec![exemplars, targets], 1.0) };

    let scores = head.score(blocks(&[1.0, 0.0], &[])).expect("finite");

    // The first and the third vote, one for each label, beside half a vote each.
    assert_eq!(scores.probabilities, [0.5, 0.5]);
}

#[test]
fn blocks_are_read_in_the_order_of_the_manifest() {
    // The first input is the feature; embedding and feature swapped would give 0.5 and 0.5.
    let head = head(vec![layer(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0], &[0.0, 0.0])], 1.0);

    let scores = head.score(blocks(&[0.0, 0.0], &[3.0_f32.ln()])).expect("finite");

    assert!((scores.probabilities[0] - 0.75).abs() < 1e-6, "{scores:?}");
}

#[test]
fn the_activation_stands_between_layers_and_not_after_the_last() {
    let head = head(vec![layer(&[-1.0, -1.0], &[0.0]), layer(&[1.0, 1.0], &[0.0, -(3.0_f32.ln())])], 1.0);

    let scores = head.score(blocks(&[2.0], &[2.0])).expect("finite");

    assert!((scores.probabilities[0] - 0.75).abs() < 1e-6, "{scores:?}");
}

#[test]
fn a_temperature_above_one_flattens_the_scores() {
    let layers = vec![layer(&[1.0, 0.0, 0.0, 0.0], &[0.0, 0.0])];

    let sharp = head(layers.clone(), 1.0).score(blocks(&[0.0], &[2.0])).expect("finite");
    let flat = head(layers, 2.0).score(blocks(&[0.0], &[2.0])).expect("finite");

    assert!(sharp.probabilities[0] > flat.probabilities[0]);
    assert!((flat.probabilities[0] - 1.0 / (1.0 + (-1.0_f32).exp())).abs() < 1e-6);
}

#[test]
fn an_embedding_that_is_not_a_number_gives_no_scores() {
    let head = head(vec![layer(&[1.0, 1.0, 1.0, 1.0], &[0.0, 0.0])], 1.0);

    let error = head.score(blocks(&[f32::NAN], &[0.0])).expect_err("NaN");

    assert_eq!(error.to_string(), "head `tier` reads or gives something that is not a number");
}

#[test]
fn huge_logits_do_not_overflow() {
    assert_eq!(softmax(&[1e30, 0.0], 1.0), [1.0, 0.0]);
}

#[test]
fn ordinal_probabilities_are_differences_and_never_negative() {
    let half = ordinal(&[0.0, 0.0], 1.0);
    let crossed = ordinal(&[0.0, 3.0], 1.0);
    let sure = ordinal(&[30.0, -30.0], 1.0);

    assert_eq!((half, crossed), (vec![0.5, 0.0, 0.5], vec![0.5, 0.0, 0.5]));
    assert!((sure[1] - 1.0).abs() < 1e-6, "{sure:?}");
}

#[test]
fn gelu_is_the_exact_one() {
    // Values of torch.nn.GELU(); the tanh approximation is 2e-4 off at 2.
    for (x, expected) in
        [(-2.0, -0.045_500_264), (-0.5, -0.154_268_77), (0.0, 0.0), (1.0, 0.841_344_7), (2.0, 1.954_499_7)]
    {
        let value = Activation::Gelu.apply(x);

        assert!((value - expected).abs() < 1e-6, "gelu({x}) = {value}");
    }
}

#[test]
fn a_dot_product_counts_what_does_not_fill_eight_lanes() {
    let numbers: Vec<f32> = (1_u8..=19).map(f32::from).collect();

    assert!((dot(&numbers, &numbers) - 2470.0).abs() < 1e-3);
}

#[test]
fn sparse_weights_add_what_the_matrix_says() {
    let text = "Which river runs through Vienna? One that also runs through Ulm, Passau and Budapest — né Donau.";
    let ngrams = Ngrams::of(&TokenBudget::of_tokens(64).excerpt(text));
    for (outputs, before) in [(1, 0), (3, 6), (4, 1), (8, 2), (14, 6), (17, 0), (33, 3)] {
        let inputs = before + ngrams::WIDTH + 1;
        let weight: Vec<f32> = (0..outputs * inputs).map(|at| (at * 7919 % 2003) as f32 / 1001.0 - 1.0).collect();

        let mut values = vec![0.5; outputs];
        SparseWeights::of_columns(&weight, inputs, before, ngrams::WIDTH).add(&mut values, &ngrams);

        for (value, row) in values.iter().zip(weight.chunks_exact(inputs)) {
            let product: f32 = ngrams.entries().iter().map(|(bucket, n)| row[before + *bucket as usize] * n).sum();
            assert!((value - 0.5 - product).abs() < 1e-5, "{value} {product}");
        }
    }
}

#[test]
fn a_layer_keeps_its_other_columns_in_order() {
    let whole = layer(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], &[0.0, 0.0]);

    let layer = whole.with_sparse_columns(1, 2);

    assert_eq!((layer.weight, layer.inputs), (vec![1.0, 4.0, 5.0, 8.0], 2));
}
