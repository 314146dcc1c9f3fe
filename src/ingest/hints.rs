//! File-system events, as hints that a look is due. Nothing is believed because of them, and nothing is lost without them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use notify::event::{AccessKind, AccessMode};
use notify::{Config, ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// What wakes an ingest thread.
#[derive(Debug)]
pub(super) enum Message {
    /// Something changed at this absolute path.
    Look(PathBuf),
    /// Look at the flags.
    Wake,
}

/// Where events go. The callback runs on notify's thread and must never wait: what does not fit becomes a full look.
#[derive(Debug, Clone)]
pub(super) struct Inbox {
    messages: SyncSender<Message>,
    rescan: Arc<AtomicBool>,
}

/// No more folders can be watched.
#[derive(Debug, thiserror::Error)]
#[error("watching folders has reached a limit of the system: {0}")]
pub(super) struct WatchLimit(notify::Error);

/// Watches single folders, each when it is looked into: a watch set before a folder is listed misses nothing in it, and one
/// folder that cannot be watched costs no other its watch.
#[derive(Debug)]
pub(super) struct Hints {
    watcher: RecommendedWatcher,
}

impl Inbox {
    pub(super) fn new(messages: SyncSender<Message>, rescan: Arc<AtomicBool>) -> Self {
        Self { messages, rescan }
    }

    pub(super) fn wake(&self) {
        // A full channel wakes its reader as well as one more message would.
        let _ = self.messages.try_send(Message::Wake);
    }

    /// Asks for a full look.
    pub(super) fn request_rescan(&self) {
        self.rescan.store(true, Ordering::Release);
        self.wake();
    }

    fn receive(&self, event: notify::Result<notify::Event>) {
        let Ok(event) = event else { return self.request_rescan() };
        // An overflow names no paths.
        if event.need_rescan() {
            return self.request_rescan();
        }
        let is_reading = |kind| !matches!(kind, AccessKind::Close(AccessMode::Write));
        if matches!(event.kind, EventKind::Access(kind) if is_reading(kind)) {
            return;
        }
        for path in event.paths {
            if self.messages.try_send(Message::Look(path)).is_err() {
                return self.request_rescan();
            }
        }
    }
}

impl Hints {
    pub(super) fn new(inbox: Inbox) -> Result<Self, WatchLimit> {
        let config = Config::default().with_follow_symlinks(false);
        let watcher = RecommendedWatcher::new(move |event| inbox.receive(event), config).map_err(WatchLimit)?;
        Ok(Self { watcher })
    }

    /// Watches the files and sub-folders directly in a folder; again is the same as once. Only a limit of the system is an
    /// error: a folder that vanished or may not be read is found out by looking into it.
    pub(super) fn watch(&mut self, folder: &Path) -> Result<(), WatchLimit> {
        match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
            Err(error) if is_limit(&error) => Err(WatchLimit(error)),
            _ => Ok(()),
        }
    }
}

/// notify gives the limit on watches a name of its own; those on inotify instances, files and memory are plain answers.
fn is_limit(error: &notify::Error) -> bool {
    use rustix::io::Errno;
    match &error.kind {
        ErrorKind::MaxFilesWatch => true,
        ErrorKind::Io(error) => {
            let limits = [Errno::NOSPC, Errno::MFILE, Errno::NFILE, Errno::NOMEM];
            Errno::from_io_error(error).is_some_and(|errno| limits.contains(&errno))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use notify::event::{CreateKind, Flag};
    use notify::{Error, Event};

    use super::*;

    fn inbox(capacity: usize) -> (Inbox, Receiver<Message>) {
        let (sender, receiver) = sync_channel(capacity);
        (Inbox::new(sender, Arc::default()), receiver)
    }

    fn created(name: &str) -> Event {
        Event::new(EventKind::Create(CreateKind::File)).add_path(name.into())
    }

    fn wants_rescan(inbox: &Inbox) -> bool {
        inbox.rescan.load(Ordering::Acquire)
    }

    #[test]
    fn an_overflow_without_paths_asks_for_a_full_look() {
        let (inbox, messages) = inbox(4);
        inbox.receive(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert!(wants_rescan(&inbox));
        assert!(matches!(messages.try_recv(), Ok(Message::Wake)));
    }

    #[test]
    fn what_does_not_fit_asks_for_a_full_look_and_waits_for_nobody() {
        let (inbox, messages) = inbox(1);
        inbox.receive(Ok(created("/a")));
        assert!(!wants_rescan(&inbox));
        inbox.receive(Ok(created("/b")));
        assert!(wants_rescan(&inbox));
        assert!(matches!(messages.try_recv(), Ok(Message::Look(path)) if path == Path::new("/a")));
    }

    #[test]
    fn errors_ask_for_a_full_look_and_our_own_reading_for_none() {
        let (inbox, messages) = inbox(4);
        inbox.receive(Ok(Event::new(EventKind::Access(AccessKind::Open(AccessMode::Any))).add_path("/a".into())));
        assert!(messages.try_recv().is_err() && !wants_rescan(&inbox));
        inbox.receive(Err(Error::new(ErrorKind::MaxFilesWatch)));
        assert!(wants_rescan(&inbox));
    }

    #[test]
    fn limits_of_the_system_are_told_from_folders_that_are_gone() {
        let io = |errno: rustix::io::Errno| Error::io(errno.into());
        for limit in [Error::new(ErrorKind::MaxFilesWatch), io(rustix::io::Errno::MFILE), io(rustix::io::Errno::NOSPC)] {
            assert!(is_limit(&limit), "{limit}");
        }
        for other in [Error::new(ErrorKind::PathNotFound), io(rustix::io::Errno::ACCESS)] {
            assert!(!is_limit(&other), "{other}");
        }
    }
}
