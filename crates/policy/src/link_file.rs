use crate::{
    Allocation, Config, ConfigErrors, Ipv6, LinkGlobs, Located, Options, Reservation, Source,
    Subnet,
    check::check,
    config::{Parts, document, part, read_route},
    error::Errors,
    glob::Glob,
    network::Selector,
    network_read::{Draft, ipv6, link_name},
    origin::{Origin, Page},
    reader::Section,
    value,
};
use slash32_binding::{Ipv4Addr, Prefix};

/// The gateway of a link whose file names none.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);

impl Config {
    /// Reads the file of a link that is served without an agent: `address`, and what is to be otherwise than in `main`, the
    /// sources of the agent's config, of which there may be none. Its options are the narrowest scope; its route is that of
    /// `main` but for the keys that it sets. The networks of `main` are the agent's and play no part.
    ///
    /// The config has one network, of that link alone, with one reservation.
    ///
    /// Errors: everything that is wrong in `main`, at once; else everything that is wrong in the file.
    pub fn parse_link(main: &[Source], link: &str, file: &Source) -> Result<Self, ConfigErrors> {
        let mut errors = Errors::default();
        let mut parts = Parts::default();
        for (order, source) in main.iter().enumerate() {
            parts.read(order, source, &mut errors);
        }
        check(&parts.options, &parts.classes, &parts.drafts, &mut errors);
        errors.into_result()?;

        let mut errors = Errors::default();
        let page = Page::new(main.len(), &file.name, &file.text);
        if let Some(table) = document(&page, &mut errors) {
            let root = Section::new("", table.get_ref(), &page, Origin::new(&page, 0..0));
            parts.drafts = vec![read(root, link, &mut parts.route, &mut errors)];
        }
        check(&parts.options, &parts.classes, &parts.drafts, &mut errors);
        errors.into_result()?;
        Ok(parts.finish())
    }
}

fn read(
    mut root: Section<'_>,
    link: &str,
    route: &mut crate::RouteConfig,
    errors: &mut Errors,
) -> Draft {
    let here = root.origin.clone();
    let glob = link_name(link).and_then(|name| Glob::parse(&name));
    let glob = glob
        .map_err(|wrong| root.wrong("link", format!("{link:?} {wrong}"), errors))
        .ok();
    let address = root.require(
        "address",
        "address = \"203.0.113.7\"",
        errors,
        |item, errors| item.parsed("a text such as \"203.0.113.7\"", errors, value::unicast),
    );
    let before = errors.count();
    let gateway = root.read("gateway", errors, |item, errors| {
        item.parsed("a text such as \"169.254.0.1\"", errors, value::unicast)
    });
    let gateway = gateway.or_else(|| {
        (errors.count() == before).then(|| Located {
            value: GATEWAY,
            origin: here.clone(),
        })
    });
    let ipv6 = root
        .item("ipv6")
        .map_or(Some(Ipv6::default()), |item| ipv6(&item, errors));
    let options = Options::of(&mut root, errors);
    if let Some(mut section) = part(&mut root, "route", errors) {
        section.refuse(
            "install",
            "is the agent's; a link that is served alone has its route as soon as it is served, so none would be right",
            errors,
        );
        read_route(section, route, errors);
    }
    root.finish(errors);
    let subnet = |address: &Located<Ipv4Addr>| Subnet {
        prefix: Prefix::host(address.value),
        class: Vec::new(),
        pools: Vec::new(),
        options: Options::default(),
        origin: address.origin.clone(),
    };
    let reservation = |address: &Located<Ipv4Addr>| Reservation {
        selectors: vec![Selector::Link(link.to_owned())],
        address: address.value,
        options,
        origin: address.origin.clone(),
    };
    Draft {
        header: here.clone(),
        name: Some(Located {
            value: link.to_owned(),
            origin: here.clone(),
        }),
        links: glob.map(|glob| Located {
            value: LinkGlobs {
                claiming: vec![glob],
                origins: vec![here.clone()],
                excluding: Vec::new(),
            },
            origin: here,
        }),
        gateway,
        class: Vec::new(),
        allocation: Some(Allocation::Static),
        quarantine: None,
        mac_prefix: None,
        mac_prefix_unsound: false,
        ipv6,
        options: Options::default(),
        subnets: address.iter().map(subnet).collect(),
        subnets_unsound: address.is_none(),
        reservations_unsound: address.is_none(),
        reservations: address.as_ref().map(reservation).into_iter().collect(),
    }
}
