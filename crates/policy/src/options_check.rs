//! Options that mean something only together, judged in every scope with what it inherits.
use crate::{
    Located, Options,
    error::Errors,
    merge::{DEFAULT_LEASE_TIME, merged_raw, nearest},
    network::place_of,
    network_read::Draft,
    options::{MOST_RAW_BYTES, RawOption, too_many_raw_bytes},
    origin::Origin,
    value::show_duration,
};

pub(crate) fn check_options(global: &Options, drafts: &[Draft], errors: &mut Errors) {
    judge(&[global], "options", errors);
    for draft in drafts {
        let network = &draft.options;
        judge(&[network, global], "network.options", errors);
        for subnet in &draft.subnets {
            judge(
                &[&subnet.options, network, global],
                "network.subnet.options",
                errors,
            );
            for pool in &subnet.pools {
                judge(
                    &[&pool.options, &subnet.options, network, global],
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
            scopes.extend([network, global]);
            judge(&scopes, "network.reservation.options", errors);
        }
    }
}

/// Judges the first of `scopes` with what it inherits from the others, unless what it inherits is wrong already.
fn judge(scopes: &[&Options], table: &str, errors: &mut Errors) {
    let inherited_is_right = (1..scopes.len()).all(|start| faults(&scopes[start..]).is_empty());
    if scopes.iter().any(|options| options.unsound) || !inherited_is_right {
        return;
    }
    for Fault {
        key,
        origin,
        message,
    } in faults(scopes)
    {
        errors.add(&origin, format!("{table}.{key}"), message);
    }
}

struct Fault {
    key: &'static str,
    origin: Origin,
    message: String,
}

fn faults(scopes: &[&Options]) -> Vec<Fault> {
    timer_fault(scopes)
        .into_iter()
        .chain(raw_fault(scopes))
        .collect()
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
    if own.lease_time.is_none() && own.t1.is_none() && own.t2.is_none() {
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
