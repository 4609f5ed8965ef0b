//! Addresses of servers.

use super::*;

#[test]
fn an_address_becomes_the_origin_that_browsers_send() {
    for (text, origin) in [
        ("https://Outflow.example.com/", "https://outflow.example.com"),
        ("https://outflow.example.com:443", "https://outflow.example.com"),
        ("http://localhost:8080", "http://localhost:8080"),
        (" http://127.0.0.1:80 ", "http://127.0.0.1"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ] {
        let url: PublicUrl = text.parse().unwrap();
        assert_eq!(url.origin(), origin, "{text}");
        assert_eq!(url.at("/setup"), format!("{origin}/setup"));
        assert_eq!(url.is_https(), origin.starts_with("https"));
    }
}

#[test]
fn an_address_with_more_than_a_host_is_refused() {
    for text in ["", "outflow", "/path", "ftp://a", "https://a/path", "https://a?x=1", "https://u:p@a", "https://"] {
        let error = text.parse::<PublicUrl>().unwrap_err();
        assert!(error.to_string().contains("https://HOST"), "{text}");
    }
}
