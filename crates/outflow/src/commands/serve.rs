//! `outflow serve` and `outflow worker`: the server with its API, its scheduler and its workers.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use alerts::{Alerting, Dispatcher, Sender};
use changes::NoSteps;
use clap::Args;
use kit::{Limits, Wire, WireSettings};
use project::{Allowed, Size};
use serde_json::json;
use server::{AppState, PublicUrl};
use sync::Engine;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use workers::{PlanSettings, RetentionSettings, Scheduler, Service, Worker, WorkerSettings};

use super::Context;
use crate::{
    connectors,
    failure::{Exit, Failure},
    installation::{Installation, Places},
    surroundings::{SystemClock, SystemRandom, variable},
};

const LISTEN_DEFAULT: &str = "127.0.0.1:8080";
/// Alerts may go to addresses of the own network: whoever runs the server has tools there.
const WEBHOOK_REACH: kit::Reach = kit::Reach::Private;
const MEMORY_DEFAULT: u64 = 512 << 20;
const DISK_DEFAULT: u64 = 20 << 30;

/// Run the server: HTTP API, scheduler and workers, in one process.
///
/// The first start prints a link to make the owner's account. SIGTERM or Ctrl-C ends it cleanly: requests under way are
/// answered, syncs go on for a while, and what is left is taken up by the next start.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow serve --data /var/lib/outflow
  outflow serve --listen 0.0.0.0:8080 --public-url https://outflow.example.com
  OUTFLOW_DATABASE_URL=postgres://outflow:…@db/outflow outflow serve    # state in PostgreSQL; more workers may join

Each option can come from the environment: OUTFLOW_DATA, OUTFLOW_DATABASE_URL, OUTFLOW_KEY_FILE, OUTFLOW_KEY,
OUTFLOW_LISTEN, OUTFLOW_PUBLIC_URL. See docs/server.md.")]
pub(crate) struct Serve {
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    working: Working,
    /// The address to listen on. Port 0 takes a free one. Environment: OUTFLOW_LISTEN. Default: 127.0.0.1:8080.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where people reach the server, if a proxy stands in front of it. Environment: OUTFLOW_PUBLIC_URL.
    #[arg(long, value_name = "URL")]
    public_url: Option<PublicUrl>,
    /// How many trusted proxies stand in front of the server.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    proxies: usize,
    /// Run no syncs here: other processes do (`outflow worker`).
    #[arg(long)]
    no_worker: bool,
}

/// Run syncs for a server whose state is in PostgreSQL, from this process or machine.
///
/// It takes syncs from the queue, says again and again that it is at them, and takes over what a process that was lost
/// left behind.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  OUTFLOW_DATABASE_URL=postgres://outflow:…@db/outflow outflow worker --data /mnt/outflow")]
pub(crate) struct WorkerCommand {
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    working: Working,
}

/// How syncs are run.
#[derive(Debug, Clone, Args)]
struct Working {
    /// What comparing may hold in memory, such as `512MiB`.
    #[arg(long, value_name = "SIZE")]
    memory: Option<Size>,
    /// What one sync may write to disk before it is sent.
    #[arg(long, value_name = "SIZE")]
    disk: Option<Size>,
    /// Extracts that are read at the same time.
    #[arg(long, value_name = "N", default_value_t = WorkerSettings::default().extracts_max)]
    extracts: usize,
    /// How long others wait for a sign of life of a worker before they take over its syncs.
    #[arg(long, value_name = "SECONDS", default_value_t = WorkerSettings::default().lease.as_secs())]
    lease_seconds: u64,
    /// How long syncs may go on after the process was told to end.
    #[arg(long, value_name = "SECONDS", default_value_t = WorkerSettings::default().grace.as_secs())]
    grace_seconds: u64,
    /// Days after which the record-level history and ended syncs are forgotten.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    keep_days: u32,
    /// Size from which on the oldest record-level history is dropped.
    #[arg(long, value_name = "SIZE")]
    keep_history: Option<Size>,
    /// Environment variables that definitions may refer to: a name, or the beginning of names (`SHOP_*`).
    #[arg(long, value_name = "NAME")]
    allow_env: Vec<String>,
    /// Files, or folders with all that is in them, that definitions may refer to.
    #[arg(long, value_name = "PATH")]
    allow_file: Vec<PathBuf>,
}

