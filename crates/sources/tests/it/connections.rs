//! Reaching a server and being refused: passwords, databases, every mode of TLS, client certificates.

use kit::SourceError;
use postgres_server::{Options, PASSWORD, PostgresServer, USER};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use serde_json::{Value, json};

use crate::{query, rows};

fn settings(server: &PostgresServer, more: Value) -> Value {
    let mut settings = json!({
        "host": "127.0.0.1", "port": server.port(), "database": "postgres", "user": USER, "password": PASSWORD,
    });
    let all = settings.as_object_mut().unwrap();
    for (key, value) in more.as_object().unwrap() {
        all.insert(key.clone(), value.clone());
    }
    settings
}

async fn check(server: &PostgresServer, more: Value) -> Result<String, SourceError> {
    sources::connect("postgres", &settings(server, more))?.check().await
}

/// A failed check: which error it was, and its message.
async fn refused(server: &PostgresServer, more: Value) -> (&'static str, String) {
    let error = check(server, more.clone()).await.expect_err(&more.to_string());
    let name = match &error {
        SourceError::Settings { .. } => "settings",
        SourceError::Unreachable { .. } => "unreachable",
        SourceError::CredentialsRefused { .. } => "credentials",
        SourceError::Tls { .. } => "tls",
        _ => "another",
    };
    (name, error.to_string())
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, as PEM.
fn certificate(issuer: &Authority, common_name: &str, names: &[&str], expired: bool) -> (String, String) {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, common_name);
    if expired {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn tls_server(root: &Authority, certificate: &(String, String)) -> PostgresServer {
    let setting = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    PostgresServer::start(&Options {
        settings: vec![
            setting("ssl", "on"),
            setting("ssl_cert_file", "server.crt"),
            setting("ssl_key_file", "server.key"),
            setting("ssl_ca_file", "root.crt"),
        ],
        access: vec![
            "hostssl all only_tls 127.0.0.1/32 scram-sha-256".to_owned(),
            "hostnossl all only_tls 127.0.0.1/32 reject".to_owned(),
            "hostssl all by_certificate 127.0.0.1/32 cert".to_owned(),
        ],
        files: vec![
            ("server.crt".to_owned(), certificate.0.clone()),
            ("server.key".to_owned(), certificate.1.clone()),
            ("root.crt".to_owned(), root.pem()),
        ],
        encoding: None,
    })
}

#[tokio::test]
async fn a_server_without_tls_is_reached_or_says_why_not() {
    let server = PostgresServer::start(&Options {
        settings: vec![("password_encryption".to_owned(), "md5".to_owned())],
        access: vec![
            "host all plain 127.0.0.1/32 password".to_owned(),
            "host all old 127.0.0.1/32 md5".to_owned(),
            "host all nobody_gets_in 127.0.0.1/32 reject".to_owned(),
        ],
        ..Options::default()
    });
    server.sql(
        "CREATE USER plain PASSWORD 'p'; CREATE USER old PASSWORD 'o'; CREATE USER nobody_gets_in; \
         CREATE DATABASE closed; REVOKE CONNECT ON DATABASE closed FROM PUBLIC",
    );
    let found = check(&server, json!({})).await.unwrap();
    let version = server.sql("SHOW server_version");
    assert_eq!(found, format!("PostgreSQL {} at 127.0.0.1:{}", version.split(' ').next().unwrap(), server.port()));
    let socket = json!({ "host": server.socket_folder(), "password": null });
    assert!(check(&server, socket).await.unwrap().starts_with("PostgreSQL "));
    for (user, password) in [("plain", "p"), ("old", "o")] {
        check(&server, json!({ "user": user, "password": password })).await.unwrap();
        let (name, message) = refused(&server, json!({ "user": user, "password": "wrong" })).await;
        assert_eq!(name, "credentials", "{message}");
    }

    for (more, name, part) in [
        (json!({ "password": "wrong" }), "credentials", "password authentication failed for user \"outflow\""),
        (json!({ "password": null }), "credentials", "`password` is not set"),
        (json!({ "user": "stranger" }), "credentials", "password authentication failed"),
        (json!({ "user": "nobody_gets_in" }), "credentials", "pg_hba.conf rejects connection"),
        (json!({ "database": "nowhere" }), "settings", "there is no `nowhere`"),
        (
            json!({ "user": "plain", "password": "p", "database": "closed" }),
            "credentials",
            "GRANT CONNECT ON DATABASE closed TO plain",
        ),
        (json!({ "port": 1 }), "unreachable", "nothing listens there"),
        (json!({ "host": "no-such-host.invalid" }), "unreachable", "no-such-host.invalid"),
        (json!({ "tls": "require" }), "tls", "the server does not offer TLS"),
        (json!({ "tls": "verify-full" }), "tls", "the server does not offer TLS"),
    ] {
        let (found, message) = refused(&server, more.clone()).await;
        assert_eq!(found, name, "{more}: {message}");
        assert!(message.contains(part), "{more}: {message}");
        assert!(!message.contains(PASSWORD));
    }
    check(&server, json!({ "tls": "disable" })).await.unwrap();

    // Something that is not PostgreSQL, and something that never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = json!({ "port": port, "connect_timeout_seconds": 1 });
    let (name, message) = refused(&server, silent).await;
    assert!(name == "unreachable" && message.contains("no answer within 1 s"), "{message}");
    let answer = async {
        use tokio::io::AsyncWriteExt as _;
        for _ in 0..2 {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            socket.shutdown().await.unwrap();
        }
    };
    let ((name, message), ()) = tokio::join!(refused(&server, json!({ "port": port, "tls": "disable" })), answer);
    assert!(name == "unreachable" && message.contains("of a PostgreSQL server"), "{message}");

    server.stop();
    assert_eq!(refused(&server, json!({})).await.0, "unreachable");
    server.start_again();
    check(&server, json!({})).await.unwrap();
}

#[tokio::test]
async fn tls_trusts_what_its_mode_says() {
    let root = authority("root of the test");
    let other = authority("another root");
    let server = tls_server(&root, &certificate(&root, "server", &["127.0.0.1"], false));
    server.sql("CREATE USER only_tls PASSWORD 'o'; CREATE USER by_certificate");
    let (trusted, untrusted) = (root.pem(), other.pem());
    let is_encrypted = |more: Value| {
        let source = sources::connect("postgres", &settings(&server, more)).unwrap();
        async move {
            let text = query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
            rows(&*source, &text).await.map(|(_, rows)| rows[0][0].clone())
        }
    };
    for (mode, root, encrypted) in [
        ("disable", None, false),
        ("prefer", None, true),
        ("require", None, true),
        ("require", Some(&trusted), true),
        ("verify-ca", Some(&trusted), true),
        ("verify-full", Some(&trusted), true),
    ] {
        let found = is_encrypted(json!({ "tls": mode, "tls_root_certificate": root })).await;
        assert_eq!(found.unwrap(), encrypted.into(), "{mode}");
    }
    for (mode, root, part) in [
        ("require", Some(&untrusted), "an authority that is not trusted here"),
        ("verify-ca", Some(&untrusted), "an authority that is not trusted here"),
        ("verify-ca", None, "an authority that is not trusted here"),
        ("verify-full", None, "an authority that is not trusted here"),
    ] {
        let (name, message) = refused(&server, json!({ "tls": mode, "tls_root_certificate": root })).await;
        assert!(name == "tls" && message.contains(part), "{mode}: {message}");
    }
    let by_name = json!({ "host": "localhost", "tls": "verify-full", "tls_root_certificate": trusted });
    let (name, message) = refused(&server, by_name).await;
    assert!(name == "tls" && message.contains("for another host name"), "{message}");
    check(&server, json!({ "host": "localhost", "tls": "verify-ca", "tls_root_certificate": trusted })).await.unwrap();

    check(&server, json!({ "user": "only_tls", "password": "o" })).await.unwrap();
    let (name, message) = refused(&server, json!({ "user": "only_tls", "password": "o", "tls": "disable" })).await;
    assert_eq!(name, "credentials", "{message}");

    // Our own certificate instead of a password.
    let ours = certificate(&root, "by_certificate", &[], false);
    let theirs = certificate(&other, "by_certificate", &[], false);
    let with = |pair: &(String, String)| {
        json!({
            "user": "by_certificate", "password": null, "tls": "verify-full", "tls_root_certificate": trusted,
            "tls_client_certificate": pair.0, "tls_client_key": pair.1,
        })
    };
    assert_eq!(is_encrypted(with(&ours)).await.unwrap(), true.into());
    let (name, message) = refused(&server, with(&theirs)).await;
    assert!(name == "tls" && message.contains("did not accept our certificate"), "{name}: {message}");
    let none = json!({ "user": "by_certificate", "password": null, "tls": "require" });
    let (name, message) = refused(&server, none).await;
    assert!(name == "credentials" && message.contains("client certificate"), "{name}: {message}");
    let mixed = (ours.0.clone(), theirs.1.clone());
    assert_eq!(refused(&server, with(&mixed)).await.0, "settings");

    cancel_goes_through_tls(&server).await;
}

/// The server takes a cancel from an encrypted connection.
async fn cancel_goes_through_tls(server: &PostgresServer) {
    let source = sources::connect("postgres", &settings(server, json!({ "tls": "require" }))).unwrap();
    let (sender, _receiver) = tokio::sync::mpsc::channel(1);
    let cancel = tokio_util::sync::CancellationToken::new();
    let text = query("SELECT pg_sleep(600)::text");
    let end = async {
        crate::extraction::wait_for(server, "1").await;
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(source.extract(&text, sender, cancel.clone()), end);
    assert!(matches!(result, Err(SourceError::Cancelled)));
    crate::extraction::wait_for(server, "0").await;
}

#[tokio::test]
async fn an_expired_certificate_is_told_as_such() {
    let root = authority("root of the test");
    let server = tls_server(&root, &certificate(&root, "server", &["127.0.0.1"], true));
    for mode in ["verify-ca", "verify-full"] {
        let (name, message) = refused(&server, json!({ "tls": mode, "tls_root_certificate": root.pem() })).await;
        assert!(name == "tls" && message.contains("the server's certificate has expired"), "{message}");
    }
    // Nobody asked for it to be checked.
    check(&server, json!({ "tls": "require" })).await.unwrap();
}
