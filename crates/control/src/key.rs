use crate::LinkRow;
use std::net::Ipv4Addr;

/// Why a key does not name one link.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ShowError {
    /// It names none.
    #[error("no link, VM, address or UUID is called {key}: `slash32 list` shows what there is")]
    NotFound {
        /// The key.
        key: String,
    },
    /// It names several.
    #[error("{key} may be any of {}: name the link", links.join(", "))]
    Ambiguous {
        /// The key.
        key: String,
        /// The names of the links.
        links: Vec<String>,
    },
}

/// The one row that `key` names: a LINK, an ADDRESS, a UUID or a VM's name.
///
/// They are tried in that order, and the first kind that matches decides, because a VM's name is its owner's choice: a VM
/// that is called like a neighbour's link or address must not be taken for it.
///
/// Errors: [`ShowError::NotFound`]; [`ShowError::Ambiguous`] for a VM with several NICs.
pub fn resolve<'a>(rows: &'a [LinkRow], key: &str) -> Result<&'a LinkRow, ShowError> {
    match resolve_all(rows, key)[..] {
        [] => Err(ShowError::NotFound {
            key: key.to_owned(),
        }),
        [row] => Ok(row),
        ref found => Err(ShowError::Ambiguous {
            key: key.to_owned(),
            links: found.iter().map(|row| row.link.clone()).collect(),
        }),
    }
}

/// Every row that `key` names, found as [`resolve`] does: several for a VM with several NICs, none where it names nothing.
pub fn resolve_all<'a>(rows: &'a [LinkRow], key: &str) -> Vec<&'a LinkRow> {
    let address: Option<Ipv4Addr> = key.parse().ok();
    let kinds: [&dyn Fn(&LinkRow) -> bool; 4] = [
        &|row| row.link == key,
        &|row| address.is_some() && row.address == address,
        &|row| {
            row.uuid
                .as_deref()
                .is_some_and(|uuid| uuid.eq_ignore_ascii_case(key))
        },
        &|row| row.vm.as_deref() == Some(key),
    ];
    kinds
        .into_iter()
        .map(|matches| rows.iter().filter(|row| matches(row)).collect::<Vec<_>>())
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::State;

    fn row(link: &str, vm: Option<&str>, uuid: Option<&str>, address: Option<&str>) -> LinkRow {
        LinkRow {
            link: link.into(),
            ifindex: 1,
            vm: vm.map(Into::into),
            uuid: uuid.map(Into::into),
            mac: None,
            address: address.map(|text| text.parse().unwrap()),
            gateway: None,
            network: None,
            state: State::Idle,
            reason: None,
            route: false,
            generation: None,
            lease: None,
            responder: None,
        }
    }

    #[test]
    fn a_key_names_a_link_then_an_address_then_a_uuid_then_a_vm() {
        let uuid = "4dea22b3-1d52-d8f3-2516-782e98ab3fa0";
        let rows = [
            row("virbr1", Some("web1"), Some(uuid), Some("203.0.113.1")),
            row("virbr2", Some("db"), None, Some("203.0.113.2")),
            row("virbr3", Some("db"), None, None),
            row("virbr4", Some("virbr1"), None, None),
            row("virbr5", Some("203.0.113.1"), None, None),
            row("virbr6", None, None, None),
        ];
        let found = |link: &str| Ok(link.to_owned());
        let missing = |key: &str| Err(ShowError::NotFound { key: key.into() });
        let table = [
            ("virbr1", found("virbr1")),
            ("virbr6", found("virbr6")),
            ("203.0.113.1", found("virbr1")),
            ("203.0.113.2", found("virbr2")),
            (uuid, found("virbr1")),
            ("4DEA22B3-1D52-D8F3-2516-782E98AB3FA0", found("virbr1")),
            ("web1", found("virbr1")),
            (
                "db",
                Err(ShowError::Ambiguous {
                    key: "db".into(),
                    links: vec!["virbr2".into(), "virbr3".into()],
                }),
            ),
            ("WEB1", missing("WEB1")),
            ("virbr", missing("virbr")),
            ("203.0.113.9", missing("203.0.113.9")),
            ("", missing("")),
        ];
        for (key, expected) in table {
            assert_eq!(
                resolve(&rows, key).map(|row| row.link.clone()),
                expected,
                "key {key:?}"
            );
            let all: Vec<_> = resolve_all(&rows, key)
                .iter()
                .map(|row| row.link.clone())
                .collect();
            let expected = match expected {
                Ok(link) => vec![link],
                Err(ShowError::Ambiguous { links, .. }) => links,
                Err(ShowError::NotFound { .. }) => Vec::new(),
            };
            assert_eq!(all, expected, "key {key:?}");
        }
    }
}
