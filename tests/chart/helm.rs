//! helm at work, and what it renders.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;
use serde_json::Value;

use crate::chart;
use crate::harness::{Files, tools};

/// helm, or the end of the test, said out loud.
macro_rules! need_helm {
    () => {
        match $crate::helm::Helm::find() {
            Some(helm) => helm,
            None => return,
        }
    };
}
pub(crate) use need_helm;

pub struct Helm {
    program: PathBuf,
    files: Files,
}

impl Helm {
    pub fn find() -> Option<Helm> {
        let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/helm/helm");
        let program = match fetched.is_file() {
            true => Some(fetched),
            false => tools::find("helm", "WHYD_HELM"),
        };
        Some(Helm {
            program: program?,
            files: Files::new(),
        })
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        // Nothing of the user's, and nothing left in their home.
        let home = self.files.path("home");
        Command::new(&self.program)
            .args(arguments)
            .env_clear()
            .env("HOME", &home)
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()))
    }

    pub fn files(&self) -> &Files {
        &self.files
    }

    /// What is rendered for the release `demo` in the namespace `watch`, or what helm says against it.
    pub fn try_render(&self, values: &str) -> Result<Rendered, String> {
        let file = self.files.write("values.yaml", values);
        self.template(&file)
    }

    pub fn template(&self, values: &Path) -> Result<Rendered, String> {
        let chart = chart();
        let output = self.run(&[
            "template",
            "demo",
            &chart.to_string_lossy(),
            "--namespace",
            "watch",
            "--values",
            &values.to_string_lossy(),
        ]);
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let documents = serde_yaml::Deserializer::from_str(&text);
        let objects = documents
            .map(|document| Value::deserialize(document).unwrap_or_else(|error| panic!("{error}:\n{text}")))
            .filter(|object| !object.is_null())
            .collect();
        Ok(Rendered { objects, text })
    }

    #[track_caller]
    pub fn render(&self, values: &str) -> Rendered {
        self.try_render(values)
            .unwrap_or_else(|said| panic!("{values}\n{said}"))
    }
}

/// The objects that were rendered.
#[derive(Debug)]
pub struct Rendered {
    pub objects: Vec<Value>,
    pub text: String,
}

impl Rendered {
    pub fn of(&self, kind: &str) -> Vec<&Value> {
        let is = |object: &&Value| object["kind"] == kind;
        self.objects.iter().filter(is).collect()
    }

    /// The only object of a kind, or the one of that name: `Service`, `Service/demo-whyd`.
    #[track_caller]
    pub fn one(&self, which: &str) -> &Value {
        let (kind, name) = which
            .split_once('/')
            .map_or((which, None), |(kind, name)| (kind, Some(name)));
        let named = |object: &&&Value| name.is_none_or(|name| object["metadata"]["name"] == name);
        let found = self.of(kind);
        let found: Vec<_> = found.iter().filter(named).collect();
        match found[..] {
            [one] => one,
            _ => panic!("{} of {which} in\n{}", found.len(), self.text),
        }
    }

    /// The pod of the StatefulSet.
    #[track_caller]
    pub fn pod(&self) -> &Value {
        &self.one("StatefulSet")["spec"]["template"]
    }

    /// whyd's container.
    #[track_caller]
    pub fn container(&self) -> &Value {
        &self.pod()["spec"]["containers"][0]
    }

    #[track_caller]
    pub fn arguments(&self) -> Vec<&str> {
        texts(&self.container()["args"])
    }

    /// The value of an environment variable of whyd's.
    #[track_caller]
    pub fn variable(&self, name: &str) -> Option<&Value> {
        let all = self.container()["env"].as_array().expect("a list");
        all.iter().find(|variable| variable["name"] == name)
    }

    /// A file of the configuration that the chart wrote.
    #[track_caller]
    pub fn config(&self, file: &str) -> Value {
        let object = self.one("ConfigMap/demo-whyd");
        let text = object["data"][file].as_str();
        let text = text.unwrap_or_else(|| panic!("no {file} in {object}"));
        serde_yaml::from_str(text).expect("YAML")
    }

    /// Whose place in the pod it is: `volumes`, `volumeMounts` by name.
    #[track_caller]
    pub fn volume(&self, name: &str) -> &Value {
        let all = self.pod()["spec"]["volumes"].as_array().expect("a list");
        let found = all.iter().find(|volume| volume["name"] == name);
        found.unwrap_or_else(|| panic!("no volume {name}"))
    }
}

pub fn texts(list: &Value) -> Vec<&str> {
    let all = list.as_array().map_or(&[][..], Vec::as_slice);
    all.iter().map(|one| one.as_str().expect("a text")).collect()
}
