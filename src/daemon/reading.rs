//! Reading files that may never answer: whoever reads from a network mount whose server is dead is held by the kernel, and so
//! is who opens a FIFO that nobody writes to. Such a thread cannot be ended; it can only be left behind.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// What answers at all has answered by then.
pub const LIMIT: Duration = Duration::from_secs(30);
/// Threads that may be left behind. They are of a pool from which the resolver takes its own, which must not run out.
const MOST_LEFT: usize = 8;

/// Reads on threads of their own, and counts those that were left behind. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// One more for each thread that reads.
    under_way: Arc<()>,
}

/// Why nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    #[error(
        "reading it takes longer than {0:?} and was given up: is it on a file system that does not answer?"
    )]
    Hangs(Duration),
    #[error("{0} earlier attempts to read it still hang: it is not tried again before one of them has ended")]
    AllHang(usize),
    #[error("reading it failed by a bug: {0}")]
    Panicked(String),
}

impl Reading {
    /// Waits for what is read, but not longer than that. It may be dropped at any time. Must be called within a tokio runtime,
    /// and one that is shut down in the background: otherwise what was left behind holds it up.
    pub async fn within<T: Send + 'static>(
        &self,
        limit: Duration,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unread> {
        let left = Arc::strong_count(&self.under_way) - 1;
        if left >= MOST_LEFT {
            return Err(Unread::AllHang(left));
        }
        let counted = Arc::clone(&self.under_way);
        let reading = spawn_blocking(move || {
            let read = read();
            drop(counted);
            read
        });
        match timeout(limit, reading).await {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(panicked)) => Err(Unread::Panicked(panicked.to_string())),
            Err(_) => Err(Unread::Hangs(limit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::mpsc;

    #[tokio::test]
    async fn what_hangs_is_left_behind_and_counted_until_it_ends() {
        let reading = Reading::default();
        assert_eq!(reading.within(LIMIT, || 7).await, Ok(7));
        let short = Duration::from_millis(10);
        let mut held = Vec::new();
        for _ in 0..MOST_LEFT {
            let (release, hangs) = mpsc::channel::<()>();
            held.push(release);
            let read = reading.within(short, move || hangs.recv().is_err());
            assert_eq!(read.await, Err(Unread::Hangs(short)));
        }
        assert_eq!(
            reading.within(LIMIT, || ()).await,
            Err(Unread::AllHang(MOST_LEFT))
        );
        // The mount answers again.
        drop(held);
        let again = tokio::time::timeout(LIMIT, async {
            while reading.within(LIMIT, || ()).await.is_err() {
                tokio::task::yield_now().await;
            }
        });
        again.await.expect("those that have ended are not counted");
    }

    #[tokio::test]
    async fn a_panic_is_said_and_not_counted() {
        let reading = Reading::default();
        let read = reading.within(LIMIT, || panic!("a bug")).await;
        assert!(matches!(read, Err(Unread::Panicked(_))), "{read:?}");
        assert_eq!(Arc::strong_count(&reading.under_way), 1);
    }
}
