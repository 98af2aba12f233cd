//! Kinds of nodes and edges, and which edges there are between which nodes.

/// What a node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum NodeKind {
    /// A project, by its id.
    Project = 0x10,
    /// A response policy, by name.
    Policy = 0x11,
    /// A rule, by its uid.
    Rule = 0x12,
    /// An entry of an indicator feed, by feed and value.
    Indicator = 0x13,
    /// A container image, by name.
    Image = 0x14,
    /// A user of a host or container, by name.
    User = 0x15,
    /// A host, by name.
    Host = 0x16,
    /// An issue, by its id.
    Issue = 0x17,
    /// A container, by id.
    Container = 0x18,
    /// What a host or container runs from one executable: all processes of it.
    Process = 0x19,
    /// A domain name.
    Domain = 0x1a,
    /// An IP address.
    Ip = 0x1b,
    /// A file of a host or container, by path.
    File = 0x1c,
    /// A finding. These nodes are not stored: they are read off the findings.
    Finding = 0x01,
}

impl NodeKind {
    /// Every kind, those of few nodes first.
    pub const ALL: [NodeKind; 14] = [
        NodeKind::Project,
        NodeKind::Policy,
        NodeKind::Rule,
        NodeKind::Indicator,
        NodeKind::Image,
        NodeKind::User,
        NodeKind::Host,
        NodeKind::Issue,
        NodeKind::Container,
        NodeKind::Process,
        NodeKind::Domain,
        NodeKind::Ip,
        NodeKind::File,
        NodeKind::Finding,
    ];

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            NodeKind::Project => "project",
            NodeKind::Policy => "policy",
            NodeKind::Rule => "rule",
            NodeKind::Indicator => "indicator",
            NodeKind::Image => "image",
            NodeKind::User => "user",
            NodeKind::Host => "host",
            NodeKind::Issue => "issue",
            NodeKind::Container => "container",
            NodeKind::Process => "process",
            NodeKind::Domain => "domain",
            NodeKind::Ip => "ip",
            NodeKind::File => "file",
            NodeKind::Finding => "finding",
        }
    }

    /// The kind of a name.
    pub fn of_name(name: &str) -> Option<NodeKind> {
        NodeKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) fn of_code(code: i64) -> Option<NodeKind> {
        NodeKind::ALL
            .into_iter()
            .find(|kind| i64::from(*kind as u8) == code)
    }

    /// Whether people call it by the last part of its name, as they call
    /// `/usr/bin/dash` dash.
    pub(crate) const fn is_called_by_its_last_part(self) -> bool {
        matches!(self, NodeKind::Process | NodeKind::File | NodeKind::Image)
    }
}

/// How one node is related to another: read *source KIND destination*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EdgeKind {
    /// A host is in a project.
    InProject,
    /// A policy answers what a rule finds.
    Answers,
    /// A container is from an image; a finding is from a container of it.
    FromImage,
    /// An issue groups findings, and with them their rule.
    Groups,
    /// An issue or a finding is on a host, in a container or about an image.
    On,
    /// A host runs a container.
    Runs,
    /// A process runs on a host or in a container.
    RunsOn,
    /// A process or finding is of a user.
    AsUser,
    /// A rule matched a process, or, where none is known, on a host.
    Matched,
    /// A policy acted on a process, or, where none is known, on a host.
    ActedOn,
    /// A process started another.
    Started,
    /// A process asked for a domain's addresses.
    Asked,
    /// Under a domain's name an address was given.
    Resolved,
    /// A process connected to an address, or was reached from it.
    Connected,
    /// A process executed, opened or changed a file.
    Touched,
    /// A domain, address or file is listed by an indicator feed.
    ListedAs,
    /// A finding is of a rule.
    Of,
    /// A finding is about what a process did.
    By,
}

