//! When credentials of sources and destinations end, as far as they tell it themselves.

use serde_json::Value;

use crate::CredentialFacts;

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// The ends of the certificates in a definition, whatever its settings are called.
pub fn certificate_ends(document: &Value) -> Vec<CredentialFacts> {
    let mut found = Vec::new();
    collect(document, "", &mut found);
    found
}

fn collect(value: &Value, path: &str, found: &mut Vec<CredentialFacts>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::String(text) if text.contains(CERTIFICATE) => {
            if let Some(ends_at) = kit::certificate_end(text) {
                found.push(CredentialFacts { what: format!("the certificate `{path}`"), ends_at });
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| collect(item, &below(&index.to_string()), found));
        }
        Value::Object(entries) => entries.iter().for_each(|(key, value)| collect(value, &below(key), found)),
        _ => {}
    }
}

/// The end of access that was granted, if nothing can renew it. `tokens` is what is kept of it.
pub fn granted_end(tokens: &str) -> Option<CredentialFacts> {
    let tokens: kit::Tokens = serde_json::from_str(tokens).ok()?;
    let ends_at = tokens.renew_at.filter(|_| tokens.refresh_token.is_none())?;
    Some(CredentialFacts { what: "the access that was granted".to_owned(), ends_at })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use serde_json::json;

    use super::*;

    #[test]
    fn certificates_are_found_wherever_they_stand() {
        let mut params = CertificateParams::new(vec!["example.com".to_owned()]).unwrap();
        params.not_after = date_time_ymd(2031, 2, 28);
        let pem = params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
        let document = json!({
            "type": "postgres",
            "tls_client_certificate": pem,
            "connection": { "ca_certificate": pem, "proxy": "http://proxy" },
            "others": ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"],
        });
        let found: Vec<String> =
            certificate_ends(&document).iter().map(|found| format!("{} {}", found.what, found.ends_at)).collect();
        assert_eq!(
            found,
            [
                "the certificate `tls_client_certificate` 2031-02-28T00:00:00Z",
                "the certificate `connection.ca_certificate` 2031-02-28T00:00:00Z",
            ]
        );
    }

    #[test]
    fn only_access_that_nothing_renews_ends() {
        let tokens = |json: Value| granted_end(&json.to_string()).map(|found| found.ends_at.to_string());
        let ends = json!({ "access_token": "a", "renew_at": "2031-02-28T00:00:00Z", "origin": "o" });
        assert_eq!(tokens(ends.clone()).as_deref(), Some("2031-02-28T00:00:00Z"));
        let mut renewed = ends.clone();
        renewed["refresh_token"] = "r".into();
        assert_eq!(tokens(renewed), None);
        let mut endless = ends;
        endless["renew_at"] = Value::Null;
        assert_eq!(tokens(endless), None);
        assert_eq!(granted_end("nonsense"), None);
    }
}
