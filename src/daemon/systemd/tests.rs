use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::export::samples::{World, serve, serve_shared};
use crate::model::cause::{Cause, Speed};
use crate::model::failure::State;
use crate::model::time::Wall;

/// A service manager that keeps what it is told.
struct Told(UnixDatagram);

impl Told {
    /// In the abstract namespace, as a manager of users may be.
    fn new(watchdog: Option<Duration>) -> (Told, Manager) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("whyd-notify-{}-{number}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a short name");
        let socket = UnixDatagram::bind_addr(&address).expect("a free name");
        socket.set_nonblocking(true).expect("a socket");
        (
            Told(socket),
            Manager::new(Some(format!("@{name}").into()), watchdog),
        )
    }

    /// Everything told since the last call.
    fn all(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        let mut all = Vec::new();
        while let Ok(length) = self.0.recv(&mut buffer) {
            all.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        all
    }

    /// Waits for a message that has it.
    async fn wait_for(&self, part: &str) -> String {
        let waiting = async {
            loop {
                if let Some(found) = self.all().into_iter().find(|message| message.contains(part)) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        found.unwrap_or_else(|_| panic!("nobody says {part:?}"))
    }
}

#[tokio::test]
async fn ready_comes_with_a_line_and_a_reload_begins_and_ends() {
    let (told, manager) = Told::new(None);
    let informed = Informed::start(
        manager,
        Changes::default(),
        serve(World::of(3)),
        &Handle::current(),
    )
    .await;
    assert_eq!(
        told.all(),
        ["READY=1\nSTATUS=watching 3 dependencies on 3 hosts; none fails\n"]
    );
    informed.reloading();
    let begun = told.all().concat();
    let time = begun
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .unwrap_or_else(|| panic!("{begun:?}"));
    assert!(
        time.trim_end().parse::<u64>().is_ok_and(|usec| usec > 0),
        "{begun:?}"
    );
    informed.reloaded(Some("whyd.yaml:2:1: unknown key")).await;
    let ended = told.wait_for("READY=1").await;
    assert!(
        ended.starts_with(
            "READY=1\nSTATUS=reload refused, the old configuration is in force (whyd.yaml:2:1: unknown key); "
        ),
        "{ended}"
    );
    informed.reloading();
    informed.reloaded(None).await;
    let ended = told.wait_for("READY=1").await;
    assert_eq!(
        ended,
        "READY=1\nSTATUS=watching 3 dependencies on 3 hosts; none fails\n"
    );
}

#[tokio::test]
async fn a_change_of_state_changes_the_line_once() {
    let (told, manager) = Told::new(None);
    let world = Arc::new(std::sync::Mutex::new(World::of(2)));
    let changes = Changes::default();
    let reader = serve_shared(Arc::clone(&world));
    let mut informed = Informed::start(manager, changes.clone(), reader, &Handle::current()).await;
    told.all();
    let fail = State::Failing {
        since: Wall::from_unix_secs(1_790_000_000),
        cause: Cause::TlsCertExpired,
        phase: None,
        speed: Speed::Fast,
    };
    if let Some(view) = world.lock().expect("no test panics with it").views.get_mut(&1) {
        view.state = fail;
    }
    changes.0.notify_one();
    assert_eq!(
        told.wait_for("fails").await,
        "STATUS=watching 2 dependencies on 2 hosts; 1 fails: d1 (tls.cert.date_invalid.expired)\n"
    );
    changes.0.notify_one();
    informed.stopping();
    assert_eq!(
        told.wait_for("STOPPING=1").await,
        "STOPPING=1\nSTATUS=stopping: letting what is under way end\n"
    );
}

#[tokio::test]
async fn the_watchdog_is_fed_by_answers_alone() {
    let (told, manager) = Told::new(Some(Duration::from_millis(60)));
    // A loop that answers until it is stopped, and then takes questions and never answers.
    let (reader, mut questions) = Reader::new(4);
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let world = World::of(1);
    let answering = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Some(question) = questions.recv().await {
            if *stopped.borrow_and_update() {
                held.push(question);
            } else {
                world.clone().answer(question);
            }
        }
    });
    let informed = Informed::start(manager, Changes::default(), reader, &Handle::current()).await;
    for _ in 0..3 {
        told.wait_for("WATCHDOG=1").await;
    }
    stop.send_replace(true);
    // What was asked before the stop may still be answered.
    tokio::time::sleep(Duration::from_millis(50)).await;
    told.all();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(told.all(), Vec::<String>::new(), "a timer feeds it");
    drop(informed);
    answering.abort();
}

#[tokio::test]
async fn without_a_manager_nothing_happens_and_nothing_is_asked() {
    let (reader, mut questions) = Reader::new(1);
    for path in [None, Some("".into())] {
        let manager = Manager::new(path, Some(Duration::from_millis(1)));
        assert!(!manager.is_there());
        let mut informed =
            Informed::start(manager, Changes::default(), reader.clone(), &Handle::current()).await;
        informed.reloading();
        informed.reloaded(None).await;
        informed.stopping();
    }
    assert!(questions.try_recv().is_err());
}

#[test]
fn a_failure_has_its_number_and_its_line() {
    let (told, manager) = Told::new(None);
    manager.failed(Some(libc::EADDRINUSE), "cannot listen");
    assert_eq!(
        told.all(),
        [format!("ERRNO={}\nSTATUS=cannot listen\n", libc::EADDRINUSE)]
    );
}
