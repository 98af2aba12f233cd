//! Processes of test events.

use crate::suite::given::Reader;
use picket_model::Datum;
use picket_model::field::ProcessAttr;
use picket_model::process::{FileIdentity, Image, Parent, Process, ProcessKey};
use std::sync::Arc;

/// A process under construction.
#[derive(Default)]
pub(super) struct Draft {
    pid: Datum<u32>,
    image: Image,
    /// Something was said of it.
    pub(super) given: bool,
}

const NUMBER: &str = "a whole number from 0 to 4294967295";

impl Draft {
    /// Takes one attribute.
    pub(super) fn set(&mut self, attr: ProcessAttr, value: Reader<'_>) {
        use ProcessAttr as A;
        self.given = true;
        let image = &mut self.image;
        match attr {
            A::Name => image.name = value.text(),
            A::ExePath => image.path = value.text(),
            A::CmdLine => image.cmd_line = value.text(),
            A::Args => image.args = value.texts(),
            A::WorkingDirectory => image.working_directory = value.text(),
            A::Pid => self.pid = value.number(NUMBER),
            A::Uid => image.uid = value.number(NUMBER),
            A::Gid => image.gid = value.number(NUMBER),
            A::Euid => image.euid = value.number(NUMBER),
            A::Tty => image.tty = value.text(),
            A::Memfd => image.memfd = value.truth(),
            A::Deleted => image.deleted = value.truth(),
            A::UpperLayer => image.upper_layer = value.truth(),
            A::Interpreter => image.interpreter = value.text(),
            A::Script => image.script = value.text(),
            A::Sha256 => image.sha256 = value.text(),
            A::Capabilities => image.capabilities = value.capabilities(),
            A::PidNamespace => image.pid_namespace = value.number(NUMBER),
            A::MountNamespace => image.mount_namespace = value.number(NUMBER),
            A::Inode => {
                image.file =
                    value
                        .number("a whole number, not negative")
                        .map(|inode| FileIdentity {
                            inode,
                            links: 1,
                            ..FileIdentity::default()
                        });
            }
        }
    }

    /// The process, forked by `parent`.
    pub(super) fn finish(mut self, parent: Parent) -> Process {
        // As the sensor does: the command line is the arguments joined.
        if let (Datum::Absent, Datum::Known(args)) = (&self.image.cmd_line, &self.image.args) {
            self.image.cmd_line = Datum::Known(args.join(" ").into());
        }
        let pid = self.pid.known().copied().unwrap_or(0);
        Process::new(
            ProcessKey { pid, start_ns: 0 },
            Arc::new(self.image),
            parent,
        )
    }
}

/// Links ancestors, nearest first, into the chain a process hangs on.
pub(super) fn chain(ancestors: Vec<Draft>, end: Parent) -> Parent {
    ancestors.into_iter().rev().fold(end, |parent, draft| {
        Parent::Known(Arc::new(draft.finish(parent)))
    })
}
