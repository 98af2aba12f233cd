//! The records' layout, as bpf/wire.h has it.
//!
//! A test compares every structure and enumerator with the BTF of the compiled
//! object, so the two cannot drift.

#[cfg(target_endian = "big")]
compile_error!("records are little-endian and are read in place");

use picket_engine::kernel::layout;
use std::mem::size_of;

/// A structure of integers without holes: any bytes are a value of it, and all
/// of a value's bytes are set.
///
/// # Safety
/// The implementor is `repr(C)`, has no padding, and any bit pattern is valid.
pub(crate) unsafe trait Wire: Copy {
    /// The structure's name in C.
    #[cfg_attr(not(test), allow(dead_code))]
    const NAME: &'static str;
    /// Its fields' names in C and their offsets.
    #[cfg_attr(not(test), allow(dead_code))]
    const FIELDS: &'static [(&'static str, usize)];

    /// The value at the beginning of `bytes`, if they are long enough.
    fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < size_of::<Self>() {
            return None;
        }
        // SAFETY: the length was checked, alignment is not asked for, and any
        // bit pattern is a value of `Self`.
        Some(unsafe { bytes.as_ptr().cast::<Self>().read_unaligned() })
    }

    /// The value's bytes.
    fn bytes(&self) -> &[u8] {
        // SAFETY: `self` is valid for its size, has no padding and so no
        // byte that is not set; the slice borrows it.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), size_of::<Self>()) }
    }
}

