//! Every way that is tried, one table a subject.

mod dns;
mod exec;
mod files;
mod network;

use crate::look::Look;

/// One way to bring an effect about, in spite of a rule that blocks it.
#[derive(Debug)]
pub struct Way {
    /// The heading it stands under in docs/enforcement.md.
    pub kind: &'static str,
    /// The event class whose rule is tried.
    pub class: &'static str,
    /// What it is called there.
    pub name: &'static str,
    /// The act of `picket-cause`; `{…}` are filled in by [`crate::look::Place`].
    pub act: &'static str,
    /// How the effect is seen.
    pub look: Look,
    /// In a second thread.
    pub thread: bool,
    /// io_uring's own thread submits.
    pub polled: bool,
    /// In the folder of the file or the program, which the act calls by its bare name.
    pub relative: bool,
    /// The one to be stopped is a child of the one that acts.
    pub child: bool,
    /// A step before the last is stopped already.
    pub steps: bool,
    /// A refusal is not told to the caller: what it sent just never arrives.
    pub silent: bool,
    /// It may happen in an interrupt: which of the kernel and the sensor kills then
    /// depends on whom that interrupted.
    pub interrupts: bool,
}

impl Way {
    const fn new(
        (kind, class): (&'static str, &'static str),
        name: &'static str,
        act: &'static str,
        look: Look,
    ) -> Way {
        Way {
            kind,
            class,
            name,
            act,
            look,
            thread: false,
            polled: false,
            relative: false,
            child: false,
            steps: false,
            silent: false,
            interrupts: false,
        }
    }

    const fn in_thread(mut self) -> Way {
        self.thread = true;
        self
    }

    const fn polled(mut self) -> Way {
        self.polled = true;
        self
    }

    const fn relative(mut self) -> Way {
        self.relative = true;
        self
    }

    const fn by_child(mut self) -> Way {
        self.child = true;
        self
    }

    const fn in_steps(mut self) -> Way {
        self.steps = true;
        self
    }

    const fn in_interrupts(mut self) -> Way {
        self.interrupts = true;
        self
    }

    const fn silent(mut self) -> Way {
        self.silent = true;
        self
    }
}

/// Ways that are tried under one sensor.
#[derive(Debug, Clone, Copy)]
pub enum Group {
    /// New images.
    Exec,
    /// Connections, datagrams, listening sockets, DNS questions.
    Network,
    /// Files.
    Files,
}

impl Group {
    /// All of them, in the order of the page.
    pub const ALL: [Group; 3] = [Group::Exec, Group::Network, Group::Files];

    /// Its ways, in the order of the page.
    pub fn ways(self) -> Vec<Way> {
        match self {
            Group::Exec => exec::ways(),
            Group::Network => network::ways().into_iter().chain(dns::ways()).collect(),
            Group::Files => files::ways(),
        }
    }
}
