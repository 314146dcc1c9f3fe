//! Opens the ledger: lock first, then check, then migrate.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use super::StoreError;
use crate::job::UnixMillis;

/// Name of the database inside the state directory.
pub(super) const DATABASE: &str = "autochrome.sqlite";
const LOCK: &str = "autochrome.lock";
/// How often, and how long apart, a taken lock is looked at again before its holder counts as a daemon.
const LOOKS: u32 = 10;
const LOOK_PAUSE: Duration = Duration::from_millis(20);

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// The ledger, open.
#[derive(Debug, Clone)]
pub struct Store {
    /// One connection: SQLite has one writer, and a queue in the pool is fairer than a busy loop in SQLite.
    pub(super) writer: SqlitePool,
    /// Four snapshots at once: a report must not wait for another report.
    pub(super) reader: SqlitePool,
}

/// The right to write to a state directory, held until dropped.
///
/// An advisory lock of the operating system: it goes with the process, however that ends.
#[derive(Debug)]
pub struct StoreLock {
    file: File,
}

impl StoreLock {
    /// Takes the lock of `state`, creating the directory; says who holds it otherwise.
    pub fn acquire(state: &Path, now: UnixMillis) -> Result<Self, StoreError> {
        let unusable = |source| StoreError::StateDirectory { path: state.to_owned(), source };
        std::fs::create_dir_all(state).map_err(unusable)?;
        refuse_network_file_system(state)?;
        let mut options = File::options();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(state.join(LOCK)).map_err(unusable)?;
        let mut looks = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                // `status` holds the lock for a moment to see whether anybody does; a daemon holds it for longer.
                Err(std::fs::TryLockError::WouldBlock) if looks < LOOKS => std::thread::sleep(LOOK_PAUSE),
                Err(std::fs::TryLockError::WouldBlock) => {
                    let (pid, since) = read_holder(&mut file);
                    return Err(StoreError::AlreadyRunning { state: state.to_owned(), pid, since });
                }
                Err(std::fs::TryLockError::Error(source)) => return Err(unusable(source)),
            }
            looks += 1;
        }
        let since = jiff::Timestamp::from_millisecond(now.0).map_or_else(|_| now.0.to_string(), |time| time.to_string());
        file.set_len(0).map_err(unusable)?;
        file.rewind().map_err(unusable)?;
        file.write_all(format!("{}\n{since}\n", std::process::id()).as_bytes()).map_err(unusable)?;
        Ok(Self { file })
    }

    /// Who holds the lock of `state` now: pid and start time; `None` when nobody does.
    pub fn holder(state: &Path) -> Option<(String, String)> {
        let mut file = File::open(state.join(LOCK)).ok()?;
        match file.try_lock_shared() {
            Err(std::fs::TryLockError::WouldBlock) => Some(read_holder(&mut file)),
            Ok(()) | Err(std::fs::TryLockError::Error(_)) => None,
        }
    }
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        // An empty file is the tidy sign of a tidy end; the lock itself goes with the descriptor.
        let _ = self.file.set_len(0);
    }
}

fn read_holder(file: &mut File) -> (String, String) {
    let mut text = String::new();
    // The holder may be between locking and writing: then its name is not known yet.
    let _ = file.read_to_string(&mut text);
    let mut lines = text.lines().map(str::to_owned);
    let unknown = || "unknown".to_owned();
    (lines.next().unwrap_or_else(unknown), lines.next().unwrap_or_else(unknown))
}

/// WAL needs shared memory, which network file systems do not give (<https://www.sqlite.org/wal.html>).
///
/// # Errors
/// `path` lies on one, or cannot be asked.
pub fn refuse_network_file_system(path: &Path) -> Result<(), StoreError> {
    let unusable = |source: rustix::io::Errno| StoreError::StateDirectory { path: path.to_owned(), source: source.into() };
    // Magic numbers of statfs(2). The field's type differs between targets; the value fits 32 bits on all of them.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "magic numbers are 32 bits wide")]
    let kind = match rustix::fs::statfs(path).map_err(unusable)?.f_type as u32 {
        0x6969 => "NFS",
        0x517B | 0xFF53_4D42 | 0xFE53_4D42 => "SMB",
        0x6573_5546 => "FUSE",
        0x0102_1997 => "9p",
        0x00C3_6400 => "Ceph",
        _ => return Ok(()),
    };
    Err(StoreError::NetworkFileSystem { path: path.to_owned(), kind })
}

