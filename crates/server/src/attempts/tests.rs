//! Guessing is slowed down; who signs in is not.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn taken(attempts: &Attempts, account: &str, address: IpAddr) -> u32 {
    (0..1_000).take_while(|_| attempts.begin(account, address).is_ok()).count().try_into().unwrap()
}

#[tokio::test(start_paused = true)]
async fn one_address_guesses_an_account_a_few_times() {
    let attempts = Attempts::default();
    assert_eq!(taken(&attempts, "ada@example.com", address(1)), PAIR_MAX);
    assert_eq!(taken(&attempts, " ADA@example.com", address(1)), 0);
    // Its person, from elsewhere.
    attempts.begin("ada@example.com", address(2)).unwrap();
    let error = attempts.begin("ada@example.com", address(1)).unwrap_err();
    assert_eq!(error.code(), Code::TooManyAttempts);
    tokio::time::advance(WINDOW).await;
    assert_eq!(taken(&attempts, "ada@example.com", address(1)), PAIR_MAX);
}

#[tokio::test(start_paused = true)]
async fn many_addresses_together_guess_an_account_some_times() {
    let attempts = Attempts::default();
    let all: u32 = (0..100).map(|last| taken(&attempts, "ada@example.com", address(last))).sum();
    assert_eq!(all, ACCOUNT_MAX);
    attempts.begin("bob@example.com", address(1)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_address_tries_many_accounts_some_times() {
    let attempts = Attempts::default();
    let all: u32 = (0..200).map(|number| taken(&attempts, &format!("{number}@example.com"), address(1))).sum();
    assert_eq!(all, ADDRESS_MAX);
    let v6 = |last| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 0, 0, 0, last));
    let all: u32 = (0..200).map(|number| taken(&attempts, &format!("{number}@example.net"), v6(number))).sum();
    assert_eq!(all, ADDRESS_MAX, "the addresses of one network count as one");
    let mapped = IpAddr::from(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped());
    attempts.begin("new@example.com", mapped).unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn who_signs_in_does_not_use_attempts_up() {
    let attempts = Attempts::default();
    for _ in 0..1_000 {
        attempts.begin("ada@example.com", address(1)).unwrap();
        attempts.succeeded("ada@example.com", address(1));
    }
}

#[tokio::test(start_paused = true)]
async fn counters_are_bounded_and_the_full_ones_stay() {
    let attempts = Attempts::default();
    taken(&attempts, "ada@example.com", address(1));
    for number in 0..30_000_u32 {
        let [a, b, c, d] = number.to_be_bytes();
        attempts.begin(&format!("{number}@example.com"), IpAddr::from([a + 10, b, c, d])).unwrap();
    }
    assert!(attempts.0.lock().unwrap().len() <= COUNTERS_MAX);
    attempts.begin("ada@example.com", address(1)).unwrap_err();
}