macro_rules! wire {
    ($($(#[$doc:meta])* $name:ident = $c:literal { $($field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            #[repr(C)]
            pub(crate) struct $name {
                $(pub(crate) $field: $type,)*
            }

            const _: () = assert!(size_of::<$name>() == 0 $(+ size_of::<$type>())*, "a hole");

            // SAFETY: repr(C), no holes by the assertion above, and made of
            // integers, arrays of them and other such structures.
            unsafe impl Wire for $name {
                const NAME: &'static str = $c;
                const FIELDS: &'static [(&'static str, usize)] =
                    &[$((stringify!($field), std::mem::offset_of!($name, $field)),)*];
            }
        )*

        #[cfg(test)]
        pub(crate) fn layouts() -> Vec<(&'static str, usize, &'static [(&'static str, usize)])> {
            vec![$(($name::NAME, size_of::<$name>(), $name::FIELDS),)*]
        }
    };
}

wire! {
    /// The acting process and thread.
    Task = "picket_task" {
        start_ns: u64,
        parent_start_ns: u64,
        cgroup_id: u64,
        pid: u32,
        tid: u32,
        ppid: u32,
        uid: u32,
        gid: u32,
        euid: u32,
        auid: u32,
        session: u32,
        pid_namespace: u32,
        mount_namespace: u32,
        comm: [u8; 16],
    }
    /// The beginning of every record.
    Head = "picket_record" {
        version: u16,
        kind: u8,
        flags: u8,
        size: u32,
        boot_ns: u64,
        task: Task,
    }
    Fork = "picket_fork" {
        head: Head,
        child_start_ns: u64,
        child_pid: u32,
        reserved: u32,
    }
    Exit = "picket_exit" {
        head: Head,
        code: i32,
        reserved: u32,
    }
    /// One text of a record's tail.
    Text = "picket_text" {
        len: u16,
        known: u8,
        reserved: u8,
    }
    /// What the kernel decided about an event.
    Verdict = "picket_verdict" {
        tables: u32,
        matched: u16,
        undecided: u16,
        rules: [u16; VERDICT_RULES],
        triggered: u64,
        over_budget: u64,
        tripped: u64,
        disarmed: u64,
        simulated: u64,
        acted: u64,
        deniable: u64,
        spared: u8,
        done: u8,
        kills_here: u8,
        reserved: u8,
        took_ns: u32,
    }
    Exec = "picket_exec" {
        head: Head,
        inode: u64,
        mtime_ns: u64,
        capabilities: u64,
        device: u32,
        links: u32,
        flags: u32,
        reserved: u32,
        verdict: Verdict,
        texts: [Text; EXEC_TEXTS],
        more_reserved: u32,
    }
    Address = "picket_address" {
        ip: [u8; 16],
        port: u16,
        family: u16,
    }
    Connect = "picket_connect" {
        head: Head,
        cookie: u64,
        remote: Address,
        local: Address,
        error: i32,
        protocol: u16,
        error_known: u8,
        reserved: u8,
        verdict: Verdict,
    }
    ConnectOutcome = "picket_connect_outcome" {
        head: Head,
        cookie: u64,
        error: i32,
        reserved: u32,
    }
    Listen = "picket_listen" {
        head: Head,
        local: Address,
        protocol: u16,
        reserved: u16,
        verdict: Verdict,
    }
    Dns = "picket_dns" {
        head: Head,
        remote: Address,
        protocol: u16,
        reserved: u16,
        message_len: u32,
        payload_len: u32,
        verdict: Verdict,
    }
    /// What is kept of a process.
    State = "process_state" {
        serial: u64,
        start_ns: u64,
        own_true: [u64; KEPT_WORDS],
        own_maybe: [u64; KEPT_WORDS],
        line_true: [u64; KEPT_WORDS],
        line_maybe: [u64; KEPT_WORDS],
        ghost: u64,
        flags: u32,
        own_words: u16,
        line_words: u16,
    }
    /// The key of that.
    StateKey = "state_key" {
        pid: u32,
        half: u32,
    }
    /// A response policy in force.
    Policy = "picket_policy" {
        effects: u32,
        blocks: u32,
        actions: u32,
        window_ms: u32,
        pause_ms: u32,
        budget: u32,
        id: [u8; POLICY_ID],
    }
    /// What a policy has used of its budget.
    Budget = "picket_budget" {
        next: u64,
        tripped_ms: u64,
        owner: u64,
        used_ms: [u64; layout::BUDGET_ACTIONS],
    }
    /// A record to be judged without an event.
    Trial = "trial" {
        half: u32,
        size: u32,
        certain: [u64; RULE_WORDS],
        maybe: [u64; RULE_WORDS],
        record: [u8; TRIAL_ROOM],
    }
    File = "picket_file" {
        head: Head,
        error: i32,
        mode: u32,
        error_known: u8,
        open: u8,
        reserved: u16,
        more_reserved: u32,
        verdict: Verdict,
        texts: [Text; FILE_TEXTS],
    }
}

macro_rules! constants {
    ($($(#[$doc:meta])* $enum:literal { $($name:ident = $c:literal = $value:literal,)* })*) => {
        $($(#[allow(dead_code)] // Complete for the layout test.
        pub(crate) const $name: u32 = $value;)*)*

        #[cfg(test)]
        pub(crate) fn enumerators() -> Vec<(&'static str, Vec<(&'static str, u32)>)> {
            vec![$(($enum, vec![$(($c, $value),)*]),)*]
        }
    };
}

constants! {
    "picket_kind" {
        FORK = "PICKET_FORK" = 1,
        EXEC = "PICKET_EXEC" = 2,
        RUNNING = "PICKET_RUNNING" = 3,
        EXIT = "PICKET_EXIT" = 4,
        CONNECT = "PICKET_CONNECT" = 5,
        CONNECT_OUTCOME = "PICKET_CONNECT_OUTCOME" = 6,
        LISTEN = "PICKET_LISTEN" = 7,
        DNS_QUERY = "PICKET_DNS_QUERY" = 8,
        DNS_ANSWER = "PICKET_DNS_ANSWER" = 9,
        FILE_OPEN = "PICKET_FILE_OPEN" = 10,
        FILE_CREATE = "PICKET_FILE_CREATE" = 11,
        FILE_RENAME = "PICKET_FILE_RENAME" = 12,
        FILE_DELETE = "PICKET_FILE_DELETE" = 13,
        FILE_CHMOD = "PICKET_FILE_CHMOD" = 14,
        KINDS = "PICKET_KINDS" = 15,
    }
    "picket_record_flag" {
        IN_SCOPE = "PICKET_IN_SCOPE" = 1,
    }
    "picket_known" {
        ABSENT = "PICKET_ABSENT" = 0,
        UNKNOWN = "PICKET_UNKNOWN" = 1,
        TRUNCATED = "PICKET_TRUNCATED" = 2,
        KNOWN = "PICKET_KNOWN" = 3,
    }
    "picket_exec_text" {
        EXEC_PATH = "PICKET_EXEC_PATH" = 0,
        EXEC_FILENAME = "PICKET_EXEC_FILENAME" = 1,
        EXEC_INTERPRETER = "PICKET_EXEC_INTERPRETER" = 2,
        EXEC_CWD = "PICKET_EXEC_CWD" = 3,
        EXEC_TTY = "PICKET_EXEC_TTY" = 4,
        EXEC_CGROUP = "PICKET_EXEC_CGROUP" = 5,
        EXEC_ARGS = "PICKET_EXEC_ARGS" = 6,
        EXEC_TEXTS_U32 = "PICKET_EXEC_TEXTS" = 7,
    }
    "picket_exec_flag" {
        EXEC_DELETED = "PICKET_EXEC_DELETED" = 1,
        EXEC_UPPER_LAYER = "PICKET_EXEC_UPPER_LAYER" = 2,
        EXEC_REFUSED = "PICKET_EXEC_REFUSED" = 4,
    }
    "picket_file_text" {
        FILE_DIR = "PICKET_FILE_DIR" = 0,
        FILE_PATH = "PICKET_FILE_PATH" = 1,
        FILE_FROM_DIR = "PICKET_FILE_FROM_DIR" = 2,
        FILE_FROM = "PICKET_FILE_FROM" = 3,
        FILE_TEXTS_U32 = "PICKET_FILE_TEXTS" = 4,
    }
    "picket_open_flag" {
        OPEN_READ = "PICKET_OPEN_READ" = 1,
        OPEN_WRITE = "PICKET_OPEN_WRITE" = 2,
        OPEN_CREATE = "PICKET_OPEN_CREATE" = 4,
        OPEN_UNTOLD = "PICKET_OPEN_UNTOLD" = 8,
    }
    "picket_spared" {
        NOT_SPARED = "PICKET_NOT_SPARED" = 0,
        SPARED_PROTECTED = "PICKET_SPARED_PROTECTED" = 1,
        SPARED_OUT_OF_SCOPE = "PICKET_SPARED_OUT_OF_SCOPE" = 2,
        SPARED_UNKNOWN = "PICKET_SPARED_UNKNOWN" = 3,
        SPARED_KERNEL = "PICKET_SPARED_KERNEL" = 4,
    }
    "picket_done" {
        DONE_DENIED = "PICKET_DONE_DENIED" = 1,
        DONE_KILLED = "PICKET_DONE_KILLED" = 2,
        DONE_KILL_FAILED = "PICKET_DONE_KILL_FAILED" = 4,
        DONE_KILL_WANTED = "PICKET_DONE_KILL_WANTED" = 8,
    }
    "process_flag" {
        PROCESS_PROTECTED = "PROCESS_PROTECTED" = 1,
        PROCESS_PROTECTION_UNKNOWN = "PROCESS_PROTECTION_UNKNOWN" = 2,
        PROCESS_RUNTIME = "PROCESS_RUNTIME" = 4,
    }
    "picket_effect" {
        EFFECT_KILL = "PICKET_EFFECT_KILL" = 1,
        EFFECT_DENY = "PICKET_EFFECT_DENY" = 2,
    }
    "picket_setting" {
        SET_SELF = "PICKET_SET_SELF" = 0,
        SET_URGENT = "PICKET_SET_URGENT" = 1,
        SET_WAKE_INTERVAL_NS = "PICKET_SET_WAKE_INTERVAL_NS" = 2,
        SET_UDP_REPEAT_NS = "PICKET_SET_UDP_REPEAT_NS" = 3,
        SET_CONNECT_STATUS = "PICKET_SET_CONNECT_STATUS" = 4,
        SET_CLASSES = "PICKET_SET_CLASSES" = 5,
        SET_SCOPE = "PICKET_SET_SCOPE" = 6,
        SET_SCOPE_ID_0 = "PICKET_SET_SCOPE_ID_0" = 7,
        SET_SCOPE_LEVEL_0 = "PICKET_SET_SCOPE_LEVEL_0" = 8,
        SET_SCOPE_ID_1 = "PICKET_SET_SCOPE_ID_1" = 9,
        SET_SCOPE_LEVEL_1 = "PICKET_SET_SCOPE_LEVEL_1" = 10,
        SET_LSM_SEEN = "PICKET_SET_LSM_SEEN" = 11,
        SET_TABLES = "PICKET_SET_TABLES" = 12,
        SET_NEXT_TABLES = "PICKET_SET_NEXT_TABLES" = 13,
        SET_DISARMED = "PICKET_SET_DISARMED" = 14,
        SET_EXIT_HOOKS = "PICKET_SET_EXIT_HOOKS" = 15,
        SET_LSM = "PICKET_SET_LSM" = 16,
        SETTINGS = "PICKET_SETTINGS" = 17,
    }
    "picket_place" {
        AT_SCRATCH = "PICKET_AT_SCRATCH" = 0,
        AT_ARGS = "PICKET_AT_ARGS" = 1,
        AT_PATH = "PICKET_AT_PATH" = 2,
        AT_CGROUP = "PICKET_AT_CGROUP" = 3,
        AT_TEXT = "PICKET_AT_TEXT" = 4,
        AT_USER_PATH = "PICKET_AT_USER_PATH" = 5,
        AT_FD = "PICKET_AT_FD" = 6,
        AT_STORAGE = "PICKET_AT_STORAGE" = 7,
        AT_UDP_SEEN = "PICKET_AT_UDP_SEEN" = 8,
        AT_PENDING = "PICKET_AT_PENDING" = 9,
        AT_PACKET = "PICKET_AT_PACKET" = 10,
        AT_DNS_PIPELINE = "PICKET_AT_DNS_PIPELINE" = 11,
        AT_DNS_SPLIT = "PICKET_AT_DNS_SPLIT" = 12,
        AT_JUDGE = "PICKET_AT_JUDGE" = 13,
        AT_STATE = "PICKET_AT_STATE" = 14,
        PLACES = "PICKET_PLACES" = 15,
    }
}

/// Texts of an exec record.
pub(crate) const EXEC_TEXTS: usize = EXEC_TEXTS_U32 as usize;
/// Texts of a file record.
pub(crate) const FILE_TEXTS: usize = FILE_TEXTS_U32 as usize;

/// Words of the units kept with a process.
pub(crate) const KEPT_WORDS: usize = layout::KEPT_UNITS / 64;
/// Words of a set of rules.
pub(crate) const RULE_WORDS: usize = layout::RULES / 64;
/// The beginning of a policy's id, in its entry.
pub(crate) const POLICY_ID: usize = 40;
/// The longest record that can be tried.
pub(crate) const TRIAL_ROOM: usize = size_of::<Exec>() + 6 * TEXT_MAX;
/// `PICKET_TEXT_MAX`.
pub(crate) const TEXT_MAX: usize = 4096;
/// `PICKET_VERDICT_RULES`.
pub(crate) const VERDICT_RULES: usize = 8;

/// `PICKET_WIRE_VERSION`.
pub(crate) const VERSION: u16 = 2;

/// The kinds' names, for counters and errors; by `enum picket_kind`.
pub(crate) const KIND_NAMES: [&str; KINDS as usize] = [
    "unknown",
    "process.fork",
    "process.exec",
    "process already running",
    "process.exit",
    "network.connect",
    "network.connect outcome",
    "network.listen",
    "dns.query",
    "dns answer",
    "file.open",
    "file.create",
    "file.rename",
    "file.delete",
    "file.chmod",
];

/// The places' names, by `enum picket_place`.
pub(crate) const PLACE_NAMES: [&str; PLACES as usize] = [
    "no scratch area",
    "arguments not readable",
    "path not resolved",
    "cgroup path not resolved",
    "kernel text not readable",
    "path argument not readable",
    "descriptor not resolved",
    "socket storage refused",
    "UDP destination not remembered",
    "connect not remembered",
    "packet not readable",
    "too many DNS questions in one segment",
    "DNS answer split over segments",
    "no room to judge an event in the kernel",
    "nothing kept of an acting process",
];

#[cfg(test)]
mod tests {
    use super::*;
    use libbpf_rs::HasSize;
    use libbpf_rs::btf::Btf;
    use libbpf_rs::btf::types::{Enum, MemberAttr, Struct};

    #[test]
    fn the_layout_is_the_object_s() {
        let btf = Btf::from_raw("picket", crate::load::OBJECT)
            .expect("BTF")
            .expect("BTF");
        let kernel_half = layout::layouts();
        let kernel_half = kernel_half
            .iter()
            .map(|(name, size, fields)| (*name, *size, fields.as_slice()));
        for (name, size, fields) in layouts().into_iter().chain(kernel_half) {
            let c: Struct<'_> = btf
                .type_by_name(name)
                .unwrap_or_else(|| panic!("no struct {name}"));
            assert_eq!(c.size(), size, "{name}");
            let members: Vec<(String, usize)> = c
                .iter()
                .map(|member| {
                    let MemberAttr::Normal { offset } = member.attr else {
                        panic!("a bit field in {name}")
                    };
                    (
                        member
                            .name
                            .unwrap_or_default()
                            .to_string_lossy()
                            .into_owned(),
                        offset as usize / 8,
                    )
                })
                .collect();
            let ours: Vec<(String, usize)> = fields
                .iter()
                .map(|(field, offset)| (field.to_string(), *offset))
                .collect();
            assert_eq!(members, ours, "{name}");
        }
    }

    #[test]
    fn the_constants_are_the_object_s() {
        let btf = Btf::from_raw("picket", crate::load::OBJECT)
            .expect("BTF")
            .expect("BTF");
        for (name, values) in enumerators().into_iter().chain(layout::enumerators()) {
            let c: Enum<'_> = btf
                .type_by_name(name)
                .unwrap_or_else(|| panic!("no enum {name}"));
            let members: Vec<(String, i64)> = c
                .iter()
                .map(|member| {
                    (
                        member
                            .name
                            .unwrap_or_default()
                            .to_string_lossy()
                            .into_owned(),
                        member.value,
                    )
                })
                .collect();
            let ours: Vec<(String, i64)> = values
                .iter()
                .map(|(name, value)| (name.to_string(), i64::from(*value)))
                .collect();
            assert_eq!(members, ours, "{name}");
        }
    }
}
