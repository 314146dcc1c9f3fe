//! Changes the catalogue: an entry comes or goes, everything else in the file, comments included, stays as it was.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use toml_edit::{ArrayOfTables, DocumentMut, Item};

use super::{CATALOGUE, Catalogue, CatalogueError, Entry};

/// What a removal came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Removed {
    /// The entry that went.
    pub entry: Entry,
    /// The id of another model of the same file, which stays in place for it.
    pub file_kept_for: Option<String>,
}

/// A change under way. While it lives, no other process changes the same catalogue: the models directory is locked.
#[derive(Debug)]
pub struct CatalogueEdit {
    directory: PathBuf,
    /// Holds the lock.
    lock: File,
    document: DocumentMut,
    catalogue: Catalogue,
}

impl CatalogueEdit {
    /// Locks the directory, waiting for another change to end, and reads the catalogue.
    ///
    /// # Errors
    /// As [`Catalogue::open`], or the directory cannot be locked.
    pub fn begin(directory: &Path) -> Result<Self, CatalogueError> {
        let path = directory.join(CATALOGUE);
        let unreadable = |source| CatalogueError::Read { path: path.clone(), source };
        let lock = File::open(directory).map_err(unreadable)?;
        lock.lock().map_err(unreadable)?;
        let text = fs::read_to_string(&path).map_err(unreadable)?;
        let catalogue = Catalogue::parse(directory, &text)?;
        // What the stricter reader above took is TOML.
        let document = text.parse::<DocumentMut>().map_err(|error| unreadable(io::Error::other(error)))?;
        if document.get("model").is_some_and(|models| models.as_array_of_tables().is_none()) {
            let line = text.lines().position(|line| line.trim_start().starts_with("model")).map_or(1, |index| index + 1);
            let message = "models must be written as [[model]] tables to be changed by a program".to_owned();
            return Err(CatalogueError::Syntax { path, line, message });
        }
        Ok(Self { directory: directory.to_owned(), lock, document, catalogue })
    }

    /// The catalogue as it was when the change began.
    pub const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Adds an entry at the end and writes the catalogue. The file it names must be in place already: an entry never points
    /// at nothing.
    ///
    /// # Errors
    /// [`CatalogueError::Taken`] when the id is in use, [`CatalogueError::Entry`] when the entry is not sound, or the
    /// catalogue cannot be written.
    #[expect(clippy::should_implement_trait, reason = "a catalogue is not a number")]
    pub fn add(mut self, entry: &Entry) -> Result<(), CatalogueError> {
        let path = || self.directory.join(CATALOGUE);
        if self.catalogue.entries().iter().any(|other| other.id == entry.id) {
            return Err(CatalogueError::Taken { path: path(), id: entry.id.clone() });
        }
        if let Some(fault) = super::fault(entry, false) {
            return Err(CatalogueError::Entry { path: path(), id: entry.id.clone(), fault });
        }
        let table = toml_edit::ser::to_document(entry).expect("an entry is made of strings and numbers").into_table();
        let models = self.document.entry("model").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
        models.as_array_of_tables_mut().expect("`begin` refuses anything else").push(table);
        self.write()
    }

    /// Takes an entry out, writes the catalogue, and then deletes the file unless another entry names it too: an entry never
    /// points at nothing. A file that is gone already is no error.
    ///
    /// # Errors
    /// [`CatalogueError::Unknown`] when no entry has the id, or the catalogue cannot be written: then nothing is changed.
    /// [`CatalogueError::Remove`] when the entry went and its file could not.
    pub fn remove(mut self, id: &str) -> Result<Removed, CatalogueError> {
        let position = self.catalogue.entries().iter().position(|entry| entry.id == id);
        let unknown = || CatalogueError::Unknown { path: self.directory.join(CATALOGUE), id: id.to_owned() };
        let position = position.ok_or_else(unknown)?;
        let entry = self.catalogue.entries()[position].clone();
        let models = self.document.get_mut("model").and_then(Item::as_array_of_tables_mut);
        let models = models.expect("`begin` refuses anything else");
        // What stands above the first entry is about the file.
        let heading = models.get(0).and_then(|first| first.decor().prefix()).cloned().unwrap_or_default();
        models.remove(position);
        match models.get_mut(0) {
            Some(first) if position == 0 => first.decor_mut().set_prefix(heading),
            Some(_) => {}
            None => self.document.set_trailing(heading),
        }
        self.write()?;
        let others = self.catalogue.entries().iter().filter(|other| other.id != entry.id);
        let twin = others.into_iter().find(|other| Path::new(&other.file) == Path::new(&entry.file));
        let file_kept_for = twin.map(|twin| twin.id.clone());
        if file_kept_for.is_none() {
            self.delete(&entry)?;
        }
        Ok(Removed { entry, file_kept_for })
    }

    #[expect(clippy::disallowed_methods, reason = "nothing names the file any more")]
    fn delete(&self, entry: &Entry) -> Result<(), CatalogueError> {
        let path = self.catalogue.path(entry);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CatalogueError::Remove { id: entry.id.clone(), path, source: error })
            }
            _ => Ok(()),
        }
    }

    /// Replaces the catalogue as a whole: a reader sees the old or the new one, also after a power cut.
    #[expect(clippy::disallowed_methods, reason = "the catalogue is replaced as a whole")]
    fn write(&self) -> Result<(), CatalogueError> {
        let path = self.directory.join(CATALOGUE);
        let temporary = self.directory.join(format!(".{CATALOGUE}.part"));
        let written = File::create(&temporary).and_then(|mut file| {
            file.write_all(self.document.to_string().as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        });
        written.map_err(|source| CatalogueError::Write { path, source })?;
        // From here on the new catalogue is what everybody reads: it must not be reported as not written.
        if let Err(error) = self.lock.sync_all() {
            tracing::warn!(%error, "The catalogue is written, and the disk did not confirm it");
        }
        Ok(())
    }
}
