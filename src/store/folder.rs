//! The folder that conversations and documents are kept in: on this machine they are their owner's alone.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

use tracing::warn;

/// Nobody but the owner.
const OTHERS: u32 = 0o077;
/// What the names of all begin with that is the gateway's own, or the file system's.
const OWN: [&str; 8] = ["rivulet.db", "lancedb", "blobs", "texts", "datasets", "backup-", "restoring-", "lost+found"];

/// Makes the folder when there is none, and takes from others what they may do with it and with what is in it. A folder
/// that holds other things as well stays as it is: only what is the gateway's own in it is closed.
///
/// # Errors
/// When there is no folder and none can be made, or it cannot be read. What cannot be closed, because it is somebody
/// else's, is told in the log.
pub fn prepare(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut is_shared = false;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if OWN.iter().any(|own| name.as_encoded_bytes().starts_with(own.as_bytes())) {
            // A link is not followed: what it leads to lies elsewhere.
            if !entry.file_type()?.is_symlink() {
                close(&entry.path());
            }
        } else {
            is_shared = true;
        }
    }
    if !is_shared {
        close(folder);
    } else if is_open(folder) {
        warn!(folder = %folder.display(), "others can look into this folder, and it is left so: it holds other things, too");
    }
    Ok(())
}

fn is_open(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & OTHERS != 0)
}

fn close(path: &Path) {
    let closed = fs::metadata(path).and_then(|found| {
        let mode = found.permissions().mode();
        if mode & OTHERS == 0 { Ok(()) } else { fs::set_permissions(path, Permissions::from_mode(mode & !OTHERS)) }
    });
    if let Err(error) = closed {
        warn!(path = %path.display(), %error, "others may be able to read this, and it cannot be changed");
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    fn open(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("changed");
    }

    #[test]
    fn a_folder_and_what_is_ours_in_it_is_the_owners_alone() {
        let work = TempDir::new().expect("folder");
        let made = work.path().join("a/b");
        prepare(&made).expect("made");
        assert_eq!(mode(&made), 0o700);

        fs::write(made.join("rivulet.db"), "").expect("written");
        fs::create_dir(made.join("lancedb")).expect("made");
        for (name, mode) in [("rivulet.db", 0o644), ("lancedb", 0o755), ("", 0o755)] {
            open(&made.join(name), mode);
        }
        prepare(&made).expect("closed");
        assert_eq!(["rivulet.db", "lancedb", ""].map(|name| mode(&made.join(name))), [0o600, 0o700, 0o700]);
    }

    #[test]
    fn a_folder_with_other_things_stays_as_it_is() {
        let work = TempDir::new().expect("folder");
        let elsewhere = work.path().join("elsewhere");
        let folder = work.path().join("home");
        fs::create_dir(&folder).expect("made");
        for path in [folder.join("notes.txt"), folder.join("rivulet.db"), elsewhere.clone()] {
            fs::write(&path, "").expect("written");
            open(&path, 0o644);
        }
        std::os::unix::fs::symlink(&elsewhere, folder.join("rivulet.db-old")).expect("linked");
        open(&folder, 0o755);
        prepare(&folder).expect("read");
        let modes = [folder.as_path(), &folder.join("notes.txt"), &folder.join("rivulet.db"), &elsewhere].map(mode);
        assert_eq!(modes, [0o755, 0o644, 0o600, 0o644]);
    }
}
