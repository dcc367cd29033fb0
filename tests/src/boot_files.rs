use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The variable that names the folder of the files that QEMU guests boot. `cargo xtask test` fills the folder and sets it.
pub const BOOT_FILES_VARIABLE: &str = "SLASH32_BOOT_FILES";

/// What QEMU guests boot: a kernel, an initial RAM file system, iPXE, GRUB; each by its name in one folder.
pub struct BootFiles {
    folder: PathBuf,
}

impl BootFiles {
    /// Those that [`BOOT_FILES_VARIABLE`] names. Errors: it names none.
    pub fn prepared() -> Result<Self> {
        let folder = std::env::var_os(BOOT_FILES_VARIABLE).with_context(|| {
            format!(
                "{BOOT_FILES_VARIABLE} names no folder with what a QEMU guest boots, and this case needs it; \
                 `cargo xtask test` prepares one"
            )
        })?;
        Ok(Self::at(Path::new(&folder)))
    }

    /// Those in `folder`.
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// The path of one. Errors: it is not there.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        if !path.is_file() {
            bail!("{} is missing, and this case boots it", path.display());
        }
        Ok(path)
    }

    /// The contents of one. Errors: it is not there.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        Ok(fs::read(self.path(name)?)?)
    }
}
