// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// The records as they lie in the ring buffer and in recordings: little-endian,
// no pointers, nothing that needs this host to be understood.
//
// A test compares every structure and enumerator here, by way of the object's
// BTF, with src/wire.rs.
#pragma once

// Raised when a structure below changes its meaning.
#define PICKET_WIRE_VERSION 2

// PATH_MAX: no text of a record is longer.
#define PICKET_TEXT_MAX 4096

// A DNS question fits in this (header, 255 bytes of name, type, class), with room for EDNS.
#define PICKET_DNS_SHORT 512
// The largest answer that EDNS clients commonly accept.
#define PICKET_DNS_LONG 4096

enum picket_kind {
	PICKET_FORK = 1,
	PICKET_EXEC,
	PICKET_RUNNING,
	PICKET_EXIT,
	PICKET_CONNECT,
	PICKET_CONNECT_OUTCOME,
	PICKET_LISTEN,
	PICKET_DNS_QUERY,
	PICKET_DNS_ANSWER,
	PICKET_FILE_OPEN,
	PICKET_FILE_CREATE,
	PICKET_FILE_RENAME,
	PICKET_FILE_DELETE,
	PICKET_FILE_CHMOD,
	PICKET_KINDS,
};

// Bits of picket_record.flags.
enum picket_record_flag {
	PICKET_IN_SCOPE = 1,
};

// The acting process and thread.
struct picket_task {
	__u64 start_ns;
	__u64 parent_start_ns;
	__u64 cgroup_id;
	__u32 pid;
	__u32 tid;
	__u32 ppid;
	__u32 uid;
	__u32 gid;
	__u32 euid;
	__u32 auid;
	__u32 session;
	__u32 pid_namespace;
	__u32 mount_namespace;
	char comm[16];
};

// The beginning of every record.
struct picket_record {
	__u16 version;
	__u8 kind;
	__u8 flags;
	__u32 size; // of the whole record
	__u64 boot_ns;
	struct picket_task task;
};

// Rules named in a verdict; a power of two.
#define PICKET_VERDICT_RULES 8

// Why no policy may act on a process, whatever matched.
enum picket_spared {
	PICKET_NOT_SPARED,
	PICKET_SPARED_PROTECTED,
	PICKET_SPARED_OUT_OF_SCOPE,
	PICKET_SPARED_UNKNOWN, // user space must look
	PICKET_SPARED_KERNEL, // no process of user space
};

// Bits of picket_verdict.done.
enum picket_done {
	PICKET_DONE_DENIED = 1, // the operation was refused
	PICKET_DONE_KILLED = 2, // SIGKILL was sent
	PICKET_DONE_KILL_FAILED = 4,
	PICKET_DONE_KILL_WANTED = 8, // this hook cannot: user space must
};

// What the kernel decided about an event. A policy's bit stands in exactly one
// of the sets if it was decided here.
struct picket_verdict {
	__u32 tables; // version of the tables it was judged by; 0: it was not judged
	__u16 matched; // rules that hold for certain
	__u16 undecided; // rules that may hold
	__u16 rules[PICKET_VERDICT_RULES]; // the first of those that hold
	__u64 triggered; // by them: a bit per policy
	__u64 over_budget;
	__u64 tripped; // those of over_budget whose budget ended with this event
	__u64 disarmed;
	__u64 simulated;
	__u64 acted;
	__u64 deniable; // those decided where the operation can be refused
	__u8 spared; // enum picket_spared
	__u8 done; // enum picket_done
	__u8 kills_here; // not 0: the hook itself ends the process
	__u8 reserved;
	__u32 took_ns; // from the head's time to the decision
};

struct picket_fork {
	struct picket_record head;
	__u64 child_start_ns;
	__u32 child_pid;
	__u32 reserved;
};

struct picket_exit {
	struct picket_record head;
	__s32 code;
	__u32 reserved;
};

// How much of a value is known; Datum in the model.
enum picket_known {
	PICKET_ABSENT = 0,
	PICKET_UNKNOWN = 1,
	PICKET_TRUNCATED = 2,
	PICKET_KNOWN = 3,
};

// One text of a record's tail. The texts lie there one after the other, in the
// order of their enumerators, without terminators.
struct picket_text {
	__u16 len;
	__u8 known; // enum picket_known
	__u8 reserved;
};

enum picket_exec_text {
	PICKET_EXEC_PATH,
	PICKET_EXEC_FILENAME,
	PICKET_EXEC_INTERPRETER,
	PICKET_EXEC_CWD,
	PICKET_EXEC_TTY,
	PICKET_EXEC_CGROUP,
	PICKET_EXEC_ARGS, // each ends in a NUL
	PICKET_EXEC_TEXTS,
};

// Bits of picket_exec.flags.
enum picket_exec_flag {
	PICKET_EXEC_DELETED = 1,
	PICKET_EXEC_UPPER_LAYER = 2,
	PICKET_EXEC_REFUSED = 4, // it was not put in place
};

struct picket_exec {
	struct picket_record head;
	__u64 inode;
	__u64 mtime_ns;
	__u64 capabilities;
	__u32 device;
	__u32 links;
	__u32 flags;
	__u32 reserved;
	struct picket_verdict verdict;
	struct picket_text texts[PICKET_EXEC_TEXTS];
	__u32 more_reserved;
};

// An address as the socket has it: IPv4 in the first four bytes, or IPv6.
struct picket_address {
	__u8 ip[16];
	__u16 port; // host order
	__u16 family; // 4, 6, or 0: none
};

