//! What is rendered of the values in `ci/`, as those will take it for whom it is: Kubernetes, the Prometheus operator, whyd.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Daemon, eventually, tools, whyd};
use crate::helm::{Helm, Rendered, need_helm, texts};
use crate::operator;
use crate::values::ci;

fn validator() -> Option<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ci-venv/bin/kubernetes-validate");
    match installed.is_file() {
        true => Some(installed),
        false => tools::find("kubernetes-validate", "WHYD_KUBERNETES_VALIDATE"),
    }
}

/// By the schemas of Kubernetes's own API; what it does not know is the operator's, and checked by our own.
#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm) and kubernetes-validate (PyPI)"]
fn kubernetes_takes_every_object() {
    let helm = need_helm!();
    let Some(validator) = validator() else { return };
    let (mut files, mut objects, mut others) = (Vec::new(), 0, 0);
    for file in ci() {
        let rendered = helm.template(&file).expect("renders");
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        files.push(helm.files().write(&name, &rendered.text));
        objects += rendered.objects.len();
        others += rendered
            .objects
            .iter()
            .filter(|object| operator::check(object))
            .count();
        unique(&rendered, &file);
    }
    let output = Command::new(&validator)
        .args(["--strict", "-k", "1.37"])
        .args(files)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    let passed = said.matches(" passed for resource ").count();
    assert_eq!(passed + others, objects, "{said}");
}

/// No object is there twice, and each has a place.
fn unique(rendered: &Rendered, file: &Path) {
    let mut seen = BTreeSet::new();
    for object in &rendered.objects {
        let (kind, metadata) = (&object["kind"], &object["metadata"]);
        let id = format!("{kind} {}/{}", metadata["namespace"], metadata["name"]);
        assert!(seen.insert(id.clone()), "{}: {id} is there twice", file.display());
    }
}

/// Puts the files of the configuration where a kubelet would, as far as the chart writes them.
fn mount(helm: &Helm, rendered: &Rendered) -> Option<PathBuf> {
    let directory = helm.files().path("mounted");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a directory");
    for source in rendered.volume("config")["projected"]["sources"].as_array()? {
        let (kind, from) = match source["configMap"].is_object() {
            true => ("ConfigMap", &source["configMap"]),
            false => ("Secret", &source["secret"]),
        };
        let named = |object: &&&Value| object["metadata"]["name"] == from["name"];
        // One that somebody else writes.
        let found = rendered.of(kind);
        let object = found.iter().find(named)?;
        let files = if kind == "ConfigMap" {
            &object["data"]
        } else {
            &object["stringData"]
        };
        for (name, text) in files.as_object().expect("files") {
            fs::write(directory.join(name), text.as_str().expect("text")).expect("written");
        }
    }
    Some(directory)
}

/// The configuration that arrives in the pod is one that whyd takes.
#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn whyd_takes_every_configuration() {
    let helm = need_helm!();
    let mut taken = 0;
    for file in ci() {
        let rendered = helm.template(&file).expect("renders");
        let Some(directory) = mount(&helm, &rendered) else {
            continue;
        };
        check_configuration(&directory, &rendered, &file.to_string_lossy());
        taken += 1;
    }
    assert!(taken >= 10, "{taken}");
}

/// As the first replica loads it.
fn check_configuration(directory: &Path, rendered: &Rendered, of: &str) {
    let output = whyd(&["validate"])
        .arg(directory)
        .env("POD_NAME", "demo-whyd-0")
        .env("WHYD_REPLICAS", replicas(rendered))
        .output()
        .expect("whyd runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{of}:\n{said}");
}

fn replicas(rendered: &Rendered) -> String {
    let variable = rendered.variable("WHYD_REPLICAS");
    variable.map_or_else(String::new, |variable| {
        variable["value"].as_str().expect("text").to_owned()
    })
}

