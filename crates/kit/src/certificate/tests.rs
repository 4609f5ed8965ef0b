//! Ends of certificates, near and far, and texts that hold none.

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;

fn certificate(year: i32) -> String {
    let mut params = CertificateParams::new(vec!["example.com".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(year, 2, 28);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

#[test]
fn a_certificate_tells_its_end_in_either_form_of_time() {
    for year in [2021, 2049, 2050, 2400] {
        let end = certificate_end(&certificate(year)).unwrap();
        assert_eq!(end.to_string(), format!("{year}-02-28T00:00:00Z"));
    }
}

#[test]
fn of_several_the_first_to_end_counts() {
    let several = format!("a chain\n{}{}{}", certificate(2031), certificate(2029), certificate(2030));
    assert_eq!(certificate_end(&several).unwrap().to_string(), "2029-02-28T00:00:00Z");
}

#[test]
fn what_is_no_certificate_has_no_end() {
    let whole = certificate(2031);
    let cut = whole.replace("-----BEGIN CERTIFICATE-----\nMI", "-----BEGIN CERTIFICATE-----\n");
    for text in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &cut] {
        assert_eq!(certificate_end(text), None, "{text}");
    }
    // However it is cut, it is read or it is not.
    let der = CertificateDer::from_pem_slice(whole.as_bytes()).unwrap();
    for length in 0..der.len() {
        assert_eq!(end(&der[..length]), None, "{length}");
    }
}
