//! The protected set in the kernel's terms: units like any rule's.

use super::ask::Ask;
use super::automaton::{Literal, Symbol};
use super::layout::{Number, Space, Text};
use super::lower::{Interner, Leaf, Tree};

/// Who may not be touched, as far as an executable tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Protection {
    /// Executables at these absolute paths on the host.
    pub paths: Vec<String>,
    /// Executables below these folders on the host; each ends in a slash.
    pub folders: Vec<String>,
    /// Processes of these names, wherever their file is.
    pub names: Vec<String>,
    /// Container runtimes at these absolute paths on the host: they execute
    /// `copies` of themselves from memory.
    pub runtimes: Vec<String>,
    /// What the path of such a copy is.
    pub copies: Vec<String>,
    /// Inode number of the host's mount namespace, in which a path is the host's.
    pub mount_namespace: Option<u32>,
    /// Device and inode of the host's own files among `paths`: in another mount
    /// namespace the file must be one of them. (`s_dev` as the kernel has it.)
    pub identities: Vec<(u32, u64)>,
}

impl Protection {
    /// The units that tell it, by `enum picket_protects`.
    pub(super) fn units(&self, interner: &mut Interner) -> [Option<usize>; 4] {
        let literals = |text, texts: &[String], end: bool| -> Option<Ask> {
            let literals: Vec<Literal> = texts
                .iter()
                .map(|own| {
                    let bytes = own.bytes().map(Symbol::Byte);
                    let begin = std::iter::once(Symbol::Anchor);
                    begin
                        .chain(bytes)
                        .chain(end.then_some(Symbol::Anchor))
                        .collect()
                })
                .collect();
            (!literals.is_empty()).then_some(Ask::Literals {
                text,
                folded: false,
                literals,
            })
        };
        let files = [
            literals(Text::Path, &self.paths, true),
            literals(Text::Path, &self.folders, false),
        ];
        let names = [literals(Text::Name, &self.names, true), None];
        let runtimes = [literals(Text::Path, &self.runtimes, true), None];
        let copies = [literals(Text::Path, &self.copies, true), None];
        let hosts = self.is_hosts(interner);
        let mut unit = |asks: [Option<Ask>; 2], where_is: Option<&Tree>| {
            let any: Vec<Tree> = asks
                .into_iter()
                .flatten()
                .map(|ask| leaf(interner, ask))
                .collect();
            if any.is_empty() {
                return None;
            }
            let mut parts = vec![Tree::Any(any)];
            parts.extend(where_is.cloned());
            Some(interner.unit(Tree::All(parts), true))
        };
        [
            unit(files, Some(&hosts)),
            unit(names, None),
            unit(runtimes, Some(&hosts)),
            unit(copies, None),
        ]
    }

    /// The host's own file: `unshare -m` and a bind mount put any file at any path.
    fn is_hosts(&self, interner: &mut Interner) -> Tree {
        let mut any = Vec::new();
        if let Some(namespace) = self.mount_namespace {
            let namespace = u64::from(namespace);
            let ask = Ask::Number(Number::MountNamespace, vec![namespace..=namespace]);
            any.push(leaf(interner, ask));
        }
        let identities: Vec<_> = self
            .identities
            .iter()
            .filter(|(_, inode)| *inode <= u64::from(u32::MAX))
            .map(|(device, inode)| {
                let file = u64::from(*device) << 32 | inode;
                file..=file
            })
            .collect();
        if !identities.is_empty() {
            any.push(leaf(interner, Ask::Number(Number::File, identities)));
        }
        match any.is_empty() {
            true => Tree::Constant(false),
            false => Tree::Any(any),
        }
    }
}

fn leaf(interner: &mut Interner, ask: Ask) -> Tree {
    Tree::Leaf(Leaf {
        space: Space::Atom,
        index: interner.atom(ask),
        negated: false,
    })
}
