//! The container image: made without a container engine, held to what it says of itself, unpacked, and run as a container
//! runtime runs it: as an unprivileged user on a root that nobody can write to.
//!
//! It needs root (for mounts in a namespace of its own, and chroot), python3, and the static program:
//! `cargo build --locked --target x86_64-unknown-linux-musl && cargo test --test image -- --ignored`. `.ci/run` does that.
//! Another program can be named by `WHYD_IMAGE_BINARY`.

#[path = "../harness/mod.rs"]
mod harness;

mod oci;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use whyd::lab::certs::{Authority, CertSpec};
use whyd::lab::http::{Behaviour, HttpOptions, HttpServer};
use whyd::lab::tls::{ServerTls, TlsOptions};

use harness::{Daemon, Files, eventually};
use oci::{Image, make};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Who the image runs as, by number.
const USER: u32 = 65_532;

#[test]
fn the_containerfile_is_of_this_version() {
    let text = fs::read_to_string(Path::new(ROOT).join("Containerfile")).expect("the Containerfile");
    for argument in [
        concat!("ARG VERSION=", env!("CARGO_PKG_VERSION")),
        concat!("ARG RUST_VERSION=", env!("CARGO_PKG_RUST_VERSION")),
    ] {
        assert!(text.lines().any(|line| line == argument), "no {argument}");
    }
}

