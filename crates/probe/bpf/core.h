// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// The kernel's structures, as far as the programs read them. The loader moves
// every access to where the running kernel keeps the field (CO-RE), so only
// names and kinds count here, not order or size.
#pragma once

#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#define PF_KTHREAD 0x00200000 // linux/sched.h
#define FMODE_READ 0x1 // linux/fs.h, as the three below
#define FMODE_WRITE 0x2
#define FMODE_CREATED 0x100000
#define FMODE_NOACCOUNT 0x20000000 // linux/fs.h: a file of the kernel's own
#define S_IFMT 0170000
#define S_IFDIR 0040000
#define S_IFREG 0100000
#define OVERLAYFS_SUPER_MAGIC 0x794c7630 // linux/magic.h
#define TCP_ESTABLISHED 1 // net/tcp_states.h, as the four below
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_CLOSE 7
#define TCP_LISTEN 10
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_UDPLITE 136
#define IPPROTO_MPTCP 262
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define SIGKILL 9
#define EPERM 1
#define ENOENT 2
#define EBADF 9
#define ENOTDIR 20
#define EINTR 4
#define EALREADY 114
#define EINPROGRESS 115
#define ECANCELED 125
#define AT_FDCWD (-100)
#define AT_REMOVEDIR 0x200
#define AT_EMPTY_PATH 0x1000
#define AT_NULL 0 // linux/auxvec.h, as the next
#define AT_EXECFN 31
#define PAGE_SIZE 4096 // the smallest there is
#define O_ACCMODE 3
#define O_WRONLY 1
#define O_RDWR 2
#define O_CREAT 0100

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	__u32 val;
} kuid_t;

typedef struct {
	__u32 val;
} kgid_t;

typedef struct {
	__u64 val;
} kernel_cap_t;

struct cred {
	kuid_t uid;
	kgid_t gid;
	kuid_t euid;
	kernel_cap_t cap_effective;
};

struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	struct ns_common ns;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct kernfs_node {
	struct kernfs_node *__parent; // since 6.15
	const char *name;
	__u64 id;
};

struct kernfs_node___old {
	struct kernfs_node *parent;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup *ancestors[];
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

// Only the names count; the numbers are the running kernel's.
enum cgroup_subsys_id {
	memory_cgrp_id = 1,
	pids_cgrp_id = 2,
	cpu_cgrp_id = 3,
	devices_cgrp_id = 4,
	cpuset_cgrp_id = 5,
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};

struct qstr {
	__u32 len;
	const unsigned char *name;
};

struct timespec64 {
	__s64 tv_sec;
	long tv_nsec;
};

struct super_block {
	__u32 s_dev;
	unsigned long s_magic;
};

struct inode {
	unsigned short i_mode;
	unsigned int i_nlink;
	unsigned long i_ino;
	struct super_block *i_sb;
	__s64 i_mtime_sec; // since 6.11
	__u32 i_mtime_nsec;
};

struct inode___6_7 {
	struct timespec64 __i_mtime;
};

struct inode___6_6 {
	struct timespec64 i_mtime;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	unsigned int f_mode;
	unsigned int f_flags;
	struct path f_path;
	struct inode *f_inode;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	struct path root;
	struct path pwd;
};

struct mm_struct {
	unsigned long arg_start;
	unsigned long arg_end;
	unsigned long saved_auxv[1]; // longer, and differently so
	struct file *exe_file;
};

struct tty_struct {
	char name[64];
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
	struct tty_struct *tty;
};

struct thread_info {
	unsigned long flags;
	__u32 status; // x86
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int flags;
	int pid;
	int tgid;
	int exit_code;
	char comm[16];
	__u64 start_boottime;
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	const struct cred *cred;
	struct nsproxy *nsproxy;
	struct pid *thread_pid;
	struct css_set *cgroups;
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct files_struct *files;
	struct signal_struct *signal;
	kuid_t loginuid; // with CONFIG_AUDIT
	unsigned int sessionid;
};

struct linux_binprm {
	char buf[256];
	struct file *file;
	const char *filename;
	const char *interp;
};

struct in6_addr {
	__u8 s6_addr[16];
};

struct sock_common {
	unsigned short skc_family;
	__u32 skc_rcv_saddr;
	__u16 skc_num;
	__u16 skc_dport;
	struct in6_addr skc_v6_rcv_saddr;
};

struct socket {
	struct sock *sk;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
	int sk_err;
};

struct filename {
	const char *name;
};

struct open_how {
	__u64 flags;
};

struct io_open {
	int dfd;
	struct filename *filename;
	struct open_how how;
};

struct io_unlink {
	int dfd;
	int flags;
	struct filename *filename;
};

struct io_rename {
	int old_dfd;
	int new_dfd;
	struct filename *oldpath;
	struct filename *newpath;
};

struct io_cmd_data {
	struct file *file;
};

struct io_kiocb {
	struct io_cmd_data cmd;
	__u8 opcode;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long di;
	unsigned long si;
	unsigned long dx;
	unsigned long r10;
	unsigned long r8;
	unsigned long orig_ax;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	unsigned long regs[31];
};
struct pt_regs {
	unsigned long regs[31];
	unsigned long orig_x0; // regs[0] holds the result by then
	int syscallno;
};
#endif

#pragma clang attribute pop

// The arguments of the system call that a task is leaving.
#if defined(__TARGET_ARCH_x86)
#define SYSCALL_ARG_0(regs) ((regs)->di)
#define SYSCALL_ARG_1(regs) ((regs)->si)
#define SYSCALL_ARG_2(regs) ((regs)->dx)
#define SYSCALL_ARG_3(regs) ((regs)->r10)
#define SYSCALL_ARG_4(regs) ((regs)->r8)
#elif defined(__TARGET_ARCH_arm64)
#define SYSCALL_ARG_0(regs) ((regs)->orig_x0)
#define SYSCALL_ARG_1(regs) ((regs)->regs[1])
#define SYSCALL_ARG_2(regs) ((regs)->regs[2])
#define SYSCALL_ARG_3(regs) ((regs)->regs[3])
#define SYSCALL_ARG_4(regs) ((regs)->regs[4])
#else
#error "no syscall argument registers for this architecture"
#endif

// include/trace/events/syscalls.h: what a syscalls:sys_exit_* program gets.
struct sys_exit_ctx {
	__u64 common;
	__s64 nr;
	__s64 ret;
};
