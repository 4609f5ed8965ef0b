//! The PostgreSQL protocol, as much of it as reading needs: sign in, simple queries, describing, `COPY` out, cancel.
//!
//! Our own and not a driver's, because a driver hands out each row of a `COPY` as an object of its own; here a chunk
//! of the socket's bytes is handed out whole and decoded where it lies.

use std::{fmt, io, ops::Range, sync::Arc, time::Duration};

use bytes::BytesMut;
use postgres_protocol::{
    authentication::{
        md5_hash,
        sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256},
    },
    message::frontend,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsConnector;

use super::{
    settings::{Target, TlsMode},
    tls,
};

/// One read of the socket takes up to this.
const BUFFER: usize = 256 << 10;
/// PostgreSQL's own limit of a message.
const MESSAGE_MAX: usize = 1 << 30;

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// Why talking to the server failed.
#[derive(Debug)]
pub(super) enum Failure {
    Io(io::Error),
    Tls(String),
    /// The password is missing, or the server wants a way to sign in that we do not have.
    SignIn(String),
    Server(Box<ServerError>),
    /// The other side does not speak the protocol.
    Protocol(&'static str),
    TookTooLong(Duration),
}

/// An error as the server reports it.
#[derive(Debug, Default)]
pub(super) struct ServerError {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) detail: Option<String>,
    pub(super) hint: Option<String>,
    /// The place in the query sent, in characters from 1.
    pub(super) position: Option<usize>,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match tls::inner(&error) {
            Some(inner) => Failure::Tls(tls::explain(inner)),
            None => Failure::Io(error),
        }
    }
}

/// A column as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) type_id: u32,
}

/// What a simple query gives: rows of nullable text.
pub(super) type TextRows = Vec<Vec<Option<String>>>;

/// What is needed to cancel what a connection runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backend {
    process: i32,
    secret: i32,
    encrypted: bool,
}

