//! `docs/performance.md`: the part of it that a bench writes, and the pictures beside it.
//!
//! What stands between [`BEGIN`] and [`END`] is the last bench's, as it rendered it, one level of headings deeper; everything
//! else is ours to write. The pictures are in `docs/performance/`, and nothing else is.

use anyhow::{Context, Result};
use std::path::Path;

/// The line above what was measured.
const BEGIN: &str = "<!-- measured: written by `cargo xtask bench --docs` -->";
/// The line below it.
const END: &str = "<!-- measured: end -->";

/// Puts the tables of a bench (Markdown with headings of the second level and below) and its pictures (file name, SVG) into
/// the page below the folder `docs`.
///
/// # Errors
/// When the page has no place for them, or something cannot be read or written.
pub(crate) fn renew(docs: &Path, tables: &str, pictures: &[(String, String)]) -> Result<()> {
    let path = docs.join("performance.md");
    let read = || {
        let page = std::fs::read_to_string(&path)?;
        spliced(&page, &measured(tables, pictures))
    };
    let page = read().with_context(|| path.display().to_string())?;
    let folder = docs.join("performance");
    // A picture that this bench does not make shows what another one measured.
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    let write = |path: &Path, text: &str| {
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    if !pictures.is_empty() {
        std::fs::create_dir(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    for (name, text) in pictures {
        write(&folder.join(name), text)?;
    }
    write(&path, &page)
}

/// What a bench says on the page: each picture behind the tables, with the title that the picture has.
fn measured(tables: &str, pictures: &[(String, String)]) -> String {
    let mut text = String::new();
    for line in tables.trim().lines() {
        if line.starts_with("##") {
            text.push('#');
        }
        text += line;
        text.push('\n');
    }
    for (name, svg) in pictures {
        let title = svg
            .split_once("</text>")
            .and_then(|(before, _)| before.rsplit_once('>'));
        let title = title.map_or("", |(_, title)| title);
        text += &format!("\n![{title}](performance/{name})\n");
    }
    text
}

/// `page` with `measured` between its two marks. Errors: it does not have both, each once and in their order.
fn spliced(page: &str, measured: &str) -> Result<String> {
    let place = || {
        let (before, rest) = page.split_once(&format!("{BEGIN}\n"))?;
        let (old, after) = rest.split_once(END)?;
        let is_alone = ![before, old, after]
            .iter()
            .any(|part| part.contains(BEGIN) || part.contains(END));
        is_alone.then_some((before, after))
    };
    let (before, after) = place().with_context(|| {
        format!("what a bench has measured goes between the lines {BEGIN} and {END}, and they are not both there once")
    })?;
    Ok(format!(
        "{before}{BEGIN}\n\n{}\n\n{END}{after}",
        measured.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../../docs/performance.md");

    fn page(between: &str) -> String {
        format!("# Title\n\n{BEGIN}\n{between}{END}\n\n## Method\n")
    }

    #[test]
    fn what_was_measured_takes_the_place_of_what_was_measured_before() {
        let once = spliced(&page("\nold\n\n"), "new\n").unwrap();
        assert_eq!(once, page("\nnew\n\n"));
        assert_eq!(spliced(&once, "newer").unwrap(), page("\nnewer\n\n"));
    }

    #[test]
    fn a_page_without_both_marks_once_is_left_alone_with_a_sentence() {
        let twice = page("") + &page("");
        for wrong in ["", BEGIN, END, &format!("{END}\n{BEGIN}\n"), &twice] {
            let error = spliced(wrong, "new").unwrap_err().to_string();
            assert!(
                error.contains(BEGIN) && error.contains(END),
                "{wrong}: {error}"
            );
        }
    }

    #[test]
    fn the_page_that_is_shipped_has_a_place_for_what_is_measured() {
        assert!(spliced(PAGE, "new").unwrap().contains("\n\nnew\n\n"));
    }

    #[test]
    fn headings_go_one_level_deeper_and_pictures_come_last_by_their_titles() {
        let picture = "<svg><text x=\"1\">Memory</text><text>16</text></svg>";
        let text = measured(
            "## Targets\n\n| # |\n",
            &[("case-d.svg".into(), picture.into())],
        );
        assert_eq!(
            text,
            "### Targets\n\n| # |\n\n![Memory](performance/case-d.svg)\n"
        );
    }

    #[test]
    fn a_bench_leaves_its_own_pictures_and_no_older_ones() -> Result<()> {
        let docs = tempfile::tempdir()?;
        std::fs::write(docs.path().join("performance.md"), page(""))?;
        let picture = |name: &str| vec![(name.to_owned(), "<svg/>".to_owned())];
        renew(docs.path(), "## One", &picture("old.svg"))?;
        renew(docs.path(), "## Two", &picture("new.svg"))?;
        let names = std::fs::read_dir(docs.path().join("performance"))?;
        let names: Vec<_> = names
            .map(|entry| Ok(entry?.file_name()))
            .collect::<Result<_>>()?;
        assert_eq!(names, ["new.svg"]);
        let page = std::fs::read_to_string(docs.path().join("performance.md"))?;
        assert!(
            page.contains("### Two\n\n![](performance/new.svg)") && !page.contains("One"),
            "{page}"
        );
        Ok(())
    }
}
