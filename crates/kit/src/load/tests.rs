//! Tests of the loader, under a paused clock, with a destination that follows a script.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use mapping::SyncMode;
use records::{Outcome, OutcomeKind, Value};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::testing::{TestClock, TestRandom, load_all, payload};
use crate::{
    Batch, BatchLimits, DeliveryError, Destination, Facts, Fate, LoadPlan, LoadStop, Payload, RetrySettings, Wire, load,
};

type Answer = Result<Vec<Outcome>, DeliveryError>;
type Script = dyn Fn(usize, &Batch) -> Answer + Send + Sync;

struct Fake {
    facts: Facts,
    script: Box<Script>,
    calls: Mutex<Vec<(Instant, Vec<u64>)>>,
    finished: Mutex<Vec<Result<(), DeliveryError>>>,
    abandoned: Mutex<u32>,
    takes: Duration,
    under_way: Mutex<(usize, usize)>,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

#[async_trait]
impl Destination for Fake {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    async fn check(&self, _wire: &Wire) -> Result<String, DeliveryError> {
        Ok(String::new())
    }

    async fn deliver(&self, batch: &Batch, _wire: &Wire) -> Answer {
        let number = {
            let mut calls = self.calls.lock().unwrap();
            calls.push((Instant::now(), batch.records.iter().map(|record| record.index).collect()));
            calls.len() - 1
        };
        {
            let mut under_way = self.under_way.lock().unwrap();
            under_way.0 += 1;
            under_way.1 = under_way.1.max(under_way.0);
        }
        tokio::time::sleep(self.takes).await;
        self.under_way.lock().unwrap().0 -= 1;
        (self.script)(number, batch)
    }

