//! Files that lie beside that of an assistant, and belong to it.

use std::{
    fs, io,
    path::{Component, Path},
};

use super::file;

/// Whether it is a name and no way to somewhere else: whoever writes assistants need not be who may read everything, and
/// what is in a prompt anybody may get the model to say.
pub(super) fn is_beside(file: &Path) -> bool {
    let mut components = file.components();
    matches!((components.next(), components.next()), (Some(Component::Normal(_)), None))
}

/// The text of a file, and of nothing else that lies there: a pipe would be waited for.
pub(super) fn text_of(path: &Path) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    file::text_of(path)
}
