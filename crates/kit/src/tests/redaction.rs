//! Secrets are taken out in whatever form they come.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::{REDACTED, Redaction, form_encoded};

const SECRET: &str = "p@ss \"word\"/+&=?ü\nend";

#[test]
fn a_secret_is_found_in_all_its_forms() {
    let redaction = Redaction::new([SECRET]);
    let forms = [
        SECRET.to_owned(),
        STANDARD.encode(SECRET),
        URL_SAFE_NO_PAD.encode(SECRET),
        form_encoded([("key", SECRET)]),
        form_encoded([("key", SECRET)]).replace('+', "%20"),
        serde_json::to_string(SECRET).unwrap(),
        reqwest::Url::parse_with_params("http://host/", [("k", SECRET)]).unwrap().to_string(),
    ];
    for form in forms {
        let shown = redaction.text(&format!("before {form} after"));
        assert!(shown.contains(REDACTED), "{form} is shown as {shown}");
        assert!(!shown.contains("word") && !shown.contains(&form), "{form} is shown as {shown}");
    }
}

#[test]
fn a_cut_does_not_leave_the_beginning_of_a_secret() {
    let redaction = Redaction::new(["0123456789abcdef"]);
    for before in 0..40 {
        let text = format!("{}0123456789abcdef{}", "x".repeat(before), "y".repeat(100));
        for most in 1..60 {
            let shown = redaction.head(text.as_bytes(), most);
            assert!(!shown.contains("0123"), "{before} {most}: {shown}");
        }
    }
    assert_eq!(redaction.head(b"short", 100), "short");
    assert_eq!(redaction.head("ü".repeat(100).as_bytes(), 21), format!("{}… (cut)", "ü".repeat(10)));
}

#[test]
fn bytes_that_are_no_text_can_be_shown() {
    assert_eq!(Redaction::default().head(&[0xff, b'a'], 10), "\u{fffd}a");
}

#[test]
fn nothing_is_shown_of_secrets_in_debug_output() {
    let text = format!("{:?}", Redaction::new([SECRET]));
    assert!(!text.contains("word"), "{text}");
}
