//! The tables' layout, as crates/probe/bpf/tables.h has it.
//!
//! A test of the probe compares every structure and enumerator here with the BTF
//! of the compiled programs, so the two cannot drift.

use picket_model::EventClass;

/// Bytes of one block of tables.
pub const TABLE_BYTES: usize = 4 << 20;
/// Literals, atoms, regexes, units, rules and policies that one block may hold.
pub const LITERALS: usize = 4096;
/// See [`LITERALS`].
pub const ATOMS: usize = 4096;
/// See [`LITERALS`].
pub const REGEXES: usize = 512;
/// See [`LITERALS`].
pub const UNITS: usize = 2048;
/// Units that are kept with each process.
pub const KEPT_UNITS: usize = 1024;
/// See [`LITERALS`].
pub const RULES: usize = 1024;
/// See [`LITERALS`].
pub const POLICIES: usize = 64;
/// Budgets: twice as many as policies, so that new ones can come while the old
/// are still charged.
pub const BUDGETS: usize = 128;
/// Actions that a budget in the kernel can count.
pub const BUDGET_ACTIONS: usize = picket_model::policy::Budget::MOST_ACTIONS as usize;
/// `PICKET_LIST_REGEX`.
pub(super) const LIST_REGEX: u16 = 0x8000;
/// `PICKET_LEAF_NOT`.
pub(super) const LEAF_NOT: u16 = 8;
/// `PICKET_STEP_TRUE`.
pub(super) const STEP_TRUE: u16 = 0xffff;
/// `PICKET_STEP_FALSE`.
pub(super) const STEP_FALSE: u16 = 0xfffe;

/// Values that are written into a block.
pub(super) trait Put: Copy {
    /// Its size, and what its place must be a multiple of.
    const SIZE: usize;

    /// Appends its bytes.
    fn put(&self, out: &mut Vec<u8>);
}

