//! Alerts in the store: rules and channels, steps and what is sent of them, who reads and who looks.

use std::{sync::Arc, time::Duration};

use records::{ChannelId, DispatchId};
use serde_json::json;

use super::*;
use crate::{
    AuditFilter, Cause, Change, DueRow, Edit, Keyring, NewRun, ResourceKind, SyncState, Task, Through,
    testing::{Counting, HandClock, author, new_sync, on_both_databases, second, sync_id},
};

on_both_databases!(
    a_rule_lives_from_its_making_to_its_end_and_every_change_is_in_the_audit_log,
    a_rule_that_was_changed_meanwhile_is_left_alone,
    names_that_cannot_be_are_refused,
    a_channel_that_a_rule_names_stays,
    a_channels_secrets_are_sealed_with_the_newest_key_when_keys_change,
    an_alert_begins_once_however_often_it_is_found,
    an_alert_ends_once_and_may_begin_anew,
    what_happened_in_a_moment_is_written_down_once,
    events_that_come_together_are_sent_together,
    a_message_that_was_tried_takes_no_more_events,
    a_message_is_taken_by_one_and_comes_back_if_nothing_is_heard_of_it,
    a_message_is_tried_again_given_up_and_sent_after_all,
    a_late_word_of_a_lost_attempt_counts_only_if_it_got_through,
    events_are_listed_by_what_they_are_about_and_read_by_each_person,
    an_alert_is_acknowledged_once_and_muted_as_often_as_wished,
    one_watches_and_goes_on_where_the_one_before_stopped,
    a_clock_that_was_set_back_stops_no_watch,
    syncs_are_found_by_their_end,
    mappings_are_found_with_what_they_use_and_when_they_are_due,
    columns_are_noted_and_their_changes_kept,
    old_alerts_are_forgotten_with_all_that_hangs_on_them,
);

const GATHER: Duration = Duration::from_secs(10);
const LEASE: Duration = Duration::from_secs(60);

async fn channel(store: &Store, name: &str) -> ChannelRow {
    let document = json!({ "type": "webhook", "url": "https://example.com" });
    store.create_channel(name, &document, &author("anna")).await.unwrap()
}

async fn rule(store: &Store, name: &str) -> AlertRuleRow {
    store.create_alert_rule(name, &json!({ "when": { "failed": {} } }), &author("anna")).await.unwrap()
}

fn raise(rule: &AlertRuleRow, mapping: &str, channels: &[ChannelId]) -> AlertStep {
    let alert = NewAlert {
        rule: rule.id,
        rule_name: rule.name.clone(),
        kind: "failed".to_owned(),
        subject: Subject { kind: "mapping".to_owned(), name: mapping.to_owned() },
        message: format!("{mapping} failed"),
        details: json!({ "code": "x" }),
        sync: Some(sync_id(1)),
    };
    AlertStep::Raise { alert, happened_at: None, is_told: !channels.is_empty(), channels: channels.to_vec() }
}

fn end(alert: AlertId, channels: &[ChannelId]) -> AlertStep {
    let message = "well again".to_owned();
    AlertStep::End { alert, change: AlertChange::Recovered, message, channels: channels.to_vec() }
}

async fn take(store: &Store, steps: &[AlertStep]) -> usize {
    store.take_alert_steps(steps, GATHER, &Counting).await.unwrap()
}

async fn messages(store: &Store) -> Vec<DispatchRow> {
    let mut rows = store.dispatches(&DispatchFilter::default(), None, 100).await.unwrap();
    rows.reverse();
    rows
}

async fn told_in(store: &Store, dispatch: DispatchId) -> Vec<String> {
    let events = store.events_of_dispatch(dispatch).await.unwrap();
    events.iter().map(|event| format!("{} {}", event.change.name(), event.message)).collect()
}

async fn audited(store: &Store) -> Vec<String> {
    let entries = store.audit(&AuditFilter::default(), None, 100).await.unwrap();
    let mut told: Vec<_> =
        entries.iter().map(|entry| format!("{} {} {}", entry.action, entry.subject_name, entry.details)).collect();
    told.sort();
    told
}