impl EdgeKind {
    /// Every kind.
    pub const ALL: [EdgeKind; 18] = [
        EdgeKind::InProject,
        EdgeKind::Answers,
        EdgeKind::FromImage,
        EdgeKind::Groups,
        EdgeKind::On,
        EdgeKind::Runs,
        EdgeKind::RunsOn,
        EdgeKind::AsUser,
        EdgeKind::Matched,
        EdgeKind::ActedOn,
        EdgeKind::Started,
        EdgeKind::Asked,
        EdgeKind::Resolved,
        EdgeKind::Connected,
        EdgeKind::Touched,
        EdgeKind::ListedAs,
        EdgeKind::Of,
        EdgeKind::By,
    ];

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            EdgeKind::InProject => "in_project",
            EdgeKind::Answers => "answers",
            EdgeKind::FromImage => "from_image",
            EdgeKind::Groups => "groups",
            EdgeKind::On => "on",
            EdgeKind::Runs => "runs",
            EdgeKind::RunsOn => "runs_on",
            EdgeKind::AsUser => "as_user",
            EdgeKind::Matched => "matched",
            EdgeKind::ActedOn => "acted_on",
            EdgeKind::Started => "started",
            EdgeKind::Asked => "asked",
            EdgeKind::Resolved => "resolved",
            EdgeKind::Connected => "connected",
            EdgeKind::Touched => "touched",
            EdgeKind::ListedAs => "listed_as",
            EdgeKind::Of => "of",
            EdgeKind::By => "by",
        }
    }

    /// The kind of a name.
    pub fn of_name(name: &str) -> Option<EdgeKind> {
        EdgeKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A kind of edge between two kinds of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Relation {
    /// What is stored. Never given to another relation.
    pub code: u8,
    pub edge: EdgeKind,
    pub src: NodeKind,
    pub dst: NodeKind,
}

const fn relation(code: u8, src: NodeKind, edge: EdgeKind, dst: NodeKind) -> Relation {
    Relation {
        code,
        edge,
        src,
        dst,
    }
}

use EdgeKind as E;
use NodeKind as N;

/// The relations that are stored, in the order of their codes. Edges are read in this
/// order, and of a node with too many the rest is left out: those of which a node has
/// few come first.
pub(crate) const RELATIONS: [Relation; 26] = [
    relation(10, N::Host, E::InProject, N::Project),
    relation(15, N::Policy, E::Answers, N::Rule),
    relation(20, N::Container, E::FromImage, N::Image),
    relation(25, N::Domain, E::ListedAs, N::Indicator),
    relation(26, N::Ip, E::ListedAs, N::Indicator),
    relation(27, N::File, E::ListedAs, N::Indicator),
    relation(30, N::Issue, E::Groups, N::Rule),
    relation(35, N::Issue, E::On, N::Host),
    relation(36, N::Issue, E::On, N::Container),
    relation(37, N::Issue, E::On, N::Image),
    relation(40, N::Host, E::Runs, N::Container),
    relation(45, N::Process, E::RunsOn, N::Host),
    relation(46, N::Process, E::RunsOn, N::Container),
    relation(50, N::Process, E::AsUser, N::User),
    relation(55, N::Rule, E::Matched, N::Process),
    relation(56, N::Rule, E::Matched, N::Host),
    relation(60, N::Policy, E::ActedOn, N::Process),
    relation(61, N::Policy, E::ActedOn, N::Host),
    relation(65, N::Process, E::Started, N::Process),
    relation(70, N::Process, E::Asked, N::Domain),
    relation(71, N::Host, E::Asked, N::Domain),
    relation(73, N::Domain, E::Resolved, N::Ip),
    relation(75, N::Process, E::Connected, N::Ip),
    relation(76, N::Host, E::Connected, N::Ip),
    relation(80, N::Process, E::Touched, N::File),
    relation(81, N::Host, E::Touched, N::File),
];

impl Relation {
    /// The stored relation of these.
    pub fn find(src: NodeKind, edge: EdgeKind, dst: NodeKind) -> Option<&'static Relation> {
        RELATIONS
            .iter()
            .find(|known| known.src == src && known.edge == edge && known.dst == dst)
    }

    pub fn of_code(code: u8) -> Option<&'static Relation> {
        RELATIONS.iter().find(|known| known.code == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_each_relation_has_one() {
        for pair in RELATIONS.windows(2) {
            assert!(pair[0].code < pair[1].code, "{pair:?}");
        }
        for relation in &RELATIONS {
            let found = Relation::find(relation.src, relation.edge, relation.dst);
            assert_eq!(found, Some(relation));
            assert_eq!(Relation::of_code(relation.code), Some(relation));
        }
    }

    #[test]
    fn names_come_back() {
        for kind in NodeKind::ALL {
            assert_eq!(NodeKind::of_name(kind.name()), Some(kind));
            assert_eq!(NodeKind::of_code(i64::from(kind as u8)), Some(kind));
        }
        for kind in EdgeKind::ALL {
            assert_eq!(EdgeKind::of_name(kind.name()), Some(kind));
        }
    }
}
