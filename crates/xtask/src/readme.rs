//! What README.md and the guide show is what there is.

use clap::Parser;
use slash32_policy::{Config, Source};
use slash32_tests::bird;

const README: &str = include_str!("../../../README.md");
/// The pages of the guide, by name, that hold configs.
const PAGES: [(&str, &str); 4] = [
    ("clients.md", include_str!("../../../docs/clients.md")),
    ("libvirt.md", include_str!("../../../docs/libvirt.md")),
    ("migrating.md", include_str!("../../../docs/migrating.md")),
    (
        "network-boot.md",
        include_str!("../../../docs/network-boot.md"),
    ),
];

/// The page of the figures, which are made by commands.
const PERFORMANCE: &str = include_str!("../../../docs/performance.md");

/// The code blocks of the Markdown `text` in `language`.
fn blocks_of(text: &'static str, language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    let mut parts = text.split(&opening);
    parts.next();
    let blocks: Vec<_> = parts.filter_map(|part| part.split("```").next()).collect();
    assert!(!blocks.is_empty(), "there is no block in {language}");
    blocks
}

#[test]
fn every_config_is_one_that_the_agent_takes() {
    for (name, page) in [("README.md", README)].into_iter().chain(PAGES) {
        for text in blocks_of(page, "toml") {
            let source = Source {
                name: name.into(),
                text: text.into(),
            };
            let config = Config::parse(&[source]);
            assert!(config.is_ok(), "{}", config.unwrap_err());
        }
    }
}

#[test]
fn birds_filter_is_the_one_that_the_demo_runs() {
    assert!(README.contains(bird::FILTER));
}

#[test]
fn every_xtask_command_is_one() {
    for page in [README, PERFORMANCE] {
        let lines = blocks_of(page, "sh").into_iter().flat_map(str::lines);
        let commands = lines.filter_map(|line| line.strip_prefix("cargo "));
        let commands: Vec<_> = commands
            .filter_map(|command| command.split('#').next())
            .collect();
        assert!(!commands.is_empty());
        each_is_one(&commands);
    }
}

fn each_is_one(commands: &[&str]) {
    for command in commands {
        let arguments = crate::Arguments::try_parse_from(command.split_whitespace());
        assert!(
            arguments.is_ok(),
            "cargo {command}: {}",
            arguments.err().unwrap()
        );
    }
}
