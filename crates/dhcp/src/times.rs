//! Options 51, 58 and 59: how long the lease is, and when the client renews and rebinds (RFC 2131 §4.4.5).

use slash32_binding::Binding;

/// The lease time that never ends (RFC 2131 §3.3).
const INFINITE: u32 = u32::MAX;

/// Option 51 in seconds, never 0.
pub(crate) fn lease_time(binding: &Binding) -> u32 {
    binding.lease_time.max(1)
}

/// Options 58 (T1) and 59 (T2) in seconds, with 0 < T1 < T2 < lease time; `None` when that is not possible or the lease
/// never ends, and then the client takes its defaults.
///
/// What the binding does not fix is half and seven eighths of the lease time, less a fuzz of up to 5 % and 2.5 % of the
/// lease time, so that VMs that booted together do not renew together. The fuzz depends on the seed alone: OFFER and ACK agree.
pub(crate) fn renewal_and_rebinding(binding: &Binding) -> Option<(u32, u32)> {
    let lease = lease_time(binding);
    if lease == INFINITE {
        return None;
    }
    let seed = binding.fuzz_seed;
    let t2 = binding.rebinding_time.unwrap_or_else(|| {
        let t2 = (u64::from(lease) * 7 / 8) as u32 - up_to(lease / 40, seed.rotate_left(16));
        t2.max(binding.renewal_time.map_or(0, |t1| t1.saturating_add(1)))
    });
    let t1 = binding.renewal_time.unwrap_or_else(|| {
        let t1 = lease / 2 - up_to(lease / 20, seed);
        t1.min(t2.saturating_sub(1))
    });
    (0 < t1 && t1 < t2 && t2 < lease).then_some((t1, t2))
}

/// A number from 0 to `most`, the same for the same seed; seeds next to each other give numbers far apart.
fn up_to(most: u32, seed: u32) -> u32 {
    // Fibonacci hashing: 2^32 divided by the golden ratio, whose multiples spread evenly over 32 bits.
    let spread = u64::from(seed.wrapping_mul(0x9e37_79b9));
    ((spread * (u64::from(most) + 1)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use slash32_binding::Ipv4Addr;

    fn binding(lease_time: u32, fuzz_seed: u32) -> Binding {
        let mut binding =
            Binding::new(Ipv4Addr::new(203, 0, 113, 7), Ipv4Addr::new(169, 254, 0, 1));
        binding.lease_time = lease_time;
        binding.fuzz_seed = fuzz_seed;
        binding
    }

    const SEEDS: [u32; 7] = [0, 1, 2, 0x8000_0000, 0xffff_0000, 0xdead_beef, u32::MAX];

    #[test]
    fn item_55_t1_comes_before_t2_before_the_end_of_every_lease() {
        let leases = (4..5_000).chain([86_400, 604_800, 1 << 31, INFINITE - 1]);
        for lease in leases {
            for seed in SEEDS {
                let (t1, t2) = renewal_and_rebinding(&binding(lease, seed)).unwrap();
                assert!(
                    0 < t1 && t1 < t2 && t2 < lease,
                    "lease {lease} seed {seed:#x}: {t1} {t2}"
                );
            }
        }
    }

    #[test]
    fn a_lease_too_short_for_an_order_has_neither() {
        for (lease, expected) in [(0, None), (1, None), (2, None), (3, Some((1, 2)))] {
            assert_eq!(
                renewal_and_rebinding(&binding(lease, 0)),
                expected,
                "{lease}"
            );
        }
    }

    #[test]
    fn item_56_an_infinite_lease_has_neither() {
        assert_eq!(renewal_and_rebinding(&binding(INFINITE, 1)), None);
    }

    #[test]
    fn item_57_the_fuzz_stays_within_a_twentieth_and_differs() {
        let lease = 86_400;
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..1_000 {
            let (t1, t2) = renewal_and_rebinding(&binding(lease, seed)).unwrap();
            assert!((lease / 2 - lease / 20..=lease / 2).contains(&t1), "{t1}");
            assert!(
                (lease * 7 / 8 - lease / 40..=lease * 7 / 8).contains(&t2),
                "{t2}"
            );
            seen.insert(t1);
        }
        assert!(
            seen.len() > 800,
            "only {} different T1 for 1000 seeds",
            seen.len()
        );
    }

    #[test]
    fn a_time_that_is_bound_is_sent_as_it_is_and_the_other_keeps_the_order() {
        for (t1, t2, expected) in [
            (Some(10), Some(20), Some((10, 20))),
            (Some(95), None, Some((95, 96))),
            (None, Some(5), Some((4, 5))),
            (Some(99), None, None),
            (Some(0), None, None),
            (None, Some(1), None),
            (Some(20), Some(20), None),
            (Some(u32::MAX), None, None),
        ] {
            let mut binding = binding(100, 0);
            binding.renewal_time = t1;
            binding.rebinding_time = t2;
            assert_eq!(renewal_and_rebinding(&binding), expected, "{t1:?} {t2:?}");
        }
    }
}
