//! What a node is told from others by.

use super::kinds::NodeKind;
use crate::basics::Uuid;
use crate::limits::{MAX_FINDING_TEXT, MAX_GRAPH_KEY, clip};
use sha2::{Digest, Sha256};

/// A node, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it stands for.
    pub kind: NodeKind,
    /// What tells it from others of its kind.
    pub key: String,
    /// What people call it.
    pub label: String,
}

/// Where processes, users and files are: those of two hosts have nothing in common
/// but the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place<'a> {
    /// On the host itself, by its name.
    Host(&'a str),
    /// In a container, by its id.
    Container(&'a str),
}

impl<'a> Place<'a> {
    /// The container, if there is one; else the host.
    pub fn of(host: &'a str, container: Option<&'a str>) -> Place<'a> {
        container.map_or(Place::Host(host), Place::Container)
    }

    fn key(self, what: &str) -> String {
        let (kind, name) = match self {
            Place::Host(name) => ("host", name),
            Place::Container(id) => ("container", id),
        };
        format!("{kind}:{}:{what}", escaped(name))
    }

    fn node(self, kind: NodeKind, what: &str) -> Node {
        Node::new(kind, self.key(what), what)
    }
}

/// A host's name with no colon in it.
fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace(':', "%3a")
}

/// The parts of the key of something that is at a place: whether in a container; the
/// host's name or the container's id; what it is.
pub(super) fn placed(key: &str) -> Option<(bool, String, &str)> {
    let (kind, rest) = key.split_once(':')?;
    let (name, what) = rest.split_once(':')?;
    let name = name.replace("%3a", ":").replace("%25", "%");
    match kind {
        "host" => Some((false, name, what)),
        "container" => Some((true, name, what)),
        _ => None,
    }
}

impl Node {
    /// A node. What is too long is cut, NUL replaced.
    pub fn new(kind: NodeKind, key: impl AsRef<str>, label: impl AsRef<str>) -> Node {
        Node {
            kind,
            key: clip(key.as_ref(), MAX_GRAPH_KEY),
            label: clip(label.as_ref(), MAX_FINDING_TEXT),
        }
    }

    /// A project.
    pub fn project(id: Uuid, name: &str) -> Node {
        Node::new(NodeKind::Project, id.to_string(), name)
    }

    /// A response policy.
    pub fn policy(name: &str) -> Node {
        Node::new(NodeKind::Policy, name, name)
    }

    /// A rule, by its uid.
    pub fn rule(uid: &str) -> Node {
        Node::new(NodeKind::Rule, uid, uid)
    }

    /// An entry of an indicator feed.
    pub fn indicator(feed: &str, value: &str) -> Node {
        let feed_key = escaped(feed);
        let label = format!("{value} ({feed})");
        Node::new(NodeKind::Indicator, format!("{feed_key}:{value}"), label)
    }

    /// A container image.
    pub fn image(name: &str) -> Node {
        Node::new(NodeKind::Image, name, name)
    }

    /// A host.
    pub fn host(name: &str) -> Node {
        Node::new(NodeKind::Host, name, name)
    }

    /// An issue; the label is its title.
    pub fn issue(id: Uuid, title: &str) -> Node {
        Node::new(NodeKind::Issue, id.to_string(), title)
    }

    /// A container.
    pub fn container(id: &str) -> Node {
        Node::new(NodeKind::Container, id, id)
    }

    /// A user of a host or container.
    pub fn user(place: Place<'_>, name: &str) -> Node {
        place.node(NodeKind::User, name)
    }

    /// The processes of an executable.
    pub fn process(place: Place<'_>, path: &str) -> Node {
        place.node(NodeKind::Process, path)
    }

    /// A file.
    pub fn file(place: Place<'_>, path: &str) -> Node {
        place.node(NodeKind::File, path)
    }

    /// A domain name; case and a dot at the end do not count.
    pub fn domain(name: &str) -> Node {
        let name = name.trim_end_matches('.').to_lowercase();
        Node::new(NodeKind::Domain, &name, &name)
    }

    /// An IP address, in its usual way of writing.
    pub fn ip(address: &str) -> Node {
        let address = match address.parse::<std::net::IpAddr>() {
            Ok(address) => address.to_canonical().to_string(),
            Err(_) => address.to_owned(),
        };
        Node::new(NodeKind::Ip, &address, &address)
    }

