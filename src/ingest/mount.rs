//! Whether the file system under a directory tells of changes, or has to be asked.

use std::path::Path;

/// How changes under a mount become known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The kernel tells; what it misses a full look finds.
    Events,
    /// Other machines write here and the kernel does not hear of it.
    Polling,
}

/// Asks the mount that holds `directory`. One that cannot be asked is polled: that is right everywhere.
pub(super) fn delivery(directory: &Path) -> Delivery {
    // The field's type differs between targets; magic numbers are 32 bits wide on all of them.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "magic numbers are 32 bits wide")]
    let kind = rustix::fs::statfs(directory).map(|found| found.f_type as u32);
    kind.map_or(Delivery::Polling, of_kind)
}

/// Magic numbers of statfs(2) and the kernel's `magic.h`. That this host's own writes to a network mount do give events
/// makes a probe useless: it has to be known by its kind.
const fn of_kind(kind: u32) -> Delivery {
    match kind {
        0x6969 // NFS
        | 0x517B | 0xFF53_4D42 | 0xFE53_4D42 // SMB, CIFS, SMB2
        | 0x6573_5546 // FUSE: sshfs, s3fs, virtiofs and the like
        | 0x0102_1997 // 9p
        | 0x00C3_6400 // Ceph
        | 0x5346_414F | 0x6B41_4653 // AFS
        | 0x0BD0_0BD0 // Lustre
        | 0x4750_4653 // GPFS
        | 0x1983_0326 // BeeGFS
        | 0x7461_636F | 0x0116_1970 // OCFS2, GFS2
        | 0x786F_4256 // VirtualBox shared folders
        | 0x564C // NCP
        | 0x7375_7245 // Coda
        => Delivery::Polling,
        _ => Delivery::Events,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_and_fuse_mounts_are_polled_and_local_ones_are_not() {
        for (kind, name) in
            [(0x6969, "nfs"), (0xFF53_4D42, "cifs"), (0xFE53_4D42, "smb2"), (0x6573_5546, "fuse"), (0x0102_1997, "9p")]
        {
            assert_eq!(of_kind(kind), Delivery::Polling, "{name}");
        }
        for (kind, name) in
            [(0xEF53, "ext4"), (0x5846_5342, "xfs"), (0x9123_683E, "btrfs"), (0x0102_1994, "tmpfs"), (0x794C_7630, "overlay")]
        {
            assert_eq!(of_kind(kind), Delivery::Events, "{name}");
        }
    }

    #[test]
    fn a_mount_that_cannot_be_asked_is_polled() {
        assert_eq!(delivery(Path::new("/nowhere/at/all")), Delivery::Polling);
    }
}
