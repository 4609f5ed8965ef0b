//! File names of mappings.

use std::collections::BTreeSet;

use super::*;

#[test]
fn a_name_is_safe_and_readable() {
    for (mapping, expected) in [
        ("people_to-hubspot2", "people_to-hubspot2"),
        ("People", "%50eople"),
        ("../etc", "%2e%2e%2fetc"),
        ("ä", "%c3%a4"),
        ("a b", "a%20b"),
        ("", "%"),
        ("%", "%25"),
    ] {
        assert_eq!(file_name(mapping), expected, "{mapping}");
    }
}

#[test]
fn two_mappings_never_share_a_name() {
    let long = "x".repeat(500);
    let names =
        ["a", "A", "%41", "a/b", "a%2fb", "", "%", &long, &format!("{long}y"), &"X".repeat(500), &"x".repeat(120)];
    let files: BTreeSet<_> = names.iter().map(|name| file_name(name).to_lowercase()).collect();
    assert_eq!(files.len(), names.len());
    assert!(files.iter().all(|file| file.len() <= LENGTH_MAX));
}