async fn a_rule_lives_from_its_making_to_its_end_and_every_change_is_in_the_audit_log(
    store: Store,
    clock: Arc<HandClock>,
) {
    let anna = author("anna");
    let made = rule(&store, "production").await;
    assert_eq!((made.version, made.enabled, made.muted_until), (1, true, None));
    assert_eq!(store.alert_rule("production").await.unwrap(), made);
    assert_eq!(store.alert_rule(&made.id.to_string()).await.unwrap(), made);

    clock.set(1_010);
    let document = json!({ "when": { "held": {} }, "enabled": false });
    let changed = store.replace_alert_rule("production", Some(1), &document, &anna).await.unwrap();
    assert_eq!((changed.version, changed.enabled, changed.updated_at), (2, false, second(1_010)));
    assert_eq!(changed.updated_by, anna.actor);
    let again = store.replace_alert_rule("production", Some(2), &document, &anna).await.unwrap();
    assert_eq!(again.version, 2, "the same again is no change");
    let muted = store.mute_alert_rule("production", Some(second(2_000)), &anna).await.unwrap();
    assert_eq!((muted.version, muted.muted_until), (3, Some(second(2_000))));
    assert_eq!(store.alert_rule("production").await.unwrap(), muted);

    take(&store, &[raise(&muted, "people", &[])]).await;
    store.remove_alert_rule("production", Some(3), &anna).await.unwrap();
    assert!(matches!(store.alert_rule("production").await, Err(AlertError::Missing { .. })));
    assert!(store.open_alerts().await.unwrap().is_empty(), "its alerts end with it");
    assert_eq!(
        audited(&store).await,
        [
            r#"alert_rule.create production {"version":1}"#,
            r#"alert_rule.delete production {"version":3}"#,
            r#"alert_rule.mute production {"until":"1970-01-01T00:33:20Z","version":3}"#,
            r#"alert_rule.update production {"version":2}"#,
        ]
    );
}

async fn a_rule_that_was_changed_meanwhile_is_left_alone(store: Store, _: Arc<HandClock>) {
    let anna = author("anna");
    let made = rule(&store, "production").await;
    let document = json!({ "when": { "held": {} } });
    let errors = [
        store.replace_alert_rule("production", Some(7), &document, &anna).await.unwrap_err(),
        store.remove_alert_rule("production", Some(7), &anna).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, AlertError::Outdated { expected: 7, found: 1, .. }), "{error:?}");
    }
    assert_eq!(store.alert_rule("production").await.unwrap(), made);
}

async fn names_that_cannot_be_are_refused(store: Store, _: Arc<HandClock>) {
    let anna = author("anna");
    let long = "x".repeat(101);
    for name in ["", "-a", "a b", "ä", "rule_1", &long] {
        let error = store.create_alert_rule(name, &json!({}), &anna).await.unwrap_err();
        assert!(matches!(error, AlertError::Name { .. }), "{name}: {error:?}");
    }
    let error = store.create_channel("channel_1", &json!({}), &anna).await.unwrap_err();
    assert!(matches!(error, AlertError::Name { .. }), "{error:?}");
    rule(&store, "production").await;
    let error = store.create_alert_rule("production", &json!({}), &anna).await.unwrap_err();
    assert!(matches!(error, AlertError::Taken { .. }), "{error:?}");
    channel(&store, "ops").await;
    let error = store.create_channel("ops", &json!({}), &anna).await.unwrap_err();
    assert!(matches!(error, AlertError::Taken { .. }), "{error:?}");
    let rules = store.alert_rules(None, 10).await.unwrap();
    assert_eq!(rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), ["production"]);
}

async fn a_channel_that_a_rule_names_stays(store: Store, _: Arc<HandClock>) {
    let anna = author("anna");
    let made = channel(&store, "ops").await;
    let document = json!({ "when": { "failed": {} }, "channels": ["ops", "pager"] });
    let error = store.create_alert_rule("production", &document, &anna).await.unwrap_err();
    assert_eq!(error.to_string(), "the alert rule `production` names the channel `pager`, which does not exist");
    channel(&store, "pager").await;
    store.create_alert_rule("production", &document, &anna).await.unwrap();
    let error = store.remove_channel("ops", Some(1), &anna).await.unwrap_err();
    assert!(error.to_string().contains("used by the alert rules `production`"), "{error}");
    let document = json!({ "when": { "failed": {} }, "channels": ["pager"] });
    store.replace_alert_rule("production", None, &document, &anna).await.unwrap();
    let document = json!({ "type": "slack" });
    let error = store.replace_channel("ops", Some(2), &document, &anna).await.unwrap_err();
    assert!(matches!(error, AlertError::Outdated { .. }), "{error:?}");
    let changed = store.replace_channel("ops", Some(1), &document, &anna).await.unwrap();
    assert_eq!((changed.id, changed.version), (made.id, 2));
    store.remove_channel("ops", Some(2), &anna).await.unwrap();
    let left = store.channels(None, 10).await.unwrap();
    assert_eq!(left.iter().map(|channel| channel.name.as_str()).collect::<Vec<_>>(), ["pager"]);
}

