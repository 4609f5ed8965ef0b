//! Which servers are trusted: the system's certificates and those of a setting.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::SettingsError;

static SYSTEM: OnceLock<RootCertStore> = OnceLock::new();

fn system() -> &'static RootCertStore {
    SYSTEM.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        // A machine without certificates can still call what needs none; a call that needs one says so.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    })
}

/// TLS over ring, with the system's certificates and those in `extra` (PEM).
///
/// # Errors
/// `extra` holds no certificate, or one that cannot be read.
pub(crate) fn client_config(extra: Option<&str>) -> Result<ClientConfig, SettingsError> {
    let wrong = |message: &str| SettingsError::one("connection.ca_certificate", message);
    let mut roots = system().clone();
    if let Some(pem) = extra {
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate =
                certificate.map_err(|_| wrong("must be PEM text that begins with `-----BEGIN CERTIFICATE-----`"))?;
            roots.add(certificate).map_err(|_| wrong("holds a certificate that cannot be read"))?;
            found += 1;
        }
        if found == 0 {
            return Err(wrong("must be PEM text that begins with `-----BEGIN CERTIFICATE-----`"));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| wrong("cannot be used with this TLS library"))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