#[test]
#[ignore = "needs python3 and a static program; run by .ci/run"]
fn the_same_input_makes_the_same_image_and_every_digest_holds() {
    let Some(program) = program() else { return };
    let files = Files::new();
    let (first, second) = (files.path("first"), files.path("second"));
    let printed = make(&program, &first, &["--archive", path(&files.path("image.tar"))]);
    let again = make(
        &program,
        &second,
        &["--docker-archive", path(&files.path("docker.tar"))],
    );
    assert_eq!(printed, again);

    let image = Image::read(&first);
    assert_eq!(image.digest, printed);
    image.check();
    let config = &image.config["config"];
    assert_eq!(image.config["architecture"], "amd64");
    assert_eq!(
        config["User"],
        format!("{USER}:{USER}"),
        "a number, so that runAsNonRoot can tell"
    );
    assert_eq!(config["Entrypoint"], serde_json::json!(["/usr/bin/whyd"]));
    let labels = &config["Labels"];
    assert_eq!(
        labels["org.opencontainers.image.version"],
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(labels["org.opencontainers.image.licenses"], "Apache-2.0");

    // The archives hold the same blobs under the names of their kind.
    let oci = listed(&files.path("image.tar"));
    let docker = listed(&files.path("docker.tar"));
    for wanted in ["oci-layout", "index.json", &blob(&image.digest)] {
        assert!(oci.iter().any(|name| name == wanted), "{wanted}: {oci:?}");
    }
    for layer in image.layers() {
        assert!(
            oci.contains(&blob(&layer)) && docker.contains(&blob(&layer)),
            "{layer}"
        );
    }
    assert!(docker.iter().any(|name| name == "manifest.json"), "{docker:?}");
}

#[tokio::test]
#[ignore = "needs root, python3 and a static program; run by .ci/run"]
async fn it_diagnoses_tls_by_the_authorities_that_it_brings_and_by_those_it_is_given() {
    let Some(container) = Container::new() else { return };
    let authority = Authority::new("The image's test CA").expect("an authority");
    let issued = authority
        .issue(CertSpec::named(["api.image.test"]))
        .expect("a certificate");
    let tls = ServerTls::new(&issued.chain_pem, &issued.key_pem, TlsOptions::default()).expect("TLS");
    let options = HttpOptions {
        tls: Some(tls),
        ..HttpOptions::default()
    };
    let server = HttpServer::start(Behaviour::ok(), options)
        .await
        .expect("loopback");
    let target = format!("https://api.image.test:{}/", server.address().port());
    let check = ["check", &target, "--output", "json"];

    let version = container.output(&[], &["--version"]).await;
    assert_eq!(text(&version), concat!("whyd ", env!("CARGO_PKG_VERSION"), "\n"));

    // Debian's authorities do not know this one: a certificate of a private CA, as every cluster has them.
    let unknown = container.output(&[], &check).await;
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    let said: Value = serde_json::from_slice(&unknown.stdout).expect("JSON");
    let cause = said["cause"].as_str().unwrap_or_default();
    assert!(cause.starts_with("tls.cert.authority_invalid"), "{said:#}");

    let bundle = format!("{}{}", container.bundle(), authority.pem());
    let bundle = container.files.write("bundle.pem", &bundle);
    let mounted = [(&*bundle, "etc/ssl/certs/ca-certificates.crt")];
    let known = container.output(&mounted, &check).await;
    assert_eq!(known.status.code(), Some(0), "{known:?}");
    let said: Value = serde_json::from_slice(&known.stdout).expect("JSON");
    assert_eq!(said["verdict"], "ok", "{said:#}");
}

#[tokio::test]
#[ignore = "needs root, python3 and a static program; run by .ci/run"]
async fn its_doctor_finds_what_the_image_brings_and_what_the_host_lacks() {
    let Some(container) = Container::new() else { return };
    let output = container
        .output(
            &[],
            &["doctor", "--state-dir", "/var/lib/whyd", "--output", "json"],
        )
        .await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let found: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let level_of = |check: &str, subject: &str, words: &str| {
        let is_it = |one: &&Value| {
            let text = |key: &str| one[key].as_str().unwrap_or_default();
            text("check") == check && text("subject").contains(subject) && text("seen").contains(words)
        };
        let found = found
            .iter()
            .find(is_it)
            .unwrap_or_else(|| panic!("{check} {words}:\n{lines}"));
        found["level"].as_str().expect("a level").to_owned()
    };
    // The bundle, and not the list that is compiled in.
    let authorities = container.bundle().matches("BEGIN CERTIFICATE").count();
    assert_eq!(
        level_of("trust", "", &format!("{authorities} certificates")),
        "ok"
    );
    assert_eq!(level_of("surroundings", "", "user 65532, group 65532"), "ok");
    assert_eq!(level_of("resolver", "127.0.0.1:53", "does not answer"), "problem");
    assert_eq!(level_of("state", "/var/lib/whyd", "Read-only"), "problem");
}

#[tokio::test]
#[ignore = "needs root, python3 and a static program; run by .ci/run"]
async fn the_daemon_writes_to_its_volume_alone_and_stops_in_time() {
    let Some(container) = Container::new() else { return };
    let server = HttpServer::plain(Behaviour::status(503)).await.expect("loopback");
    let config = container.files.write(
        "whyd.yaml",
        &format!(
            "defaults: {{interval: 100ms, retry: {{attempts: 1}}, alerts: {{rules: {{dependency_down_fast: {{for: 200ms}}}}}}}}
dependencies: [{{name: payments, url: 'http://api.image.test:{}/'}}]\n",
            server.address().port()
        ),
    );
    let state = container.files.path("state");
    fs::create_dir(&state).expect("a directory");
    chown(&state, Some(USER), Some(USER)).expect("root");
    let (config, state) = ((&*config, "etc/whyd/whyd.yaml"), (&*state, "var/lib/whyd"));
    let arguments = container.default_arguments("127.0.0.1:0");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();

    // Without a volume there is nothing to be written to, which is said and not passed over.
    let refused = container.output(&[config], &arguments).await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("/var/lib/whyd cannot be used"), "{said}");

    let mut daemon = Daemon::of(container.command(&[config, state], &arguments)).await;
    eventually("it is ready", async || {
        (daemon.get("/-/ready").await.status == 200).then_some(())
    })
    .await;
    daemon.process.line("alert, critical: ").await;
    let began = Instant::now();
    let written = daemon.stop().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let said = written.text();
    assert!(
        !said.contains("Read-only") && !said.contains("Permission denied"),
        "{said}"
    );

    let kept = fs::metadata(state.0.join("whyd.redb")).expect("the state is there");
    assert_eq!((kept.uid(), kept.mode() & 0o777), (USER, 0o600));
    // What was raised before the stop is known after it.
    let daemon = Daemon::of(container.command(&[config, state], &arguments)).await;
    eventually("the alert is still raised", async || {
        let alerts = daemon.get("/api/v1/alerts?dependency=payments").await.text;
        alerts.contains("dependency_down_fast").then_some(())
    })
    .await;
    daemon.stop().await;
}

/// An unpacked image and the files that are mounted into it.
struct Container {
    files: Files,
    root: PathBuf,
    image: Image,
}