pub(super) struct Connection {
    socket: Box<dyn Socket>,
    encrypted: bool,
    input: Vec<u8>,
    /// What of `input` holds bytes that are not used yet.
    filled: Range<usize>,
    output: BytesMut,
    process: i32,
    secret: i32,
    version: String,
    has_no_encoding: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("process", &self.process).finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects and signs in, within the target's time.
    ///
    /// # Errors
    /// Whatever stands in the way.
    pub(super) async fn open(target: &Target, tls: Option<&Arc<ClientConfig>>) -> Result<Self, Failure> {
        let limit = target.connect_timeout;
        match tokio::time::timeout(limit, Self::open_without_limit(target, tls)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::TookTooLong(limit)),
        }
    }

    async fn open_without_limit(target: &Target, tls: Option<&Arc<ClientConfig>>) -> Result<Self, Failure> {
        let (socket, encrypted) = match dial(target, tls).await {
            // `prefer` takes what it gets.
            Err(Failure::Tls(_)) if target.tls == TlsMode::Prefer => dial(target, None).await?,
            other => other?,
        };
        let mut connection = Self {
            socket,
            encrypted,
            input: vec![0; BUFFER],
            filled: 0..0,
            output: BytesMut::new(),
            process: 0,
            secret: 0,
            version: String::new(),
            has_no_encoding: false,
        };
        connection.sign_in(target).await?;
        Ok(connection)
    }

    async fn sign_in(&mut self, target: &Target) -> Result<(), Failure> {
        let parameters = [
            ("client_encoding", "UTF8"),
            ("user", &target.user),
            ("database", &target.database),
            ("application_name", &target.application_name),
        ];
        frontend::startup_message(parameters, &mut self.output)?;
        self.flush().await?;
        let mut scram = None;
        loop {
            let (tag, body) = self.message().await?;
            match tag {
                b'R' => {
                    let body = self.input[body].to_vec();
                    self.authenticate(&body, target, &mut scram).await?;
                }
                b'K' => {
                    let body = &self.input[body];
                    self.process = int_at(body, 0)?;
                    self.secret = int_at(body, 4)?;
                }
                b'S' => {
                    let mut parts = self.input[body].split(|&byte| byte == 0);
                    let (name, value) = (parts.next(), String::from_utf8_lossy(parts.next().unwrap_or_default()));
                    match name {
                        Some(b"server_version") => {
                            self.version = value.split(' ').next().unwrap_or_default().to_owned();
                        }
                        Some(b"server_encoding") => self.has_no_encoding = value == "SQL_ASCII",
                        _ => {}
                    }
                }
                b'E' => return Err(Failure::Server(Box::new(server_error(&self.input[body])))),
                b'Z' => return Ok(()),
                b'N' | b'v' => {}
                _ => return Err(Failure::Protocol("an answer to signing in that is not PostgreSQL's")),
            }
        }
    }

    async fn authenticate(
        &mut self,
        body: &[u8],
        target: &Target,
        scram: &mut Option<ScramSha256>,
    ) -> Result<(), Failure> {
        const WRONG: Failure = Failure::Protocol("a broken message while signing in");
        let (kind, data) = body.split_first_chunk::<4>().ok_or(WRONG)?;
        let password = || {
            let password = target.password.as_deref();
            password.ok_or_else(|| Failure::SignIn("it wants a password and `password` is not set".to_owned()))
        };
        match i32::from_be_bytes(*kind) {
            0 => return Ok(()),
            3 => frontend::password_message(password()?.as_bytes(), &mut self.output)?,
            5 => {
                let salt = data.first_chunk::<4>().ok_or(WRONG)?;
                let hash = md5_hash(target.user.as_bytes(), password()?.as_bytes(), *salt);
                frontend::password_message(hash.as_bytes(), &mut self.output)?;
            }
            10 => {
                if !data.split(|&byte| byte == 0).any(|name| name == SCRAM_SHA_256.as_bytes()) {
                    return Err(Failure::SignIn("it offers no way to sign in that is known here".to_owned()));
                }
                let state = ScramSha256::new(password()?.as_bytes(), ChannelBinding::unsupported());
                frontend::sasl_initial_response(SCRAM_SHA_256, state.message(), &mut self.output)?;
                *scram = Some(state);
            }
            11 => {
                let state = scram.as_mut().ok_or(WRONG)?;
                state.update(data).map_err(|error| Failure::SignIn(format!("SCRAM failed: {error}")))?;
                frontend::sasl_response(state.message(), &mut self.output)?;
            }
            12 => {
                let state = scram.as_mut().ok_or(WRONG)?;
                let finished = state.finish(data);
                return finished.map_err(|_| {
                    Failure::SignIn("it does not know the password itself; is it the server?".to_owned())
                });
            }
            7..=9 => {
                let message =
                    "it wants GSSAPI or SSPI; give the user a password or a client certificate in pg_hba.conf";
                return Err(Failure::SignIn(message.to_owned()));
            }
            _ => return Err(Failure::SignIn("it wants a way to sign in that is not known here".to_owned())),
        }
        self.flush().await
    }

    /// The server's version, as `15.20`.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Whether the database stores bytes without saying what text they are (`SQL_ASCII`).
    pub(super) fn has_no_encoding(&self) -> bool {
        self.has_no_encoding
    }

    pub(super) fn backend(&self) -> Backend {
        Backend { process: self.process, secret: self.secret, encrypted: self.encrypted }
    }

    /// Runs statements and gives the rows of all of them as text.
    ///
    /// # Errors
    /// The server's error, once it is ready again.
    pub(super) async fn query(&mut self, text: &str) -> Result<TextRows, Failure> {
        frontend::query(text, &mut self.output)?;
        self.flush().await?;
        let mut rows = Vec::new();
        let mut error = None;
        loop {
            let (tag, body) = self.message().await?;
            match tag {
                b'D' => rows.push(text_row(&self.input[body])?),
                b'E' => error = Some(server_error(&self.input[body])),
                b'Z' => return error.map_or(Ok(rows), |error| Err(Failure::Server(Box::new(error)))),
                _ => {}
            }
        }
    }

    /// Has the server parse a query, and gives its columns and how many parameters it has. Nothing runs.
    ///
    /// # Errors
    /// The server's error, once it is ready again.
    pub(super) async fn describe(&mut self, text: &str) -> Result<(Vec<Described>, usize), Failure> {
        frontend::parse("", text, [], &mut self.output)?;
        frontend::describe(b'S', "", &mut self.output)?;
        frontend::sync(&mut self.output);
        self.flush().await?;
        let (mut columns, mut parameters, mut error) = (Vec::new(), 0, None);
        loop {
            let (tag, body) = self.message().await?;
            let body = &self.input[body];
            match tag {
                b'T' => columns = described(body)?,
                b't' => parameters = usize::try_from(short_at(body, 0)?).unwrap_or(0),
                b'E' => error = Some(server_error(body)),
                b'Z' => {
                    return error.map_or(Ok((columns, parameters)), |error| Err(Failure::Server(Box::new(error))));
                }
                _ => {}
            }
        }
    }

    /// Begins a `COPY … TO STDOUT`. Its data comes from [`Self::chunk`].
    ///
    /// # Errors
    /// The server's error.
    pub(super) async fn begin_copy(&mut self, text: &str) -> Result<(), Failure> {
        frontend::query(text, &mut self.output)?;
        self.flush().await?;
        loop {
            let (tag, body) = self.message().await?;
            match tag {
                b'H' => return Ok(()),
                b'E' => return Err(Failure::Server(Box::new(server_error(&self.input[body])))),
                b'Z' => return Err(Failure::Protocol("no data for a COPY")),
                _ => {}
            }
        }
    }

    /// The next bytes of the socket that are whole messages, at least one. May be dropped while it waits.
    ///
    /// # Errors
    /// The connection is lost.
    pub(super) async fn chunk(&mut self) -> Result<&[u8], Failure> {
        loop {
            let start = self.filled.start;
            let mut end = start;
            let mut missing = 5;
            while let Some(length) = message_length(&self.input[end..self.filled.end])? {
                if end + length > self.filled.end {
                    missing = length;
                    break;
                }
                end += length;
            }
            if end > start {
                self.filled.start = end;
                return Ok(&self.input[start..end]);
            }
            self.fill(missing).await?;
        }
    }

    /// The next message: its tag, and where in `input` its body is.
    async fn message(&mut self) -> Result<(u8, Range<usize>), Failure> {
        loop {
            let start = self.filled.start;
            let length = message_length(&self.input[self.filled.clone()])?;
            if let Some(length) = length
                && start + length <= self.filled.end
            {
                self.filled.start += length;
                return Ok((self.input[start], start + 5..start + length));
            }
            self.fill(length.unwrap_or(5)).await?;
        }
    }

    /// Reads once, after making room for a message of this length.
    async fn fill(&mut self, length: usize) -> Result<(), Failure> {
        let Range { start, end } = self.filled;
        if start > 0 {
            self.input.copy_within(start..end, 0);
            self.filled = 0..end - start;
        }
        if self.input.len() < length {
            self.input.resize(length.next_power_of_two(), 0);
        } else if length <= BUFFER && self.filled.end <= BUFFER && self.input.len() > 4 * BUFFER {
            // A large row has passed.
            self.input.truncate(BUFFER);
            self.input.shrink_to_fit();
        }
        let read = self.socket.read(&mut self.input[self.filled.end..]).await?;
        if read == 0 {
            return Err(Failure::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        self.filled.end += read;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        let output = self.output.split();
        self.socket.write_all(&output).await?;
        self.socket.flush().await?;
        Ok(())
    }

    /// Says goodbye. What fails here does not matter any more.
    pub(super) async fn close(mut self) {
        frontend::terminate(&mut self.output);
        if self.flush().await.is_ok() {
            let _ = self.socket.shutdown().await;
        }
    }
}

/// Asks the server to end what the backend runs, and waits until the server has taken the request.
///
/// # Errors
/// The server was not reached.
pub(super) async fn cancel(target: &Target, tls: Option<&Arc<ClientConfig>>, backend: Backend) -> Result<(), Failure> {
    let tls = if backend.encrypted { tls } else { None };
    let request = async {
        let (mut socket, _) = dial(target, tls).await?;
        let mut output = BytesMut::new();
        frontend::cancel_request(backend.process, backend.secret, &mut output);
        socket.write_all(&output).await?;
        socket.flush().await?;
        // The server closes the connection when it has passed the request on.
        let _ = socket.read(&mut [0]).await;
        Ok(())
    };
    let limit = target.connect_timeout;
    tokio::time::timeout(limit, request).await.unwrap_or(Err(Failure::TookTooLong(limit)))
}

/// A socket to the server, encrypted if that is wanted and possible.
async fn dial(target: &Target, tls: Option<&Arc<ClientConfig>>) -> Result<(Box<dyn Socket>, bool), Failure> {
    if target.is_unix_socket() {
        let path = format!("{}/.s.PGSQL.{}", target.host, target.port);
        return Ok((Box::new(UnixStream::connect(path).await?), false));
    }
    let mut socket = TcpStream::connect((target.host.as_str(), target.port)).await?;
    socket.set_nodelay(true)?;
    // A server that vanished while a long query ran is noticed within two minutes.
    let keep_alive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    socket2::SockRef::from(&socket).set_tcp_keepalive(&keep_alive)?;
    let Some(config) = tls else { return Ok((Box::new(socket), false)) };
    let mut output = BytesMut::new();
    frontend::ssl_request(&mut output);
    socket.write_all(&output).await?;
    match socket.read_u8().await? {
        b'S' => {}
        b'N' if target.tls == TlsMode::Prefer => return Ok((Box::new(socket), false)),
        b'N' => {
            let message = "the server does not offer TLS; switch it on there (`ssl = on`), or take `tls: disable` \
                           if the network is safe";
            return Err(Failure::Tls(message.to_owned()));
        }
        _ => return Err(Failure::Protocol("no answer to the question for TLS")),
    }
    let name = ServerName::try_from(target.host.clone())
        .map_err(|_| Failure::Tls(format!("`{}` is no host name that a certificate could state", target.host)))?;
    let encrypted = TlsConnector::from(Arc::clone(config)).connect(name, socket).await?;
    Ok((Box::new(encrypted), true))
}

/// The length of the message that begins here, its tag included, once its head is there.
pub(super) fn message_length(bytes: &[u8]) -> Result<Option<usize>, Failure> {
    let Some(head) = bytes.get(1..5).and_then(<[u8]>::first_chunk::<4>) else { return Ok(None) };
    match usize::try_from(i32::from_be_bytes(*head)) {
        Ok(length) if (4..MESSAGE_MAX + 1024).contains(&length) => Ok(Some(length + 1)),
        _ => Err(Failure::Protocol("a message of an impossible length")),
    }
}

const SHORT: Failure = Failure::Protocol("a message that is too short");

fn int_at(body: &[u8], at: usize) -> Result<i32, Failure> {
    let bytes = body.get(at..).and_then(<[u8]>::first_chunk::<4>).ok_or(SHORT)?;
    Ok(i32::from_be_bytes(*bytes))
}

fn short_at(body: &[u8], at: usize) -> Result<i16, Failure> {
    let bytes = body.get(at..).and_then(<[u8]>::first_chunk::<2>).ok_or(SHORT)?;
    Ok(i16::from_be_bytes(*bytes))
}

fn described(body: &[u8]) -> Result<Vec<Described>, Failure> {
    let mut columns = Vec::new();
    let mut rest = body.get(2..).ok_or(SHORT)?;
    for _ in 0..short_at(body, 0)? {
        let end = rest.iter().position(|&byte| byte == 0).ok_or(SHORT)?;
        let name = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 1..];
        // Table, its column, type, length, modifier, format.
        columns.push(Described { name, type_id: int_at(rest, 6)?.cast_unsigned() });
        rest = rest.get(18..).ok_or(SHORT)?;
    }
    Ok(columns)
}

fn text_row(body: &[u8]) -> Result<Vec<Option<String>>, Failure> {
    let mut row = Vec::new();
    let mut rest = body.get(2..).ok_or(SHORT)?;
    for _ in 0..short_at(body, 0)? {
        let length = int_at(rest, 0)?;
        rest = &rest[4..];
        match usize::try_from(length) {
            Err(_) => row.push(None),
            Ok(length) => {
                let (cell, behind) = rest.split_at_checked(length).ok_or(SHORT)?;
                row.push(Some(String::from_utf8_lossy(cell).into_owned()));
                rest = behind;
            }
        }
    }
    Ok(row)
}

/// Reads the fields of an error.
pub(super) fn server_error(body: &[u8]) -> ServerError {
    let mut error = ServerError::default();
    for field in body.split(|&byte| byte == 0) {
        let Some((tag, text)) = field.split_first() else { continue };
        let text = String::from_utf8_lossy(text).into_owned();
        match tag {
            b'C' => error.code = text,
            b'M' => error.message = text,
            b'D' => error.detail = Some(text),
            b'H' => error.hint = Some(text),
            b'P' => error.position = text.parse().ok(),
            _ => {}
        }
    }
    error
}
