//! The way from the store to a channel: gathered, retried, given up, never lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alerts::{Dispatcher, End, Sender};
use kit::{
    Reach,
    testing::{Reply, Server},
};
use records::{ChannelId, RuleId};
use serde_json::json;
use store::{AlertStep, DispatchFilter, DispatchRow, DispatchState, Keyring, NewAlert, Store, Subject};

use crate::scene::{Counting, HandClock, NOW, author};

fn keyring(letter: &str) -> Keyring {
    Keyring::of_text(&format!("{}A=", letter.repeat(42)), Arc::new(Counting::default())).unwrap()
}

struct Scene {
    store: Store,
    clock: Arc<HandClock>,
    random: Arc<Counting>,
    dispatcher: Dispatcher,
    rule: RuleId,
    channel: ChannelId,
}

impl Scene {
    async fn new(url: &str) -> Self {
        let clock = HandClock::new(NOW);
        let random = Arc::new(Counting::default());
        let store = Store::open_in_memory(Arc::<HandClock>::clone(&clock)).await.unwrap();
        let document = json!({ "type": "webhook", "url": url, "secret": "a secret of many letters" });
        let keyring = keyring("B");
        let document = alerts::seal_channel("ops", &document, None, &keyring).unwrap();
        let channel = store.create_channel("ops", &document, &author()).await.unwrap().id;
        let rule = json!({ "when": { "failed": {} }, "channels": ["ops"] });
        let rule = store.create_alert_rule("production", &rule, &author()).await.unwrap().id;
        let dispatcher = Dispatcher {
            store: store.clone(),
            sender: Sender { clock: Arc::<HandClock>::clone(&clock), reach: Reach::Any },
            random: Arc::<Counting>::clone(&random),
            keyring,
            public_url: None,
        };
        Self { store, clock, random, dispatcher, rule, channel }
    }

    async fn raise(&self, mapping: &str) {
        let alert = NewAlert {
            rule: self.rule,
            rule_name: "production".to_owned(),
            kind: "failed".to_owned(),
            subject: Subject { kind: "mapping".to_owned(), name: mapping.to_owned() },
            message: "it broke".to_owned(),
            details: json!({}),
            sync: None,
        };
        let step = AlertStep::Raise { alert, happened_at: None, is_told: true, channels: vec![self.channel] };
        self.store.take_alert_steps(&[step], Duration::from_secs(10), &*self.random).await.unwrap();
    }

    async fn send(&self) -> usize {
        self.dispatcher.send_due().await.unwrap()
    }

    async fn only(&self) -> DispatchRow {
        let mut rows = self.store.dispatches(&DispatchFilter::default(), None, 10).await.unwrap();
        assert_eq!(rows.len(), 1);
        rows.remove(0)
    }
}

#[tokio::test]
async fn what_happened_together_is_sent_together_once() {
    let server = Server::start(|_| Reply::status(204)).await.unwrap();
    let scene = Scene::new(&server.url()).await;
    scene.raise("people").await;
    scene.raise("orders").await;
    assert_eq!(scene.send().await, 0, "it is gathered for a while");
    scene.clock.pass(10);
    assert_eq!(scene.send().await, 1);
    assert_eq!(scene.send().await, 0);
    let body = server.received()[0].json();
    assert_eq!(body["message"], "2 alerts: 2 new");
    let sent = scene.only().await;
    assert_eq!((sent.state, sent.answer.as_deref()), (DispatchState::Sent, Some("status 204")));
    assert_eq!(body["id"], sent.id.to_string());
}

