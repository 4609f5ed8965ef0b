//! Work that may block, on threads for it.

use crate::Problem;

/// Runs work that may block on a thread for it. In a simulation it stops the clock while it runs.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    begin_blocking(work).await
}

/// As [`blocking`], but the work begins at once, not when it is waited for.
pub(crate) fn begin_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T, Problem>> {
    let begun = tokio::task::spawn_blocking(work);
    async move {
        let error = match begun.await {
            Ok(result) => return Ok(result),
            Err(error) => error,
        };
        let message = match error.try_into_panic() {
            Ok(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned()
            }
            Err(_) => "the program is ending".to_owned(),
        };
        Err(Problem::new("internal", message).with_hint("this is a fault of Outflow; please report it"))
    }
}
