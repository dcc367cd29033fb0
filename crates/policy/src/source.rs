//! The only file access of this crate.
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The text of one config file.
#[derive(Clone, Debug)]
pub struct Source {
    /// The path as errors show it.
    pub name: String,
    /// What the file holds.
    pub text: String,
}

/// Reads `file`, then each `conf.d/*.toml` in the folder beside it, in the order of their names.
///
/// Errors: a file or folder that cannot be read, or is not UTF-8. The text of the error names it. A missing `conf.d` is no error.
pub fn read_sources(file: &Path) -> io::Result<Vec<Source>> {
    let mut paths = vec![file.to_owned()];
    paths.extend(drop_ins(&file.with_file_name("conf.d"))?);
    paths.iter().map(|path| read(path)).collect()
}

/// The folder beside the agent's config with a file for each link that is served without an agent.
const LINKS: &str = "links";

/// The link that `file` is for, and the agent's config beside it, when `file` is one of those: `links/LINK.toml`.
pub fn link_of(file: &Path) -> Option<(String, PathBuf)> {
    let folder = file.parent().filter(|folder| folder.ends_with(LINKS))?;
    let link = file.file_name()?.to_str()?.strip_suffix(".toml")?;
    Some((link.to_owned(), folder.with_file_name("slash32.toml")))
}

/// Reads the agent's config, `main`, as [`read_sources`] does, and `links/LINK.toml` in the folder beside it. Without a
/// `main` the former are none.
///
/// Errors: as of [`read_sources`].
pub fn read_link_sources(main: &Path, link: &str) -> io::Result<(Vec<Source>, Source)> {
    let sources = match read_sources(main) {
        Err(_) if !main.exists() => Vec::new(),
        sources => sources?,
    };
    let file = main.with_file_name(LINKS).join(format!("{link}.toml"));
    Ok((sources, read(&file)?))
}

fn read(path: &Path) -> io::Result<Source> {
    let text = fs::read_to_string(path).map_err(|error| naming(path, &error))?;
    Ok(Source {
        name: path.display().to_string(),
        text,
    })
}

fn drop_ins(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(naming(folder, &error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| naming(folder, &error))?.path();
        // As a shell would: an editor's `.slash32.toml` is not meant.
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden
            && path
                .extension()
                .is_some_and(|extension| extension == "toml")
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_ins_follow_the_file_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        fs::create_dir(folder.path().join("conf.d")).unwrap();
        write("slash32.toml", "first");
        write("conf.d/20-b.toml", "third");
        write("conf.d/10-a.toml", "second");
        write("conf.d/10-a.toml.orig", "no");
        write("conf.d/.hidden.toml", "no");
        let sources = read_sources(&folder.path().join("slash32.toml")).unwrap();
        let texts: Vec<&str> = sources.iter().map(|source| source.text.as_str()).collect();
        assert_eq!(texts, ["first", "second", "third"]);
        assert!(sources[1].name.ends_with("conf.d/10-a.toml"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("absent.toml");
        let error = read_sources(&file).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{}: No such file or directory (os error 2)", file.display())
        );
    }

    #[test]
    fn a_file_that_is_not_text_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("slash32.toml");
        fs::write(&file, b"\xff").unwrap();
        assert!(
            read_sources(&file)
                .unwrap_err()
                .to_string()
                .starts_with(&file.display().to_string())
        );
    }
}
