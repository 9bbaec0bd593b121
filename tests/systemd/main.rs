//! whyd's package on a really booted systemd: everything that the unit promises, once on a current Debian and once on the oldest
//! systemd that is supported. One story in each, since a machine takes longer than any part of it.

#[path = "../harness/mod.rs"]
mod harness;

mod machine;
mod servers;

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use machine::{Frozen, Machine, can_be_had, package, pause, until};
use servers::Servers;

/// What nobody may read but whyd and whom it asks.
const SECRET: &str = "hunter2-of-the-credential";
const CONFIG: &str = "/etc/whyd/whyd.yaml";
const DROP_INS: &str = "/etc/systemd/system/whyd.service.d";

/// `Type=notify-reload` is there from this version on.
const NOTIFY_RELOAD: u32 = 253;

#[test]
#[ignore = "boots a machine: needs root, debootstrap, systemd-nspawn and cargo-deb; run by .ci/run"]
fn the_package_on_a_current_systemd() {
    if can_be_had() {
        Story::tell("trixie");
    }
}

#[test]
#[ignore = "boots a machine: needs root, debootstrap, systemd-nspawn and cargo-deb; run by .ci/weekly"]
fn the_package_on_the_oldest_systemd() {
    if can_be_had() {
        Story::tell("bookworm");
    }
}

