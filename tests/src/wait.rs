use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// How often [`until`] looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks again and again until `look` finds something, at most for `bound`.
///
/// Errors: the first error of `look`, or, when the bound is over, a sentence with `what` was waited for.
pub fn until<T>(
    what: &str,
    bound: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if start.elapsed() > bound {
            bail!("waited {bound:?} in vain for {what}");
        }
        std::thread::sleep(PAUSE);
    }
}
