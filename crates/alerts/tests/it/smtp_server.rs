//! A server for e-mail on loopback, in the clear or with TLS, that keeps what it takes and refuses what it is told to.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// How connections are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encryption {
    None,
    Starttls,
    Tls,
}

/// What a server does.
#[derive(Debug, Clone)]
pub(crate) struct Manners {
    pub(crate) encryption: Encryption,
    /// User and password, if it asks for them.
    pub(crate) login: Option<(String, String)>,
    /// What is said to recipients that it does not take.
    pub(crate) refused: BTreeMap<String, String>,
    /// What is said instead of a greeting.
    pub(crate) greeting: Option<String>,
}

impl Default for Manners {
    fn default() -> Self {
        Self { encryption: Encryption::None, login: None, refused: BTreeMap::new(), greeting: None }
    }
}

/// A message that was taken.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
    pub(crate) encrypted: bool,
    pub(crate) user: Option<String>,
}

impl Mail {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ");
        let line = head.lines().find(|line| line.to_lowercase().starts_with(&format!("{}:", name.to_lowercase())))?;
        Some(line[name.len() + 1..].trim().to_owned())
    }
}

pub(crate) struct SmtpServer {
    pub(crate) port: u16,
    /// The certificate that it shows, PEM.
    pub(crate) certificate: String,
    manners: Arc<Mutex<Manners>>,
    taken: Arc<Mutex<Vec<Mail>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl SmtpServer {
    pub(crate) async fn start(manners: Manners) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
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
        let manners = Arc::new(Mutex::new(manners));
        let taken = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn({
            let (manners, taken) = (Arc::clone(&manners), Arc::clone(&taken));
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (manners, taken) = (manners.lock().unwrap().clone(), Arc::clone(&taken));
                    let acceptor = acceptor.clone();
                    tokio::spawn(async move {
                        if manners.encryption == Encryption::Tls {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                converse(Box::new(stream), true, &manners, &taken, None).await;
                            }
                        } else {
                            converse(Box::new(stream), false, &manners, &taken, Some(acceptor)).await;
                        }
                    });
                }
            }
        });
        Self { port, certificate: certificate.pem(), manners, taken, task }
    }

    pub(crate) fn taken(&self) -> Vec<Mail> {
        self.taken.lock().unwrap().clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.manners.lock().unwrap());
    }
}

/// One conversation. `acceptor` encrypts it when the other side asks for that.
async fn converse(
    stream: Box<dyn Stream>,
    mut encrypted: bool,
    manners: &Manners,
    taken: &Mutex<Vec<Mail>>,
    acceptor: Option<TlsAcceptor>,
) {
    let mut stream = BufReader::new(stream);
    let greeting = manners.greeting.as_deref().unwrap_or("220 localhost ready");
    say(&mut stream, greeting).await;
    let (mut user, mut from, mut to) = (None, String::new(), Vec::new());
    while let Some(line) = hear(&mut stream).await {
        let command = line.to_ascii_uppercase();
        if command.starts_with("EHLO") {
            let mut lines = vec!["localhost".to_owned()];
            if manners.encryption == Encryption::Starttls && !encrypted {
                lines.push("STARTTLS".to_owned());
            }
            if manners.login.is_some() {
                lines.push("AUTH PLAIN".to_owned());
            }
            let last = lines.pop().unwrap();
            for line in lines {
                say(&mut stream, &format!("250-{line}")).await;
            }
            say(&mut stream, &format!("250 {last}")).await;
        } else if command == "STARTTLS" {
            say(&mut stream, "220 go ahead").await;
            let Some(acceptor) = &acceptor else { return };
            let Ok(inner) = acceptor.accept(stream.into_inner()).await else { return };
            stream = BufReader::new(Box::new(inner));
            encrypted = true;
        } else if let Some(told) = line.strip_prefix("AUTH PLAIN ") {
            let told = String::from_utf8(STANDARD.decode(told).unwrap()).unwrap();
            let mut parts = told.split('\0').skip(1).map(str::to_owned);
            let login = (parts.next().unwrap(), parts.next().unwrap());
            if manners.login.as_ref() == Some(&login) {
                user = Some(login.0);
                say(&mut stream, "235 welcome").await;
            } else {
                // Some servers repeat what they were told.
                say(&mut stream, &format!("535 the password {} is wrong", login.1)).await;
            }
        } else if let Some(address) = command.strip_prefix("MAIL FROM:") {
            if manners.login.is_some() && user.is_none() {
                say(&mut stream, "530 sign in first").await;
                continue;
            }
            from = address.trim_matches(['<', '>']).to_ascii_lowercase();
            to.clear();
            say(&mut stream, "250 ok").await;
        } else if let Some(address) = command.strip_prefix("RCPT TO:") {
            let address = address.trim_matches(['<', '>']).to_ascii_lowercase();
            match manners.refused.get(&address) {
                Some(refusal) => say(&mut stream, refusal).await,
                None => {
                    to.push(address);
                    say(&mut stream, "250 ok").await;
                }
            }
        } else if command == "DATA" {
            say(&mut stream, "354 go on").await;
            let mut text = String::new();
            while let Some(line) = hear(&mut stream).await.filter(|line| line != ".") {
                text.push_str(&line);
                text.push_str("\r\n");
            }
            let mail = Mail { from: from.clone(), to: to.clone(), text, encrypted, user: user.clone() };
            taken.lock().unwrap().push(mail);
            say(&mut stream, "250 kept as number 7").await;
        } else if command == "QUIT" {
            say(&mut stream, "221 bye").await;
            return;
        } else {
            say(&mut stream, "250 ok").await;
        }
    }
}

async fn say(stream: &mut BufReader<Box<dyn Stream>>, line: &str) {
    let _ = stream.write_all(format!("{line}\r\n").as_bytes()).await;
    let _ = stream.flush().await;
}

async fn hear(stream: &mut BufReader<Box<dyn Stream>>) -> Option<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await {
        Ok(1..) => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
        _ => None,
    }
}
