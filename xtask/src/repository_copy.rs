//! Copies of the repository.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::{Outcome, root};

/// Copies the repository without what is built, with each file as `change` makes it from its path and its content.
pub(crate) fn copy_repository(copy: &Path, change: impl Fn(&Path, Vec<u8>) -> Vec<u8>) -> Outcome {
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let failed = |error: io::Error| format!("{}: {error}", folder.display());
        fs::create_dir_all(copy.join(&folder)).map_err(failed)?;
        remove_deleted(copy, &folder).map_err(failed)?;
        for entry in fs::read_dir(root().join(&folder)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (name, path) = (entry.file_name(), folder.join(entry.file_name()));
            if name == "target" || name == ".git" {
                continue;
            }
            if entry.file_type().map_err(failed)?.is_dir() {
                folders.push(path);
                continue;
            }
            let content = change(&path, fs::read(entry.path()).map_err(failed)?);
            // An unchanged file keeps its time, so that cargo compiles it once.
            if fs::read(copy.join(&path)).is_ok_and(|present| present == content) {
                continue;
            }
            fs::write(copy.join(&path), &content).map_err(failed)?;
        }
    }
    Ok(())
}

/// Removes what an earlier copy has, and the repository no longer.
fn remove_deleted(copy: &Path, folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(copy.join(folder))? {
        let entry = entry?;
        if entry.file_name() == "target" || root().join(folder).join(entry.file_name()).exists() {
            continue;
        }
        if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
    }
    Ok(())
}
