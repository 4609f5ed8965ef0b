//! E-mail: encrypted as the channel says, signed in, one message for all, and each his own where one is refused.

use std::collections::BTreeMap;

use alerts::{Attempt, End, Notice};
use kit::Reach;
use serde_json::{Value, json};
use store::AlertChange;

use crate::{
    scene::{channel, event, notice, one_notice, sender},
    smtp_server::{Encryption, Manners, SmtpServer},
};

fn form(server: &SmtpServer, security: &str) -> Value {
    json!({
        "type": "email",
        "to": ["Anna <anna@example.com>", "ben@example.com"],
        "from": "Outflow <outflow@example.com>",
        "smtp": { "host": "localhost", "port": server.port, "security": security, "ca_certificate": server.certificate }
    })
}

async fn send(form: Value, notice: &Notice, received_by: &[&str]) -> Attempt {
    let received_by: Vec<String> = received_by.iter().map(|text| (*text).to_owned()).collect();
    sender(Reach::Any).send(&channel(form), notice, &received_by).await
}

#[tokio::test]
async fn a_message_goes_to_all_at_once_with_what_a_reader_needs() {
    let server = SmtpServer::start(Manners::default()).await;
    let attempt = send(form(&server, "none"), &one_notice(), &[]).await;
    assert_eq!((attempt.end, attempt.answer.as_str()), (End::Sent, "250 kept as number 7"));
    assert_eq!(attempt.received_by, ["anna@example.com", "ben@example.com"]);
    let taken = server.taken();
    assert_eq!(taken.len(), 1);
    let mail = &taken[0];
    assert_eq!(mail.from, "outflow@example.com");
    assert_eq!(mail.to, ["anna@example.com", "ben@example.com"]);
    assert!(!mail.encrypted);
    for (name, value) in [
        ("Subject", "[Outflow] people-to-crm: sync failed"),
        ("From", "Outflow <outflow@example.com>"),
        ("To", "Anna <anna@example.com>, ben@example.com"),
        ("Message-ID", "<dispatch_018bcfe5687b7a0000000000000000aa@example.com>"),
        ("Date", "Tue, 14 Nov 2023 22:13:20 +0000"),
        ("Auto-Submitted", "auto-generated"),
    ] {
        assert_eq!(mail.header(name).as_deref(), Some(value), "{}", mail.text);
    }
    let id = one_notice().events[0].alert.id;
    assert_eq!(mail.header("References"), Some(format!("<{id}@example.com>")));
    for line in [
        "people-to-crm: sync failed",
        "  the sync failed: <crm> & co. did not answer",
        "  since 2023-11-14 22:13 UTC, by the rule production",
        &format!("  https://outflow.example.com/alerts/{id}"),
    ] {
        assert!(mail.text.contains(&format!("{line}\r\n")), "{line}\n{}", mail.text);
    }
}

#[tokio::test]
async fn several_events_are_one_message() {
    let server = SmtpServer::start(Manners::default()).await;
    let events = (0..120).map(|number| match number {
        0 => event("people", AlertChange::Recovered, "a sync came to its end again"),
        _ => event(&format!("mapping-{number}"), AlertChange::Raised, "the sync failed: ü"),
    });
    let attempt = send(form(&server, "none"), &notice(events.collect()), &[]).await;
    assert_eq!(attempt.end, End::Sent);
    let mail = &server.taken()[0];
    assert_eq!(mail.header("Subject").as_deref(), Some("[Outflow] 120 alerts: 119 new, 1 over"));
    assert_eq!(mail.header("References"), None);
    assert!(mail.text.is_ascii(), "letters are encoded for servers that take seven bits");
}

#[tokio::test]
async fn a_test_says_that_it_is_one() {
    let server = SmtpServer::start(Manners::default()).await;
    let test = Notice::test("dispatch_1".to_owned(), one_notice().created_at, None);
    assert_eq!(send(form(&server, "none"), &test, &[]).await.end, End::Sent);
    let mail = &server.taken()[0];
    assert_eq!(mail.header("Subject").as_deref(), Some("[Outflow] a test of this channel"));
    assert!(mail.text.contains("This channel works."), "{}", mail.text);
}