impl Serve {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let listen = match self
            .listen
            .map(Ok)
            .or_else(|| variable("OUTFLOW_LISTEN").map(|text| parsed("OUTFLOW_LISTEN", &text)))
        {
            Some(listen) => listen?,
            None => parsed("the default", LISTEN_DEFAULT)?,
        };
        let installation = Installation::open(&self.places).await?;
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            Failure::new(format!("the server cannot listen on `{listen}`"))
                .because(error)
                .hint("is another server running there? name another address with `--listen`")
        })?;
        let address =
            listener.local_addr().map_err(|error| Failure::new("the server has no address").because(error))?;
        let public_url = match self.public_url {
            Some(url) => url,
            None => match variable("OUTFLOW_PUBLIC_URL") {
                Some(text) => parsed("OUTFLOW_PUBLIC_URL", &text)?,
                None => parsed("the address", &format!("http://{address}"))?,
            },
        };
        let service = Arc::new(self.working.service(&installation)?);
        let settings = server::Settings {
            proxies: self.proxies,
            webhook_reach: WEBHOOK_REACH,
            ..server::Settings::new(public_url.clone())
        };
        let shutdown = context.cancel.clone();
        let state = AppState::new(server::Parts {
            settings,
            store: installation.store.clone(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            wire: wire()?,
            workers: Arc::clone(&service),
            shutdown: shutdown.clone(),
        });
        let setup = server::setup_link(&state)
            .await
            .map_err(|error| Failure::new("the control store cannot be read").because(error))?;
        context.output.result(&json!({ "url": public_url.to_string(), "listen": address, "setup": setup }), |_| {
            let setup = setup.as_ref().map(|link| format!("\nMake the owner's account: {link}"));
            format!("Outflow serves at {public_url}{}", setup.unwrap_or_default())
        });
        let serving = async {
            let served = server::serve(listener, state, shutdown.clone()).await;
            // A server that cannot serve must not go on in silence.
            shutdown.cancel();
            served
        };
        let alerting = Alerting::new(
            Dispatcher {
                store: installation.store.clone(),
                sender: Sender { clock: Arc::new(SystemClock), reach: WEBHOOK_REACH },
                random: Arc::new(SystemRandom),
                keyring: installation.keyring.clone(),
                public_url: Some(public_url.to_string()),
            },
            service.worker().to_string(),
        );
        let worker = (!self.no_worker).then(|| Worker::new(Arc::clone(&service), self.working.settings()));
        let (served, (), (), (), ()) = tokio::join!(
            serving,
            Scheduler::new(Arc::clone(&service)).run(shutdown.clone()),
            run(worker, &shutdown),
            Arc::clone(&service).follow_others(shutdown.clone()),
            alerting.run(shutdown.clone()),
        );
        served.map_err(|error| Failure::new("the server ended").because(error))?;
        Ok(Exit::Done)
    }
}

impl WorkerCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        if self.places.database_url().is_none() {
            return Err(Failure::usage("a worker of its own needs a store that several processes share")
                .hint("set OUTFLOW_DATABASE_URL; without PostgreSQL, `outflow serve` runs the syncs itself"));
        }
        let installation = Installation::open(&self.places).await?;
        let service = Arc::new(self.working.service(&installation)?);
        let id = service.worker().to_string();
        context.output.result(&json!({ "worker": id }), |_| format!("Worker {id} takes syncs from the queue"));
        let worker = Worker::new(Arc::clone(&service), self.working.settings());
        tokio::join!(run(Some(worker), &context.cancel), Scheduler::new(service).run(context.cancel.clone()));
        Ok(Exit::Done)
    }
}

async fn run(worker: Option<Worker>, stop: &CancellationToken) {
    match worker {
        Some(worker) => worker.run(stop.clone()).await,
        None => stop.cancelled().await,
    }
}

impl Working {
    fn service(&self, installation: &Installation) -> Result<Service, Failure> {
        let folder = &installation.folder;
        let allowed = Allowed::new(&self.allow_env, &self.allow_file, folder)
            .map_err(|message| Failure::usage(format!("`--allow-env`: {message}")))?;
        let settings = project::Settings {
            name: "outflow".to_owned(),
            folder: folder.clone(),
            data: folder.clone(),
            memory_bytes: self.memory.map_or(MEMORY_DEFAULT, |size| size.0),
            disk_bytes: self.disk.map_or(DISK_DEFAULT, |size| size.0),
            history_days: Some(self.keep_days),
            history_bytes: self.keep_history.map(|size| size.0),
        };
        let engine = Engine::new(
            installation.store.clone(),
            sync::Settings {
                folder: folder.clone(),
                memory_bytes: settings.memory_bytes,
                disk_bytes: settings.disk_bytes,
                history_days: settings.history_days,
                history_bytes: settings.history_bytes,
            },
            Arc::new(SystemClock),
            Arc::new(SystemRandom),
            Arc::new(NoSteps),
        );
        Ok(Service::new(workers::Parts {
            store: installation.store.clone(),
            keyring: installation.keyring.clone(),
            forms: Arc::new(connectors::forms()),
            engine,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            variables: Arc::new(variable),
            places: workers::Places { settings, allowed },
            plans: PlanSettings::default(),
        }))
    }

    fn settings(&self) -> WorkerSettings {
        let lease = Duration::from_secs(self.lease_seconds.max(3));
        WorkerSettings {
            extracts_max: self.extracts.max(1),
            lease,
            heartbeat: lease / 6,
            grace: Duration::from_secs(self.grace_seconds),
            retention: RetentionSettings {
                syncs: Some(Duration::from_secs(u64::from(self.keep_days) * 86_400)),
                ..RetentionSettings::default()
            },
            ..WorkerSettings::default()
        }
    }
}

/// The way to the identity provider.
fn wire() -> Result<Wire, Failure> {
    let settings = WireSettings { limits: Limits { concurrency: 16, ..Limits::default() }, ..WireSettings::default() };
    Wire::open(settings, Arc::new(SystemClock))
        .map_err(|error| Failure::new("no connections can be made").because(error))
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(place: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error| Failure::usage(format!("{place}: {error}")))
}