type Part = (&'static str, fn(&Story));

struct Story {
    machine: Machine,
    runtime: Runtime,
    servers: Servers,
    version: u32,
}

impl Story {
    fn tell(suite: &str) {
        let package = package();
        let machine = Machine::boot(suite);
        std::fs::copy(package, machine.path("/root/whyd.deb")).expect("the package can be copied");
        machine.step_into_its_network();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let version = machine.ok(&["systemctl", "--version"]);
        let version = version
            .split_whitespace()
            .nth(1)
            .and_then(|text| text.parse().ok());
        let servers = runtime.block_on(Servers::start());
        let story = Story {
            machine,
            runtime,
            servers,
            version: version.expect("a version"),
        };
        let parts: &[Part] = &[
            ("installed and disabled", Story::installed_and_disabled),
            ("not configured", Story::not_configured),
            ("started", Story::started),
            ("secrets", Story::secrets),
            ("the journal", Story::journal),
            ("reloaded by ExecReload", Story::reloaded),
            ("reloaded by notify-reload", Story::reloaded_by_notify),
            ("killed", Story::killed),
            ("wedged", Story::wedged),
            ("pinging", Story::pinging),
            ("stopped", Story::stopped),
            ("handed a socket", Story::handed_a_socket),
            ("upgraded, removed and purged", Story::upgraded_removed_purged),
        ];
        for (name, part) in parts {
            let begun = Instant::now();
            part(&story);
            println!(
                "{suite}, systemd {}: {name}: {:.1} s",
                story.version,
                begun.elapsed().as_secs_f64()
            );
        }
    }

    fn systemctl(&self, arguments: &[&str]) -> String {
        let command: Vec<&str> = ["systemctl"].iter().chain(arguments).copied().collect();
        self.machine.ok(&command)
    }

    fn drop_in(&self, name: &str, text: &str) {
        self.machine.write(&format!("{DROP_INS}/{name}.conf"), text);
        self.systemctl(&["daemon-reload"]);
    }

    fn configure(&self, more: &str) {
        self.machine
            .write(CONFIG, &format!("{}{more}", self.servers.config()));
    }

    fn status(&self) -> String {
        self.machine.property("whyd", "StatusText")
    }

    /// Waits for a status line that has it.
    fn shows(&self, part: &str) -> String {
        until(part, || {
            Some(self.status()).filter(|status| status.contains(part))
        })
    }

    fn get(&self, url: &str) -> harness::Answer {
        let client = harness::client().build().expect("a client");
        self.runtime.block_on(harness::send(client.get(url)))
    }

    fn api(&self, path: &str) -> Value {
        self.get(&format!("http://127.0.0.1:9477{path}")).json()
    }

    /// What fires, with the time since which it is raised.
    fn firing(&self) -> Vec<(String, String)> {
        let alerts = self.api("/api/v1/alerts?state=firing");
        let alerts = alerts["alerts"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        alerts
            .iter()
            .map(|alert| {
                (
                    format!("{} {}", text(&alert["alert"]), text(&alert["dependency"])),
                    text(&alert["raised_since"]),
                )
            })
            .collect()
    }

    fn restarts(&self) -> u32 {
        self.machine
            .property("whyd", "NRestarts")
            .parse()
            .expect("a number")
    }

    fn installed_and_disabled(&self) {
        let said = self.machine.ok(&["dpkg", "-i", "/root/whyd.deb"]);
        assert!(said.contains("systemctl enable --now whyd"), "{said}");
        for unit in ["whyd.service", "whyd.socket"] {
            assert_eq!(
                self.machine.text_of(&["systemctl", "is-enabled", unit]).trim(),
                "disabled"
            );
            assert_eq!(
                self.machine.text_of(&["systemctl", "is-active", unit]).trim(),
                "inactive"
            );
        }
        let kept = self
            .machine
            .ok(&["dpkg-query", "-W", "-f", "${Conffiles}", "whyd"]);
        assert!(kept.contains(CONFIG), "{kept}");
        let units = "/usr/lib/systemd/system/whyd";
        let verified = self.machine.ok(&[
            "systemd-analyze",
            "verify",
            "--man=no",
            &format!("{units}.service"),
            &format!("{units}.socket"),
        ]);
        assert_eq!(verified.trim(), "", "unknown keys are said and do not fail");
        let exposure = self.machine.ok(&[
            "systemd-analyze",
            "security",
            "--offline=yes",
            "--threshold=16",
            "/usr/lib/systemd/system/whyd.service",
        ]);
        println!("{}", exposure.lines().last().unwrap_or_default().trim());
        let catalogue = self.machine.ok(&["journalctl", "--list-catalog"]);
        for line in whyd::export::log::catalogue().lines() {
            if let Some(id) = line.strip_prefix("-- ") {
                assert!(catalogue.contains(id), "{id} is not in the catalogue");
            }
        }
        for completed in ["bash-completion/completions/whyd", "man/man1/whyd.1.gz"] {
            // Documentation may be left out of a minimal machine by dpkg's own settings, but these are not.
            assert!(
                self.machine.path(&format!("/usr/share/{completed}")).exists(),
                "{completed}"
            );
        }
    }

    fn not_configured(&self) {
        self.machine.fails(&["systemctl", "start", "whyd"]);
        assert_eq!(self.machine.property("whyd", "ExecMainStatus"), "78");
        assert!(
            self.status().contains("`dependencies` is missing"),
            "{}",
            self.status()
        );
        // No restart is under way, nor will one be.
        assert_eq!(self.machine.property("whyd", "SubState"), "failed");
        assert_eq!(self.restarts(), 0);
        let said = self.machine.journal(&["-u", "whyd", "_TRANSPORT=stdout"]);
        let named = said.iter().find(|entry| {
            entry["MESSAGE"]
                .as_str()
                .is_some_and(|message| message.contains("`dependencies` is missing"))
        });
        assert_eq!(named.expect("it is said")["PRIORITY"], "3");
        self.systemctl(&["reset-failed", "whyd"]);
    }

    fn started(&self) {
        self.configure("");
        self.machine
            .write("/etc/whyd/credentials/key", &format!("{SECRET}\n"));
        self.drop_in(
            "credentials",
            "[Service]\nLoadCredential=key:/etc/whyd/credentials/key\n",
        );
        let begun = Instant::now();
        self.systemctl(&["start", "whyd"]);
        // One of its dependencies never answers.
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert_eq!(self.machine.property("whyd", "ActiveState"), "active");
        assert!(
            self.status().starts_with("watching 4 dependencies on 4 hosts"),
            "{}",
            self.status()
        );
        self.shows("closed (tcp.refused.rst)");
        assert_eq!(self.get("http://127.0.0.1:9477/-/healthy").status, 200);
        until("it is ready", || {
            (self.get("http://127.0.0.1:9477/-/ready").status == 200).then_some(())
        });
        let state = self.machine.path("/var/lib/private/whyd");
        assert!(state.is_dir(), "the state directory");
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.machine.pid_from_here()));
        let status = status.expect("its status");
        assert!(status.contains("CapBnd:\t0000000000000000"), "{status}");
    }

    fn secrets(&self) {
        until("the credential reaches the server", || {
            self.servers.heard(&format!("x-key: {SECRET}")).then_some(())
        });
        let all = self.machine.ok(&["journalctl", "--output=export", "--all"]);
        assert!(!all.contains(SECRET), "the journal has the secret");
        let answer = self.get("http://127.0.0.1:9477/api/v1/dependencies/keyed").text;
        assert!(answer.contains("keyed") && !answer.contains(SECRET), "{answer}");
        let environment = std::fs::read(format!("/proc/{}/environ", self.machine.pid_from_here()));
        let environment = String::from_utf8_lossy(&environment.expect("its environment")).into_owned();
        assert!(environment.contains("CREDENTIALS_DIRECTORY=") && !environment.contains(SECRET));
    }

    fn journal(&self) {
        let failing = until("an entry of a failure", || {
            let all = self
                .machine
                .journal(&["DEPENDENCY=closed", "CAUSE=tcp.refused.rst"]);
            all.into_iter().next()
        });
        let expected = [
            ("_SYSTEMD_UNIT", "whyd.service"),
            ("_TRANSPORT", "journal"),
            ("SYSLOG_IDENTIFIER", "whyd"),
            ("PRIORITY", "4"),
            ("MESSAGE_ID", "eca7119aa5c747be831c5f4635659824"),
            ("PHASE", "connect"),
            ("SPEED", "fast"),
        ];
        for (name, value) in expected {
            assert_eq!(failing[name], value, "{name}: {failing:#}");
        }
        assert!(failing.get("CODE_FILE").is_none(), "{failing:#}");
        let explained = self
            .machine
            .ok(&["journalctl", "-x", "-u", "whyd", "DEPENDENCY=closed"]);
        assert!(explained.contains("whyd explain tcp.refused.rst"), "{explained}");
    }

    /// A good file is in force and a bad one is not when `systemctl reload` comes back, which fails for the bad one.
    fn reloaded(&self) {
        let before = self.machine.main_pid();
        self.configure("  - {name: another, url: 'tcp://127.0.0.1:2'}\n");
        self.systemctl(&["reload", "whyd"]);
        assert!(
            self.status().starts_with("watching 5 dependencies"),
            "{}",
            self.status()
        );
        assert_eq!(self.api("/api/v1/dependencies/another")["name"], "another");

        self.configure("  - {name: another, url: 'tcp://127.0.0.1:2', intervall: 1s}\n");
        self.machine.fails(&["systemctl", "reload", "whyd"]);
        let status = self.shows("reload refused");
        assert!(
            status.contains("unknown key; did you mean `interval`?"),
            "{status}"
        );
        assert_eq!(self.machine.property("whyd", "ActiveState"), "active");
        assert_eq!(
            self.api("/api/v1/dependencies/another")["name"],
            "another",
            "the old one is in force"
        );
        let refused = self
            .machine
            .journal(&["MESSAGE_ID=b979e2f8187c4721b41e05d76a664a5d"]);
        let refused = refused.last().expect("the refusal is an entry");
        assert!(
            refused["REASON"]
                .as_str()
                .is_some_and(|reason| reason.contains("unknown key")),
            "{refused:#}"
        );

        self.configure("");
        self.systemctl(&["reload", "whyd"]);
        assert!(
            self.status().starts_with("watching 4 dependencies"),
            "{}",
            self.status()
        );
        assert_eq!(self.machine.main_pid(), before, "it is the same process");
        assert_eq!(self.machine.property("whyd", "ActiveState"), "active");
    }

    fn reloaded_by_notify(&self) {
        if self.version < NOTIFY_RELOAD {
            return;
        }
        let shipped = self.machine.path("/usr/share/whyd/systemd/notify-reload.conf");
        let shipped = std::fs::read_to_string(shipped).expect("the drop-in that is shipped");
        self.drop_in("notify-reload", &shipped);
        assert_eq!(self.machine.property("whyd", "Type"), "notify-reload");
        self.systemctl(&["restart", "whyd"]);
        self.reloaded();
        let drop_in = self.machine.path(&format!("{DROP_INS}/notify-reload.conf"));
        std::fs::remove_file(drop_in).expect("it was there");
        self.systemctl(&["daemon-reload"]);
        self.systemctl(&["restart", "whyd"]);
    }

    /// An alert that fires when the process is killed fires afterwards, since the same moment, and is not told anew.
    fn killed(&self) {
        let alert = "dependency_down_fast closed".to_owned();
        let raised = |story: &Story| {
            let firing = story.firing();
            firing.into_iter().find(|(name, _)| *name == alert)
        };
        let before = until("the alert fires", || raised(self));
        until("the receiver is told", || {
            (self.servers.notifications("closed") > 0).then_some(())
        });
        // What was acknowledged is on disk before anything else is done with it.
        until("the acknowledgement is kept", || {
            let waiting = self.api("/api/v1/receivers");
            (waiting["receivers"][0]["waiting"] == 0).then_some(())
        });
        let told = self.servers.notifications("closed");
        let (restarts, pid) = (self.restarts(), self.machine.main_pid());
        self.machine.ok(&["kill", "-KILL", &pid.to_string()]);
        until("it is started again", || {
            (self.restarts() > restarts).then_some(())
        });
        until("it is active again", || {
            (self.machine.property("whyd", "ActiveState") == "active").then_some(())
        });
        assert_ne!(self.machine.main_pid(), pid);
        let after = raised(self).expect("it still fires");
        assert_eq!(after, before);
        self.shows("closed (tcp.refused.rst)");
        assert_eq!(
            raised(self).expect("it fires when it has been looked at again"),
            before
        );
        assert_eq!(self.servers.notifications("closed"), told, "it is told once");
    }

    /// A loop that stands still is found by the watchdog, and one that moves is left alone.
    fn wedged(&self) {
        let watchdog = Duration::from_secs(3);
        self.drop_in("watchdog", "[Service]\nWatchdogSec=3s\nRestartSec=1s\n");
        self.systemctl(&["restart", "whyd"]);
        let restarts = self.restarts();
        // What is waited for is that nothing happens.
        pause(watchdog * 2);
        assert_eq!(self.restarts(), restarts, "it is bitten though its loop moves");

        let before = self.machine.main_pid();
        let frozen = Frozen::threads(self.machine.pid_from_here(), "whyd-probes");
        let begun = Instant::now();
        until("the watchdog bites", || {
            frozen.reap();
            (self.restarts() > restarts).then_some(())
        });
        assert!(begun.elapsed() >= watchdog / 2, "something else has ended it");
        until("it is active again", || {
            (self.machine.property("whyd", "ActiveState") == "active").then_some(())
        });
        assert_ne!(self.machine.main_pid(), before);
        let said = self.machine.ok(&["journalctl", "-u", "whyd", "-n", "60"]);
        assert!(said.contains("Watchdog timeout"), "{said}");
        self.shows("closed (tcp.refused.rst)");
        std::fs::remove_file(self.machine.path(&format!("{DROP_INS}/watchdog.conf"))).expect("it was there");
        self.systemctl(&["daemon-reload"]);
    }

    fn pinging(&self) {
        let range = self.machine.ok(&["cat", "/proc/sys/net/ipv4/ping_group_range"]);
        assert_eq!(
            range.split_whitespace().collect::<Vec<_>>(),
            ["1", "0"],
            "nobody may ping here"
        );
        self.configure("  - {name: pinged, url: 'icmp://127.0.0.1'}\n");
        self.systemctl(&["restart", "whyd"]);
        let state = |story: &Story| story.api("/api/v1/dependencies/pinged")["state"].clone();
        until("an operation without a verdict", || {
            let detail = self.api("/api/v1/dependencies/pinged");
            (detail["counters"]["operations"]["inconclusive"].as_u64()? > 0).then_some(())
        });
        assert_eq!(state(self), "unknown");
        let shipped = "/usr/share/whyd/sysctl.d/50-whyd-ping.conf";
        self.machine.ok(&["sysctl", "-p", shipped]);
        until("a ping is answered", || (state(self) == "up").then_some(()));
        // The other way, where the sysctl cannot be had.
        self.machine
            .ok(&["sysctl", "-w", "net.ipv4.ping_group_range=1 0"]);
        let shipped = self.machine.path("/usr/share/whyd/systemd/net-raw.conf");
        self.drop_in(
            "net-raw",
            &std::fs::read_to_string(shipped).expect("the drop-in that is shipped"),
        );
        self.systemctl(&["restart", "whyd"]);
        until("a ping by a raw socket is answered", || {
            (state(self) == "up").then_some(())
        });
        std::fs::remove_file(self.machine.path(&format!("{DROP_INS}/net-raw.conf"))).expect("it was there");
        self.systemctl(&["daemon-reload"]);
        self.configure("");
        self.systemctl(&["restart", "whyd"]);
    }

    /// With an operation under way that never ends and a receiver that never answers.
    fn stopped(&self) {
        self.servers.hold_notifications();
        self.servers.fail(true);
        until("a notification is under way", || {
            self.servers.is_holding().then_some(())
        });
        until("an operation is under way", || {
            let figures = self.get("http://127.0.0.1:9477/metrics").text;
            let line = figures
                .lines()
                .find(|line| line.starts_with("whyd_probes_in_flight"))?;
            (line.split_whitespace().last()?.parse::<f64>().ok()? >= 1.0).then_some(())
        });
        let begun = Instant::now();
        self.systemctl(&["stop", "whyd"]);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(10), "{took:?}");
        // A unit that has ended and is not enabled is forgotten, and its result with it: the journal knows.
        let said = self.machine.ok(&["journalctl", "-u", "whyd", "-n", "8"]);
        let words = said.split("Stopping whyd.service").last().unwrap_or_default();
        assert!(words.contains("whyd.service: Deactivated successfully"), "{said}");
        assert!(!words.contains("Kill"), "{said}");
        let last = self.machine.journal(&["-u", "whyd", "SYSLOG_IDENTIFIER=whyd"]);
        let last = last.last().expect("an entry");
        assert_eq!(
            last["MESSAGE"], "stopped",
            "the last word is kept with the unit: {last:#}"
        );

        // What was not told is told by the next start.
        self.servers.take_notifications();
        let told = self.servers.notifications("switched");
        self.systemctl(&["start", "whyd"]);
        until("what waited is told", || {
            (self.servers.notifications("switched") > told).then_some(())
        });
        self.servers.fail(false);
        self.systemctl(&["stop", "whyd"]);
    }

    fn handed_a_socket(&self) {
        self.machine.write(
            "/etc/systemd/system/whyd.socket.d/port.conf",
            "[Socket]\nListenStream=\nListenStream=127.0.0.1:9500\nListenStream=[::1]:9500\n",
        );
        self.systemctl(&["daemon-reload"]);
        self.systemctl(&["enable", "--now", "whyd.socket"]);
        assert_eq!(self.machine.property("whyd", "ActiveState"), "inactive");
        assert_eq!(
            self.get("http://127.0.0.1:9500/-/healthy").status,
            200,
            "the request starts it"
        );
        assert_eq!(
            self.get("http://[::1]:9500/-/healthy").status,
            200,
            "all of its sockets are served"
        );
        assert_eq!(self.machine.property("whyd", "ActiveState"), "active");
        let said = self.machine.ok(&["journalctl", "-u", "whyd", "-n", "30"]);
        assert!(
            said.contains("127.0.0.1:9500 is served, and listen.address (127.0.0.1:9477) is passed over"),
            "{said}"
        );
        assert!(
            std::net::TcpStream::connect("127.0.0.1:9477").is_err(),
            "nothing listens there"
        );
        // No request is refused while it restarts.
        std::thread::scope(|scope| {
            let restart = scope.spawn(|| self.systemctl(&["restart", "whyd"]));
            while !restart.is_finished() {
                std::net::TcpStream::connect("127.0.0.1:9500").expect("the socket stays");
                pause(Duration::from_millis(10));
            }
        });
        assert_eq!(self.get("http://127.0.0.1:9500/-/healthy").status, 200);
        self.refused_behind_a_socket();
        self.systemctl(&["disable", "--now", "whyd.socket"]);
        self.systemctl(&["restart", "whyd"]);
        assert_eq!(self.get("http://127.0.0.1:9477/-/healthy").status, 200);
    }

    /// Requests come in while the configuration is refused: each starts whyd, which answers and ends, and neither the service
    /// nor the socket is given up.
    fn refused_behind_a_socket(&self) {
        let good = self.machine.ok(&["cat", CONFIG]);
        self.machine
            .write(CONFIG, "dependencies: [{name: a, url: 'nowhere'}]\n");
        self.systemctl(&["stop", "whyd"]);
        let began = Instant::now();
        let mut answers = 0;
        while began.elapsed() < Duration::from_secs(15) {
            let answer = self.get("http://127.0.0.1:9500/-/healthy");
            assert_eq!(answer.status, 503, "{}", answer.text);
            answers += 1;
            pause(Duration::from_millis(100));
        }
        assert!(answers > 20, "{answers}");
        assert_eq!(self.machine.property("whyd.socket", "ActiveState"), "active");
        self.machine.write(CONFIG, &good);
        until("the next request is served by the mended one", || {
            let answer = self.get("http://127.0.0.1:9500/-/healthy");
            (answer.status == 200).then_some(())
        });
        assert_eq!(self.machine.property("whyd", "ActiveState"), "active");
        assert_eq!(self.machine.property("whyd.socket", "Result"), "success");
    }

    fn upgraded_removed_purged(&self) {
        self.systemctl(&["enable", "whyd"]);
        let before = self.machine.main_pid();
        self.machine.ok(&["dpkg", "-i", "/root/whyd.deb"]);
        assert_ne!(self.machine.main_pid(), before, "an upgrade restarts what runs");
        assert_eq!(self.machine.property("whyd", "ActiveState"), "active");
        let kept = std::fs::read_to_string(self.machine.path(CONFIG)).expect("the configuration");
        assert_eq!(kept, self.servers.config(), "an upgrade keeps the configuration");
        assert_eq!(
            self.machine.text_of(&["systemctl", "is-enabled", "whyd"]).trim(),
            "enabled"
        );

        self.machine.ok(&["dpkg", "--remove", "whyd"]);
        assert!(
            self.machine.path(CONFIG).exists(),
            "a removal keeps the configuration"
        );
        assert!(
            self.machine.path("/var/lib/private/whyd").exists(),
            "and the state"
        );
        assert_eq!(
            self.machine.text_of(&["pgrep", "-x", "whyd"]).trim(),
            "",
            "and ends the process"
        );
        self.machine.ok(&["dpkg", "--purge", "whyd"]);
        for gone in [
            CONFIG,
            "/var/lib/private/whyd",
            "/var/lib/whyd",
            "/usr/lib/systemd/system/whyd.service",
        ] {
            assert!(!self.machine.path(gone).exists(), "a purge leaves {gone}");
        }
        let wants = self
            .machine
            .path("/etc/systemd/system/multi-user.target.wants/whyd.service");
        assert!(
            std::fs::symlink_metadata(wants).is_err(),
            "a purge leaves it enabled"
        );
    }
}
