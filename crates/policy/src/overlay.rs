//! From the classes that a guest may claim to the [`Overlays`] of a binding.
use crate::{
    GuestMatch, Options,
    class::Membership,
    merge::{merged_raw, raw_list},
    settings::{At, each_setting},
};
use slash32_binding::{Claim, Ipv4Addr, MOST_OVERLAY_BYTES, Overlays, Setting};

/// What the guest of a VM in `narrow` scopes and these classes changes by what it says: of each class that it may claim, the
/// keys that no narrower scope sets, nor a class before it that the host knows the VM to be in.
pub(crate) fn overlays(narrow: &[&Options], classes: &Membership<'_>, at: At) -> Overlays {
    let mut overlays = Overlays::NONE;
    // Of two that set one key the first in the config has it, and of two overlays the later.
    for (index, class) in classes.0.iter().enumerate().rev() {
        if !class.is_claimed() {
            continue;
        }
        let before = classes.0.iter().take(index);
        let before = before.filter(|class| !class.is_claimed());
        let stronger: Vec<&Options> = narrow
            .iter()
            .copied()
            .chain(before.map(|class| &class.options))
            .collect();
        let settings = settings(&class.options, &stronger, at);
        if !settings.is_empty() {
            let pushed = overlays.push(&claims(&class.guest), &settings);
            debug_assert!(pushed.is_ok(), "the config holds more than a binding");
        }
    }
    overlays
}

/// The bytes that a class takes of [`MOST_OVERLAY_BYTES`] at most; more than there are when it is too large by itself, and 0
/// when it sets nothing.
pub(crate) fn largest(guest: &[GuestMatch], options: &Options) -> usize {
    let anywhere = At {
        gateway: Ipv4Addr::UNSPECIFIED,
        mtu: 1500,
    };
    let settings = settings(options, &[], anywhere);
    let mut overlays = Overlays::NONE;
    if settings.is_empty() {
        return 0;
    }
    match overlays.push(&claims(guest), &settings) {
        Ok(()) => overlays.as_bytes().len(),
        Err(_) => MOST_OVERLAY_BYTES + 1,
    }
}

/// What `options` set that none of `stronger` does.
fn settings(options: &Options, stronger: &[&Options], at: At) -> Vec<Setting> {
    let mut keys = Vec::new();
    for stronger in stronger {
        each_setting(stronger, at, |key, _, _| keys.push(key));
    }
    let mut settings = Vec::new();
    each_setting(options, at, |key, _, setting| {
        if !keys.contains(&key) {
            settings.push(setting);
        }
    });
    let taken = merged_raw(stronger);
    let raw = merged_raw(&[options]);
    let free = raw
        .into_iter()
        .filter(|option| taken.iter().all(|taken| taken.code != option.code));
    let raw = raw_list(free);
    if !raw.is_empty() {
        settings.push(Setting::Raw(raw));
    }
    settings
}

fn claims(guest: &[GuestMatch]) -> Vec<Claim<'_>> {
    let mut claims = Vec::new();
    for matching in guest {
        match matching {
            GuestMatch::VendorClass(globs) => {
                claims.extend(globs.iter().map(|glob| Claim::VendorClass(glob.as_str())));
            }
            GuestMatch::UserClass(globs) => {
                claims.extend(globs.iter().map(|glob| Claim::UserClass(glob.as_str())));
            }
            GuestMatch::Architecture(numbers) => {
                claims.extend(numbers.iter().copied().map(Claim::Architecture));
            }
        }
    }
    claims
}
