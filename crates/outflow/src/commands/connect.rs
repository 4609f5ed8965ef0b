//! `outflow connect`: a person grants access to a tool in a browser, and the tokens are kept.

use std::{io::BufRead as _, sync::Arc, time::Duration};

use clap::Args;
use kit::{Auth, Authorization, Declined, Redirected, Redirects};
use serde_json::json;
use tokio::sync::mpsc;

use super::Context;
use crate::{
    credentials::CredentialsFile,
    failure::{Exit, Failure},
    surroundings::{self, SystemRandom},
    wiring::wiring,
};

/// Grant access to a destination in a browser (OAuth 2), so that syncs can sign in to it.
///
/// The destination's file names the app's `client_id`; the app must allow the address that is shown to be sent back
/// to. The tokens are kept in the project's data folder and renewed by themselves. Where the browser is on another
/// computer, paste the address that it ends at.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow connect crm
  outflow connect crm --no-browser --port 9123")]
pub(crate) struct Connect {
    /// The destination's name in the project.
    #[arg(value_name = "DESTINATION")]
    destination: String,
    /// The port of the address to be sent back to; the app in the tool must allow it.
    #[arg(long, value_name = "N", default_value_t = 8914)]
    port: u16,
    /// Only show the address of the page, and open no browser.
    #[arg(long)]
    no_browser: bool,
    /// How long to wait for access to be granted.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
}

/// How long the last page may take to be sent.
const LAST_PAGE: Duration = Duration::from_secs(2);

impl Connect {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let project = context.project()?;
        let names: Vec<&str> = project.destinations.iter().map(|part| part.origin.name.as_str()).collect();
        super::known("destination", &self.destination, &names)?;
        let connection = wiring(&project).connection(&self.destination)?;
        let store = Arc::new(CredentialsFile::new(&project.settings.data, &self.destination));
        let mut wire_settings = connection.destination.wire_settings();
        wire_settings.auth.keep_in(store.clone());
        let Auth::OAuth(oauth) = &wire_settings.auth else {
            return Err(Failure::new(format!(
                "`{}` is signed in to by its settings; there is nothing to connect",
                self.destination
            )));
        };
        let cannot = |error: std::io::Error| {
            Failure::new(format!("cannot listen on port {}", self.port)).because(error).hint("give another: `--port N`")
        };
        let mut redirects = Redirects::listen(self.port).await.map_err(cannot)?;
        let wrong =
            |error: kit::SettingsError| Failure::new(format!("`{}` cannot be connected: {error}", self.destination));
        let authorization = Authorization::new(oauth, &redirects.url(), &SystemRandom).map_err(wrong)?;
        self.tell(&authorization, &redirects, context);
        let granted = self.granted(&authorization, &mut redirects, context).await;
        let (code, browser) = match granted {
            Ok(granted) => granted,
            Err(failure) => {
                redirects.finish(LAST_PAGE).await;
                return Err(failure);
            }
        };
        let name = &connection.destination.facts().name;
        let wire = &connection.wire;
        let exchanged = authorization.exchange(&code, wire).await.map_err(|error| wire.redact_error(error));
        match (&exchanged, browser) {
            (Ok(_), Some(browser)) => browser.granted(&format!("Outflow may now use {name}.")),
            (Err(error), Some(browser)) => browser.failed(&error.to_string()),
            (_, None) => {}
        }
        redirects.finish(LAST_PAGE).await;
        let tokens = exchanged
            .map_err(|error| Failure::new(format!("`{}` is not connected", self.destination)).because(error))?;
        let result = json!({
            "destination": self.destination, "connected": true, "renews": tokens.refresh_token.is_some(),
            "scope": tokens.scope, "kept_in": store.path(),
        });
        context.output.result(&result, |paint| {
            let renewed = match (&tokens.refresh_token, &tokens.renew_at) {
                (Some(_), _) => "It is renewed by itself.".to_owned(),
                (None, Some(at)) => format!("It came without a refresh token and ends at {at}; connect again then."),
                (None, None) => "It came without a refresh token; connect again when it is refused.".to_owned(),
            };
            let kept = store.path();
            format!("{} `{}`. {renewed}\nKept in {}", paint.green("Connected"), self.destination, kept.display())
        });
        Ok(Exit::Done)
    }

    fn tell(&self, authorization: &Authorization, redirects: &Redirects, context: &Context<'_>) {
        let output = context.output;
        let url = authorization.url();
        let opened = !self.no_browser && surroundings::open_in_browser(url);
        let first = if opened { "A browser opens to grant access at" } else { "Grant access in a browser at" };
        output.note(&format!(
            "{first}\n\n  {url}\n\nIt then leads to {}, which the app in the tool must allow.\n\
             If the browser is on another computer, paste here the address that it ends at.",
            redirects.url()
        ));
    }

    /// Waits for the code: from a browser that comes back, or from a pasted address.
    async fn granted(
        &self,
        authorization: &Authorization,
        redirects: &mut Redirects,
        context: &Context<'_>,
    ) -> Result<(String, Option<Redirected>), Failure> {
        let mut pasted = pasted_lines();
        let end = tokio::time::sleep(Duration::from_secs(self.timeout));
        tokio::pin!(end);
        loop {
            let declined = tokio::select! {
                () = context.cancel.cancelled() => return Err(Failure::new("ended before access was granted")),
                () = &mut end => {
                    return Err(Failure::new("nobody granted access in time").hint("run it again, with a longer `--timeout`"));
                }
                Some(browser) = redirects.next() => match authorization.code(&browser.target) {
                    Ok(code) => return Ok((code, Some(browser))),
                    Err(declined) => {
                        browser.failed(&declined.to_string());
                        declined
                    }
                },
                Some(line) = pasted.recv() => match authorization.code(&line) {
                    Ok(code) => return Ok((code, None)),
                    Err(declined) => declined,
                },
            };
            match declined {
                Declined::Foreign(_) => context.output.note(&format!("{declined}; still waiting")),
                Declined::Refused(_) => return Err(Failure::new(declined.to_string())),
            }
        }
    }
}

/// The lines that a person pastes. Reading them cannot be broken off, so it has a thread of its own.
fn pasted_lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines().map_while(Result::ok);
        for line in lines.filter(|line| !line.trim().is_empty()) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
