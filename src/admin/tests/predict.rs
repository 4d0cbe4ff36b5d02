//! `/predict` and `/predict/batch`.

use super::*;

#[tokio::test]
async fn a_text_is_predicted_as_a_chat_with_the_first_virtual_model() {
    let admin = Admin::of(Arc::default()).await;

    let (status, mut body) = admin.ask_json("POST /predict", r#"{"text": "hi"}"#).await;

    assert_eq!(status, 200);
    assert!(body["processing_time_ms"].take().as_f64().is_some_and(|time| time >= 0.0));
    assert_eq!(
        body,
        json!({
            "text": "hi", "score": 0.75, "route_label": "auto-for-hi", "label": "simple", "policy": "p",
            "reason": "tier", "processing_time_ms": null,
        })
    );
}

#[tokio::test]
async fn a_batch_is_predicted_in_its_order_and_for_the_model_that_is_named() {
    let admin = Admin::of(Arc::default()).await;

    let (status, body) = admin.ask_json("POST /predict/batch", r#"{"texts": ["b", "a"], "model": "m"}"#).await;

    let routes: Vec<_> =
        body["predictions"].as_array().expect("predictions").iter().map(|one| &one["route_label"]).collect();
    assert_eq!((status, routes), (200, vec![&json!("m-for-b"), &json!("m-for-a")]));
    assert_eq!(body["results"], body["predictions"], "the key that came first stays");
    let (total, average) = (&body["total_processing_time_ms"], &body["average_processing_time_ms"]);
    assert!(total.as_f64() >= average.as_f64(), "{body}");
}

#[tokio::test]
async fn what_cannot_be_predicted_is_refused_with_the_reason() {
    let admin = Admin::of(Arc::default()).await;
    let nameless = Admin::of(Arc::new(Scripted { unready: true, ..Scripted::default() })).await;
    let refused = async |admin: &Admin, line, body| {
        let (status, body) = admin.ask_json(line, body).await;
        (status, body["error"]["message"].as_str().expect("a message").to_owned())
    };

    assert_eq!(
        refused(&admin, "POST /predict", r#"{"txet": "hi"}"#).await,
        (
            400,
            "The request body cannot be read: unknown field `txet`, expected `text` or `model` at line 1 column 7."
                .into()
        )
    );
    assert_eq!(
        refused(&admin, "POST /predict/batch", r#"{"texts": []}"#).await,
        (400, "`texts` has 0 texts (allowed: 1 to 1000).".into())
    );
    assert_eq!(
        refused(&nameless, "POST /predict", r#"{"text": "hi"}"#).await,
        (400, "No policy matches a model by name: say which `model` is asked for.".into())
    );
}