    /// Its id: the same for the same kind and key, everywhere.
    pub fn id(&self) -> Uuid {
        node_id(self.kind, &self.key)
    }

    /// What it is searched by: on one line.
    pub(super) fn name(&self) -> String {
        let name = self.label.to_lowercase().replace(char::is_control, " ");
        if self.kind.is_called_by_its_last_part() {
            let last = name.trim_end_matches('/').rsplit('/').next();
            return last.unwrap_or_default().to_owned();
        }
        name
    }
}

/// Bytes of an id that are its place's.
const PLACE: usize = 3;

/// The id of a node: made of its kind and key, so that whoever has these needs no
/// look-up. First the kind; then three bytes of the place, so that what is at one place
/// is near each other in the tables too, and is written and read with few pages; then the
/// SHA-256 of kind and key. Version and variant are those of UUIDv8, which is for ids of
/// one's own making.
pub fn node_id(kind: NodeKind, key: &str) -> Uuid {
    let mut bytes = [0; 16];
    let hash = Sha256::new().chain_update([kind as u8]).chain_update(key);
    bytes[PLACE + 1..].copy_from_slice(&hash.finalize()[..15 - PLACE]);
    let place = match kind {
        NodeKind::Process | NodeKind::User | NodeKind::File => {
            let what = key.match_indices(':').nth(1);
            &key[..what.map_or(key.len(), |(end, _)| end)]
        }
        _ => key,
    };
    bytes[1..=PLACE].copy_from_slice(&Sha256::digest(place)[..PLACE]);
    bytes[0] = kind as u8;
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The kind of a node's id. Ids of findings are UUIDv7, which begin with a time: with
/// less than the kinds' numbers for centuries.
pub fn kind_of_id(id: Uuid) -> Option<NodeKind> {
    let first = id.as_bytes()[0];
    match id.get_version_num() {
        7 if first < NodeKind::Project as u8 => Some(NodeKind::Finding),
        8 => NodeKind::of_code(i64::from(first)).filter(|kind| *kind != NodeKind::Finding),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::basics::new_id;

    #[test]
    fn an_id_tells_its_kind() {
        for kind in NodeKind::ALL {
            if kind != NodeKind::Finding {
                assert_eq!(kind_of_id(node_id(kind, "x")), Some(kind));
            }
        }
        assert_eq!(kind_of_id(new_id()), Some(NodeKind::Finding));
        assert_eq!(kind_of_id(Uuid::nil()), None);
        assert_eq!(kind_of_id(Uuid::max()), None);
        // What is at one place is near.
        let on = |path| *Node::process(Place::Host("web-1"), path).id().as_bytes();
        assert_eq!(on("/a")[..4], on("/b")[..4]);
        assert_ne!(on("/a"), on("/b"));
        // Ids are stored: they stay what they are.
        assert_eq!(
            Node::host("web-1").id().to_string(),
            "16c4719a-ff25-8bf5-8047-324e8b27359c"
        );
    }

    #[test]
    fn places_do_not_mix() {
        let keys = [
            Node::process(Place::Host("a"), "/b").key,
            Node::process(Place::Container("a"), "/b").key,
            Node::process(Place::Host("a:"), "/b").key,
            Node::process(Place::Host("a%3a"), "/b").key,
        ];
        assert_eq!(keys[0], "host:a:/b");
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(keys.iter().filter(|other| *other == key).count(), 1);
            let (container, name, what) = placed(key).unwrap();
            assert_eq!((container, what), (number == 1, "/b"));
            assert_eq!(name, ["a", "a", "a:", "a%3a"][number]);
        }
    }

    #[test]
    fn names_are_what_people_type() {
        let host = Place::Host("a");
        assert_eq!(Node::process(host, "/usr/bin/Dash").name(), "dash");
        assert_eq!(Node::image("registry/shop/app:1").name(), "app:1");
        assert_eq!(Node::domain("WWW.Example.org.").key, "www.example.org");
        assert_eq!(Node::ip("::ffff:192.0.2.1").key, "192.0.2.1");
        assert_eq!(Node::user(host, "CORP/anna").name(), "corp/anna");
        assert_eq!(Node::process(host, "/tmp/a\nb").name(), "a b");
    }
}