impl Container {
    /// `None`, said loudly, where something is missing.
    fn new() -> Option<Container> {
        // SAFETY: geteuid cannot fail and touches no memory.
        if unsafe { libc::geteuid() } != 0 {
            missing("root is needed for mounts and chroot");
            return None;
        }
        let program = program()?;
        let files = Files::new();
        let (layout, root) = (files.path("layout"), files.path("root"));
        make(&program, &layout, &[]);
        let image = Image::read(&layout);
        image.unpack(&root);
        // What every runtime puts there.
        for directory in ["proc", "etc/whyd"] {
            fs::create_dir_all(root.join(directory)).expect("a directory");
        }
        for file in ["etc/hosts", "etc/resolv.conf", "etc/whyd/whyd.yaml"] {
            fs::write(root.join(file), "").expect("a file");
        }
        files.write("hosts", "127.0.0.1 localhost api.image.test\n");
        files.write(
            "resolv.conf",
            "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
        );
        Some(Container { files, root, image })
    }

    /// The authorities that the image brings.
    fn bundle(&self) -> String {
        let path = self.root.join("etc/ssl/certs/ca-certificates.crt");
        let text = fs::read_to_string(path).expect("the bundle");
        assert!(text.contains("BEGIN CERTIFICATE"));
        text
    }

    /// The image's own command with another listener: the one it has is for everybody.
    fn default_arguments(&self, listen: &str) -> Vec<String> {
        let command = self.image.config["config"]["Cmd"].as_array().expect("a command");
        let word = |word: &Value| match word.as_str().expect("text") {
            "0.0.0.0:9477" => listen.to_owned(),
            other => other.to_owned(),
        };
        command.iter().map(word).collect()
    }

    /// The program of the image with these mounts (from, to) on a root that cannot be written to, in a mount namespace of
    /// its own, as the image's user and with the image's environment.
    fn command(&self, mounts: &[(&Path, &str)], arguments: &[&str]) -> Command {
        const SCRIPT: &str = r#"
            root=$1; user=$2; program=$3; environment=$4; shift 4
            mount --bind "$root" "$root"
            mount --bind /proc "$root/proc"
            while [ "$1" != -- ]; do mount --bind "$1" "$root/$2"; shift 2; done; shift
            mount -o remount,bind,ro "$root"
            exec env -i "$environment" "$(command -v chroot)" --userspec="$user" --groups= "$root" "$program" "$@"
        "#;
        let config = &self.image.config["config"];
        let word = |value: &Value| value.as_str().expect("text").to_owned();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-ec", SCRIPT, "sh"]);
        command.arg(&self.root).arg(word(&config["User"]));
        command.args([word(&config["Entrypoint"][0]), word(&config["Env"][0])]);
        for name in ["hosts", "resolv.conf"] {
            command.arg(self.files.path(name)).arg(format!("etc/{name}"));
        }
        for (from, to) in mounts {
            command.arg(from).arg(to);
        }
        command.arg("--").args(arguments);
        command
    }

    async fn output(&self, mounts: &[(&Path, &str)], arguments: &[&str]) -> Output {
        let mut command = self.command(mounts, arguments);
        // The server that is asked lives in this process, and must not wait for the one who asks.
        let ran = tokio::task::spawn_blocking(move || command.output());
        ran.await.expect("no panic").expect("unshare runs")
    }
}

/// The static program that goes into the image: the one that was built last.
fn program() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("WHYD_IMAGE_BINARY") {
        return Some(given.into());
    }
    let built =
        |profile: &&str| Path::new(ROOT).join(format!("target/x86_64-unknown-linux-musl/{profile}/whyd"));
    let built = ["release", "debug"].iter().map(built);
    let found = built
        .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
        .max();
    if found.is_none() {
        missing("no static program: cargo build --target x86_64-unknown-linux-musl");
    }
    found.map(|(_, path)| path)
}

fn missing(what: &str) {
    assert!(std::env::var_os("WHYD_REQUIRE_TOOLS").is_none(), "{what}");
    eprintln!("\nSKIPPED, NOTHING WAS TESTED: {what}\n");
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn blob(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn listed(archive: &Path) -> Vec<String> {
    let output = Command::new("tar")
        .arg("-tf")
        .arg(archive)
        .output()
        .expect("tar runs");
    text(&output).lines().map(str::to_owned).collect()
}