macro_rules! put_integers {
    ($($type:ty)*) => {$(
        impl Put for $type {
            const SIZE: usize = size_of::<$type>();

            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}

put_integers!(u8 u16 u32 u64);

impl<T: Put, const N: usize> Put for [T; N] {
    const SIZE: usize = N * T::SIZE;

    fn put(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.put(out));
    }
}

/// One structure's name in C, its size, and its fields with their offsets.
pub type Layout = (&'static str, usize, Vec<(&'static str, usize)>);

macro_rules! layout {
    ($($(#[$doc:meta])* $name:ident = $c:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub(super) struct $name {
                $($(#[$field_doc])* pub $field: $type,)*
            }

            impl Put for $name {
                const SIZE: usize = 0 $(+ <$type as Put>::SIZE)*;

                fn put(&self, out: &mut Vec<u8>) {
                    $(self.$field.put(out);)*
                }
            }

            impl $name {
                fn layout() -> Layout {
                    let mut fields = Vec::new();
                    let mut at = 0;
                    $(
                        fields.push((stringify!($field), at));
                        at += <$type as Put>::SIZE;
                    )*
                    ($c, at, fields)
                }
            }
        )*

        /// Every structure, to be compared with the programs' own.
        pub fn layouts() -> Vec<Layout> {
            vec![$($name::layout(),)*]
        }
    };
}

/// The block begins with its version, of so many bytes.
pub(super) const VERSION_BYTES: usize = size_of::<u32>();

layout! {
    Step = "picket_step" {
        leaf: u16,
        index: u16,
        yes: u16,
        no: u16,
    }
    Program = "picket_program" {
        code: u32,
        kinds: u32,
        policies: u64,
    }
    List = "picket_list" {
        at: u32,
        len: u32,
    }
    Automaton = "picket_automaton" {
        classes: u32,
        rows: u32,
        accepts: u32,
        start: u16,
        accepting: u16,
        shift: u16,
        anchor: u16,
    }
    TextTable = "picket_text_table" {
        exact: Automaton,
        folded: Automaton,
        regexes: List,
        always: List,
        exists: u32,
        reserved: u32,
    }
    NumberTable = "picket_number_table" {
        bounds: u32,
        count: u32,
        lists: u32,
        exists: u32,
    }
    Mask = "picket_mask" {
        any: u64,
        atom: u32,
        reserved: u32,
    }
    Regex = "picket_regex" {
        automaton: Automaton,
        reserved: u32,
        atoms: List,
    }
    Tables = "picket_tables" {
        version: u32,
        used: u32,
        texts: [TextTable; TEXTS],
        numbers: [NumberTable; NUMBERS],
        addresses: [NumberTable; ADDRESSES],
        utf8: Automaton,
        atom_sources: u32,
        atom_lists: u32,
        literal_lists: u32,
        source_lists: u32,
        unit_lists: [u32; SPACES],
        space_lists: u32,
        regexes: u32,
        programs: u32,
        units: u32,
        rules: u32,
        kinds: u32,
        masks: u32,
        mask_count: u32,
        protected_units: [u32; 4],
        always_unit_words: u64,
        always_rule_words: u64,
        always_units: [u64; UNITS / 64],
        absent_units: [u64; UNITS / 64],
        always_rules: [u64; RULES / 64],
    }
}

/// One enumeration's name in C, and its enumerators with their values.
pub type Enumerators = (&'static str, Vec<(&'static str, u32)>);

macro_rules! enumerations {
    ($($(#[$doc:meta])* $name:ident = $c:literal { $($variant:ident = $c_variant:literal,)* } $end:literal)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
            #[repr(u8)]
            pub(super) enum $name { $($variant,)* }

            impl $name {
                #[allow(dead_code)] // not every enumeration is walked through
                pub const ALL: &'static [$name] = &[$($name::$variant,)*];
            }
        )*

        /// Every enumeration, to be compared with the programs' own.
        pub fn enumerators() -> Vec<Enumerators> {
            vec![$((
                $c,
                [$($c_variant,)* $end].into_iter().zip(0..).collect(),
            ),)*]
        }
    };
}

enumerations! {
    /// Texts that automata run over.
    Text = "picket_source_text" {
        Name = "PICKET_TEXT_NAME",
        Path = "PICKET_TEXT_PATH",
        CmdLine = "PICKET_TEXT_CMD_LINE",
        Args = "PICKET_TEXT_ARGS",
        WorkingDirectory = "PICKET_TEXT_CWD",
        Tty = "PICKET_TEXT_TTY",
        Interpreter = "PICKET_TEXT_INTERPRETER",
        Script = "PICKET_TEXT_SCRIPT",
        Query = "PICKET_TEXT_QUERY",
        File = "PICKET_TEXT_FILE",
        FileName = "PICKET_TEXT_FILE_NAME",
        FileFolder = "PICKET_TEXT_FILE_FOLDER",
        RenameFrom = "PICKET_TEXT_RENAME_FROM",
    } "PICKET_SOURCE_TEXTS"
    /// Numbers that are looked up among intervals.
    Number = "picket_source_number" {
        Pid = "PICKET_NUMBER_PID",
        Uid = "PICKET_NUMBER_UID",
        Gid = "PICKET_NUMBER_GID",
        Euid = "PICKET_NUMBER_EUID",
        Memfd = "PICKET_NUMBER_MEMFD",
        Deleted = "PICKET_NUMBER_DELETED",
        UpperLayer = "PICKET_NUMBER_UPPER_LAYER",
        PidNamespace = "PICKET_NUMBER_PID_NAMESPACE",
        MountNamespace = "PICKET_NUMBER_MOUNT_NAMESPACE",
        Inode = "PICKET_NUMBER_INODE",
        File = "PICKET_NUMBER_FILE",
        Capabilities = "PICKET_NUMBER_CAPABILITIES",
        User = "PICKET_NUMBER_USER",
        Auid = "PICKET_NUMBER_AUID",
        DstIp4 = "PICKET_NUMBER_DST_IP4",
        DstPort = "PICKET_NUMBER_DST_PORT",
        SrcIp4 = "PICKET_NUMBER_SRC_IP4",
        SrcPort = "PICKET_NUMBER_SRC_PORT",
        Protocol = "PICKET_NUMBER_PROTOCOL",
        QueryType = "PICKET_NUMBER_QUERY_TYPE",
        OpenRead = "PICKET_NUMBER_OPEN_READ",
        OpenWrite = "PICKET_NUMBER_OPEN_WRITE",
        OpenCreate = "PICKET_NUMBER_OPEN_CREATE",
        Mode = "PICKET_NUMBER_MODE",
        Status = "PICKET_NUMBER_STATUS",
    } "PICKET_SOURCE_NUMBERS"
    /// Addresses of IPv6.
    Address = "picket_source_address" {
        Dst = "PICKET_ADDRESS_DST",
        Src = "PICKET_ADDRESS_SRC",
    } "PICKET_SOURCE_ADDRESSES"
    /// Whose bits a leaf reads.
    Space = "picket_space" {
        Atom = "PICKET_SPACE_ATOM",
        Process = "PICKET_SPACE_PROCESS",
        Actor = "PICKET_SPACE_ACTOR",
        Parent = "PICKET_SPACE_PARENT",
        Line = "PICKET_SPACE_LINE",
    } "PICKET_SPACES"
}

pub(super) const TEXTS: usize = Text::ALL.len();
pub(super) const NUMBERS: usize = Number::ALL.len();
pub(super) const ADDRESSES: usize = Address::ALL.len();
pub(super) const SPACES: usize = Space::ALL.len();
/// `PICKET_SOURCE_NEVER`.
pub(super) const SOURCE_NEVER: usize = 3 * TEXTS + NUMBERS;
/// `PICKET_SOURCES`.
pub(super) const SOURCES: usize = SOURCE_NEVER + 1;

/// `enum picket_kind` of the record that an event of the class arrives in.
pub const fn kind(class: EventClass) -> u32 {
    match class {
        EventClass::ProcessExec => 2,
        EventClass::NetworkConnect => 5,
        EventClass::NetworkListen => 7,
        EventClass::DnsQuery => 8,
        EventClass::FileOpen => 10,
        EventClass::FileCreate => 11,
        EventClass::FileRename => 12,
        EventClass::FileDelete => 13,
        EventClass::FileChmod => 14,
    }
}
