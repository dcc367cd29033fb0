//! The walls between the rooms: which crate may reach which.
//!
//! Reach means: through normal dependencies, resolved for Linux, with every feature that somebody in the workspace
//! switches on. A procedural macro is reached, and what it needs at build time is not.
#![allow(missing_docs, clippy::unwrap_used)]

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId, TargetKind};
use std::collections::{BTreeSet, HashMap};

#[test]
fn the_agent_and_the_policy_do_not_reach_the_protocol() {
    let workspace = Workspace::read();
    for room in [
        "slash32-agent",
        "slash32-policy",
        "slash32-cli",
        "slash32-control",
        "slash32-store",
    ] {
        assert!(
            !workspace.reach(room).contains("slash32-dhcp"),
            "{room} reaches slash32-dhcp"
        );
    }
}

#[test]
fn the_vocabulary_reaches_nothing() {
    assert_eq!(Workspace::read().reach("slash32-binding"), BTreeSet::new());
}

#[test]
fn the_protocol_reaches_the_vocabulary_and_the_packet_views_only() {
    let workspace = Workspace::read();
    let allowed = [
        "slash32-binding",
        "pnet_packet",
        "pnet_base",
        "pnet_macros",
        "pnet_macros_support",
        "no-std-net",
    ];
    let reached = workspace.reach("slash32-dhcp");
    let strangers: Vec<_> = reached
        .iter()
        .filter(|name| !allowed.contains(&name.as_str()))
        .collect();
    assert!(strangers.is_empty(), "slash32-dhcp reaches {strangers:?}");
    for (name, features) in workspace.features("slash32-dhcp") {
        assert!(
            !features.iter().any(|feature| feature == "std"),
            "{name} has the feature std"
        );
    }
}

#[test]
fn the_responder_reaches_no_runtime_no_json_and_no_tracing() {
    let reached = Workspace::read().reach("slash32-responder");
    for heavy in [
        "tokio",
        "serde",
        "serde_json",
        "tracing",
        "tracing-core",
        "toml",
        "anyhow",
        "clap",
    ] {
        assert!(
            !reached.contains(heavy),
            "slash32-responder reaches {heavy}"
        );
    }
}

/// A library below it with std would bring std's own panics along, and the program that ships could not be linked. The
/// features are those of a build of the whole workspace: cargo asks for all of them at once.
#[test]
fn the_responder_reaches_nothing_with_std() {
    for (name, features) in Workspace::read().features("slash32-responder") {
        assert!(
            !features.iter().any(|feature| feature == "std"),
            "{name} has the feature std"
        );
    }
}

#[test]
fn dependencies_point_downwards() {
    let workspace = Workspace::read();
    let house: &[(&str, &[&str])] = &[
        ("slash32-binding", &[]),
        ("slash32-dhcp", &["binding"]),
        ("slash32-policy", &["binding"]),
        ("slash32-bare", &[]),
        ("slash32-sys", &["bare"]),
        ("slash32-ipc", &["binding"]),
        ("slash32-store", &["binding"]),
        ("slash32-control", &["binding"]),
        ("slash32-libvirt", &["binding"]),
        ("slash32-cli", &["binding", "policy", "libvirt", "control"]),
        (
            "slash32-agent",
            &[
                "binding", "policy", "bare", "sys", "ipc", "store", "libvirt", "control",
            ],
        ),
        ("slash32-responder", &["binding", "dhcp", "bare", "ipc"]),
    ];
    for (room, below) in house {
        let reached = workspace.reach(room);
        let rooms = reached
            .iter()
            .filter_map(|name| name.strip_prefix("slash32-"));
        let above: Vec<_> = rooms.filter(|name| !below.contains(name)).collect();
        assert!(above.is_empty(), "{room} reaches {above:?}");
    }
}

#[test]
fn two_crates_may_be_unsafe() {
    // The lints of the workspace forbid it; a crate gets round them only by not inheriting them.
    let workspace = Workspace::read();
    for package in workspace.metadata.workspace_packages() {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        let inherits = manifest.contains("[lints]\nworkspace = true");
        let exempt =
            ["slash32-bare", "slash32-sys", "slash32-tests"].contains(&package.name.as_str());
        assert!(
            inherits || exempt,
            "{} does not inherit the lints of the workspace",
            package.name
        );
    }
}

struct Workspace {
    metadata: Metadata,
}

impl Workspace {
    fn read() -> Self {
        let metadata = MetadataCommand::new()
            .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
            .other_options(
                [
                    "--filter-platform",
                    "x86_64-unknown-linux-gnu",
                    "--locked",
                    "--offline",
                ]
                .map(str::to_owned),
            )
            .exec()
            .expect("cargo metadata");
        Self { metadata }
    }

    /// The names of all packages that the package `name` reaches, without itself.
    fn reach(&self, name: &str) -> BTreeSet<String> {
        self.walk(name)
            .into_iter()
            .map(|id| self.metadata[id].name.to_string())
            .filter(|one| one != name)
            .collect()
    }

    /// The packages that `name` reaches, with the features they are built with.
    fn features(&self, name: &str) -> Vec<(String, Vec<String>)> {
        let resolve = self.metadata.resolve.as_ref().expect("a resolved graph");
        let reached = self.walk(name);
        let nodes = resolve
            .nodes
            .iter()
            .filter(|node| reached.contains(&&node.id));
        nodes
            .map(|node| {
                let features = node.features.iter().map(ToString::to_string).collect();
                (self.metadata[&node.id].name.to_string(), features)
            })
            .collect()
    }

    fn walk(&self, name: &str) -> Vec<&PackageId> {
        let resolve = self.metadata.resolve.as_ref().expect("a resolved graph");
        let nodes: HashMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
        let start = self
            .metadata
            .packages
            .iter()
            .find(|package| package.name.as_str() == name);
        let mut reached = vec![
            &start
                .unwrap_or_else(|| panic!("there is no package {name}"))
                .id,
        ];
        let mut next = 0;
        while let Some(id) = reached.get(next).copied() {
            next += 1;
            if self.is_macro(id) {
                continue;
            }
            for dependency in &nodes[id].deps {
                let normal = dependency
                    .dep_kinds
                    .iter()
                    .any(|kind| kind.kind == DependencyKind::Normal);
                if normal && !reached.contains(&&dependency.pkg) {
                    reached.push(&dependency.pkg);
                }
            }
        }
        reached
    }

    fn is_macro(&self, id: &PackageId) -> bool {
        self.metadata[id]
            .targets
            .iter()
            .any(|target| target.kind.contains(&TargetKind::ProcMacro))
    }
}
