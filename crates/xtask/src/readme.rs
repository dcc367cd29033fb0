//! What README.md shows is what there is.

use crate::bird;
use clap::Parser;
use slash32_policy::{Config, Source};

const README: &str = include_str!("../../../README.md");

/// The code blocks of README.md in `language`.
fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    let mut parts = README.split(&opening);
    parts.next();
    let blocks: Vec<_> = parts.filter_map(|part| part.split("```").next()).collect();
    assert!(!blocks.is_empty(), "README.md has no block in {language}");
    blocks
}

#[test]
fn every_config_is_one_that_the_agent_takes() {
    for text in blocks("toml") {
        let source = Source {
            name: "README.md".into(),
            text: text.into(),
        };
        let config = Config::parse(&[source]);
        assert!(config.is_ok(), "{}", config.unwrap_err());
    }
}

#[test]
fn birds_filter_is_the_one_that_the_demo_runs() {
    assert!(README.contains(bird::FILTER));
}

#[test]
fn every_xtask_command_is_one() {
    let commands = blocks("sh").into_iter().flat_map(str::lines);
    let commands: Vec<_> = commands
        .filter_map(|line| line.strip_prefix("cargo "))
        .collect();
    assert!(!commands.is_empty());
    for command in commands {
        let arguments = crate::Arguments::try_parse_from(command.split_whitespace());
        assert!(
            arguments.is_ok(),
            "cargo {command}: {}",
            arguments.err().unwrap()
        );
    }
}