impl Store {
    /// Opens the ledger for writing, creating or migrating it. The lock proves that nobody else does.
    pub async fn open(state: &Path, _lock: &StoreLock) -> Result<Self, StoreError> {
        let path = state.join(DATABASE);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options(&path).create_if_missing(true))
            .await
            .map_err(StoreError::doing("be opened"))?;
        refuse_newer_schema(&writer, &path).await?;
        quick_check(&writer, &path).await?;
        MIGRATIONS.run(&writer).await.map_err(|error| StoreError::Database { doing: "be migrated", source: error.into() })?;
        let reader = readers(&path).await?;
        Ok(Self { writer, reader })
    }

    /// Opens an existing ledger for reports while the daemon may be running. Writes through it fail.
    pub async fn open_read_only(state: &Path) -> Result<Self, StoreError> {
        let path = existing(state)?;
        let reader = readers(&path).await?;
        if refuse_newer_schema(&reader, &path).await?.is_none() {
            // A daemon that is just starting has made the file and not yet the tables.
            return Err(StoreError::Absent { state: state.to_owned() });
        }
        Ok(Self { writer: reader.clone(), reader })
    }

    /// Opens an existing ledger for an operator's decision while the daemon may be running.
    ///
    /// SQLite serialises this writer with the daemon's; `busy_timeout` covers the wait.
    pub async fn open_beside_daemon(state: &Path) -> Result<Self, StoreError> {
        let path = existing(state)?;
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options(&path))
            .await
            .map_err(StoreError::doing("be opened"))?;
        if refuse_newer_schema(&writer, &path).await?.is_none() {
            return Err(StoreError::Absent { state: state.to_owned() });
        }
        let reader = readers(&path).await?;
        Ok(Self { writer, reader })
    }

    /// Flushes the write-ahead log into the database and closes every connection.
    pub async fn close(self) {
        // Best effort: whatever stays in the log is replayed at the next open.
        let _ = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.writer).await;
        self.reader.close().await;
        self.writer.close().await;
    }

    pub(super) async fn begin(&self) -> Result<sqlx::Transaction<'static, sqlx::Sqlite>, StoreError> {
        // IMMEDIATE takes the write lock at once: upgrading a read transaction cannot wait and fails with SQLITE_BUSY.
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::doing("begin a write"))
    }
}

fn existing(state: &Path) -> Result<PathBuf, StoreError> {
    let path = state.join(DATABASE);
    if path.is_file() { Ok(path) } else { Err(StoreError::Absent { state: state.to_owned() }) }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // FULL: a committed "completed" survives a power cut, as the derivative it speaks of does.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .pragma("journal_size_limit", "67108864")
        .optimize_on_close(true, None)
}

async fn readers(path: &Path) -> Result<SqlitePool, StoreError> {
    let read_only = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(Duration::from_secs(10));
    let pool = SqlitePoolOptions::new().max_connections(4).connect_with(read_only).await;
    pool.map_err(StoreError::doing("be opened for reading"))
}

/// The schema's version; `None` when there is no table yet.
async fn refuse_newer_schema(pool: &SqlitePool, path: &Path) -> Result<Option<i64>, StoreError> {
    let table: Option<(i64,)> = sqlx::query_as("SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations'")
        .fetch_optional(pool)
        .await
        .map_err(StoreError::doing("be read"))?;
    if table.is_none() {
        return Ok(None);
    }
    let (found,): (Option<i64>,) = sqlx::query_as("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(pool)
        .await
        .map_err(StoreError::doing("be read"))?;
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    match found {
        Some(found) if found > known => Err(StoreError::NewerSchema { path: path.to_owned(), found, known }),
        Some(_) | None => Ok(found),
    }
}

async fn quick_check(pool: &SqlitePool, path: &Path) -> Result<(), StoreError> {
    let (finding,): (String,) =
        sqlx::query_as("PRAGMA quick_check(1)").fetch_one(pool).await.map_err(StoreError::doing("be checked"))?;
    if finding == "ok" { Ok(()) } else { Err(StoreError::Damaged { path: path.to_owned(), finding }) }
}
