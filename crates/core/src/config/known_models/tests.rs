use super::*;

const OPENAI: &str = "https://api.openai.com/v1";

fn config(models: &str) -> Config {
    let text = format!(
        "version: 1\nlisten: {{address: 127.0.0.1:8080}}\nproviders:\n  o: {{base_url: {OPENAI}}}\n  \
         a: {{base_url: https://api.anthropic.com}}\n  own: {{base_url: http://127.0.0.1:8000/v1}}\nmodels:\n{models}\n"
    );
    Config::parse(&text, "test.yaml").expect("a good file")
}

#[test]
fn the_list_reads_and_says_where_it_is_from() {
    assert!(LIST.source.starts_with("litellm ") && LIST._license.starts_with("MIT"), "{}", LIST.source);
    assert!(known_models_date().starts_with("20"), "{}", LIST.date);
    for (vendor, models) in &LIST.vendors {
        assert!(!models.is_empty(), "{vendor}");
        for (name, model) in models {
            let sane = |dollars: f64| dollars.is_finite() && (0.0..10_000.0).contains(&dollars);
            assert!(model.price.figures().all(|(_, dollars)| sane(dollars)), "{vendor} {name}: {:?}", model.price);
            assert!(model.price.service_tiers.figures().all(|(_, factor)| factor > 0.0), "{vendor} {name}");
            assert!(name.chars().all(|character| !character.is_uppercase()), "{vendor} {name}");
        }
    }
}

#[test]
fn every_vendor_of_the_list_has_a_host() {
    for vendor in LIST.vendors.keys() {
        let url = match &**vendor {
            "bedrock" => "https://bedrock-runtime.us-east-1.amazonaws.com".to_owned(),
            "vertex" => "https://us-east5-aiplatform.googleapis.com".to_owned(),
            "dashscope" => "https://dashscope-intl.aliyuncs.com".to_owned(),
            "azure" => "https://acme.openai.azure.com".to_owned(),
            "gemini" => "https://generativelanguage.googleapis.com".to_owned(),
            "xai" => "https://api.x.ai".to_owned(),
            other => ["com", "ai"]
                .map(|end| format!("https://api.{other}.{end}"))
                .into_iter()
                .find(|url| vendors::of_url(url).is_some())
                .expect("a host"),
        };
        assert_eq!(vendors::of_url(&url), Some(&**vendor));
    }
}

#[test]
fn what_the_file_leaves_out_is_the_lists() {
    let config =
        config("  nano: {provider: o, name: gpt-4.1-nano-2025-04-14}\n  own: {provider: own, name: gpt-4.1-nano}");

    let nano = &config.models["nano"];
    let price = nano.price.expect("a list price");
    assert_eq!((price.input, price.output, price.cached_input), (0.1, 0.4, Some(0.025)));
    assert_eq!((nano.context, nano.max_output, nano.output_limit()), (Some(1_047_576), None, Some(32_768)));
    let supports = nano.supports.as_deref().expect("it lacks audio");
    assert!(supports.contains(&Capability::Tools) && !supports.contains(&Capability::Audio), "{supports:?}");

    let own = &config.models["own"];
    assert!(own.price.is_none() && own.context.is_none() && own.supports.is_none() && own.output_limit().is_none());
}

#[test]
fn what_the_file_says_counts() {
    let config = config(
        "  big: {provider: a, name: claude-sonnet-4-5, price: {input: 1.5, output: 7.5}, context: 100, max_output: 50, \
         supports: [audio]}",
    );

    let big = &config.models["big"];
    let price = big.price.expect("a price");
    assert_eq!(
        (price.input, price.output, price.cached_input, price.cache_write_1h),
        (1.5, 7.5, Some(0.15), Some(3.0))
    );
    assert_eq!(
        (big.context, big.output_limit(), big.supports.as_deref()),
        (Some(100), Some(50), Some(&[Capability::Audio][..]))
    );
}

#[test]
fn a_million_tokens_in_the_name_are_the_window() {
    let config =
        config("  long: {provider: a, name: 'claude-sonnet-4-5[1m]'}\n  short: {provider: a, name: claude-sonnet-4-5}");

    assert_eq!([config.models["long"].context, config.models["short"].context], [Some(1_000_000), Some(200_000)]);
}

#[test]
fn prices_that_differ_and_unknown_models_are_named_with_the_day() {
    let config = config(
        "  same: {provider: o, name: gpt-4.1-nano, price: {input: 0.10, output: 0.40}}\n  \
         dear: {provider: o, name: gpt-4.1, price: {input: 2, output: 8, cached_input: 2}}\n  \
         cheap: {provider: o, name: gpt-4.1-mini, price: {input: 0.2, output: 1.6}}\n  \
         odd: {provider: o, name: gpt-99}\n  priced: {provider: o, name: gpt-99, price: {input: 1, output: 2}}\n  \
         own: {provider: own, name: gpt-99}",
    );

    let warnings: Vec<String> = config.price_warnings().iter().map(ToString::to_string).collect();

    let day = known_models_date();
    let [cheap, dear, odd] = &warnings[..] else { panic!("{warnings:#?}") };
    assert!(cheap.starts_with("models.cheap.price: input 0.2 US dollars per million tokens"), "{cheap}");
    assert!(cheap.contains(&format!("the built-in list of {day} has input 0.4")), "{cheap}");
    assert!(dear.contains("cached_input 2 US dollars") && dear.contains("has cached_input 0.5"), "{dear}");
    assert!(odd.starts_with("models.odd.name: the built-in list of") && odd.contains("`gpt-99` of openai"), "{odd}");
}
