//! Options that mean something only together, judged in every scope with what it inherits.
use crate::{
    Located, Options,
    class_read::ClassDraft,
    error::Errors,
    merge::{DEFAULT_LEASE_TIME, merged_raw, nearest},
    network::place_of,
    network_read::Draft,
    options::{MOST_RAW_BYTES, RawOption, too_many_raw_bytes},
    origin::Origin,
    value::show_duration,
};

pub(crate) fn check_options(
    global: &Options,
    classes: &[ClassDraft],
    drafts: &[Draft],
    errors: &mut Errors,
) {
    let classes: Vec<&Options> = classes.iter().map(|class| &class.options).collect();
    let global_alone = Wider {
        of_times: vec![vec![global]],
        of_raw: vec![global],
    };
    judge(&[global], &Wider::default(), "options", errors);
    for (index, class) in classes.iter().enumerate() {
        // A VM may be in all of those before it, too.
        let before = classes.iter().copied().take(index);
        let wider = Wider {
            of_times: global_alone.of_times.clone(),
            of_raw: before.chain([global]).collect(),
        };
        judge(&[class], &wider, "class.options", errors);
    }
    let timed = classes.iter().copied().filter(|class| sets_times(class));
    let wider = Wider {
        of_times: std::iter::once(vec![global])
            .chain(timed.map(|class| vec![class, global]))
            .collect(),
        of_raw: classes.iter().copied().chain([global]).collect(),
    };
    for draft in drafts {
        let network = &draft.options;
        judge(&[network], &wider, "network.options", errors);
        for subnet in &draft.subnets {
            judge(
                &[&subnet.options, network],
                &wider,
                "network.subnet.options",
                errors,
            );
            for pool in &subnet.pools {
                judge(
                    &[&pool.options, &subnet.options, network],
                    &wider,
                    "network.subnet.pools.options",
                    errors,
                );
            }
        }
        for reservation in &draft.reservations {
            let (subnet, pool) = place_of(&draft.subnets, reservation.address);
            let subnet = subnet.and_then(|index| draft.subnets.get(index));
            let pool = pool.and_then(|index| subnet?.pools.get(index));
            let mut scopes = vec![&reservation.options];
            scopes.extend(pool.map(|pool| &pool.options));
            scopes.extend(subnet.map(|subnet| &subnet.options));
            scopes.push(network);
            judge(&scopes, &wider, "network.reservation.options", errors);
        }
    }
}

/// The scopes that are wider than those of a network: of the classes, a VM may be in any.
#[derive(Default)]
struct Wider<'c> {
    /// Global, and each class alone with it: classes that set times are few, and no VM should be in two of them.
    of_times: Vec<Vec<&'c Options>>,
    /// All classes at once, as raw options add up.
    of_raw: Vec<&'c Options>,
}

/// Judges the first of `scopes` with what it inherits, unless what it inherits is wrong already.
fn judge(scopes: &[&Options], wider: &Wider<'_>, table: &str, errors: &mut Errors) {
    let Some(own) = scopes.first() else { return };
    let alone = [Vec::new()];
    let of_times = if wider.of_times.is_empty() {
        &alone
    } else {
        wider.of_times.as_slice()
    };
    let mut found = Vec::new();
    if sets_times(own) {
        found.extend(
            of_times
                .iter()
                .find_map(|tail| first_fault(scopes, tail, timer_fault)),
        );
    }
    if own.raw.is_some() {
        found.extend(first_fault(scopes, &wider.of_raw, raw_fault));
    }
    for Fault {
        key,
        origin,
        message,
    } in found
    {
        errors.add(&origin, format!("{table}.{key}"), message);
    }
}

fn first_fault(
    narrow: &[&Options],
    wide: &[&Options],
    fault: impl Fn(&[&Options]) -> Option<Fault>,
) -> Option<Fault> {
    let scopes: Vec<&Options> = narrow.iter().chain(wide).copied().collect();
    let inherited_is_right = (1..scopes.len()).all(|start| fault(&scopes[start..]).is_none());
    if scopes.iter().any(|options| options.unsound) || !inherited_is_right {
        return None;
    }
    fault(&scopes)
}

pub(crate) fn sets_times(options: &Options) -> bool {
    options.lease_time.is_some() || options.t1.is_some() || options.t2.is_some()
}

struct Fault {
    key: &'static str,
    origin: Origin,
    message: String,
}

