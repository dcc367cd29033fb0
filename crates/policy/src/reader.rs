//! A typed walk over a parsed TOML document that collects what is wrong and goes on.
//!
//! A reading function takes an [`Item`] and gives `None` when it has added an error; so one wrong value is told once, and
//! everything beside it is still read.
use crate::{
    error::Errors,
    origin::{Located, Origin, Page},
    similar,
};
use std::{ops::RangeInclusive, sync::Arc};
use toml::de::{DeTable, DeValue};

/// A value, the dotted key it stands under, and where.
pub(crate) struct Item<'d> {
    key: String,
    value: &'d DeValue<'d>,
    page: Arc<Page>,
    pub(crate) origin: Origin,
}

impl<'d> Item<'d> {
    /// A value that stands under no key.
    pub(crate) fn new(value: &'d DeValue<'d>, page: &Arc<Page>, origin: Origin) -> Self {
        Self {
            key: String::new(),
            value,
            page: Arc::clone(page),
            origin,
        }
    }

    /// Adds an error about this value, and is the `None` that its reader returns.
    pub(crate) fn wrong<T>(&self, message: impl Into<String>, errors: &mut Errors) -> Option<T> {
        errors.add(&self.origin, self.key.as_str(), message);
        None
    }

    /// `right` says what would be right, as a text in quotes for instance.
    fn wrong_type<T>(&self, right: &str, errors: &mut Errors) -> Option<T> {
        let kind = match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.wrong(format!("is {kind}; {right} would be right"), errors)
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self.value, DeValue::Integer(_))
    }

    pub(crate) fn is_table(&self) -> bool {
        matches!(self.value, DeValue::Table(_))
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self.value, DeValue::Array(_))
    }

    pub(crate) fn text(&self, right: &str, errors: &mut Errors) -> Option<&'d str> {
        match self.value {
            DeValue::String(text) => Some(text),
            _ => self.wrong_type(right, errors),
        }
    }

    /// A text that `parse` takes; the error of `parse` is shown behind the text.
    pub(crate) fn parsed<T>(
        &self,
        right: &str,
        errors: &mut Errors,
        parse: impl FnOnce(&'d str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(right, errors)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(message) => self.wrong(format!("{text:?} {message}"), errors),
        }
    }

    /// A number within `range`; `right` is used when the value is no number at all.
    pub(crate) fn number<T>(
        &self,
        range: RangeInclusive<T>,
        right: &str,
        errors: &mut Errors,
    ) -> Option<T>
    where
        T: TryFrom<i128> + PartialOrd + std::fmt::Display,
    {
        let DeValue::Integer(integer) = self.value else {
            return self.wrong_type(right, errors);
        };
        let number = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
        match number
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number))
        {
            Some(number) => Some(number),
            None => {
                let (first, last) = (range.start(), range.end());
                self.wrong(
                    format!("{integer} is out of range; {first} to {last} would be right"),
                    errors,
                )
            }
        }
    }

    pub(crate) fn boolean(&self, errors: &mut Errors) -> Option<bool> {
        match self.value {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong_type("true or false, without quotes,", errors),
        }
    }

    /// The values of a list.
    pub(crate) fn list(&self, right: &str, errors: &mut Errors) -> Option<Vec<Item<'d>>> {
        match self.value {
            DeValue::Array(array) => Some(array.iter().map(|value| self.inside(value)).collect()),
            _ => self.wrong_type(right, errors),
        }
    }

    pub(crate) fn section(&self, right: &str, errors: &mut Errors) -> Option<Section<'d>> {
        match self.value {
            DeValue::Table(table) => Some(Section::new(
                &self.key,
                table,
                &self.page,
                self.origin.clone(),
            )),
            _ => self.wrong_type(right, errors),
        }
    }

    /// The tables that stand under one header in double brackets each; `header` is how that is written.
    pub(crate) fn sections(&self, header: &str, errors: &mut Errors) -> Option<Vec<Section<'d>>> {
        let items = self.list(&format!("{header}, in double brackets,"), errors)?;
        Some(
            items
                .iter()
                .filter_map(|item| item.section(&format!("a table under {header}"), errors))
                .collect(),
        )
    }

    fn inside(&self, value: &'d toml::Spanned<DeValue<'d>>) -> Item<'d> {
        Item {
            key: self.key.clone(),
            value: value.get_ref(),
            page: Arc::clone(&self.page),
            origin: Origin::new(&self.page, value.span()),
        }
    }
}