struct picket_connect {
	struct picket_record head;
	__u64 cookie;
	struct picket_address remote;
	struct picket_address local;
	__s32 error;
	__u16 protocol; // IPPROTO_TCP or IPPROTO_UDP
	__u8 error_known; // enum picket_known
	__u8 reserved;
	struct picket_verdict verdict;
};

struct picket_connect_outcome {
	struct picket_record head;
	__u64 cookie;
	__s32 error;
	__u32 reserved;
};

struct picket_listen {
	struct picket_record head;
	struct picket_address local;
	__u16 protocol;
	__u16 reserved;
	struct picket_verdict verdict;
};

struct picket_dns {
	struct picket_record head;
	struct picket_address remote;
	__u16 protocol;
	__u16 reserved;
	__u32 message_len; // of the message on the wire
	__u32 payload_len; // how much of it follows
	struct picket_verdict verdict;
};

enum picket_file_text {
	PICKET_FILE_DIR, // absent where PATH is absolute
	PICKET_FILE_PATH,
	PICKET_FILE_FROM_DIR,
	PICKET_FILE_FROM,
	PICKET_FILE_TEXTS,
};

// Bits of picket_file.open.
enum picket_open_flag {
	PICKET_OPEN_READ = 1,
	PICKET_OPEN_WRITE = 2,
	PICKET_OPEN_CREATE = 4,
	PICKET_OPEN_UNTOLD = 8, // none of these is known: a security hook is not told
};

struct picket_file {
	struct picket_record head;
	__s32 error;
	__u32 mode;
	__u8 error_known; // enum picket_known
	__u8 open;
	__u16 reserved;
	__u32 more_reserved;
	struct picket_verdict verdict;
	struct picket_text texts[PICKET_FILE_TEXTS];
};

_Static_assert(sizeof(struct picket_task) == 80, "picket_task has holes");
_Static_assert(sizeof(struct picket_record) == 96, "picket_record has holes");
_Static_assert(sizeof(struct picket_fork) == 112, "picket_fork has holes");
_Static_assert(sizeof(struct picket_exit) == 104, "picket_exit has holes");
_Static_assert(sizeof(struct picket_exec) == 256, "picket_exec has holes");
_Static_assert(sizeof(struct picket_connect) == 240, "picket_connect has holes");
_Static_assert(sizeof(struct picket_connect_outcome) == 112, "picket_connect_outcome has holes");
_Static_assert(sizeof(struct picket_listen) == 208, "picket_listen has holes");
_Static_assert(sizeof(struct picket_dns) == 216, "picket_dns has holes");
_Static_assert(sizeof(struct picket_file) == 216, "picket_file has holes");

// What user space sets while the programs run; one 64-bit value each.
enum picket_setting {
	PICKET_SET_SELF, // the sensor's own process id in the initial namespace
	PICKET_SET_URGENT, // bit per enum picket_kind: wake the reader at once
	PICKET_SET_WAKE_INTERVAL_NS, // wake it at most this often for the others
	PICKET_SET_UDP_REPEAT_NS,
	PICKET_SET_CONNECT_STATUS, // not 0: remember who is in connect(2)
	PICKET_SET_CLASSES, // bit per enum picket_kind: wanted
	PICKET_SET_SCOPE, // which of the two slots below is valid
	PICKET_SET_SCOPE_ID_0, // cgroup id; 0: no scope
	PICKET_SET_SCOPE_LEVEL_0, // depth below the root
	PICKET_SET_SCOPE_ID_1,
	PICKET_SET_SCOPE_LEVEL_1,
	PICKET_SET_LSM_SEEN, // written by the program, read by the loader
	PICKET_SET_TABLES, // the half of the tables that decides + 1; 0: none
	PICKET_SET_NEXT_TABLES, // the half that is being made ready + 1; 0: none
	// not 0: every block simulates. `picket disarm` of any version writes it, so
	// its number and the map's name never change
	PICKET_SET_DISARMED,
	PICKET_SET_EXIT_HOOKS, // not 0: what cannot kill may condemn
	PICKET_SET_LSM, // bit per enum picket_kind: a security hook judges it first
	PICKET_SETTINGS,
};

// Where a kernel helper can fail, or a limit of ours be met.
enum picket_place {
	PICKET_AT_SCRATCH,
	PICKET_AT_ARGS,
	PICKET_AT_PATH,
	PICKET_AT_CGROUP,
	PICKET_AT_TEXT,
	PICKET_AT_USER_PATH,
	PICKET_AT_FD,
	PICKET_AT_STORAGE,
	PICKET_AT_UDP_SEEN,
	PICKET_AT_PENDING,
	PICKET_AT_PACKET,
	PICKET_AT_DNS_PIPELINE,
	PICKET_AT_DNS_SPLIT,
	PICKET_AT_JUDGE,
	PICKET_AT_STATE,
	PICKET_PLACES,
};

// All of the above, named once in a function's prototype so that the compiler
// writes them into the object's BTF.
union picket_wire {
	struct picket_fork fork;
	struct picket_exit exit;
	struct picket_exec exec;
	struct picket_connect connect;
	struct picket_connect_outcome connect_outcome;
	struct picket_listen listen;
	struct picket_dns dns;
	struct picket_file file;
	enum picket_kind kind;
	enum picket_record_flag record_flag;
	enum picket_known known;
	enum picket_exec_text exec_text;
	enum picket_exec_flag exec_flag;
	enum picket_file_text file_text;
	enum picket_open_flag open_flag;
	enum picket_spared spared;
	enum picket_done done;
	enum picket_setting setting;
	enum picket_place place;
};
