//! What every byte of an answer pays for being counted: events and JSON through the scanner, with and without removal.

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pointsman_core::usage::{AnswerFormat, AnswerFraming, UsageEvent, UsageFilter, UsageReader};

/// Events of a stream.
const EVENTS: usize = 1000;

/// One token in each event, as OpenAI sends them.
fn stream() -> Vec<Bytes> {
    let event = |index| {
        format!(
            "data: {{\"id\":\"chatcmpl-BwX1\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"gpt-4.1\",\
             \"service_tier\":\"default\",\"system_fingerprint\":\"fp_51e1\",\"choices\":[{{\"index\":0,\"delta\":\
             {{\"content\":\" token{index}\"}},\"logprobs\":null,\"finish_reason\":null}}],\"usage\":null}}\n\n"
        )
    };
    let usage = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1000}}\n\n";
    (0..EVENTS).map(event).chain([usage.into(), "data: [DONE]\n\n".into()]).map(Bytes::from).collect()
}

fn scanning(criterion: &mut Criterion) {
    let chunks = stream();
    let bytes = chunks.iter().map(Bytes::len).sum::<usize>() as u64;
    let mut group = criterion.benchmark_group("usage");
    group.throughput(Throughput::Bytes(bytes));
    for (name, event) in [("events/keep", UsageEvent::Keep), ("events/remove", UsageEvent::Remove)] {
        let filter = || UsageFilter::new(UsageReader::new(AnswerFormat::OpenAi, AnswerFraming::Events), event);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || (filter(), chunks.clone()),
                |(mut filter, chunks)| {
                    let passed: usize = chunks.into_iter().map(|chunk| filter.push(chunk).len()).sum();
                    (passed, filter)
                },
                BatchSize::SmallInput,
            );
        });
    }
    let text = "An answer with \\\"quotes\\\", line\\nbreaks and 模型. ".repeat(6000);
    let answer =
        format!("{{\"choices\":[{{\"message\":{{\"content\":\"{text}\"}}}}],\"usage\":{{\"prompt_tokens\":9}}}}");
    group.throughput(Throughput::Bytes(answer.len() as u64));
    group.bench_function("json", |bencher| {
        bencher.iter(|| {
            let mut reader = UsageReader::new(AnswerFormat::OpenAi, AnswerFraming::Json);
            answer.as_bytes().chunks(16 << 10).for_each(|chunk| reader.push(chunk));
            reader
        });
    });
    group.finish();
}

criterion_group!(benches, scanning);
criterion_main!(benches);
