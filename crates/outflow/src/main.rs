//! The program `outflow`: reads settings and project files, wires the engine, runs commands, shows what came of it.

mod arguments;
mod commands;
mod connectors;
mod credentials;
mod demo;
mod failure;
mod installation;
mod interrupt;
mod keys;
mod operations;
mod output;
mod progress;
mod render;
mod surroundings;
mod traces;
mod wiring;

use std::{process::ExitCode, sync::Arc};

use arguments::Arguments;
use clap::Parser as _;
use failure::Exit;
use output::Output;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    surroundings::start_log(&arguments.global);
    let output = Arc::new(Output::new(&arguments.global));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.failure(&failure::Failure::new("the program's threads cannot be started").because(error));
            return Exit::Failed.into();
        }
    };
    let exit = runtime.block_on(async {
        let shown = Arc::clone(&output);
        let cancel =
            interrupt::watch(move || shown.note("ending: waiting for what is under way; press again to stop at once"));
        let context = commands::Context { global: &arguments.global, output: &output, cancel };
        match commands::run(arguments.command, &context).await {
            Ok(exit) => exit,
            Err(failure) => {
                output.failure(&failure);
                failure.exit
            }
        }
    });
    // Work that was given up (a query that does not end) must not keep the program.
    runtime.shutdown_background();
    exit.into()
}

fn usage(error: &clap::Error) -> ExitCode {
    // Help that was asked for is no mistake; clap tells the two apart by where it would print.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}
