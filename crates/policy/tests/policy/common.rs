//! What the tests of this crate share.

use slash32_binding::MacAddr;
use slash32_policy::{Config, LinkFacts, LinkKind, Metadata, Source};

/// A source named `test.toml`.
pub(crate) fn source(text: &str) -> Source {
    Source {
        name: "test.toml".into(),
        text: text.into(),
    }
}

/// The config that `text` is.
pub(crate) fn config(text: &str) -> Config {
    Config::parse(&[source(text)]).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A bridge of which nothing but its name is known.
pub(crate) fn bridge(name: &str) -> LinkFacts {
    LinkFacts {
        server_mac: MacAddr([2, 0, 0, 0, 0, 1]),
        ..LinkFacts::new(name, LinkKind::Bridge)
    }
}

/// A bare tap of which nothing but its name is known.
pub(crate) fn tap(name: &str) -> LinkFacts {
    LinkFacts {
        kind: LinkKind::Tap,
        ..bridge(name)
    }
}

/// Metadata with these tags.
pub(crate) fn tags(tags: &[&str]) -> Metadata {
    Metadata {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..Metadata::default()
    }
}

/// Metadata that asks for this address.
pub(crate) fn asks_for(address: impl ToString) -> Metadata {
    Metadata {
        address: Some(address.to_string()),
        ..Metadata::default()
    }
}

/// What is wrong with the config that `sources` are, as it is shown.
pub(crate) fn errors(sources: &[Source]) -> String {
    match Config::parse(sources) {
        Ok(_) => "nothing is wrong".into(),
        Err(errors) => errors.to_string(),
    }
}

/// Tests that each are a config and the whole text of its errors.
macro_rules! refusals {
    ($($name:ident: $text:expr => $expected:expr;)+) => {
        $(
            #[test]
            fn $name() {
                let shown = crate::common::errors(&[crate::common::source($text)]);
                assert_eq!(shown, $expected, "\n--- shown\n{shown}\n---");
            }
        )+
    };
}
pub(crate) use refusals;
