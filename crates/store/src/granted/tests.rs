//! Tokens that were granted: kept sealed, and renewed by one at a time.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::*;
use crate::testing::{Counting, HandClock, on_both_databases};

on_both_databases!(tokens_are_kept_sealed, one_renews_while_others_wait, a_holder_that_was_cut_off_loses_them,);

fn ring(byte: u8) -> Keyring {
    Keyring::of_text(&STANDARD.encode([byte; 32]), Arc::new(Counting)).unwrap()
}

async fn tokens_are_kept_sealed(store: Store, _: Arc<HandClock>) {
    let tokens = store.granted_tokens("crm", &ring(1));
    assert_eq!(tokens.load().await.unwrap(), None);
    tokens.save("first").await.unwrap();
    tokens.save("second").await.unwrap();
    assert_eq!(tokens.load().await.unwrap().unwrap(), "second");
    assert_eq!(store.granted_destinations().await.unwrap(), ["crm"]);
    let mut connection = store.read().await.unwrap();
    let row = connection.row("look", "SELECT tokens FROM granted_tokens", args![]).await.unwrap().unwrap();
    assert!(!row.text("tokens").unwrap().contains("second"));
    drop(connection);
    let error = store.granted_tokens("crm", &ring(2)).load().await.unwrap_err();
    assert_eq!(error.to_string(), "the access granted to `crm` cannot be read; connect it again");
    assert!(tokens.remove().await.unwrap() && !tokens.remove().await.unwrap());
    assert_eq!(tokens.load().await.unwrap(), None);
}

async fn one_renews_while_others_wait(store: Store, _: Arc<HandClock>) {
    let tokens = store.granted_tokens("crm", &ring(1));
    tokens.save("0").await.unwrap();
    let renew = || async {
        let held = tokens.hold(&Counting).await.unwrap();
        let number: u32 = tokens.load().await.unwrap().unwrap().parse().unwrap();
        tokio::task::yield_now().await;
        tokens.save(&(number + 1).to_string()).await.unwrap();
        drop(held);
    };
    tokio::join!(renew(), renew(), renew());
    assert_eq!(tokens.load().await.unwrap().unwrap(), "3");
    // Holding them before there are any makes none.
    let other = store.granted_tokens("other", &ring(1));
    let held = other.hold(&Counting).await.unwrap();
    assert_eq!(other.load().await.unwrap(), None);
    assert_eq!(store.granted_destinations().await.unwrap(), ["crm"]);
    drop(held);
}

async fn a_holder_that_was_cut_off_loses_them(store: Store, clock: Arc<HandClock>) {
    let tokens = store.granted_tokens("crm", &ring(1));
    assert!(tokens.try_hold("gone").await.unwrap());
    assert!(!tokens.try_hold("next").await.unwrap());
    clock.set(1_000 + 121);
    assert!(tokens.try_hold("next").await.unwrap());
    tokens.release("gone").await.unwrap();
    assert!(!tokens.try_hold("third").await.unwrap());
    tokens.release("next").await.unwrap();
    assert!(tokens.try_hold("third").await.unwrap());
}
