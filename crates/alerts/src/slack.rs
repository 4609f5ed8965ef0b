//! Messages to Slack, through an incoming webhook; also to chats that take Slack's messages.

use kit::Request;
use serde_json::{Value, json};
use store::{AlertChange, AlertEventRow};

use crate::{
    Notice, Sender, SlackForm,
    attempt::{Attempt, End},
    notice, webhook,
};

/// Events that a message shows one by one; the rest is counted.
const EVENTS_SHOWN: usize = 15;
/// Slack's own limits, of a header and of a section.
const HEADER_CHARS_MAX: usize = 150;
const SECTION_CHARS_MAX: usize = 3_000;

pub(crate) async fn send(form: &SlackForm, notice: &Notice, sender: &Sender) -> Attempt {
    let settings =
        kit::WireSettings { secrets: vec![form.url.clone(), path(&form.url)], ..webhook::wire_settings(sender) };
    let request = Request::post(&form.url).json(&message(notice));
    webhook::post(settings, request, sender, |answer| {
        let body = answer.body.trim_ascii();
        let is_success = || {
            let json: Value = serde_json::from_slice(body).unwrap_or_default();
            json.get("success") == Some(&Value::Bool(true))
        };
        match answer.status {
            // Slack says `ok`; a page of a proxy with the same status says something else.
            200 if body == b"ok" || is_success() => End::Sent,
            200..=299 => End::Refused,
            _ => webhook::refusal(answer),
        }
    })
    .await
}

/// What of the URL is secret: all behind the name of the server.
fn path(url: &str) -> String {
    url.split_once("://")
        .and_then(|(_, rest)| rest.split_once('/'))
        .map_or_else(String::new, |(_, path)| path.to_owned())
}

fn message(notice: &Notice) -> Value {
    let headline = notice.headline();
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": cut(&format!("Outflow: {headline}"), HEADER_CHARS_MAX), "emoji": false },
    })];
    if notice.is_test {
        blocks.push(section("This channel works. Alerts that are sent through it look like this.".to_owned()));
    }
    for event in notice.events.iter().take(EVENTS_SHOWN) {
        blocks.push(section(told(notice, event)));
        blocks.push(json!({
            "type": "context",
            "elements": [{ "type": "mrkdwn", "text": cut(&escaped(&notice::circumstances(event)), SECTION_CHARS_MAX) }],
        }));
    }
    let more = notice.events.len().saturating_sub(EVENTS_SHOWN);
    if more > 0 {
        blocks.push(section(format!("… and {more} more, which Outflow lists.")));
    }
    // What notifications show, and what shows where blocks cannot be.
    json!({ "text": escaped(&format!("Outflow: {headline}")), "blocks": blocks })
}

fn told(notice: &Notice, event: &AlertEventRow) -> String {
    let sign = match event.change {
        AlertChange::Raised | AlertChange::Repeated => ":red_circle:",
        AlertChange::Recovered => ":large_green_circle:",
        AlertChange::Dropped => ":white_circle:",
    };
    let headline = escaped(&notice::headline(event));
    let headline = match notice.link(event) {
        // The sign that divides address and text in a link cannot stand in the text.
        Some(link) => format!("<{}|{}>", escaped(&link), headline.replace('|', "/")),
        None => headline,
    };
    cut(&format!("{sign} *{headline}*\n{}", escaped(&event.message)), SECTION_CHARS_MAX)
}

fn section(text: String) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

/// The three signs that mean something to Slack; with them escaped, a text mentions nobody and links nowhere.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => {
            let kept: String = text.chars().take(chars_max - 1).collect();
            // Half of an escaped sign would show as it is.
            let kept = match kept.rfind('&') {
                Some(start) if !kept[start..].contains(';') => &kept[..start],
                _ => &kept,
            };
            format!("{kept}…")
        }
    }
}
