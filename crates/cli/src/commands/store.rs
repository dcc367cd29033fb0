use crate::output::{self, clean};
use anyhow::{Context, bail};
use serde_json::json;
use slash32_control::Client;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The document is JSON in any case.
pub(crate) async fn export(socket: &Path, file: &Path) -> anyhow::Result<()> {
    let document = Client::connect(socket).await?.export().await?;
    if file == Path::new("-") {
        return Ok(output::print(&output::clean_json(document))?);
    }
    if fs::symlink_metadata(file).is_ok_and(|metadata| !metadata.is_file()) {
        bail!(
            "{} is no regular file and is not replaced: - is the standard output",
            file.display()
        );
    }
    write(file, document.as_bytes()).with_context(|| format!("cannot write {}", file.display()))
}

pub(crate) async fn import(socket: &Path, file: &Path, as_json: bool) -> anyhow::Result<()> {
    let document = if file == Path::new("-") {
        let mut document = String::new();
        io::stdin().read_to_string(&mut document).map(|_| document)
    } else {
        fs::read_to_string(file)
    };
    let document = document.with_context(|| format!("cannot read {}", file.display()))?;
    let done = Client::connect(socket).await?.import(&document).await?;
    if as_json {
        output::print_json(&json!({ "done": done }))?;
    } else {
        output::print(&format!("{}\n", clean(&done)))?;
    }
    Ok(())
}

/// Puts `bytes` at `path`, whole and for its owner only, or leaves what was there.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let draft = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    let draft = Draft(draft);
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft.0, path)?;
    let folder = path
        .parent()
        .filter(|folder| *folder != Path::new(""))
        .unwrap_or(Path::new("."));
    // The name is durable when its folder is.
    File::open(folder)?.sync_all()
}

/// A file that goes when it was not renamed.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
