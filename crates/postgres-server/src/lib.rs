//! A PostgreSQL server of a test's own: made in a temporary folder, started on a free port, gone when dropped.
//! For tests and measurements only.

use std::{
    ffi::OsStr,
    fs,
    io::{Read as _, Seek as _, Write as _},
    net::TcpListener,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use tempfile::TempDir;

/// The owner of the server. PostgreSQL asks for this password over TCP.
pub const USER: &str = "outflow";
pub const PASSWORD: &str = "correct horse";

/// How the server is to be.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Lines of `postgresql.conf` behind our own: `("ssl", "on")`.
    pub settings: Vec<(String, String)>,
    /// Lines of `pg_hba.conf` before our own.
    pub access: Vec<String>,
    /// Files to write into the data folder, readable by the server only: `("server.key", "…")`.
    pub files: Vec<(String, String)>,
    /// The encoding of its databases; UTF8 if none is said.
    pub encoding: Option<String>,
}

/// A running server.
#[derive(Debug)]
pub struct PostgresServer {
    folder: TempDir,
    port: u16,
    runs: Mutex<bool>,
}

impl PostgresServer {
    /// Makes a new server and waits until it answers.
    ///
    /// # Panics
    /// If PostgreSQL's binaries are missing or the server does not start, with what it wrote.
    pub fn start(options: &Options) -> Self {
        let folder = tempfile::Builder::new().prefix("outflow-postgres-").tempdir().expect("a temporary folder");
        if let Some(account) = account() {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("its permissions are set");
            chown(folder.path(), Some(account.0), Some(account.1)).expect("it gets its owner");
        }
        let mut server = Self { folder, port: 0, runs: Mutex::new(false) };
        server.init(options);
        // Another process may take the free port before the server does: then there are more.
        for attempt in 1.. {
            server.port = free_port();
            match server.launch() {
                Ok(()) => break,
                Err(_) if attempt < 5 => {}
                Err(log) => panic!("PostgreSQL did not start:\n{log}"),
            }
        }
        server
    }

    fn init(&self, options: &Options) {
        let password = self.folder.path().join("password");
        self.write(&password, PASSWORD);
        let data = self.data();
        let mut command = self.command("initdb");
        command
            .args(["--username", USER, "--auth-local", "trust", "--auth-host", "scram-sha-256", "--no-sync"])
            .args(["--locale", "C", "--encoding", options.encoding.as_deref().unwrap_or("UTF8")])
            .args([OsStr::new("--pwfile"), password.as_os_str(), OsStr::new("--pgdata"), data.as_os_str()]);
        run(&mut command).unwrap_or_else(|log| panic!("initdb failed:\n{log}"));

        let mut settings = fs::read_to_string(data.join("postgresql.conf")).expect("initdb writes its settings");
        let ours = [
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", self.folder.path().to_str().expect("a folder's name in UTF-8")),
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
            ("max_wal_size", "4GB"),
            ("logging_collector", "off"),
        ];
        let theirs = options.settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        for (key, value) in ours.into_iter().chain(theirs) {
            settings.push_str(&format!("\n{key} = '{}'", value.replace('\'', "''")));
        }
        self.write(&data.join("postgresql.conf"), &settings);
        let access = fs::read_to_string(data.join("pg_hba.conf")).expect("initdb writes its access rules");
        self.write(&data.join("pg_hba.conf"), &format!("{}\n{access}", options.access.join("\n")));
        for (name, text) in &options.files {
            self.write(&data.join(name), text);
        }
    }

    fn launch(&self) -> Result<(), String> {
        let mut command = self.command("pg_ctl");
        let data = self.data();
        command.args([OsStr::new("start"), OsStr::new("--wait"), OsStr::new("--silent"), OsStr::new("--pgdata")]);
        command.arg(data.as_os_str()).arg("--log").arg(self.log()).arg("--options").arg(format!("-p {}", self.port));
        let started = run(&mut command);
        let log = started.map_err(|said| format!("{said}\n{}", fs::read_to_string(self.log()).unwrap_or_default()));
        *self.runs.lock().unwrap_or_else(PoisonError::into_inner) = log.is_ok();
        log
    }

