//! Reading XML of any length and shape, in time and memory that are proportional to its length.
//!
//! What the parser does per element is quadratic in the element's attributes and in the namespaces in scope. libvirt writes
//! few of either, so a document with many is refused by [`Shape`], one look at each of its bytes, before the parser sees it.

use crate::Fault;
use roxmltree::{Document, Node, ParsingOptions};

/// Nodes of one document. A domain of libvirt's has some hundreds.
const MAX_NODES: u32 = 100_000;
/// Attributes of one element.
const MAX_ATTRIBUTES: usize = 128;
/// Namespace declarations of one document.
const MAX_NAMESPACES: usize = 128;
/// The longest text of a fault that comes from the parser, in characters: it quotes the document.
const MAX_REASON: usize = 160;

/// The document, if it is one without a DTD and of libvirt's size.
pub(crate) fn parse(text: &str) -> Result<Document<'_>, Fault> {
    Shape::of(text).check()?;
    let options = ParsingOptions {
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).map_err(|error| {
        let reason: String = error.to_string().chars().take(MAX_REASON).collect();
        Fault(format!("the XML cannot be read: {reason}"))
    })
}

/// The first child element of this name.
pub(crate) fn child<'d, 'i>(node: Node<'d, 'i>, name: &str) -> Option<Node<'d, 'i>> {
    children(node, name).next()
}

/// The child elements of this name, in no namespace.
pub(crate) fn children<'d, 'i>(
    node: Node<'d, 'i>,
    name: &str,
) -> impl Iterator<Item = Node<'d, 'i>> {
    node.children().filter(move |child| {
        let tag = child.tag_name();
        tag.name() == name && tag.namespace().is_none()
    })
}

/// An attribute of the first child element of this name.
pub(crate) fn attribute_of(node: Node<'_, '_>, name: &str, attribute: &str) -> Option<String> {
    child(node, name)?.attribute(attribute).map(String::from)
}

/// The text of the first child element of this name, as it is written; none when it is empty.
pub(crate) fn text_of(node: Node<'_, '_>, name: &str) -> Option<String> {
    child(node, name)?.text().map(String::from)
}

/// How much there is of what a document must not have much of.
#[derive(Default, Debug)]
struct Shape {
    /// `<`, each the start of a tag, a comment or the like.
    tags: usize,
    /// The most `=` outside of quotes in one tag.
    attributes: usize,
    /// `xmlns` outside of quotes in a tag.
    namespaces: usize,
}

impl Shape {
    fn of(text: &str) -> Self {
        let mut shape = Self::default();
        let mut rest = text.as_bytes();
        while let Some(start) = rest.iter().position(|byte| *byte == b'<') {
            rest = &rest[start + 1..];
            shape.tags += 1;
            rest = match rest {
                [b'!', b'-', b'-', rest @ ..] => behind(rest, b"-->"),
                [b'!', b'[', rest @ ..] => behind(rest, b"]]>"),
                [b'?', rest @ ..] => behind(rest, b"?>"),
                _ => shape.tag(rest),
            };
        }
        shape
    }

    /// Counts what is in the tag that begins `rest`; what is behind it.
    fn tag<'t>(&mut self, rest: &'t [u8]) -> &'t [u8] {
        let mut attributes = 0;
        let mut quote = None;
        let mut end = rest.len();
        for (at, byte) in rest.iter().enumerate() {
            match (quote, byte) {
                (Some(open), byte) if open == *byte => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') => quote = Some(*byte),
                (None, b'=') => attributes += 1,
                (None, b'x') if rest[at..].starts_with(b"xmlns") => self.namespaces += 1,
                (None, b'>' | b'<') => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        self.attributes = self.attributes.max(attributes);
        &rest[end..]
    }

    fn check(&self) -> Result<(), Fault> {
        let reason = if self.tags > MAX_NODES as usize {
            format!("more than {MAX_NODES} elements")
        } else if self.attributes > MAX_ATTRIBUTES {
            format!("an element with more than {MAX_ATTRIBUTES} attributes")
        } else if self.namespaces > MAX_NAMESPACES {
            format!("more than {MAX_NAMESPACES} namespaces")
        } else {
            return Ok(());
        };
        Err(Fault(format!(
            "the XML cannot be read: it has {reason}, and libvirt writes none such"
        )))
    }
}

/// What is behind the first `end`; nothing when there is none.
fn behind<'t>(text: &'t [u8], end: &[u8]) -> &'t [u8] {
    text.windows(end.len())
        .position(|window| window == end)
        .map_or(&[], |at| &text[at + end.len()..])
}