#[tokio::test]
async fn a_receiver_that_is_away_gets_the_same_message_when_it_is_back() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let server = Server::start(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0..4 => Reply::status(503),
        _ => Reply::status(200),
    })
    .await
    .unwrap();
    let scene = Scene::new(&server.url()).await;
    scene.raise("people").await;
    scene.clock.pass(10);
    let mut pauses = Vec::new();
    for _ in 0..4 {
        scene.send().await;
        let waiting = scene.only().await;
        assert_eq!(waiting.state, DispatchState::Pending);
        // Down to whole seconds.
        let pause = waiting.next_attempt_at.as_second() - scene.clock.0.load(Ordering::SeqCst);
        pauses.push(pause);
        scene.clock.pass(pause - 1);
        assert_eq!(scene.send().await, 0, "not before its time");
        scene.clock.pass(2);
    }
    for (pause, expected) in pauses.iter().zip([15.0, 30.0, 60.0, 120.0]) {
        let range = expected * 0.8 - 1.0..=expected * 1.2 + 1.0;
        assert!(range.contains(&(*pause as f64)), "{pauses:?}");
    }
    scene.send().await;
    assert_eq!(scene.only().await.state, DispatchState::Sent);
    let bodies: Vec<_> = server.received().iter().map(kit::testing::Received::text).collect();
    assert_eq!(bodies.len(), 5);
    assert!(bodies.iter().all(|body| *body == bodies[0]), "a repeat can be told by its id");
}

#[tokio::test]
async fn a_message_is_given_up_after_a_day_and_after_an_hour_of_refusals() {
    for (status, at_least, at_most) in [(503, 20 * 3_600, 24 * 3_600), (404, 1_800, 3_600)] {
        let server = Server::start(move |_| Reply::status(status)).await.unwrap();
        let scene = Scene::new(&server.url()).await;
        scene.raise("people").await;
        let mut last = 0;
        loop {
            scene.clock.pass(10);
            if scene.send().await > 0 {
                last = scene.clock.0.load(Ordering::SeqCst) - NOW;
            }
            match scene.only().await {
                DispatchRow { state: DispatchState::Failed, answer, .. } => {
                    assert!(answer.unwrap().starts_with(&format!("status {status}")));
                    break;
                }
                waiting => {
                    assert!(last <= at_most, "{status} is still tried after {last} s");
                    // On to the next attempt.
                    let now = scene.clock.0.load(Ordering::SeqCst);
                    scene.clock.pass((waiting.next_attempt_at.as_second() - now - 10).max(0));
                }
            }
        }
        assert!((at_least..=at_most).contains(&last), "{status} was given up after {last} s");
        // A person may have it sent after all.
        let again = scene.store.retry_dispatch(scene.only().await.id, &author()).await.unwrap();
        assert_eq!(again.state, DispatchState::Pending);
        assert_eq!(scene.send().await, 1);
    }
}

#[tokio::test]
async fn a_process_that_ends_while_it_sends_loses_nothing() {
    let server =
        Server::start(|request| if request.number == 0 { Reply::Silence } else { Reply::status(204) }).await.unwrap();
    let scene = Scene::new(&server.url()).await;
    scene.raise("people").await;
    scene.clock.pass(10);
    let sending = tokio::spawn({
        let dispatcher = scene.dispatcher.clone();
        async move { dispatcher.send_due().await }
    });
    while server.received().is_empty() {
        tokio::task::yield_now().await;
    }
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
    assert_eq!(scene.only().await.state, DispatchState::Pending);
    scene.clock.pass(600);
    assert_eq!(scene.send().await, 1);
    assert_eq!(scene.only().await.state, DispatchState::Sent);
    let received = server.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].header("outflow-dispatch"), received[1].header("outflow-dispatch"));
}

#[tokio::test]
async fn a_channel_whose_secrets_cannot_be_opened_keeps_its_messages() {
    let server = Server::start(|_| Reply::status(204)).await.unwrap();
    let scene = Scene::new(&server.url()).await;
    scene.raise("people").await;
    scene.clock.pass(10);
    let locked = Dispatcher { keyring: keyring("C"), ..scene.dispatcher.clone() };
    assert_eq!(locked.send_due().await.unwrap(), 1);
    let waiting = scene.only().await;
    assert_eq!(waiting.state, DispatchState::Pending);
    let answer = waiting.answer.unwrap();
    assert!(answer.starts_with("the channel's secrets cannot be opened"), "{answer}");
    let channel = scene.store.channel("ops").await.unwrap();
    assert_eq!(locked.test(&channel).await.answer, answer);
    assert_eq!(scene.dispatcher.test(&channel).await.end, End::Sent);
    scene.clock.pass(60);
    assert_eq!(scene.send().await, 1);
    assert_eq!(scene.only().await.state, DispatchState::Sent);
}