/// A table that is being read, and the keys that were looked for in it: any other key is unknown.
pub(crate) struct Section<'d> {
    key: String,
    table: &'d DeTable<'d>,
    page: Arc<Page>,
    pub(crate) origin: Origin,
    known: Vec<&'static str>,
    refused: Vec<&'static str>,
    missing: Vec<(&'static str, String)>,
}

impl<'d> Section<'d> {
    pub(crate) fn new(key: &str, table: &'d DeTable<'d>, page: &Arc<Page>, origin: Origin) -> Self {
        Self {
            key: key.to_owned(),
            table,
            page: Arc::clone(page),
            origin,
            known: Vec::new(),
            refused: Vec::new(),
            missing: Vec::new(),
        }
    }

    pub(crate) fn item(&mut self, key: &'static str) -> Option<Item<'d>> {
        self.known.push(key);
        let value = self.table.get(key)?;
        Some(Item {
            key: self.dotted(key),
            value: value.get_ref(),
            page: Arc::clone(&self.page),
            origin: Origin::new(&self.page, value.span()),
        })
    }

    /// A key that may be left out. `None` when it is, and when it is wrong.
    pub(crate) fn read<T>(
        &mut self,
        key: &'static str,
        errors: &mut Errors,
        read: impl FnOnce(&Item<'d>, &mut Errors) -> Option<T>,
    ) -> Option<Located<T>> {
        let item = self.item(key)?;
        let value = read(&item, errors)?;
        Some(Located {
            value,
            origin: item.origin,
        })
    }

    /// A key that must be there; `right` is an example of its whole line.
    pub(crate) fn require<T>(
        &mut self,
        key: &'static str,
        right: &str,
        errors: &mut Errors,
        read: impl FnOnce(&Item<'d>, &mut Errors) -> Option<T>,
    ) -> Option<Located<T>> {
        if !self.table.contains_key(key) {
            self.known.push(key);
            self.missing
                .push((key, format!("is missing; {right} would be right")));
            return None;
        }
        self.read(key, errors, read)
    }

    /// A key that the design knows and this version does not; `sentence` says so and what to do.
    pub(crate) fn refuse(&mut self, key: &'static str, sentence: &str, errors: &mut Errors) {
        self.refused.push(key);
        if let Some((key, _)) = self.table.get_key_value(key) {
            errors.add(
                &Origin::new(&self.page, key.span()),
                self.dotted(key.get_ref()),
                sentence,
            );
        }
    }

    /// Adds an error about the section as a whole, under `key`.
    pub(crate) fn wrong(&self, key: &str, message: impl Into<String>, errors: &mut Errors) {
        errors.add(&self.origin, self.dotted(key), message);
    }

    /// Every key was looked for: what is left is unknown, and what was missing is told now, but for a key that an unknown
    /// one was meant to be. Gives those keys.
    pub(crate) fn finish(&mut self, errors: &mut Errors) -> Vec<&'static str> {
        self.known.sort_unstable();
        let mut meant = Vec::new();
        for (key, _) in self.table {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) || self.refused.contains(&name) {
                continue;
            }
            let near = similar::nearest(name, &self.known);
            let right = match near {
                Some(near) => format!("did you mean {near}?"),
                None => format!("the keys here are {}", self.known.join(", ")),
            };
            errors.add(
                &Origin::new(&self.page, key.span()),
                self.dotted(name),
                format!("is no key; {right}"),
            );
            meant.extend(near);
        }
        for (key, message) in std::mem::take(&mut self.missing) {
            if !meant.contains(&key) {
                self.wrong(key, message, errors);
            }
        }
        meant
    }

    fn dotted(&self, key: &str) -> String {
        if self.key.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.key)
        }
    }
}
