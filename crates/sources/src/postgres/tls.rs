//! TLS as `sslmode` means it, with rustls on ring, and its failures in plain words.

use std::sync::Arc;

use kit::SourceError;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};

use super::settings::{Target, TlsMode};

/// What of the server's certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Anyone,
    Authority,
    AuthorityAndName,
}

/// The TLS configuration of a target; none if it never encrypts.
///
/// # Errors
/// A certificate or key that is no PEM, or that rustls cannot use.
pub(super) fn configure(target: &Target) -> Result<Option<Arc<ClientConfig>>, SourceError> {
    let trust = match (target.tls, &target.tls_root_certificate) {
        (TlsMode::Disable, _) => return Ok(None),
        (TlsMode::Prefer, _) | (TlsMode::Require, None) => Trust::Anyone,
        (TlsMode::Require, Some(_)) | (TlsMode::VerifyCa, _) => Trust::Authority,
        (TlsMode::VerifyFull, _) => Trust::AuthorityAndName,
    };
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    if trust != Trust::Anyone {
        match &target.tls_root_certificate {
            Some(pem) => {
                for certificate in certificates(pem, "tls_root_certificate")? {
                    let added = roots.add(certificate);
                    added.map_err(|error| wrong(format!("`tls_root_certificate` cannot be used: {error}")))?;
                }
            }
            None => {
                // What the machine has and rustls cannot read is of no use to us; the rest is.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
    }
    let verifier = Arc::new(Verifier { trust, roots, provider: Arc::clone(&provider) });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(format!("TLS cannot be set up: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match (&target.tls_client_certificate, &target.tls_client_key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate, "tls_client_certificate")?;
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| {
                wrong("`tls_client_key` holds no private key in PEM form (PKCS 8, PKCS 1 or SEC 1, no pass phrase)")
            })?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                wrong(format!("`tls_client_certificate` and `tls_client_key` cannot be used together: {error}"))
            })?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(Some(Arc::new(config)))
}

fn certificates(pem: &str, setting: &str) -> Result<Vec<CertificateDer<'static>>, SourceError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(wrong(format!(
            "`{setting}` holds no certificate in PEM form; give the text, `${{file:PATH}}` reads it"
        ))),
    }
}

fn wrong(message: impl Into<String>) -> SourceError {
    SourceError::Settings { message: message.into() }
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.trust != Trust::Anyone {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
            if self.trust == Trust::AuthorityAndName {
                verify_server_name(&certificate, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The TLS error inside an IO error, if there is one.
pub(super) fn inner(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// What went wrong and what to do.
pub(super) fn explain(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired; renew it on the server".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet; compare the clocks of the server and this machine"
                    .to_owned()
            }
            CertificateError::UnknownIssuer => "the server's certificate comes from an authority that is not trusted \
                 here; give that authority's certificate as `tls_root_certificate`"
                .to_owned(),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another host name; connect by the name it states, or take \
                 `tls: verify-ca` if the name does not matter"
                    .to_owned()
            }
            other => format!("the server's certificate cannot be trusted: {other}"),
        },
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnknownCA,
        ) => format!(
            "the server did not accept our certificate ({error}); check `tls_client_certificate` and `tls_client_key`"
        ),
        other => format!("the TLS handshake failed: {other}"),
    }
}
