//! `outflow demo`: the whole of it in a few seconds, without a server or an account.

use std::path::PathBuf;

use clap::Args;

use super::Context;
use crate::{
    demo,
    failure::{Exit, Failure},
};

/// See it work: a small shop, a local receiving endpoint, two syncs. Needs no server and no account.
///
/// It leaves a project behind that you can go on with.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  outflow demo
  outflow demo --dir /tmp/shop --serve")]
pub(crate) struct Demo {
    /// The folder for the demo's project. It must be empty or missing; one that an earlier demo made is begun anew.
    #[arg(long, value_name = "DIR", default_value = "outflow-demo")]
    dir: PathBuf,
    /// How many customers the shop has.
    #[arg(long, value_name = "N", default_value_t = 3000)]
    customers: u32,
    /// Keep the endpoint until Ctrl-C, for syncs of your own from another terminal.
    #[arg(long)]
    serve: bool,
}

impl Demo {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        demo::run(&self.dir, self.customers, self.serve, context).await
    }
}
