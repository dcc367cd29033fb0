//! The options that libvirt's metadata sets: a scope of its own, between the reservation and the pool. An attribute is read by
//! the reader of the config's key of its name, so that the same rules hold; what is wrong is left out, and told.
use crate::{
    Assignment, Config, LinkFacts, Metadata, Network, Options,
    class::Membership,
    error::Errors,
    metadata::quoted,
    options_check::{sets_times, times_fault},
    origin::{Origin, Page},
    reader::Item,
    similar,
};
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

/// What becomes of the text of an attribute.
#[derive(Clone, Copy)]
enum Form {
    Text,
    /// A number, where there are digits only; else a text, such as `24h` or `auto`.
    Number,
    /// `true` or `false`.
    Truth,
    /// Texts with commas or white space between.
    List,
    /// No attribute can hold it.
    Never,
}

const KEYS: [(&str, Form); 19] = [
    ("boot-file", Form::Text),
    ("dns", Form::List),
    ("domain", Form::Text),
    ("hostname", Form::Text),
    ("ipv6-only-preferred", Form::Number),
    ("lease-time", Form::Number),
    ("mtu", Form::Number),
    ("netmask", Form::Text),
    ("next-server", Form::Text),
    ("ntp", Form::List),
    ("rapid-commit", Form::Truth),
    ("raw", Form::Never),
    ("routers", Form::Text),
    ("routes", Form::Never),
    ("search", Form::List),
    ("server-name", Form::Text),
    ("t1", Form::Number),
    ("t2", Form::Number),
    ("tftp-servers", Form::List),
];

/// The longest attribute, in bytes: no option of these holds more.
const LONGEST: usize = 1024;

/// What a VM's metadata sets.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) options: Options,
    /// A sentence for each attribute that was left out, and why.
    pub(crate) faults: Vec<String>,
}

impl Config {
    /// What libvirt's metadata asks of options and is left out, because it is wrong: a sentence for each.
    pub fn left_out(
        &self,
        network: &Network,
        assignment: &Assignment,
        link: &LinkFacts,
    ) -> Vec<String> {
        let classes = Membership::of(&self.classes, link);
        self.asked(network, Some(assignment), link, &classes).faults
    }

    /// What the metadata of the VM sets, judged together with the scopes that it is in.
    pub(crate) fn asked(
        &self,
        network: &Network,
        assignment: Option<&Assignment>,
        link: &LinkFacts,
        classes: &Membership<'_>,
    ) -> Asked {
        let mut asked = Asked::of(&link.metadata);
        if !sets_times(&asked.options) {
            return asked;
        }
        let scopes = self.scopes(network, assignment, classes, &asked.options);
        let scopes: Vec<&Options> = scopes.iter().map(|scope| scope.options).collect();
        if let Some(fault) = times_fault(&scopes) {
            asked.leave_times_out(&fault);
        }
        asked
    }
}

impl Asked {
    fn of(metadata: &Metadata) -> Self {
        let mut asked = Self::default();
        for (key, text) in &metadata.options {
            if let Err(message) = asked.take(key, text) {
                asked.leave_out(&quoted(key).replace('"', ""), &message);
            }
        }
        asked
    }

    /// Reads one attribute. Errors: what is wrong with it; then nothing was set.
    fn take(&mut self, key: &str, text: &str) -> Result<(), String> {
        let Some((key, form)) = KEYS.iter().find(|(known, _)| *known == key) else {
            return Err(unknown(key));
        };
        if text.len() > LONGEST {
            let length = text.len();
            return Err(format!(
                "it is {length} bytes long; at most {LONGEST} would be right"
            ));
        }
        let value = value(*form, text)?;
        let mut table = DeTable::new();
        table.insert(placeless((*key).into()), placeless(value));
        let page = Page::new(0, "libvirt's metadata", "");
        let value = DeValue::Table(table);
        let item = Item::new(&value, &page, Origin::new(&page, 0..0));
        let mut errors = Errors::default();
        self.options.read(&item, &mut errors);
        match errors.into_result() {
            Ok(()) => Ok(()),
            Err(errors) => {
                let mut messages = errors.0.into_iter().map(|error| error.message);
                Err(messages.next().unwrap_or_default())
            }
        }
    }

    fn leave_out(&mut self, key: &str, message: &str) {
        let fault = format!("libvirt's metadata: {key} left out: {message}");
        self.faults.push(fault);
    }

    fn leave_times_out(&mut self, message: &str) {
        let times = [
            ("lease-time", self.options.lease_time.take()),
            ("t1", self.options.t1.take()),
            ("t2", self.options.t2.take()),
        ];
        let set = times.into_iter().filter(|(_, set)| set.is_some());
        let keys: Vec<&str> = set.map(|(key, _)| key).collect();
        self.leave_out(&keys.join(", "), message);
    }
}

fn unknown(key: &str) -> String {
    let keys = KEYS.iter().filter(|(_, form)| !matches!(form, Form::Never));
    let keys: Vec<&str> = keys.map(|(key, _)| *key).collect();
    let known: Vec<&str> = keys
        .iter()
        .copied()
        .chain(["address", "network", "tags"])
        .collect();
    match similar::nearest(key, &known) {
        Some(near) => format!("it is no option; did you mean {near}?"),
        None => format!("it is no option; those here are {}", keys.join(", ")),
    }
}

/// The text of an attribute as a value of the config.
fn value(form: Form, text: &str) -> Result<DeValue<'_>, String> {
    let string = |text| DeValue::String(std::borrow::Cow::Borrowed(text));
    Ok(match form {
        Form::Text => string(text),
        Form::Number if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            let number = DeValue::parse(text).map(Spanned::into_inner);
            number.unwrap_or_else(|_| string(text))
        }
        Form::Number => string(text),
        Form::Truth => match text {
            "true" => DeValue::Boolean(true),
            "false" => DeValue::Boolean(false),
            _ => {
                let text = quoted(text);
                return Err(format!("{text} is neither; true or false would be right"));
            }
        },
        Form::List => {
            let mut list = DeArray::new();
            let items = text.split(|c: char| c == ',' || c.is_whitespace());
            for item in items.filter(|item| !item.is_empty()) {
                list.push(placeless(string(item)));
            }
            DeValue::Array(list)
        }
        Form::Never => {
            return Err(
                "no attribute can hold it; options of a reservation of the config would be right"
                    .into(),
            );
        }
    })
}

fn placeless<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}
