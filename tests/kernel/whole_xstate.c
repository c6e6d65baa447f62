/* Preloaded into a user-mode kernel on a processor with AMX.
 *
 * Linux takes a thread's extended state (ptrace, NT_X86_XSTATE) only as a whole. With AMX that is
 * 11 kB; user-mode kernels before 6.14 have 2,696 bytes for it, which held all that there was before,
 * and die with their first process. What they leave out is given here as "never used", which it is:
 * a process must ask for AMX, and these kernels have no call for that.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

enum {
	HEADER = 512,	/* offset of the XSAVE header; its first word: a bit for each part in use */
	LARGEST = 65536,
};
#define AMX (3ULL << 17)	/* XTILECFG and XTILEDATA */

typedef long ptrace_function(int request, int pid, void *address, void *data);

long ptrace(enum __ptrace_request request, ...)
{
	static ptrace_function *next;
	static size_t whole;	/* bytes; 0: not yet known */
	va_list arguments;
	int pid;
	void *address;
	struct iovec *given;

	va_start(arguments, request);
	pid = va_arg(arguments, int);
	address = va_arg(arguments, void *);
	given = va_arg(arguments, void *);
	va_end(arguments);
	if (!next)
		next = (ptrace_function *)dlsym(RTLD_NEXT, "ptrace");
	if (request != PTRACE_SETREGSET || (uintptr_t)address != NT_X86_XSTATE)
		return next(request, pid, address, given);

	static unsigned char area[LARGEST];
	struct iovec all = { area, sizeof(area) };

	if (!whole) {
		if (next(PTRACE_GETREGSET, pid, address, &all) < 0)
			return -1;
		whole = all.iov_len;
		memset(area, 0, sizeof(area));
	}
	if (given->iov_len >= whole || given->iov_len < HEADER + sizeof(uint64_t))
		return next(request, pid, address, given);
	memcpy(area, given->iov_base, given->iov_len);
	uint64_t in_use;
	memcpy(&in_use, area + HEADER, sizeof(in_use));
	in_use &= ~AMX;
	memcpy(area + HEADER, &in_use, sizeof(in_use));
	all.iov_len = whole;
	return next(request, pid, address, &all);
}