/// What is wrong with the three times that `scopes` come to, narrowest first, in a sentence.
pub(crate) fn times_fault(scopes: &[&Options]) -> Option<String> {
    let start = scopes.iter().position(|options| sets_times(options))?;
    let fault = timer_fault(scopes.get(start..)?)?;
    Some(format!("{}: {}", fault.key, fault.message))
}

fn raw_fault(scopes: &[&Options]) -> Option<Fault> {
    let own = scopes.first()?.raw.as_ref()?;
    let size = merged_raw(scopes)
        .iter()
        .map(|raw| RawOption::size(raw))
        .sum();
    let message = too_many_raw_bytes(size);
    (size > MOST_RAW_BYTES).then(|| Fault {
        key: "raw",
        origin: own.origin.clone(),
        message,
    })
}

/// One of `lease-time`, `t1` and `t2`.
struct Timer<'c> {
    key: &'static str,
    /// `None`: the default.
    set: Option<&'c Located<u32>>,
    seconds: u32,
    /// Set in the scope that is judged, not inherited.
    own: bool,
}

impl<'c> Timer<'c> {
    fn of(
        scopes: &[&'c Options],
        key: &'static str,
        field: impl Fn(&'c Options) -> &'c Option<Located<u32>>,
    ) -> Option<Self> {
        let set = nearest(scopes, &field)?;
        let own = scopes
            .first()
            .is_some_and(|options| field(options).is_some());
        Some(Self {
            key,
            set: Some(set),
            seconds: set.value,
            own,
        })
    }

    fn fault(&self, message: String) -> Option<Fault> {
        Some(Fault {
            key: self.key,
            origin: self.set?.origin.clone(),
            message,
        })
    }

    fn show(&self) -> String {
        match self.set {
            Some(set) => format!(
                "{} ({}, {})",
                self.key,
                show_duration(self.seconds),
                set.origin
            ),
            None => format!("{} ({} by default)", self.key, show_duration(self.seconds)),
        }
    }
}

/// T1 before T2 before the end of the lease (RFC 2131 §4.4.5), with room for the one of T1 and T2 that is not set.
fn timer_fault(scopes: &[&Options]) -> Option<Fault> {
    let own = scopes.first()?;
    if !sets_times(own) {
        return None;
    }
    let lease = Timer::of(scopes, "lease-time", |options| &options.lease_time).unwrap_or(Timer {
        key: "lease-time",
        set: None,
        seconds: DEFAULT_LEASE_TIME,
        own: false,
    });
    let t1 = Timer::of(scopes, "t1", |options| &options.t1);
    let t2 = Timer::of(scopes, "t2", |options| &options.t2);
    if lease.seconds == u32::MAX {
        let useless = [t1, t2].into_iter().flatten().find(|timer| timer.own)?;
        let place = lease
            .set
            .map(|set| format!(" ({})", set.origin))
            .unwrap_or_default();
        return useless.fault(format!(
            "has no meaning, as the lease is infinite{place}; leaving it out would be right"
        ));
    }
    match (&t1, &t2) {
        (Some(t1), Some(t2)) => in_order(t1, t2, 1).or_else(|| in_order(t2, &lease, 1)),
        // Between T1 and the end there must be a second for T2; before T2 there must be one for T1.
        (Some(t1), None) => in_order(t1, &lease, 2),
        (None, Some(t2)) if t2.seconds < 2 => {
            t2.fault("1s leaves no time for t1; 2s or more would be right".into())
        }
        (None, Some(t2)) => in_order(t2, &lease, 1),
        (None, None) => None,
    }
}

/// `sooner` ends at least `gap` seconds before `later`; else the fault is that of the one that stands in the judged scope.
fn in_order(sooner: &Timer<'_>, later: &Timer<'_>, gap: u32) -> Option<Fault> {
    if sooner.seconds.saturating_add(gap) <= later.seconds {
        return None;
    }
    let by = if gap > 1 {
        format!(" by {gap} seconds")
    } else {
        String::new()
    };
    if later.own && !sooner.own {
        let value = show_duration(later.seconds);
        return later.fault(format!(
            "{value} is not longer than {}{by}; a longer time would be right",
            sooner.show()
        ));
    }
    let value = show_duration(sooner.seconds);
    sooner.fault(format!(
        "{value} is not shorter than {}{by}; a shorter time would be right",
        later.show()
    ))
}