#[tokio::test]
async fn the_connection_is_encrypted_before_a_password_is_said() {
    for (encryption, security) in [(Encryption::Starttls, "starttls"), (Encryption::Tls, "tls")] {
        let login = Some(("outflow".to_owned(), "hunter22hunter22".to_owned()));
        let server = SmtpServer::start(Manners { encryption, login, ..Manners::default() }).await;
        let mut form = form(&server, security);
        form["smtp"]["username"] = "outflow".into();
        form["smtp"]["password"] = "hunter22hunter22".into();
        let attempt = send(form.clone(), &one_notice(), &[]).await;
        assert_eq!(attempt.end, End::Sent, "{security}: {}", attempt.answer);
        let mail = &server.taken()[0];
        assert_eq!((mail.encrypted, mail.user.as_deref()), (true, Some("outflow")), "{security}");

        // A wrong password is told, but not repeated.
        form["smtp"]["password"] = "some-other-password".into();
        let attempt = send(form, &one_notice(), &[]).await;
        assert_eq!(attempt.end, End::Refused);
        assert!(attempt.answer.contains("535") && attempt.answer.contains("is wrong"), "{}", attempt.answer);
        assert!(!attempt.answer.contains("some-other-password"), "{}", attempt.answer);
        assert_eq!(server.taken().len(), 1);
    }
}

#[tokio::test]
async fn a_server_that_is_not_trusted_or_cannot_encrypt_gets_nothing() {
    let server = SmtpServer::start(Manners { encryption: Encryption::Starttls, ..Manners::default() }).await;
    let other = SmtpServer::start(Manners::default()).await;
    let mut untrusted = form(&server, "starttls");
    untrusted["smtp"]["ca_certificate"] = other.certificate.as_str().into();
    let attempt = send(untrusted, &one_notice(), &[]).await;
    assert!(matches!(attempt.end, End::Passing(None)), "{attempt:?}");
    assert!(attempt.answer.to_lowercase().contains("certificate"), "{}", attempt.answer);
    let attempt = send(form(&other, "starttls"), &one_notice(), &[]).await;
    assert!(attempt.answer.contains("STARTTLS"), "{attempt:?}");
    assert_ne!(attempt.end, End::Sent);
    assert!(server.taken().is_empty() && other.taken().is_empty());
}

#[tokio::test]
async fn one_refused_recipient_keeps_it_from_nobody_else() {
    let refused = BTreeMap::from([("anna@example.com".to_owned(), "550 no such user here".to_owned())]);
    let server = SmtpServer::start(Manners { refused, ..Manners::default() }).await;
    let attempt = send(form(&server, "none"), &one_notice(), &[]).await;
    assert_eq!(attempt.end, End::Refused);
    assert_eq!(attempt.received_by, ["ben@example.com"]);
    let expected = "taken for 1 of 2 recipients, not for `anna@example.com`: the server said 550 no such user here";
    assert_eq!(attempt.answer, expected);
    // The next attempt is for her alone, and the message is the same.
    server.change(|manners| manners.refused.clear());
    let attempt = send(form(&server, "none"), &one_notice(), &["ben@example.com"]).await;
    assert_eq!(attempt.end, End::Sent);
    assert_eq!(attempt.received_by, ["ben@example.com", "anna@example.com"]);
    let taken = server.taken();
    assert_eq!(
        taken.iter().map(|mail| mail.to.clone()).collect::<Vec<_>>(),
        [["ben@example.com"], ["anna@example.com"]]
    );
    assert_eq!(taken[0].text, taken[1].text);
    let attempt = send(form(&server, "none"), &one_notice(), &["ben@example.com", "anna@example.com"]).await;
    assert_eq!((attempt.end, server.taken().len()), (End::Sent, 2), "everybody has it");
}

#[tokio::test]
async fn a_server_that_is_busy_or_away_is_tried_again() {
    let greeting = Some("421 too many connections".to_owned());
    let server = SmtpServer::start(Manners { greeting, ..Manners::default() }).await;
    let attempt = send(form(&server, "none"), &one_notice(), &[]).await;
    assert_eq!(attempt.end, End::Passing(None));
    assert!(attempt.answer.contains("421 too many connections"), "{}", attempt.answer);
    let mut away = form(&server, "none");
    away["smtp"]["port"] = 1.into();
    let attempt = send(away, &one_notice(), &["ben@example.com"]).await;
    assert_eq!(attempt.end, End::Passing(None));
    assert!(attempt.answer.contains("refused"), "{}", attempt.answer);
    assert_eq!(attempt.received_by, ["ben@example.com"]);
}
