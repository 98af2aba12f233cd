// SPDX-License-Identifier: Apache-2.0
// A program whose first act is to create the file "escaped" in its working
// directory. No library runs before it.
#include <sys/syscall.h>

	.globl _start
	.text
_start:
#if defined(__x86_64__)
	mov	$SYS_creat, %eax
	lea	path(%rip), %rdi
	mov	$0644, %esi
	syscall
	mov	$SYS_exit_group, %eax
	xor	%edi, %edi
	syscall
#elif defined(__aarch64__)
	mov	x8, #SYS_openat
	mov	x0, #-100	// AT_FDCWD
	adr	x1, path
	mov	x2, #01101	// O_WRONLY | O_CREAT | O_TRUNC
	mov	x3, #0644
	svc	#0
	mov	x8, #SYS_exit_group
	mov	x0, #0
	svc	#0
#else
#error "say here how this processor calls the kernel"
#endif

path:	.asciz	"escaped"
