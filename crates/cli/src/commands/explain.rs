use crate::output::{self, clean};
use crate::table::columns;
use slash32_control::{Client, ExplainedOption, Explanation};
use std::path::Path;

pub(crate) async fn run(socket: &Path, key: &str, as_json: bool) -> anyhow::Result<()> {
    let explanation = Client::connect(socket).await?.explain(key).await?;
    if as_json {
        output::print_json(&explanation)?;
    } else {
        output::print(&page(&explanation))?;
    }
    Ok(())
}

fn page(explanation: &Explanation) -> String {
    let Explanation {
        link,
        network,
        address,
        options,
        refused,
        notes,
    } = explanation;
    let value = address.value.map(|address| address.to_string());
    let mut facts = vec![
        ["link".to_owned(), link.clone().unwrap_or_default()],
        [
            "network".to_owned(),
            network.name.clone().unwrap_or_default(),
        ],
        [String::from(" "), because(&network.why, &network.origin)],
        ["address".to_owned(), value.unwrap_or_default()],
        [String::from(" "), because(&address.why, &address.origin)],
    ];
    facts.extend(
        refused
            .iter()
            .map(|reason| ["refused".to_owned(), reason.clone()]),
    );
    let mut page = columns(facts);
    if !options.is_empty() {
        let header = ["OPTION", "VALUE", "SCOPE", "SET IN"].map(str::to_owned);
        let rows = options.iter().flat_map(option);
        page += "\n";
        page += &columns(std::iter::once(header).chain(rows));
    }
    if !notes.is_empty() {
        page += "\n";
        page.extend(notes.iter().map(|note| format!("{}\n", clean(note))));
    }
    page
}

/// `WHY (FILE:LINE)`
fn because(why: &str, origin: &Option<String>) -> String {
    match origin {
        Some(origin) => format!("{why} ({origin})"),
        None => why.to_owned(),
    }
}

/// The row of an option, and under it one for each value that it overrides.
fn option(option: &ExplainedOption) -> Vec<[String; 4]> {
    let row = |key: &str, value: &str, scope: &str, origin: &Option<String>| {
        let origin = origin.clone().unwrap_or_default();
        [key.to_owned(), value.to_owned(), scope.to_owned(), origin]
    };
    let mut rows = vec![row(
        &option.key,
        &option.value,
        &option.scope,
        &option.origin,
    )];
    rows.extend(
        option
            .overrides
            .iter()
            .map(|wider| row("  instead of", &wider.value, &wider.scope, &wider.origin)),
    );
    rows
}
