//! Where lines go: a bounded queue, and a thread of its own that writes them.
//!
//! Standard error may block for as long as somebody likes: a paused terminal, a full pipe, a journal that is restarted. No
//! probe and no exporter waits for it. Lines that find the queue full are counted, and the count is written.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait.
const LINES: usize = 8192;
/// How long the end of the process waits for lines that were not written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The end of the queue that lines are put into. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    filled: Condvar,
    written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    lost: u64,
    /// The thread has taken lines and not written them all.
    writing: bool,
}

impl State {
    fn is_idle(&self) -> bool {
        self.lines.is_empty() && self.lost == 0 && !self.writing
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Plain data, right after every step, whatever panicked elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the log whole: dropping it waits a moment for the lines that were not written.
#[derive(Debug)]
#[must_use = "dropping it waits for the last lines"]
pub struct Logging(Queue);

impl Drop for Logging {
    fn drop(&mut self) {
        self.0.flush(LAST_LINES);
    }
}

impl Logging {
    pub fn new(queue: Queue) -> Self {
        Logging(queue)
    }
}

impl Queue {
    /// A queue whose lines a new thread writes to `sink`, each by one write. `lost` makes a line that says how many were lost.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(sink: impl Write + Send + 'static, lost: fn(u64) -> Vec<u8>) -> io::Result<Queue> {
        let queue = Queue(Arc::default());
        let shared = Arc::clone(&queue.0);
        std::thread::Builder::new()
            .name("whyd-log".into())
            .spawn(move || write_lines(&shared, sink, lost))?;
        Ok(queue)
    }

    fn put(&self, line: &[u8]) {
        let mut state = self.0.lock();
        if state.lines.len() < LINES {
            state.lines.push_back(line.to_owned());
        } else {
            state.lost += 1;
        }
        drop(state);
        self.0.filled.notify_one();
    }

    /// Waits until everything is written, for as long as that. Whether it is.
    fn flush(&self, limit: Duration) -> bool {
        let state = self.0.lock();
        let waited = self
            .0
            .written
            .wait_timeout_while(state, limit, |state| !state.is_idle());
        waited.is_ok_and(|(state, _)| state.is_idle())
    }
}

fn write_lines(shared: &Shared, mut sink: impl Write, lost: fn(u64) -> Vec<u8>) {
    loop {
        let mut state = shared
            .filled
            .wait_while(shared.lock(), |state| state.lines.is_empty() && state.lost == 0)
            .unwrap_or_else(PoisonError::into_inner);
        let lines = std::mem::take(&mut state.lines);
        let missing = std::mem::take(&mut state.lost);
        state.writing = true;
        drop(state);
        for line in &lines {
            // There is nowhere to complain that the log cannot be written.
            let _ = sink.write_all(line);
        }
        if missing > 0 {
            let _ = sink.write_all(&lost(missing));
        }
        let _ = sink.flush();
        shared.lock().writing = false;
        shared.written.notify_all();
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = &'a Queue;

    fn make_writer(&'a self) -> &'a Queue {
        self
    }
}

/// The subscriber writes each line in one piece.
impl Write for &Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A sink that blocks until it is let go, and hands on what it was given.
    struct Blocking {
        go: mpsc::Receiver<()>,
        out: mpsc::Sender<String>,
    }

    impl Write for Blocking {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // An error means that the test has let go for good.
            let _ = self.go.recv();
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.out.send(text).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_sink_that_blocks_blocks_nobody_and_what_is_lost_is_counted() {
        let (let_go, go) = mpsc::channel();
        let (out, written) = mpsc::channel();
        let lost = |count| format!("{count} lost\n").into_bytes();
        let queue = Queue::start(Blocking { go, out }, lost).expect("a thread");
        (&queue).write_all(b"first\n").expect("never fails");
        // The thread takes the first line and blocks; from here on the queue only fills.
        while !queue.0.lock().lines.is_empty() {
            std::thread::yield_now();
        }
        for _ in 0..LINES + 3 {
            (&queue).write_all(b"line\n").expect("never fails");
        }
        assert!(!queue.flush(Duration::ZERO));
        drop(let_go);
        assert!(queue.flush(Duration::from_secs(10)));
        let all: String = written.try_iter().collect();
        let lines: Vec<&str> = all.lines().collect();
        assert_eq!(lines.len(), LINES + 2);
        assert_eq!((lines[0], lines[LINES + 1]), ("first", "3 lost"));
    }
}
