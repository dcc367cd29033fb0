use crate::arguments::state_parser;
use clap::Args;
use slash32_control::{LinkRow, State};

/// Which links are shown: all that are asked for must hold.
#[derive(Args, Default)]
pub(crate) struct Filter {
    /// Only links of this network
    #[arg(long, value_name = "NAME")]
    network: Option<String>,

    /// Only links in this state
    #[arg(long, value_parser = state_parser())]
    state: Option<State>,

    /// Only links of this VM: its name or its UUID
    #[arg(long, value_name = "VM")]
    vm: Option<String>,
}

impl Filter {
    /// The links that are shown, in their order.
    pub(crate) fn apply(&self, mut links: Vec<LinkRow>) -> Vec<LinkRow> {
        links.retain(|link| self.shows(link));
        links
    }

    fn shows(&self, link: &LinkRow) -> bool {
        let network = self.network.is_none() || self.network == link.network;
        let state = self.state.is_none_or(|state| state == link.state);
        let vm = self.vm.as_ref().is_none_or(|vm| {
            link.vm.as_ref() == Some(vm)
                || link
                    .uuid
                    .as_ref()
                    .is_some_and(|uuid| uuid.eq_ignore_ascii_case(vm))
        });
        network && state && vm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str, network: Option<&str>, vm: Option<&str>, state: State) -> LinkRow {
        LinkRow {
            network: network.map(str::to_owned),
            vm: vm.map(str::to_owned),
            uuid: vm.map(|vm| format!("{vm}-uuid")),
            state,
            ..crate::table::tests::row(name)
        }
    }

    #[test]
    fn a_link_is_shown_when_all_that_is_asked_for_holds() {
        let links = [
            link("a", Some("public"), Some("web"), State::Bound),
            link("b", Some("public"), Some("db"), State::Ready),
            link("c", Some("lab"), Some("db"), State::Bound),
            link("d", None, None, State::Bound),
        ];
        let table = [
            (None, None, None, "abcd"),
            (Some("public"), None, None, "ab"),
            (None, Some(State::Bound), None, "acd"),
            (None, None, Some("db"), "bc"),
            (None, None, Some("DB-UUID"), "bc"),
            (Some("public"), Some(State::Ready), Some("db"), "b"),
            (Some("lab"), Some(State::Ready), None, ""),
            (Some("pub"), None, None, ""),
        ];
        for (network, state, vm, expected) in table {
            let filter = Filter {
                network: network.map(str::to_owned),
                state,
                vm: vm.map(str::to_owned),
            };
            let shown = filter.apply(links.to_vec());
            let names: String = shown.into_iter().map(|link| link.link).collect();
            assert_eq!(names, expected, "{network:?} {state:?} {vm:?}");
        }
    }
}
