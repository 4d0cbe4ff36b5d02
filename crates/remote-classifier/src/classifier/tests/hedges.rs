//! Second requests and the servers that they overtake.

use super::*;

/// Asks two servers, which answer at once, until it is known what is slow.
async fn practise(classifier: &RemoteClassifier, servers: &mut [ScriptedServer; 2]) {
    for text in 0..30 {
        let scored = spawned(classifier, &format!("text {text}"));
        let [one, other] = &mut *servers;
        tokio::select! {
            asked = one.next() => asked.answer(),
            asked = other.next() => asked.answer(),
        }
        assert_eq!(scored.await.expect("no panic"), Ok(0.1));
        // One that was slow by chance may have been sent twice.
        while servers.iter_mut().any(|server| server.asked.try_recv().is_ok()) {}
    }
}

#[tokio::test]
async fn a_server_that_hangs_while_others_answer_second_requests_is_left_alone() {
    let mut servers = [ScriptedServer::start().await, ScriptedServer::start().await];
    let addresses = [servers[0].address, servers[1].address];
    let breaker = json!({"failures": 3, "rest": "1h"});
    let hedge = json!({"budget": 1.0, "quantile": 0.9});
    let classifier = known(&addresses, &json!({"hedge": hedge, "breaker": breaker}));
    practise(&classifier, &mut servers).await;

    let [mut hung, well] = servers;
    well.answer_all();
    let mut open = Vec::new();
    let mut text = 0;
    soon(async {
        while !classifier.trouble().is_some_and(|trouble| trouble.contains(&hung.address.to_string())) {
            assert_eq!(complex(&classifier, &format!("later {text}")).await, Ok(0.1));
            text += 1;
            open.extend(hung.asked.try_recv());
        }
    })
    .await;
    let asked_until_then = open.len();
    for text in 0..5 {
        assert_eq!(complex(&classifier, &format!("much later {text}")).await, Ok(0.1));
    }

    assert!(asked_until_then >= 3 && hung.asked.try_recv().is_err(), "{asked_until_then}");
    assert_eq!(classifier.down(), None, "the other serves");
}

#[tokio::test]
async fn the_only_server_is_not_blamed_for_a_request_that_its_second_overtook() {
    let mut server = ScriptedServer::start().await;
    let (hedge, breaker) = (json!({"budget": 1.0, "quantile": 0.9}), json!({"failures": 1, "rest": "1h"}));
    let classifier = known(&[server.address], &json!({"hedge": hedge, "breaker": breaker}));
    for text in 0..30 {
        let scored = spawned(&classifier, &format!("text {text}"));
        server.next().await.answer();
        assert_eq!(scored.await.expect("no panic"), Ok(0.1));
        while server.asked.try_recv().is_ok() {}
    }

    let scored = spawned(&classifier, "hard");
    let _slow = server.next().await;
    server.next().await.answer();

    assert_eq!((scored.await.expect("no panic"), classifier.down()), (Ok(0.9), None));
}