    /// Starts it again after [`Self::stop`], on the same port.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_again(&self) {
        self.launch().unwrap_or_else(|log| panic!("PostgreSQL did not start again:\n{log}"));
    }

    /// Stops it at once, as a crash would; its data stays until it is dropped.
    pub fn stop(&self) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut *runs) {
            let mut command = self.command("pg_ctl");
            command.args(["stop", "--wait", "--silent", "--mode", "immediate", "--pgdata"]).arg(self.data());
            // A test that fails already is not helped by a panic here.
            let _ = run(&mut command);
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its Unix socket, where no password is asked for.
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// The URL of the database `postgres` for its owner.
    pub fn url(&self) -> String {
        format!("postgresql://{USER}:{}@127.0.0.1:{}/postgres", PASSWORD.replace(' ', "%20"), self.port)
    }

    /// `psql`, signed in over TCP as a client would be. The caller adds what it is to do.
    pub fn psql(&self) -> Command {
        let mut command = self.command("psql");
        command.args(["--no-psqlrc", "--quiet", "--dbname"]).arg(self.url()).stdin(Stdio::null());
        command
    }

    /// Runs SQL through `psql` and gives what it prints, unaligned, without heads.
    ///
    /// # Panics
    /// If a statement fails, with what `psql` says.
    pub fn sql(&self, text: &str) -> String {
        let mut command = self.command("psql");
        command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"]);
        command.args(["--username", USER, "--dbname", "postgres", "--port"]).arg(self.port.to_string());
        command.arg("--host").arg(self.folder.path()).args(["--file", "-"]);
        // Through its input, where each statement is a transaction of its own.
        let input = tempfile::tempfile().and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.rewind()?;
            Ok(file)
        });
        let output = command.stdin(input.expect("a temporary file")).output().expect("psql runs");
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Writes a file that only the server's account may read.
    fn write(&self, path: &Path, text: &str) {
        fs::write(path, text).expect("a file of the server is written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its permissions are set");
        let owner = fs::metadata(self.folder.path()).expect("the folder is there");
        chown(path, Some(owner.uid()), Some(owner.gid())).expect("it gets its owner");
    }

    /// One of PostgreSQL's programs, run as the folder's owner: PostgreSQL refuses to run as root.
    fn command(&self, program: &str) -> Command {
        let path = binary(program);
        let mut command = match account() {
            None => Command::new(path),
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
                command.arg(path);
                command
            }
        };
        command.current_dir(self.folder.path()).env_remove("PGPASSWORD").env("LC_ALL", "C");
        command
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a program to its end; the error is what it said.
fn run(command: &mut Command) -> Result<(), String> {
    // Not a pipe: the server that `pg_ctl` starts would keep it open.
    let said = tempfile::tempfile().and_then(|file| Ok((file.try_clone()?, file))).expect("a temporary file");
    let (mut file, output) = said;
    let errors = output.try_clone().expect("a second handle of it");
    let status = command.stdin(Stdio::null()).stdout(output).stderr(errors).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let mut text = String::new();
            let _ = file.rewind().and_then(|()| file.read_to_string(&mut text));
            Err(format!("{status}: {text}"))
        }
        Err(error) => Err(format!("{command:?} cannot be run: {error}")),
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// The newest server among PATH and where Debian puts it. All programs come from one folder, so that they fit.
fn binary(program: &str) -> PathBuf {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| folder.join("postgres").exists())
        .collect();
    folders.sort();
    let newest = folders.pop().map(|(_, folder)| folder);
    #[expect(clippy::disallowed_methods, reason = "a test's helper looks for programs itself")]
    let path = std::env::var("PATH").unwrap_or_default();
    let folder = newest.or_else(|| path.split(':').map(PathBuf::from).find(|folder| folder.join("postgres").exists()));
    let folder = folder.expect("PostgreSQL's server programs: install them with `apt-get install postgresql`");
    folder.join(program)
}

/// The account to run the server as, if we are root: user and group.
fn account() -> Option<(u32, u32)> {
    let we_are_root = fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    if !we_are_root {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").expect("the list of accounts");
    let find = |name: &str| {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(find("postgres").or_else(|| find("nobody")).expect("an account that is not root"))
}