async fn a_channels_secrets_are_sealed_with_the_newest_key_when_keys_change(store: Store, _: Arc<HandClock>) {
    let (old, new) = ("A".repeat(43) + "=", "B".repeat(42) + "A=");
    let ring = |text: &str| Keyring::of_text(text, Arc::new(Counting)).unwrap();
    let sealed = ring(&old).seal("channel/ops", "hunter22");
    let document = json!({ "type": "slack", "url": format!("${{sealed:{sealed}}}") });
    store.create_channel("ops", &document, &author("anna")).await.unwrap();
    let resealed = store.reseal(&ring(&format!("{new},{old}"))).await.unwrap();
    assert_eq!((resealed.rows, resealed.unopened), (1, Vec::new()));
    let channel = store.channel("ops").await.unwrap();
    let sealed = channel.document["url"].as_str().unwrap().strip_prefix("${sealed:").unwrap().trim_end_matches('}');
    assert_eq!(ring(&new).open("channel/ops", sealed).unwrap(), "hunter22");
}

async fn an_alert_begins_once_however_often_it_is_found(store: Store, _: Arc<HandClock>) {
    let (rule, channel) = (rule(&store, "production").await, channel(&store, "ops").await);
    assert_eq!(take(&store, &[raise(&rule, "people", &[channel.id])]).await, 1);
    assert_eq!(take(&store, &[raise(&rule, "people", &[channel.id])]).await, 0);
    let open = store.open_alerts().await.unwrap();
    assert_eq!(open.len(), 1);
    let alert = &open[0];
    assert_eq!((alert.told_at, alert.sync), (Some(second(1_000)), Some(sync_id(1))));
    assert_eq!(store.alert(alert.id).await.unwrap(), *alert);
    assert_eq!(told_in(&store, messages(&store).await[0].id).await, ["raised people failed"]);
    // What is told once more is the same alert.
    let reword = AlertStep::Reword {
        alert: alert.id,
        message: "people failed otherwise".to_owned(),
        details: json!({}),
        sync: None,
    };
    assert_eq!(take(&store, &[reword]).await, 1);
    let reworded = store.alert(alert.id).await.unwrap();
    assert_eq!((reworded.message.as_str(), reworded.sync), ("people failed otherwise", None));
    let events = store.events_of_dispatch(messages(&store).await[0].id).await.unwrap();
    assert_eq!((events[0].message.as_str(), events[0].sync), ("people failed", Some(sync_id(1))), "as it was then");
}

async fn an_alert_ends_once_and_may_begin_anew(store: Store, clock: Arc<HandClock>) {
    let rule = rule(&store, "production").await;
    take(&store, &[raise(&rule, "people", &[])]).await;
    let alert = store.open_alerts().await.unwrap()[0].clone();
    clock.set(1_100);
    assert_eq!(take(&store, &[end(alert.id, &[])]).await, 1);
    assert_eq!(take(&store, &[end(alert.id, &[])]).await, 0);
    let ended = store.alert(alert.id).await.unwrap();
    assert_eq!((ended.ended_at, ended.ending), (Some(second(1_100)), Some(AlertChange::Recovered)));
    let tell = AlertStep::Tell {
        alert: alert.id,
        change: AlertChange::Repeated,
        message: String::new(),
        channels: Vec::new(),
    };
    assert_eq!(take(&store, &[tell]).await, 0, "what is over is not told again");
    clock.set(1_200);
    assert_eq!(take(&store, &[raise(&rule, "people", &[])]).await, 1);
    let filter = AlertFilter { is_open: Some(true), ..AlertFilter::default() };
    let open = store.alerts(&filter, None, 10).await.unwrap();
    assert_eq!(open.len(), 1);
    assert_ne!(open[0].id, alert.id);
    assert_eq!(store.alerts(&AlertFilter::default(), Some(open[0].id), 10).await.unwrap(), [ended]);
}

