//! How much room the volume of a path has.

use std::io;
use std::path::Path;

use super::PublishError;

/// Free bytes of the volume of `path`, as far as this user may use them. A path that does not exist yet is going to lie on
/// the volume of its nearest existing ancestor.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = std::path::absolute(path)?;
    for ancestor in path.ancestors() {
        match rustix::fs::statvfs(ancestor) {
            Ok(volume) => return Ok(volume.f_bavail.saturating_mul(volume.f_frsize)),
            Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Refuses to begin what would leave less than `floor` bytes free.
pub(super) fn require_room(root: &Path, floor: u64, needed: u64) -> Result<(), PublishError> {
    let free = free_bytes(root).map_err(|source| PublishError::failed("measuring", root, source))?;
    if free < floor.saturating_add(needed) {
        return Err(PublishError::NoRoom { path: root.to_owned(), free_mib: free >> 20, floor_mib: floor >> 20 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_does_not_exist_yet_has_the_room_of_its_parent() {
        let dir = tempfile::tempdir().unwrap();
        assert!(free_bytes(dir.path()).unwrap() > 0);
        assert!(free_bytes(&dir.path().join("not/there/yet")).unwrap() > 0);
    }

    #[test]
    fn a_volume_below_its_floor_is_refused_with_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let error = require_room(dir.path(), u64::MAX, 1).unwrap_err();
        assert_eq!(error.disposition(), crate::job::Disposition::Fatal);
        assert!(error.to_string().contains("MiB free"), "{error}");
        require_room(dir.path(), 0, 1).unwrap();
    }
}
