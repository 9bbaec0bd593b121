//! `whyd rules`: the judgement of our alerts as rules for Prometheus, and the dashboards for Grafana, from the chart that
//! they are kept in.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use super::args::RulesArgs;
use super::output::{CANNOT_WRITE, Output, complain};

/// The canonical files. Helm reads nothing outside its chart, so that they live there.
const RULES: &str = include_str!("../../helm/whyd/files/rules/whyd.rules.yaml");
const LOCATIONS: &str = include_str!("../../helm/whyd/files/rules/locations.rules.yaml");
const DASHBOARDS: [(&str, &str); 3] = [
    (
        "whyd-fleet.json",
        include_str!("../../helm/whyd/files/dashboards/fleet.json"),
    ),
    (
        "whyd-dependency.json",
        include_str!("../../helm/whyd/files/dashboards/dependency.json"),
    ),
    (
        "whyd-itself.json",
        include_str!("../../helm/whyd/files/dashboards/whyd.json"),
    ),
];

pub fn run(args: &RulesArgs) -> ExitCode {
    let Some(directory) = &args.dashboards else {
        return super::print(if args.locations { LOCATIONS } else { RULES });
    };
    let mut output = Output::stdout();
    for (name, text) in DASHBOARDS {
        match write(directory, name, text) {
            Ok(path) => output.write(&format!("{path}\n")),
            Err(error) => {
                complain(&format!(
                    "cannot write {}: {error}",
                    directory.join(name).display()
                ));
                return CANNOT_WRITE.into();
            }
        }
    }
    output.exit(0)
}

fn write(directory: &Path, name: &str, text: &str) -> io::Result<String> {
    std::fs::create_dir_all(directory)?;
    let path = directory.join(name);
    std::fs::write(&path, text)?;
    Ok(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dashboard_is_one_and_links_survive_under_the_names() {
        for (name, text) in DASHBOARDS {
            let dashboard: serde_json::Value = serde_json::from_str(text).expect(name);
            assert!(
                dashboard["panels"]
                    .as_array()
                    .is_some_and(|panels| !panels.is_empty()),
                "{name}"
            );
            assert!(
                dashboard["uid"].is_string(),
                "{name} is found by its uid, whatever its file is called"
            );
        }
    }
}
