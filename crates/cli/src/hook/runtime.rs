use crate::arguments::DEFAULT_CONFIG;
use slash32_policy::{AgentConfig, read_sources};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// How the agent's runtime folder is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Runtime {
    /// By the agent's config.
    Config(PathBuf),
    /// By name.
    Folder(PathBuf),
}

impl Default for Runtime {
    fn default() -> Self {
        Self::Config(DEFAULT_CONFIG.into())
    }
}

impl Runtime {
    /// That of an option of the command line.
    pub(crate) fn of_option(option: &str, value: OsString) -> Option<Self> {
        match option {
            "--config" => Some(Self::Config(value.into())),
            "--runtime-dir" => Some(Self::Folder(value.into())),
            _ => None,
        }
    }

    /// The folder; the default when the config cannot be read.
    pub(crate) fn folder(&self) -> PathBuf {
        match self {
            Self::Config(file) => configured(file).unwrap_or(AgentConfig::default().runtime_dir),
            Self::Folder(folder) => folder.clone(),
        }
    }
}

/// `[agent] runtime-dir` of the config in `file`, the last one of all its files.
///
/// The rest of the config is not looked at, and need not be right: a hook has no time for it, and the agent goes on with the
/// one that it has read before.
fn configured(file: &Path) -> Option<PathBuf> {
    let sources = read_sources(file).ok()?;
    let texts = sources.iter().rev().map(|source| source.text.as_str());
    texts.into_iter().find_map(runtime_dir)
}

fn runtime_dir(text: &str) -> Option<PathBuf> {
    let sets_it = |line: &str| line.contains("runtime-dir") && !line.trim_start().starts_with('#');
    if !text.lines().any(sets_it) {
        return None;
    }
    let (table, _) = toml::de::DeTable::parse_recoverable(text);
    let agent = table.get_ref().get("agent")?.get_ref().as_table()?;
    let folder = agent.get("runtime-dir")?.get_ref().as_str()?;
    Some(folder.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_found_however_it_is_written_and_whatever_is_around_it() {
        let table = [
            ("", None),
            ("[agent]\n# runtime-dir = \"/run/x\"\n", None),
            (
                "[agent]\nstate-dir = \"/s\"\nruntime-dir = \"/run/x\"\n",
                Some("/run/x"),
            ),
            ("agent = { runtime-dir = '/run/x' }\n", Some("/run/x")),
            ("agent.runtime-dir = \"/run/x\"\n", Some("/run/x")),
            ("[other]\nruntime-dir = \"/run/x\"\n", None),
            ("[agent]\nruntime-dir = 7\n", None),
            (
                "[agent]\nruntime-dir = \"/run/x\"\n[[network]]\nname = \n",
                Some("/run/x"),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(runtime_dir(text), expected.map(PathBuf::from), "{text}");
        }
    }

    #[test]
    fn a_later_file_of_the_config_has_the_last_word() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("slash32.toml");
        let config = Runtime::Config(file.clone());
        assert_eq!(config.folder(), Path::new("/run/slash32"), "no config");
        std::fs::write(&file, "[agent]\nruntime-dir = \"/run/a\"\n").unwrap();
        assert_eq!(config.folder(), Path::new("/run/a"));
        std::fs::create_dir(folder.path().join("conf.d")).unwrap();
        let later = folder.path().join("conf.d/50-agent.toml");
        std::fs::write(later, "[agent]\nruntime-dir = \"/run/b\"\n").unwrap();
        assert_eq!(config.folder(), Path::new("/run/b"));
    }
}