async fn what_happened_in_a_moment_is_written_down_once(store: Store, _: Arc<HandClock>) {
    let rule = rule(&store, "production").await;
    let happened = |seconds: i64| match raise(&rule, "people", &[]) {
        AlertStep::Raise { alert, is_told, channels, .. } => {
            AlertStep::Raise { alert, happened_at: Some(second(seconds)), is_told, channels }
        }
        step => step,
    };
    assert_eq!(take(&store, &[happened(900)]).await, 1);
    assert_eq!(take(&store, &[happened(900)]).await, 0);
    assert_eq!(take(&store, &[happened(950)]).await, 1);
    assert!(store.open_alerts().await.unwrap().is_empty());
    let alerts = store.alerts(&AlertFilter::default(), None, 10).await.unwrap();
    assert_eq!(alerts.iter().map(|alert| alert.raised_at).collect::<Vec<_>>(), [second(950), second(900)]);
}

async fn events_that_come_together_are_sent_together(store: Store, clock: Arc<HandClock>) {
    let rule = rule(&store, "production").await;
    let (ops, pager) = (channel(&store, "ops").await, channel(&store, "pager").await);
    take(&store, &[raise(&rule, "people", &[ops.id, pager.id]), raise(&rule, "orders", &[ops.id])]).await;
    clock.set(1_009);
    take(&store, &[raise(&rule, "carts", &[ops.id])]).await;
    assert!(store.take_dispatches(LEASE, 10).await.unwrap().is_empty(), "it is still gathered");
    clock.set(1_010);
    let taken = store.take_dispatches(LEASE, 10).await.unwrap();
    let mut told = Vec::new();
    for dispatch in &taken {
        told.push((dispatch.channel_name.clone(), dispatch.events, told_in(&store, dispatch.id).await));
    }
    told.sort();
    let list = |names: &[&str]| names.iter().map(|name| format!("raised {name} failed")).collect::<Vec<_>>();
    assert_eq!(
        told,
        [("ops".to_owned(), 3, list(&["people", "orders", "carts"])), ("pager".to_owned(), 1, list(&["people"]))]
    );
}

async fn a_message_that_was_tried_takes_no_more_events(store: Store, clock: Arc<HandClock>) {
    let (rule, ops) = (rule(&store, "production").await, channel(&store, "ops").await);
    take(&store, &[raise(&rule, "people", &[ops.id])]).await;
    clock.set(1_020);
    let taken = store.take_dispatches(LEASE, 10).await.unwrap();
    take(&store, &[raise(&rule, "orders", &[ops.id])]).await;
    assert_eq!(told_in(&store, taken[0].id).await, ["raised people failed"]);
    assert_eq!(messages(&store).await.len(), 2);
    // A channel that is gone takes none.
    store.remove_channel("ops", None, &author("anna")).await.unwrap();
    assert_eq!(take(&store, &[raise(&rule, "carts", &[ops.id])]).await, 1);
    assert!(messages(&store).await.is_empty());
}

async fn a_message_is_taken_by_one_and_comes_back_if_nothing_is_heard_of_it(store: Store, clock: Arc<HandClock>) {
    let (rule, ops) = (rule(&store, "production").await, channel(&store, "ops").await);
    take(&store, &[raise(&rule, "people", &[ops.id])]).await;
    clock.set(1_010);
    let taken = store.take_dispatches(LEASE, 10).await.unwrap();
    assert_eq!((taken.len(), taken[0].attempts), (1, 1));
    clock.set(1_069);
    assert!(store.take_dispatches(LEASE, 10).await.unwrap().is_empty());
    clock.set(1_070);
    let again = store.take_dispatches(LEASE, 10).await.unwrap();
    assert_eq!((again[0].id, again[0].attempts), (taken[0].id, 2));
}

