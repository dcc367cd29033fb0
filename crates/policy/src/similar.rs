/// The one of `known` that `text` was most likely meant to be, if any is near.
pub(crate) fn nearest<'k>(text: &str, known: &[&'k str]) -> Option<&'k str> {
    let distances = known.iter().map(|word| (distance(text, word), *word));
    // A third of the letters may be wrong: `gatway` is near `gateway`, `mtu` is not near `dns`.
    distances
        .min()
        .filter(|(distance, word)| *distance <= word.len().max(text.len()).div_ceil(3).min(3))
        .map(|(_, word)| word)
}

/// How many letters must be put in, left out or changed (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, other_letter) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other_letter);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_near_and_another_word_is_not() {
        let known = ["gateway", "links", "name", "dns", "mtu", "lease-time"];
        for (text, near) in [
            ("gatway", Some("gateway")),
            ("lease_time", Some("lease-time")),
            ("link", Some("links")),
            ("dsn", None),
            ("dn", Some("dns")),
            ("prefix", None),
            ("", None),
        ] {
            assert_eq!(nearest(text, &known), near, "{text}");
        }
    }
}
