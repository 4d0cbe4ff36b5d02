//! What a request would lose on its way to each model whose provider does not speak the client's API.

use std::collections::BTreeMap;

use pointsman_core::prompt::BodyEdits;
use pointsman_translation::{Loss, TranslationRefusal};
use serde_json::{Value, json};

use crate::router::IncomingRequest;
use crate::snapshot::Snapshot;
use crate::upstream::TranslationPreview;

/// Adds to each of an explanation's candidates the translation that the request would go through, with the parameters that
/// rules set; null where there is none.
pub(super) fn add(explanation: &mut Value, set: &BTreeMap<String, Value>, of: (&Snapshot, &IncomingRequest<'_>)) {
    let (snapshot, incoming) = of;
    let Some(candidates) = explanation.get_mut("candidates").and_then(Value::as_array_mut) else { return };
    let dialect = incoming.prompt.dialect;
    let (body, _) = BodyEdits::new(&[], &BTreeMap::new(), set).apply_around(incoming.body, 0..0);
    for candidate in candidates {
        let deployment = candidate["model"].as_str().and_then(|model| snapshot.upstreams.model(model));
        let preview = deployment.and_then(|deployment| deployment.translation_preview(dialect, &body));
        candidate["translation"] = preview.as_ref().map_or(Value::Null, shown);
    }
}

fn shown(preview: &TranslationPreview) -> Value {
    let (losses, header, problem) = match &preview.losses {
        Ok(report) => (report.losses().iter().map(loss).collect(), report.to_string(), None),
        Err(TranslationRefusal::Unsayable(refused)) => (vec![loss(refused)], String::new(), None),
        Err(refusal) => (Vec::new(), String::new(), Some(refusal.to_string())),
    };
    json!({
        "from": preview.client.as_str(),
        "to": preview.upstream.map(pointsman_translation::DialectFamily::as_str),
        "losses": losses,
        "summary": header,
        "problem": problem,
    })
}

fn loss(loss: &Loss) -> Value {
    json!({"field": loss.field.as_str(), "kind": loss.kind.as_str(), "place": loss.place, "detail": loss.detail})
}
