//! Servers are trusted by certificate only.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::testing::TestClock;
use crate::{DeliveryError, Request, Wire, WireSettings};

/// A TLS server that answers every request with 204. Gives its port and certificate.
async fn server(name: &str, expired: bool) -> (u16, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    let certificate = params.self_signed(&key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            }
        }
    });
    (port, certificate.pem())
}

async fn call(port: u16, ca_certificate: Option<String>) -> Result<u16, DeliveryError> {
    let settings = WireSettings { ca_certificate, total_timeout: Duration::from_secs(10), ..WireSettings::default() };
    let wire = Wire::open(settings, TestClock::new()).unwrap();
    let url = format!("https://127.0.0.1:{port}/");
    let request = Request::get(url);
    wire.send(request).await.map(|answer| answer.status)
}

fn unreachable(result: Result<u16, DeliveryError>, expected: &str) {
    let Err(DeliveryError::Unreachable { message }) = result else { panic!("{result:?}") };
    assert!(message.to_ascii_lowercase().contains(expected), "{message}");
}

#[tokio::test]
async fn a_certificate_of_the_settings_is_trusted_and_any_other_is_not() {
    let (port, certificate) = server("127.0.0.1", false).await;
    assert_eq!(call(port, Some(certificate)).await, Ok(204));
    unreachable(call(port, None).await, "certificate");
    let (_, other) = server("127.0.0.1", false).await;
    unreachable(call(port, Some(other)).await, "certificate");
}

#[tokio::test]
async fn an_expired_certificate_and_a_wrong_name_are_refused_and_told() {
    let (port, certificate) = server("127.0.0.1", true).await;
    unreachable(call(port, Some(certificate)).await, "expired");
    let (port, certificate) = server("elsewhere.example", false).await;
    unreachable(call(port, Some(certificate)).await, "not valid for name");
}
