//! The file itself: redb, a table per kind of record, one transaction per batch of changes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use crate::model::record::{Change, Record, RecordKind};
use crate::net::wall;

use super::codec;

pub const FILE: &str = "whyd.redb";
/// What the name of a file begins with that was found damaged and moved aside.
pub const DAMAGED: &str = "whyd.redb.damaged-";
/// Pages that redb keeps in memory, in bytes: the file is read once and then only written.
const CACHE: usize = 1 << 20;
/// How many records that cannot be read are named one by one.
const NAMED: usize = 5;

fn table(kind: RecordKind) -> TableDefinition<'static, &'static str, &'static [u8]> {
    TableDefinition::new(kind.id())
}

/// Why the file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Its content is not what was written there.
    #[error("its content is damaged: {0}")]
    Damaged(String),
    #[error("{0}")]
    Other(Box<redb::Error>),
    #[error("a record could not be encoded: {0}")]
    Encode(#[from] serde_json::Error),
}

fn said(error: impl Into<redb::Error>) -> FileError {
    match error.into() {
        redb::Error::Corrupted(text) => FileError::Damaged(text),
        redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            FileError::Damaged(error.to_string())
        }
        other => FileError::Other(Box::new(other)),
    }
}

/// An open file. Dropping it closes it.
pub struct StateFile(Database);

/// Opens the directory's file and reads it. One that is damaged is moved aside for whoever wants to look at it, and an
/// empty one takes its place.
///
/// # Errors
/// The disk is full or fails: nothing can be read or written at present.
pub fn open_or_move_aside(directory: &Path, warnings: &mut Vec<String>) -> Result<FirstLook, FileError> {
    let mut lost = None;
    let (file, records) = match open_and_read(directory, warnings) {
        Err(FileError::Damaged(why)) => {
            let aside = move_aside(directory).map_err(said)?;
            let text = format!(
                "the state in {} is damaged ({why}): it was moved to {}, and what was remembered there is forgotten",
                directory.join(FILE).display(),
                aside.display()
            );
            lost = Some(text.as_str().into());
            warnings.push(text);
            open_and_read(directory, warnings)?
        }
        other => other?,
    };
    Ok(FirstLook { file, records, lost })
}

/// The file as it was found.
pub struct FirstLook {
    pub file: StateFile,
    pub records: Vec<Record>,
    /// What became of a file that could not be read.
    pub lost: Option<Arc<str>>,
}

fn move_aside(directory: &Path) -> io::Result<PathBuf> {
    let stamp = wall::now().unix_secs();
    let mut aside = directory.join(format!("{FILE}.damaged-{stamp}"));
    let mut n = 1;
    while aside.exists() {
        aside = directory.join(format!("{FILE}.damaged-{stamp}-{n}"));
        n += 1;
    }
    std::fs::rename(directory.join(FILE), &aside)?;
    Ok(aside)
}

fn open_and_read(
    directory: &Path,
    warnings: &mut Vec<String>,
) -> Result<(StateFile, Vec<Record>), FileError> {
    // A damaged file can trip redb's own assertions; that is damage like any other.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        check_magic(&directory.join(FILE))?;
        let file = StateFile::open(directory)?;
        let (records, unreadable) = file.read()?;
        Ok::<_, FileError>((file, records, unreadable))
    }));
    let (file, records, unreadable) = match opened {
        Ok(opened) => opened?,
        Err(_) => return Err(FileError::Damaged("it cannot be made sense of".into())),
    };
    for text in unreadable.iter().take(NAMED) {
        warnings.push(format!("a kept record is passed over and left as it is: {text}"));
    }
    if let Some(more) = unreadable.len().checked_sub(NAMED).filter(|more| *more > 0) {
        warnings.push(format!("and so are {more} others"));
    }
    Ok((file, records))
}

/// What every file of redb begins with (its `docs/design.md`).
const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";

/// A file that is none of redb's is left untouched: opening it would write into it.
fn check_magic(path: &Path) -> Result<(), FileError> {
    let mut start = Vec::with_capacity(MAGIC.len());
    match File::open(path) {
        Ok(file) => file
            .take(MAGIC.len() as u64)
            .read_to_end(&mut start)
            .map_err(said)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(said(error)),
    };
    if start.is_empty() || start == MAGIC {
        Ok(())
    } else {
        Err(FileError::Damaged("it does not begin as it should".into()))
    }
}

impl StateFile {
    /// Opens the file and makes it if need be. What a crash left of a transaction is rolled back here.
    pub fn open(directory: &Path) -> Result<StateFile, FileError> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
        let path = directory.join(FILE);
        // Made here for its mode: redb would let everybody read it, and takes an empty file for a new one.
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(said)?;
        Ok(StateFile(builder.create(path).map_err(said)?))
    }

    /// Every record of a known kind and version, and what is to be said of the others.
    fn read(&self) -> Result<(Vec<Record>, Vec<String>), FileError> {
        let reading = self.0.begin_read().map_err(said)?;
        let (mut records, mut unreadable) = (Vec::new(), Vec::new());
        for kind in RecordKind::ALL {
            let table = match reading.open_table(table(kind)) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => continue,
                Err(error) => return Err(said(error)),
            };
            for entry in table.iter().map_err(said)? {
                let (key, value) = entry.map_err(said)?;
                match codec::decode(kind, value.value()) {
                    Ok(record) => records.push(record),
                    Err(why) => unreadable.push(format!("{} {}: {why}", kind.id(), key.value())),
                }
            }
        }
        Ok((records, unreadable))
    }

    /// Writes all of it or nothing, and returns when the disk has it.
    pub fn write<'a>(&self, changes: impl IntoIterator<Item = &'a Change>) -> Result<(), FileError> {
        let writing = self.0.begin_write().map_err(said)?;
        for change in changes {
            let key = change.key();
            let mut table = writing.open_table(table(key.kind)).map_err(said)?;
            match change {
                Change::Put(record) => {
                    let value = codec::encode(record)?;
                    table.insert(&*key.key, value.as_slice()).map_err(said)?;
                }
                Change::Remove(_) => {
                    table.remove(&*key.key).map_err(said)?;
                }
            }
        }
        writing.commit().map_err(said)
    }
}
