//! Translates what comes as lines of JSON, for scripts that look at what goes out:
//! `{"client", "upstream", "kind": request | answer | stream, "model", "body", "request"}`, where `body` is a text and
//! `request` the request that an answer is to. Each line has a line of answer: `{"out", "losses"}` or `{"refusal"}`.

use std::io::{BufRead, Write};

use pointsman_translation::{
    AnswerDetails, DialectFamily, RequestMemo, Translation, TranslationRefusal, TranslationTarget,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Job {
    client: String,
    upstream: String,
    kind: String,
    #[serde(default)]
    model: String,
    body: String,
    #[serde(default)]
    request: Option<String>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let job: Job = serde_json::from_str(&line?)?;
        let translation = Translation { client: family(&job.client)?, upstream: family(&job.upstream)? };
        let answer = match translate(translation, &job) {
            Ok((body, losses)) => serde_json::json!({"out": String::from_utf8(body)?, "losses": losses}),
            Err(refusal) => serde_json::json!({"refusal": refusal.to_string()}),
        };
        writeln!(out, "{answer}")?;
    }
    Ok(())
}

fn family(name: &str) -> Result<DialectFamily, String> {
    let found = DialectFamily::ALL.into_iter().find(|family| family.as_str() == name);
    found.ok_or_else(|| format!("{name} is no API (allowed: chat, responses, messages, gemini)"))
}

fn translate(translation: Translation, job: &Job) -> Result<(Vec<u8>, String), TranslationRefusal> {
    let target = TranslationTarget { model: &job.model, max_output: None };
    if job.kind == "request" {
        let translated = translation.request(job.body.as_bytes(), &target)?;
        return Ok((translated.body, translated.losses.to_string()));
    }
    let memo = match &job.request {
        Some(request) => translation.request_with_losses(request.as_bytes(), &target)?.memo,
        None => RequestMemo::default(),
    };
    let details = AnswerDetails { now: 1_764_000_000, unique: "u1", memo: &memo };
    if job.kind == "answer" {
        return Ok((translation.answer(job.body.as_bytes(), &details)?, String::new()));
    }
    let mut stream = translation.stream(&details);
    let mut out = Vec::new();
    for piece in job.body.as_bytes().chunks(97) {
        out.extend(stream.push(piece));
    }
    out.extend(stream.finish());
    Ok((out, String::new()))
}
