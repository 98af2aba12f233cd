// SPDX-License-Identifier: Apache-2.0
// A program whose first act is to write one byte to descriptor 3. No library runs
// before it: what comes through was written by a process that should not be.
#include <sys/syscall.h>

	.globl _start
	.text
_start:
#if defined(__x86_64__)
	mov	$SYS_write, %eax
	mov	$3, %edi
	lea	byte(%rip), %rsi
	mov	$1, %edx
	syscall
	mov	$SYS_exit_group, %eax
	xor	%edi, %edi
	syscall
#elif defined(__aarch64__)
	mov	x8, #SYS_write
	mov	x0, #3
	adr	x1, byte
	mov	x2, #1
	svc	#0
	mov	x8, #SYS_exit_group
	mov	x0, #0
	svc	#0
#else
#error "say here how this processor calls the kernel"
#endif

byte:	.ascii	"!"