    fn group(&self, _action: &str, payload: &Payload) -> String {
        payload.fields.get("group").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    async fn finish(&self, _action: &str, _sync: &str, _wire: &Wire) -> Result<(), DeliveryError> {
        self.finished.lock().unwrap().pop().unwrap_or(Ok(()))
    }

    async fn abandon(&self, _action: &str, _sync: &str) {
        *self.abandoned.lock().unwrap() += 1;
    }
}

fn fake(batch: &str, script: impl Fn(usize, &Batch) -> Answer + Send + Sync + 'static) -> Fake {
    let facts = format!(
        "{{ slug: fake, name: Fake, limits: {{ concurrency: 2 }}, actions: [{{ slug: put, name: Put, fields: [], modes: [mirror], {batch} }}] }}"
    );
    Fake {
        facts: Facts::parse(&facts).unwrap(),
        script: Box::new(script),
        calls: Mutex::default(),
        finished: Mutex::default(),
        abandoned: Mutex::default(),
        takes: Duration::from_millis(10),
        under_way: Mutex::default(),
    }
}

fn plan(fake: &Arc<Fake>) -> LoadPlan {
    LoadPlan {
        destination: Arc::clone(fake) as Arc<dyn Destination>,
        wire: Wire::detached(fake.facts.limits, TestClock::new()),
        action: "put".to_owned(),
        mode: SyncMode::Mirror,
        sync: "sync_1".to_owned(),
        batching: true,
        settings: Arc::default(),
        batch: None,
        batch_keys: Vec::new(),
        jobs: None,
        retry: RetrySettings::default(),
    }
}

fn payloads(count: u64) -> Vec<Payload> {
    (0..count).map(|index| payload(index, Value::Object(records::Object::new()))).collect()
}

fn all_delivered(batch: &Batch) -> Answer {
    Ok(vec![Outcome::Delivered; batch.records.len()])
}

fn kinds(fates: &[Fate]) -> Vec<OutcomeKind> {
    fates.iter().map(|fate| fate.outcome.kind()).collect()
}

async fn run(fake: Fake, count: u64) -> (Arc<Fake>, Vec<Fate>, Result<(), LoadStop>) {
    let fake = Arc::new(fake);
    let (fates, result) = load_all(&plan(&fake), payloads(count)).await;
    // No payload has two fates.
    let mut seen = HashMap::new();
    for fate in &fates {
        assert!(seen.insert(fate.index, ()).is_none(), "two fates for {}", fate.index);
    }
    (fake, fates, result)
}

const TEN: &str = "batch: { records_max: 10 }";

#[tokio::test(start_paused = true)]
async fn every_payload_gets_one_fate_in_batches_within_the_limits() {
    let (fake, fates, result) = run(fake(TEN, |_, batch| all_delivered(batch)), 95).await;
    assert_eq!(result, Ok(()));
    assert_eq!(kinds(&fates), vec![OutcomeKind::Delivered; 95]);
    let calls = fake.calls.lock().unwrap();
    assert_eq!(calls.len(), 10);
    assert!(calls.iter().all(|(_, records)| records.len() <= 10));
    assert_eq!(fake.under_way.lock().unwrap().1, 2, "the facts' concurrency is used and not exceeded");
}

#[tokio::test(start_paused = true)]
async fn batches_keep_the_limit_on_bytes_and_a_payload_beyond_it_is_rejected() {
    let fake = Arc::new(fake("batch: { records_max: 100, bytes_max: 60 }", |_, batch| all_delivered(batch)));
    let mut all = Vec::new();
    for index in 0..6 {
        let text = if index == 3 { "x".repeat(80) } else { "x".repeat(10) };
        all.push(payload(index, serde_json::json!({ "a": text }).into()));
    }
    let (fates, result) = load_all(&plan(&fake), all).await;
    assert_eq!(result, Ok(()));
    assert_eq!(fates[3].outcome.code(), Some("too_large"));
    assert_eq!(fates[3].attempts, 0);
    assert_eq!(fates.iter().filter(|fate| fate.outcome.is_delivered()).count(), 5);
    // 18 bytes each, and a comma.
    assert!(fake.calls.lock().unwrap().iter().all(|(_, records)| records.len() <= 3));
}

#[tokio::test(start_paused = true)]
async fn payloads_of_different_groups_are_never_in_one_batch() {
    let fake = Arc::new(fake(TEN, |_, batch| {
        let groups: Vec<_> = batch.records.iter().map(|record| record.fields.get("group").cloned()).collect();
        assert!(groups.windows(2).all(|pair| pair[0] == pair[1]));
        all_delivered(batch)
    }));
    let all = (0..40).map(|index| payload(index, serde_json::json!({ "group": (index % 3).to_string() }).into()));
    let (fates, result) = load_all(&plan(&fake), all.collect()).await;
    assert_eq!((fates.len(), result), (40, Ok(())));
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_is_split_down_to_the_bad_record() {
    let bad = |batch: &Batch| batch.records.iter().any(|record| record.index == 7);
    let script = move |_: usize, batch: &Batch| {
        if bad(batch) {
            Err(DeliveryError::Refused { code: "invalid".into(), message: "email is wrong".into() })
        } else {
            all_delivered(batch)
        }
    };
    let (fake, fates, result) = run(fake(TEN, script), 20).await;
    assert_eq!(result, Ok(()));
    assert_eq!(fates[7].outcome, Outcome::rejected("invalid", "email is wrong"));
    assert_eq!(fates.iter().filter(|fate| fate.outcome.is_delivered()).count(), 19);
    assert!(fake.calls.lock().unwrap().len() <= 10);
}

fn refused() -> Answer {
    Err(DeliveryError::Refused { code: "http_404".into(), message: "no such page".into() })
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_refuses_every_record_ends_the_load_with_the_rest_pending() {
    for batch in ["batch: { records_max: 100 }", "batch: { records_max: 1 }"] {
        let (fake, fates, result) = run(fake(batch, |_, _| refused()), 50_000).await;
        let stop = LoadStop::Refusing { records: 200, code: "http_404".into(), message: "no such page".into() };
        assert_eq!(result, Err(stop.clone()));
        assert!(stop.to_string().contains("200 sent one by one were all refused (http_404): no such page; see that"));
        let calls = fake.calls.lock().unwrap().len();
        assert!(calls <= 300, "{calls}");
        let rejected = fates.iter().filter(|fate| fate.outcome.kind() == OutcomeKind::Rejected).count();
        assert!((200..=204).contains(&rejected), "{rejected}");
        assert!(fates.len() <= 600, "{}", fates.len());
        // What was refused only together with others is not called bad.
        let others = fates.iter().filter(|fate| fate.outcome.kind() != OutcomeKind::Rejected);
        others.for_each(|fate| assert_eq!(fate.outcome, Outcome::retry("http_404", "no such page")));
    }
}

#[tokio::test(start_paused = true)]
async fn bad_records_in_front_do_not_keep_the_good_ones_behind_them_from_being_sent() {
    for batch in ["batch: { records_max: 100 }", "batch: { records_max: 1 }"] {
        let script = |_: usize, batch: &Batch| match batch.records.iter().any(|record| record.index < 1000) {
            true => refused(),
            false => all_delivered(batch),
        };
        let (_, fates, result) = run(fake(batch, script), 3000).await;
        assert_eq!((fates.len(), result), (3000, Ok(())));
        assert_eq!(fates.iter().filter(|fate| fate.outcome.is_delivered()).count(), 2000);
    }
    // Few enough are all tried.
    let (_, fates, result) = run(fake(TEN, |_, _| refused()), 150).await;
    assert_eq!((kinds(&fates), result), (vec![OutcomeKind::Rejected; 150], Ok(())));
}

#[tokio::test(start_paused = true)]
async fn partial_results_touch_only_their_records() {
    let script = |number: usize, batch: &Batch| {
        Ok(batch
            .records
            .iter()
            .map(|record| match record.index {
                2 => Outcome::rejected("bad", "no"),
                4 if number == 0 => Outcome::retry("busy", "later"),
                _ => Outcome::Delivered,
            })
            .collect())
    };
    let (fake, fates, result) = run(fake(TEN, script), 6).await;
    assert_eq!(result, Ok(()));
    assert_eq!(fates[2].outcome, Outcome::rejected("bad", "no"));
    assert_eq!(fates[4].attempts, 2);
    assert_eq!(fates.iter().filter(|fate| fate.outcome.is_delivered()).count(), 5);
    assert_eq!(fake.calls.lock().unwrap()[1].1, [4], "only the record that asked for it is sent again");
}

#[tokio::test(start_paused = true)]
async fn fewer_results_than_records_leave_all_in_doubt() {
    let (_, fates, result) = run(fake(TEN, |_, _| Ok(vec![Outcome::Delivered])), 3).await;
    assert_eq!(result, Ok(()));
    assert_eq!(kinds(&fates), vec![OutcomeKind::InDoubt; 3]);
    assert_eq!(fates[0].outcome.message(), Some("1 results came back for 3 records"));
    let (_, fates, _) = run(fake(TEN, |_, _| Ok(vec![Outcome::Delivered; 4])), 3).await;
    assert_eq!(kinds(&fates), vec![OutcomeKind::InDoubt; 3]);
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_tried_again_and_ends_in_doubt() {
    let lost = || Err(DeliveryError::NoAnswer { message: "timed out".into() });
    let (fake1, fates, result) =
        run(fake(TEN, move |number, batch| if number < 2 { lost() } else { all_delivered(batch) }), 3).await;
    assert_eq!((kinds(&fates), result), (vec![OutcomeKind::Delivered; 3], Ok(())));
    assert_eq!(fates[0].attempts, 3);
    drop(fake1);
    let (fake2, fates, result) = run(fake(TEN, move |_, _| lost()), 3).await;
    assert_eq!((kinds(&fates), result), (vec![OutcomeKind::InDoubt; 3], Ok(())));
    assert_eq!(fake2.calls.lock().unwrap().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_record_once_in_doubt_stays_so_when_later_attempts_only_fail() {
    let script = |number: usize, _: &Batch| match number {
        0 => Err(DeliveryError::NoAnswer { message: "timed out".into() }),
        _ => Err(DeliveryError::Failed { code: "http_500".into(), message: "oops".into() }),
    };
    let (_, fates, _) = run(fake(TEN, script), 1).await;
    assert_eq!(kinds(&fates), [OutcomeKind::InDoubt]);
    let (_, fates, _) =
        run(fake(TEN, |_, _| Err(DeliveryError::Failed { code: "http_500".into(), message: "oops".into() })), 1).await;
    assert_eq!(fates[0].outcome, Outcome::retry("http_500", "oops"));
    assert_eq!(fates[0].attempts, 6);
}

#[tokio::test(start_paused = true)]
async fn an_answer_not_understood_is_never_delivered() {
    let (_, fates, _) =
        run(fake(TEN, |_, _| Err(DeliveryError::UnexpectedAnswer { message: "an HTML page".into() })), 2).await;
    assert_eq!(kinds(&fates), vec![OutcomeKind::InDoubt; 2]);
    assert!(fates[0].outcome.message().unwrap().contains("HTML"));
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_stop_at_once_and_leave_the_rest_pending() {
    let script = |_: usize, _: &Batch| Err(DeliveryError::CredentialsRefused { message: "status 401".into() });
    let (fake, fates, result) = run(fake(TEN, script), 1000).await;
    assert_eq!(result, Err(LoadStop::CredentialsRefused { message: "status 401".into() }));
    assert!(fake.calls.lock().unwrap().len() <= 2, "no call begins after the first was refused");
    assert!(fates.len() <= 20);
    assert!(fates.iter().all(|fate| fate.outcome.code() == Some("credentials_refused")));
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_destination_stops_the_load_and_nothing_has_a_fate() {
    let script = |_: usize, _: &Batch| Err(DeliveryError::Unreachable { message: "refused".into() });
    let (fake, fates, result) = run(fake(TEN, script), 100).await;
    assert_eq!(result, Err(LoadStop::Unreachable { message: "refused".into() }));
    assert!(fates.is_empty());
    assert!(fake.calls.lock().unwrap().len() >= 6);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_keeps_failing_ends_the_load() {
    let script = |_: usize, _: &Batch| Err(DeliveryError::Failed { code: "http_500".into(), message: "oops".into() });
    let (fake, fates, result) = run(fake(TEN, script), 100_000).await;
    assert!(matches!(result, Err(LoadStop::Failing { .. })), "{result:?}");
    assert!(fates.len() <= 80, "{}", fates.len());
    assert!(fates.iter().all(|fate| fate.outcome.kind() == OutcomeKind::Retry));
    assert!(fake.calls.lock().unwrap().len() <= 60);
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_wait_pauses_the_whole_destination() {
    let wait = Duration::from_secs(40);
    let script = move |number: usize, batch: &Batch| match number {
        0 => Err(DeliveryError::RateLimited { after: Some(wait) }),
        _ => all_delivered(batch),
    };
    let mut slow = fake(TEN, script);
    slow.takes = Duration::ZERO;
    let begun = Instant::now();
    let (fake, fates, result) = run(slow, 60).await;
    assert_eq!((kinds(&fates), result), (vec![OutcomeKind::Delivered; 60], Ok(())));
    let calls = fake.calls.lock().unwrap();
    let before: Vec<_> = calls.iter().filter(|(at, _)| *at < begun + wait).collect();
    assert!(before.len() <= 2, "only what was under way goes on: {}", before.len());
}

#[tokio::test(start_paused = true)]
async fn rate_limits_do_not_use_up_the_attempts_but_the_time() {
    let script = |number: usize, batch: &Batch| match number {
        0..20 => Err(DeliveryError::RateLimited { after: Some(Duration::from_secs(1)) }),
        _ => all_delivered(batch),
    };
    let (_, fates, _) = run(fake(TEN, script), 1).await;
    assert_eq!((kinds(&fates), fates[0].attempts), (vec![OutcomeKind::Delivered], 21));
    let (_, fates, _) = run(fake(TEN, |_, _| Err(DeliveryError::RateLimited { after: None })), 1).await;
    assert_eq!(fates[0].outcome.code(), Some("rate_limited"));
}

#[tokio::test(start_paused = true)]
async fn delays_double_stay_under_their_bound_and_keep_the_destinations_wish() {
    let settings = RetrySettings::default();
    let random = TestRandom::new(7);
    for failures in 1..40 {
        let bound = Duration::from_secs(1 << (failures - 1).min(6)).min(Duration::from_secs(60));
        for _ in 0..50 {
            assert!(settings.delay(failures, None, random.as_ref()) <= bound);
        }
        let wished = settings.delay(failures, Some(Duration::from_secs(30)), random.as_ref());
        assert!((30.0..=31.0).contains(&wished.as_secs_f64()));
    }
    assert!(settings.delay(1, Some(Duration::from_secs(86_400)), random.as_ref()) <= Duration::from_secs(301));
}

#[tokio::test(start_paused = true)]
async fn cancelling_waits_for_calls_under_way_and_sends_no_more() {
    let mut slow = fake(TEN, |_, batch| all_delivered(batch));
    slow.takes = Duration::from_secs(5);
    let slow = Arc::new(slow);
    let plan = plan(&slow);
    let (input, from) = mpsc::channel(16);
    let (output, mut fates) = mpsc::channel(1024);
    let cancel = CancellationToken::new();
    let canceller = cancel.clone();
    let feed = async move {
        for payload in payloads(500) {
            if input.send(payload).await.is_err() {
                return;
            }
        }
    };
    let stop = async move {
        tokio::time::sleep(Duration::from_secs(7)).await;
        canceller.cancel();
    };
    let ((), (), result) = tokio::join!(feed, stop, load(&plan, from, output, cancel, TestRandom::new(1)));
    assert_eq!(result, Ok(()));
    let mut count = 0;
    while let Some(fate) = fates.recv().await {
        assert!(fate.outcome.is_delivered());
        count += 1;
    }
    // Two calls ended before the cancel, two were under way.
    assert_eq!((slow.calls.lock().unwrap().len(), count), (4, 40));
}

#[tokio::test(start_paused = true)]
async fn a_record_waiting_for_its_retry_gets_its_fate_when_the_load_is_cancelled() {
    let fake = Arc::new(fake(TEN, |_, _| Err(DeliveryError::NoAnswer { message: "timed out".into() })));
    let plan = plan(&fake);
    let (input, from) = mpsc::channel(16);
    let (output, mut fates) = mpsc::channel(16);
    let cancel = CancellationToken::new();
    input.send(payloads(1).remove(0)).await.unwrap();
    drop(input);
    let stop = async {
        tokio::time::sleep(Duration::from_millis(15)).await;
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(load(&plan, from, output, cancel.clone(), TestRandom::new(3)), stop);
    assert_eq!(result, Ok(()));
    let fate = fates.recv().await.unwrap();
    assert_eq!(fate.outcome.kind(), OutcomeKind::InDoubt);
    assert!(fates.recv().await.is_none());
}

const WHOLE: &str = "batch: { records_max: 10 }, whole: true";

#[tokio::test(start_paused = true)]
async fn a_whole_counts_as_delivered_only_when_it_was_finished() {
    let (_, fates, result) = run(fake(WHOLE, |_, batch| all_delivered(batch)), 25).await;
    assert_eq!((kinds(&fates), result), (vec![OutcomeKind::Delivered; 25], Ok(())));
    assert_eq!(fates[24].key, "24");

    let broken = fake(WHOLE, |_, batch| all_delivered(batch));
    *broken.finished.lock().unwrap() = vec![Err(DeliveryError::Settings { message: "disk full".into() })];
    let (broken, fates, result) = run(broken, 25).await;
    assert_eq!(result, Err(LoadStop::Settings { message: "disk full".into() }));
    assert_eq!(kinds(&fates), vec![OutcomeKind::Retry; 25]);
    assert_eq!(*broken.abandoned.lock().unwrap(), 1);

    let passing = fake(WHOLE, |_, batch| all_delivered(batch));
    *passing.finished.lock().unwrap() = vec![Err(DeliveryError::NoAnswer { message: "lost".into() }); 2];
    let (_, fates, result) = run(passing, 5).await;
    assert_eq!((kinds(&fates), result), (vec![OutcomeKind::Delivered; 5], Ok(())));
}

#[tokio::test(start_paused = true)]
async fn a_whole_that_lacks_a_record_is_abandoned_but_a_rejected_one_is_no_lack() {
    let script = |_: usize, batch: &Batch| {
        Ok(batch
            .records
            .iter()
            .map(|r| if r.index == 3 { Outcome::rejected("x", "y") } else { Outcome::Delivered })
            .collect())
    };
    let (fake1, fates, _) = run(fake(WHOLE, script), 5).await;
    assert_eq!(fates.iter().filter(|fate| fate.outcome.is_delivered()).count(), 4);
    assert_eq!(*fake1.abandoned.lock().unwrap(), 0);
    let script = |_: usize, batch: &Batch| {
        Ok(batch
            .records
            .iter()
            .map(|r| if r.index == 3 { Outcome::retry("x", "y") } else { Outcome::Delivered })
            .collect())
    };
    let (fake2, fates, _) = run(fake(WHOLE, script), 5).await;
    assert_eq!(kinds(&fates), vec![OutcomeKind::Retry; 5]);
    assert_eq!(*fake2.abandoned.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_mapping_may_lower_the_limits_of_its_action_and_not_raise_them() {
    let fake = Arc::new(fake(TEN, |_, batch| all_delivered(batch)));
    for (own, expected) in [(3, 3), (1000, 10)] {
        fake.calls.lock().unwrap().clear();
        let plan = LoadPlan { batch: Some(BatchLimits { records_max: own, bytes_max: usize::MAX }), ..plan(&fake) };
        let (fates, _) = load_all(&plan, payloads(30)).await;
        assert_eq!(fates.len(), 30);
        assert_eq!(fake.calls.lock().unwrap().iter().map(|(_, records)| records.len()).max(), Some(expected));
    }
}
