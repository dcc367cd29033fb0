//! The operator's guide, as cases run it: its code blocks, in their order.

use anyhow::{Context, Result, ensure};

/// A fenced code block of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block<'p> {
    /// What stands behind the opening fence: `sh`, `toml`, `xml`, `text`; empty when nothing does.
    pub language: &'p str,
    /// Its lines, each with its end.
    pub text: &'p str,
}

/// What stands below the heading `## TITLE` of a page, down to the next heading of that level.
///
/// Errors: there is no such heading.
pub fn section<'p>(page: &'p str, title: &str) -> Result<&'p str> {
    let heading = format!("\n## {title}\n");
    let (_, rest) = page
        .split_once(&heading)
        .with_context(|| format!("the page has no heading {title}"))?;
    Ok(rest.split("\n## ").next().unwrap_or(rest))
}

/// The code blocks of a page, or a part of one.
pub fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut rest = page;
    while let Some((_, opened)) = rest.split_once("\n```") {
        let Some((language, body)) = opened.split_once('\n') else {
            break;
        };
        let Some((text, after)) = body.split_once("```") else {
            break;
        };
        blocks.push(Block { language, text });
        rest = after;
    }
    blocks
}

/// The texts of the blocks in one language.
///
/// Errors: there are not `N` of them.
pub fn in_language<'p, const N: usize>(page: &'p str, language: &str) -> Result<[&'p str; N]> {
    let texts: Vec<_> = blocks(page)
        .into_iter()
        .filter(|block| block.language == language)
        .map(|block| block.text)
        .collect();
    let count = texts.len();
    texts
        .try_into()
        .ok()
        .with_context(|| format!("{count} blocks in {language} instead of {N}"))
}

/// Checks that a program printed what a page shows: word by word, but for times, which go on.
///
/// Errors: both are in the error.
pub fn is_shown(printed: &str, shown: &str) -> Result<()> {
    let words = |text: &str| -> Vec<Vec<String>> {
        let lines = text.lines().map(|line| line.split_whitespace());
        lines
            .map(|words| words.map(|word| without_time(word).to_owned()).collect())
            .collect()
    };
    ensure!(
        words(printed) == words(shown),
        "the page shows\n{shown}\nand this was printed\n{printed}"
    );
    Ok(())
}

/// `word`, or `TIME` when it is a length of time, such as `23h59m`.
fn without_time(word: &str) -> &str {
    let is_time = word.starts_with(|c: char| c.is_ascii_digit())
        && word.ends_with(['s', 'm', 'h', 'd'])
        && word
            .chars()
            .all(|c| c.is_ascii_digit() || "smhd".contains(c));
    if is_time { "TIME" } else { word }
}
