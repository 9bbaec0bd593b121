//! What discovery found last, for a start at which a source is down: one file beside the store, replaced as a whole.
//!
//! It is no record of the store, since the engine knows nothing of it and it must be read before there is an engine.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::discovery::Target;

const FILE: &str = "discovery.json";
const BESIDE: &str = "discovery.json.new";
const VERSION: u32 = 1;
/// Bytes; the largest that is written holds some 50,000 targets of each of a few sources.
const LARGEST: u64 = 256 << 20;

/// What each source found, by its name, with what the source is: another source of the same name has found nothing.
pub type Kept = BTreeMap<String, (String, Arc<[Target]>)>;

#[derive(Serialize, Deserialize)]
struct File1 {
    version: u32,
    sources: BTreeMap<String, Source1>,
}

#[derive(Serialize, Deserialize)]
struct Source1 {
    identity: String,
    targets: Vec<Target1>,
}

#[derive(Serialize, Deserialize)]
struct Target1 {
    id: String,
    address: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settings: Option<String>,
    place: String,
}

/// What is kept there; nothing where nothing was.
///
/// # Errors
/// It cannot be read, or is of another version.
pub fn read(directory: &Path) -> Result<Kept, String> {
    let path = directory.join(FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::new()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let mut text = Vec::new();
    file.take(LARGEST)
        .read_to_end(&mut text)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let kept: File1 =
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    if kept.version != VERSION {
        let (found, known) = (kept.version, VERSION);
        return Err(format!(
            "{}: version {found}, and this whyd knows {known}",
            path.display()
        ));
    }
    let sources = kept.sources.into_iter();
    Ok(sources.map(|(name, source)| (name, source.into())).collect())
}

impl From<Source1> for (String, Arc<[Target]>) {
    fn from(source: Source1) -> Self {
        let mut targets: Vec<Target> = source.targets.into_iter().map(Target::from).collect();
        targets.sort_by(|a, b| a.id.cmp(&b.id));
        targets.dedup_by(|a, b| a.id == b.id);
        (source.identity, targets.into())
    }
}

impl From<Target1> for Target {
    fn from(kept: Target1) -> Target {
        let labels = kept.labels.into_iter();
        Target {
            id: kept.id.into(),
            address: kept.address.into(),
            labels: labels.map(|(name, value)| (name.into(), value.into())).collect(),
            settings: kept.settings.map(Into::into),
            place: kept.place.into(),
        }
    }
}

impl From<&Target> for Target1 {
    fn from(target: &Target) -> Target1 {
        let labels = target.labels.iter();
        Target1 {
            id: target.id.to_string(),
            address: target.address.to_string(),
            labels: labels
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            settings: target.settings.as_ref().map(|text| text.to_string()),
            place: target.place.to_string(),
        }
    }
}

/// Replaces what is kept there, so that a crash leaves the old or the new. What holds a user and a password is left out: it is
/// never watched, and secrets are not written down.
///
/// # Errors
/// It cannot be written.
pub fn write(directory: &Path, kept: &Kept) -> io::Result<()> {
    let sources = kept.iter().map(|(name, (identity, targets))| {
        let targets = targets.iter().filter(|target| !has_user_info(&target.address));
        let source = Source1 {
            identity: identity.clone(),
            targets: targets.map(Target1::from).collect(),
        };
        (name.clone(), source)
    });
    let text = serde_json::to_vec(&File1 {
        version: VERSION,
        sources: sources.collect(),
    })?;
    let beside = directory.join(BESIDE);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&beside, directory.join(FILE))?;
    File::open(directory)?.sync_all()
}

fn has_user_info(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    rest[..end].contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_but_for_secrets() {
        let directory = std::env::temp_dir().join(format!("whyd-kept-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("can be made");
        assert_eq!(read(&directory), Ok(Kept::new()));
        let target = |address: &str| Target {
            address: address.into(),
            id: address.into(),
            labels: [("env".into(), "prod".into())].into(),
            settings: Some("interval: 5s".into()),
            place: "t.json: [0].targets[0]".into(),
        };
        let all: Arc<[Target]> = [target("a:1"), target("https://me:hunter2@host/")].into();
        let kept = Kept::from([("s".to_owned(), ("file_sd a".to_owned(), all))]);
        write(&directory, &kept).expect("can be written");
        let text = fs::read_to_string(directory.join(FILE)).expect("is there");
        assert!(!text.contains("hunter2"), "{text}");
        let back = read(&directory).expect("is good");
        assert_eq!(back["s"].0, "file_sd a");
        assert_eq!(&*back["s"].1, [target("a:1")]);
        fs::write(
            directory.join(FILE),
            text.replace("\"version\":1", "\"version\":2"),
        )
        .expect("can be written");
        assert!(read(&directory).expect_err("is another").contains("version 2"));
        fs::write(directory.join(FILE), "{").expect("can be written");
        assert!(read(&directory).is_err());
        let _ = fs::remove_dir_all(&directory);
    }
}
