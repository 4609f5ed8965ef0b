//! Tickets are long, differ, and are known by their hash.

use crate::testing::Seeded;

use super::*;

#[test]
fn tickets_are_of_256_bits_and_differ() {
    let random = Seeded::new(1);
    let (first, second) = (ticket(&random), ticket(&random));
    assert_ne!(first, second);
    assert_eq!(URL_SAFE_NO_PAD.decode(&first).unwrap().len(), 32);
    assert!(token(&random).starts_with("of_"));
    assert_ne!(bytes::<12>(&random), bytes::<12>(&random));
}

#[test]
fn a_hash_is_the_same_for_the_same_text() {
    assert_eq!(hash("of_a"), hash("of_a"));
    assert_ne!(hash("of_a"), hash("of_b"));
    assert!(!hash("of_a").contains("of_a"));
}
