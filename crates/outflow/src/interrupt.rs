//! Ctrl-C and SIGTERM: the first ends the work cleanly, the second ends the program.

use tokio_util::sync::CancellationToken;

/// The exit code of a program that SIGINT ended, as shells have it.
const INTERRUPTED: i32 = 130;

/// A token that the first signal cancels; then `told` is called. The second signal exits at once.
pub(crate) fn watch(told: impl FnOnce() + Send + 'static) -> CancellationToken {
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        if !next_signal().await {
            return;
        }
        cancel.cancel();
        told();
        if next_signal().await {
            #[expect(clippy::exit, reason = "the person asked twice; what is in flight is found by the next sync")]
            std::process::exit(INTERRUPTED);
        }
    });
    token
}

/// Waits for a signal to end. False if the system gives none.
async fn next_signal() -> bool {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            return tokio::signal::ctrl_c().await.is_ok();
        };
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted.is_ok(),
            terminated = terminate.recv() => terminated.is_some(),
        }
    }
    #[cfg(not(unix))]
    {
        tokio::signal::ctrl_c().await.is_ok()
    }
}