async fn a_message_is_tried_again_given_up_and_sent_after_all(store: Store, clock: Arc<HandClock>) {
    let (rule, ops) = (rule(&store, "production").await, channel(&store, "ops").await);
    take(&store, &[raise(&rule, "people", &[ops.id])]).await;
    clock.set(1_010);
    let first = store.take_dispatches(LEASE, 10).await.unwrap().remove(0);
    let recipients = ["a@example.com".to_owned()];
    store.end_dispatch_attempt(&first, DispatchEnd::Again(second(1_025)), &recipients, "status 503").await.unwrap();
    clock.set(1_024);
    assert!(store.take_dispatches(LEASE, 10).await.unwrap().is_empty());
    clock.set(1_025);
    let second_try = store.take_dispatches(LEASE, 10).await.unwrap().remove(0);
    assert_eq!((second_try.attempts, &second_try.received_by[..]), (2, &recipients[..]));
    assert_eq!(second_try.answer.as_deref(), Some("status 503"));
    store.end_dispatch_attempt(&second_try, DispatchEnd::Failed, &recipients, "status 404").await.unwrap();
    let failed = messages(&store).await.remove(0);
    assert_eq!((failed.state, failed.ended_at), (DispatchState::Failed, Some(second(1_025))));

    let anna = author("anna");
    let again = store.retry_dispatch(failed.id, &anna).await.unwrap();
    assert_eq!((again.state, again.attempts, again.ended_at), (DispatchState::Pending, 0, None));
    let third = store.take_dispatches(LEASE, 10).await.unwrap().remove(0);
    store.end_dispatch_attempt(&third, DispatchEnd::Sent, &recipients, "status 200").await.unwrap();
    let sent = store.retry_dispatch(failed.id, &anna).await.unwrap();
    assert_eq!(sent.state, DispatchState::Sent, "what was sent is not sent again");
    let filter = DispatchFilter { state: Some(DispatchState::Failed), ..DispatchFilter::default() };
    assert!(store.dispatches(&filter, None, 10).await.unwrap().is_empty());
    let entry = format!(r#"channel.retry ops {{"dispatch":"{}"}}"#, failed.id);
    assert_eq!(audited(&store).await.iter().filter(|told| **told == entry).count(), 1);
}

async fn a_late_word_of_a_lost_attempt_counts_only_if_it_got_through(store: Store, clock: Arc<HandClock>) {
    let (rule, ops) = (rule(&store, "production").await, channel(&store, "ops").await);
    take(&store, &[raise(&rule, "people", &[ops.id])]).await;
    clock.set(1_010);
    let lost = store.take_dispatches(LEASE, 10).await.unwrap().remove(0);
    clock.set(1_100);
    let current = store.take_dispatches(LEASE, 10).await.unwrap().remove(0);
    store.end_dispatch_attempt(&lost, DispatchEnd::Failed, &[], "timed out").await.unwrap();
    assert_eq!(messages(&store).await[0].state, DispatchState::Pending);
    store.end_dispatch_attempt(&lost, DispatchEnd::Sent, &[], "status 200").await.unwrap();
    assert_eq!(messages(&store).await[0].state, DispatchState::Sent);
    store.end_dispatch_attempt(&current, DispatchEnd::Failed, &[], "status 500").await.unwrap();
    assert_eq!(messages(&store).await[0].state, DispatchState::Sent);
}

async fn events_are_listed_by_what_they_are_about_and_read_by_each_person(store: Store, clock: Arc<HandClock>) {
    let (one, two) = (rule(&store, "one").await, rule(&store, "two").await);
    take(&store, &[raise(&one, "people", &[])]).await;
    clock.set(1_100);
    take(&store, &[raise(&one, "orders", &[])]).await;
    clock.set(1_200);
    take(&store, &[raise(&two, "people", &[])]).await;
    clock.set(1_300);
    let first = store.open_alerts().await.unwrap().into_iter().find(|alert| alert.raised_at == second(1_000)).unwrap();
    take(&store, &[end(first.id, &[])]).await;

    let list = async |filter: AlertEventFilter| {
        let events = store.alert_events(&filter, "user_anna", None, 10).await.unwrap();
        events.iter().map(|event| event.at.as_second()).collect::<Vec<_>>()
    };
    let all = AlertEventFilter::default;
    assert_eq!(list(all()).await, [1_300, 1_200, 1_100, 1_000]);
    let of_people = AlertFilter { subject: Some("people".to_owned()), ..AlertFilter::default() };
    assert_eq!(list(AlertEventFilter { alert: of_people, ..all() }).await, [1_300, 1_200, 1_000]);
    let of_rule = AlertFilter { rule: Some(two.id), kind: Some("failed".to_owned()), ..AlertFilter::default() };
    assert_eq!(list(AlertEventFilter { alert: of_rule, ..all() }).await, [1_200]);
    let open = AlertFilter { is_open: Some(true), ..AlertFilter::default() };
    assert_eq!(list(AlertEventFilter { alert: open, ..all() }).await, [1_200, 1_100]);
    assert_eq!(list(AlertEventFilter { change: Some(AlertChange::Recovered), ..all() }).await, [1_300]);
    let between = AlertEventFilter { from: Some(second(1_100)), to: Some(second(1_300)), ..all() };
    assert_eq!(list(between).await, [1_200, 1_100]);

    let events = store.alert_events(&all(), "user_anna", None, 10).await.unwrap();
    let page = store.alert_events(&all(), "user_anna", Some(events[1].id), 1).await.unwrap();
    assert_eq!(page[0].id, events[2].id);
    let unread = AlertEventFilter { is_unread: true, ..all() };
    store.read_alert_event("user_anna", events[0].id).await.unwrap();
    store.read_alert_event("user_anna", events[0].id).await.unwrap();
    assert_eq!(list(unread.clone()).await, [1_200, 1_100, 1_000]);
    assert_eq!(store.unread_alert_events("user_anna", 100).await.unwrap(), 3);
    assert_eq!(store.unread_alert_events("user_anna", 2).await.unwrap(), 2);
    store.read_alert_events_up_to("user_anna", events[2].id).await.unwrap();
    store.read_alert_events_up_to("user_anna", events[3].id).await.unwrap();
    assert_eq!(list(unread).await, [1_200]);
    assert_eq!(store.unread_alert_events("user_ben", 100).await.unwrap(), 4);
    let read: Vec<_> = store.alert_events(&all(), "user_anna", None, 10).await.unwrap();
    assert_eq!(read.iter().map(|event| event.is_read).collect::<Vec<_>>(), [true, false, true, true]);
}

async fn an_alert_is_acknowledged_once_and_muted_as_often_as_wished(store: Store, clock: Arc<HandClock>) {
    let rule = rule(&store, "production").await;
    take(&store, &[raise(&rule, "people", &[])]).await;
    let id = store.open_alerts().await.unwrap()[0].id;
    let taken = store.acknowledge_alert(id, &author("anna")).await.unwrap();
    clock.set(1_500);
    let again = store.acknowledge_alert(id, &author("ben")).await.unwrap();
    assert_eq!(taken, again);
    assert_eq!(again.acknowledged_by.as_deref(), Some("the person anna"));
    let muted = store.mute_alert(id, Some(second(2_000)), &author("ben")).await.unwrap();
    assert_eq!(muted.muted_until, Some(second(2_000)));
    let heard = store.mute_alert(id, None, &author("ben")).await.unwrap();
    assert_eq!(heard.muted_until, None);
    let told: Vec<_> = audited(&store).await.into_iter().filter(|told| told.starts_with("alert.")).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].contains(r#""kind":"failed","subject":"mapping `people`""#), "{told:?}");
    let unknown = AlertId::new(second(1), &Counting);
    assert!(matches!(store.mute_alert(unknown, None, &author("ben")).await, Err(AlertError::Missing { .. })));
}

async fn one_watches_and_goes_on_where_the_one_before_stopped(store: Store, clock: Arc<HandClock>) {
    assert_eq!(store.hold_alert_watch("one", LEASE).await.unwrap(), Some(second(1_000)));
    assert_eq!(store.hold_alert_watch("two", LEASE).await.unwrap(), None);
    clock.set(1_050);
    store.move_alert_watch("one", second(1_040)).await.unwrap();
    store.move_alert_watch("two", second(1_049)).await.unwrap();
    store.move_alert_watch("one", second(1_030)).await.unwrap();
    assert_eq!(store.hold_alert_watch("one", LEASE).await.unwrap(), Some(second(1_040)));
    clock.set(1_109);
    assert_eq!(store.hold_alert_watch("two", LEASE).await.unwrap(), None);
    clock.set(1_110);
    assert_eq!(store.hold_alert_watch("two", LEASE).await.unwrap(), Some(second(1_040)));
    assert_eq!(store.hold_alert_watch("one", LEASE).await.unwrap(), None);
    store.leave_alert_watch("two").await.unwrap();
    assert_eq!(store.hold_alert_watch("one", LEASE).await.unwrap(), Some(second(1_040)));
}

async fn a_clock_that_was_set_back_stops_no_watch(store: Store, clock: Arc<HandClock>) {
    clock.set(1_000_000);
    store.hold_alert_watch("one", LEASE).await.unwrap();
    clock.set(1_000);
    assert_eq!(store.hold_alert_watch("two", LEASE).await.unwrap(), Some(second(1_000)));
}

async fn syncs_are_found_by_their_end(store: Store, clock: Arc<HandClock>) {
    for (number, mapping, state) in [
        (1, "people", SyncState::Done),
        (2, "orders", SyncState::Held),
        (3, "people", SyncState::Loading),
        (4, "people", SyncState::Failed),
        (5, "people", SyncState::Done),
    ] {
        clock.set(1_000 + number);
        store.begin_sync(&new_sync(number, mapping)).await.unwrap();
        clock.set(2_000 + number);
        store.set_state(sync_id(number), state).await.unwrap();
    }
    let ids = |rows: Vec<WatchedSync>| rows.iter().map(|row| row.sync.id).collect::<Vec<_>>();
    let ended = async |seconds, after, limit| {
        let ended = store.ended_syncs(second(seconds), after, limit).await.unwrap();
        ended.iter().map(|sync| sync.id).collect::<Vec<_>>()
    };
    assert_eq!(ended(2_000, None, 10).await, [sync_id(1), sync_id(4), sync_id(5)]);
    assert_eq!(ended(2_004, None, 1).await, [sync_id(4)]);
    assert_eq!(ended(2_004, Some(sync_id(4)), 10).await, [sync_id(5)]);
    assert_eq!(ids(store.held_syncs().await.unwrap()), [sync_id(2)]);
    let of = async |count, since: Option<i64>, limit| {
        ids(store.finished_syncs("people", count, since.map(second), limit).await.unwrap())
    };
    assert_eq!(of(2, None, 10).await, [sync_id(5), sync_id(4)]);
    assert_eq!(of(1, Some(1_001), 10).await, [sync_id(5), sync_id(4), sync_id(1)]);
    assert_eq!(of(2, Some(1_005), 10).await, [sync_id(5), sync_id(4)]);
    assert_eq!(of(1, Some(1_001), 2).await, [sync_id(5), sync_id(4)]);
}

async fn mappings_are_found_with_what_they_use_and_when_they_are_due(store: Store, clock: Arc<HandClock>) {
    let define = |kind, name: &str, document: Value| Edit::new(kind, name, Change::Create(document));
    let edits = [
        define(ResourceKind::Source, "shop", json!({ "type": "postgres" })),
        define(ResourceKind::Model, "customers", json!({ "source": "shop", "key": "id", "query": "select 1" })),
        define(ResourceKind::Destination, "crm", json!({ "type": "http" })),
        define(ResourceKind::Destination, "old", json!({ "type": "http", "enabled": false })),
        define(ResourceKind::Mapping, "people", json!({ "model": "customers", "destination": "crm" })),
        define(ResourceKind::Mapping, "past", json!({ "model": "customers", "destination": "old" })),
    ];
    store.edit_resources(&edits, Through::Api, &author("anna")).await.unwrap();
    let place = |name: &str, destination: &str, enabled| MappingPlace {
        name: name.to_owned(),
        model: "customers".to_owned(),
        destination: destination.to_owned(),
        source: "shop".to_owned(),
        enabled,
        updated_at: second(1_000),
    };
    assert_eq!(store.mapping_places().await.unwrap(), [place("past", "old", false), place("people", "crm", true)]);

    let due = |mapping: &str, enabled, next: i64| DueRow {
        mapping: mapping.to_owned(),
        model: "customers".to_owned(),
        schedule: "{}".to_owned(),
        enabled,
        next_due_at: Some(second(next)),
        last_due_at: None,
        reason: Cause::Schedule,
        waits: false,
        consumed: "{}".to_owned(),
        revision: 0,
    };
    let rows = [(due("people", true, 2_000), Vec::new()), (due("past", false, 2_000), Vec::new())];
    assert_eq!(store.set_due(&rows).await.unwrap(), [true, true]);
    clock.set(1_500);
    let stand = DueStand {
        mapping: "people".to_owned(),
        next_due_at: Some(second(2_000)),
        queued_since: None,
        running_since: None,
    };
    assert_eq!(store.due_stands().await.unwrap(), std::slice::from_ref(&stand));
    let run = NewRun {
        id: sync_id(1),
        mapping: "people".to_owned(),
        mapping_version: Some(1),
        model: "customers".to_owned(),
        source: "shop".to_owned(),
        destination: "crm".to_owned(),
        task: Task::Sync,
        confirmed: false,
        cause: Cause::Schedule,
        trigger: "schedule".to_owned(),
        requested_by: None,
        due_at: second(1_400),
        extracts_max: 1,
        key: None,
    };
    store.enqueue(&run).await.unwrap();
    let queued = DueStand { queued_since: Some(second(1_400)), ..stand.clone() };
    assert_eq!(store.due_stands().await.unwrap(), [queued]);
    store.set_state(sync_id(1), SyncState::Loading).await.unwrap();
    let running = DueStand { running_since: Some(second(1_400)), ..stand.clone() };
    assert_eq!(store.due_stands().await.unwrap(), [running]);
    store.set_state(sync_id(1), SyncState::Done).await.unwrap();
    assert_eq!(store.due_stands().await.unwrap(), [stand]);
}

async fn columns_are_noted_and_their_changes_kept(store: Store, clock: Arc<HandClock>) {
    let columns = |list: &[(&str, &str)]| {
        let column = |(name, kind): &(&str, &str)| ModelColumn { name: (*name).to_owned(), kind: (*kind).to_owned() };
        list.iter().map(column).collect::<Vec<_>>()
    };
    let note = async |list: &[(&str, &str)], sync| store.note_columns("people", &columns(list), sync).await.unwrap();
    assert!(!note(&[("id", "int"), ("email", "text")], None).await, "the first are no change");
    clock.set(1_100);
    assert!(!note(&[("email", "text"), ("id", "int")], None).await, "nor is their order");
    assert!(note(&[("id", "text")], Some(sync_id(1))).await);
    assert!(!note(&[("id", "text")], Some(sync_id(2))).await);
    clock.set(1_200);
    assert!(note(&[("id", "int")], None).await);
    let changes = store.column_changes_since(second(1_100)).await.unwrap();
    let expected = ColumnChangeRow {
        model: "people".to_owned(),
        at: second(1_100),
        sync: Some(sync_id(1)),
        before: columns(&[("email", "text"), ("id", "int")]),
        now: columns(&[("id", "text")]),
    };
    assert_eq!(changes[0], expected);
    assert_eq!(store.column_changes_since(second(1_101)).await.unwrap(), changes[1..]);
}

async fn old_alerts_are_forgotten_with_all_that_hangs_on_them(store: Store, clock: Arc<HandClock>) {
    let (rule, ops) = (rule(&store, "production").await, channel(&store, "ops").await);
    take(&store, &[raise(&rule, "people", &[ops.id]), raise(&rule, "orders", &[ops.id])]).await;
    let alerts = store.open_alerts().await.unwrap();
    let people = alerts.iter().find(|alert| alert.subject.name == "people").unwrap();
    take(&store, &[end(people.id, &[ops.id])]).await;
    clock.set(1_010);
    let taken = store.take_dispatches(LEASE, 10).await.unwrap();
    store.end_dispatch_attempt(&taken[0], DispatchEnd::Sent, &[], "ok").await.unwrap();
    assert_eq!(store.forget_alerts_before(second(1_000)).await.unwrap(), 0);
    assert_eq!(store.forget_alerts_before(second(1_001)).await.unwrap(), 1);
    let left = store.alert_events(&AlertEventFilter::default(), "user_anna", None, 10).await.unwrap();
    assert_eq!(left.iter().map(|event| event.alert.subject.name.as_str()).collect::<Vec<_>>(), ["orders"]);
    assert_eq!(messages(&store).await[0].events, 1);
    store.forget_alerts_before(second(1_011)).await.unwrap();
    assert!(messages(&store).await.is_empty());
    assert_eq!(store.open_alerts().await.unwrap().len(), 1, "what goes on is kept");
}