/// The arguments are ones that the program has.
#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn whyd_takes_the_arguments() {
    let helm = need_helm!();
    let options = |command: &str| {
        let help = whyd(&[command, "--help"]).output().expect("whyd runs");
        String::from_utf8_lossy(&help.stdout).into_owned()
    };
    let (run, check) = (options("run"), options("check"));
    for file in ci() {
        let rendered = helm.template(&file).expect("renders");
        for argument in rendered.arguments().iter().skip(1) {
            let option = argument.split('=').next().expect("a first part");
            assert!(
                run.contains(option),
                "{}: whyd run has no {option}",
                file.display()
            );
        }
        for pod in rendered.of("Pod") {
            let arguments = texts(&pod["spec"]["containers"][0]["args"]);
            for option in arguments.iter().filter(|argument| argument.starts_with("--")) {
                assert!(
                    check.contains(option),
                    "{}: whyd check has no {option}",
                    file.display()
                );
            }
        }
    }
}

/// YAML of another version is read by helm on the way (where `off` is a boolean, for one): every key of the configuration
/// means the same behind it.
#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn every_key_of_the_configuration_passes_through_helm() {
    let helm = need_helm!();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for file in ["reference.yaml", "alerts.yaml", "quickstart.yaml"] {
        let path = examples.join(file);
        let text = fs::read_to_string(&path).expect("an example");
        let indented: String = text.lines().map(|line| format!("  {line}\n")).collect();
        let rendered = helm.render(&format!("config:\n{indented}"));
        let mounted = mount(&helm, &rendered).expect("the chart writes it");
        let (own, passed) = (dump(&path), dump(&mounted.join("whyd.yaml")));
        for (own, passed) in own.lines().zip(passed.lines()) {
            assert_eq!(own, passed, "{file}");
        }
        assert_eq!(own.lines().count(), passed.lines().count(), "{file}");
    }
}

/// The configuration in effect, with its own directory left out, where relative paths in it start.
fn dump(path: &Path) -> String {
    let output = whyd(&["validate", "--dump"])
        .arg(path)
        .output()
        .expect("whyd runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.replace(&*path.parent().expect("a directory").to_string_lossy(), "")
}

/// The container's own arguments, the mounts that it gets, and the questions of the kubelet and of `helm test`.
#[tokio::test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
async fn what_is_installed_runs() {
    let helm = need_helm!();
    let rendered =
        helm.render("config: {dependencies: [{name: a, url: 'http://127.0.0.1:1/', interval: 1s}]}");
    let mounted = mount(&helm, &rendered).expect("the chart writes it");
    let state = helm.files().path("state");
    let arguments: Vec<String> = rendered
        .arguments()
        .iter()
        .map(|argument| {
            let argument = argument.replace("/etc/whyd", &mounted.to_string_lossy());
            let argument = argument.replace("/var/lib/whyd", &state.to_string_lossy());
            argument.replace("0.0.0.0:9477", "127.0.0.1:0")
        })
        .collect();
    let mut command = whyd(&[]);
    command.args(arguments);
    let mut daemon = Daemon::of(command).await;
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let path = rendered.container()[probe]["httpGet"]["path"]
            .as_str()
            .expect("a path")
            .to_owned();
        eventually(&path, async || {
            (daemon.get(&path).await.status == 200).then_some(())
        })
        .await;
    }
    let test = texts(&rendered.one("Pod")["spec"]["containers"][0]["args"]);
    let question = test
        .iter()
        .map(|word| word.replace("demo-whyd.watch.svc:9477", &daemon.address.to_string()));
    let output = whyd(&[]).args(question).output().expect("whyd runs");
    assert!(output.status.success(), "{output:?}");
    // A kubelet writes the volume anew.
    let file = mounted.join("whyd.yaml");
    fs::write(&file, "dependencies: [{name: b, url: 'http://127.0.0.1:1/'}]\n").expect("written");
    daemon.process.line("reloaded ").await;
    assert_eq!(daemon.get("/api/v1/dependencies/b").await.status, 200);
    daemon.stop().await;
}

/// What the documents show of values is rendered, and its configuration is one that whyd takes.
#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn the_values_that_documents_show_are_good() {
    let helm = need_helm!();
    let mut shown = 0;
    for document in ["README.md", "helm/whyd/README.md"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
        let text = fs::read_to_string(path).expect("a document");
        let blocks = text.split("```yaml\n# values.yaml\n").skip(1);
        for block in blocks.filter_map(|rest| rest.split("```").next()) {
            let rendered = helm.render(block);
            let mounted = mount(&helm, &rendered).expect("the chart writes it");
            check_configuration(&mounted, &rendered, block);
            shown += 1;
        }
    }
    assert!(shown >= 6, "{shown}");
}
