// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * toa: a small module of this project's tests, named like the real ones and written from their
 * documented behaviour. It reads the client's address from a TCP option of the handshake's last
 * ACK and gives it to accept(2) and getpeername(2).
 *
 * Where the real ones replace entries of the kernel's tables, this one stands at four functions by
 * kretprobes, which any kernel with CONFIG_KRETPROBES takes:
 *
 *   tcp_v4_syn_recv_sock, tcp_v6_syn_recv_sock   the new socket, and the segment that made it
 *   inet_getname, inet6_getname                  who the peer is
 *
 * Parameters: `kind` is the number of the option; `work=0` looks and counts and gives nothing:
 * loaded, and of no use. Counters are in /proc/net/toa_stats.
 */
#include <linux/hashtable.h>
#include <linux/in6.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <net/inet_sock.h>
#include <net/net_namespace.h>
#include <net/tcp.h>

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("the client's address from a TCP option, for tests");
MODULE_VERSION("0.1");

static int kind = 254;
module_param(kind, int, 0644);
MODULE_PARM_DESC(kind, "number of the TCP option");
static bool work = true;
module_param(work, bool, 0444);
MODULE_PARM_DESC(work, "give the address to the application");

enum { TAKEN, NOT_TAKEN, OK, EMPTY, COUNTERS };
static const char *const names[COUNTERS] = {
	"syn_recv_sock_toa", "syn_recv_sock_no_toa", "getname_toa_ok", "getname_toa_empty",
};
struct counters { unsigned long of[COUNTERS]; };
static DEFINE_PER_CPU(struct counters, counters);
#define COUNT(what) this_cpu_inc(counters.of[what])

/* The address that a socket came with. IPv4 is kept as mapped into IPv6. */
struct note {
	struct hlist_node node;
	const struct sock *sk;
	__be16 port;
	struct in6_addr address;
};
static DEFINE_HASHTABLE(notes, 10);
static DEFINE_SPINLOCK(lock);

static struct note *find(const struct sock *sk)
{
	struct note *note;

	hash_for_each_possible(notes, note, node, (unsigned long)sk)
		if (note->sk == sk)
			return note;
	return NULL;
}

static void forget(const struct sock *sk)
{
	struct note *note;
	unsigned long flags;

	spin_lock_irqsave(&lock, flags);
	note = find(sk);
	if (note)
		hash_del(&note->node);
	spin_unlock_irqrestore(&lock, flags);
	kfree(note);
}

static void remember(struct note *note, const struct sock *sk)
{
	unsigned long flags;

	forget(sk);
	note->sk = sk;
	spin_lock_irqsave(&lock, flags);
	hash_add(notes, &note->node, (unsigned long)sk);
	spin_unlock_irqrestore(&lock, flags);
}

static bool read_option(const struct sk_buff *skb, struct note *note)
{
	const struct tcphdr *th = tcp_hdr(skb);
	const u8 *at = (const u8 *)(th + 1);
	int left = th->doff * 4 - (int)sizeof(*th);

	while (left >= 2 && *at != TCPOPT_EOL) {
		int size = *at == TCPOPT_NOP ? 1 : at[1];

		if (size < 1 || size > left || (*at != TCPOPT_NOP && size < 2))
			return false;
		if (*at == kind && (size == 8 || size == 20)) {
			memcpy(&note->port, at + 2, 2);
			if (size == 20)
				memcpy(&note->address, at + 4, 16);
			else
				ipv6_addr_set_v4mapped(get_unaligned((__be32 *)(at + 4)), &note->address);
			return true;
		}
		at += size;
		left -= size;
	}
	return false;
}

/* A new socket. */

struct making { const struct sk_buff *skb; };

static int making_begins(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	((struct making *)instance->data)->skb = (const struct sk_buff *)regs_get_kernel_argument(regs, 1);
	return 0;
}

static int making_ends(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	const struct making *making = (const struct making *)instance->data;
	const struct sock *sk = (const struct sock *)regs_return_value(regs);
	struct note *note;

	if (!sk)
		return 0;
	note = kzalloc(sizeof(*note), GFP_ATOMIC);
	if (!note)
		return 0;
	if (!read_option(making->skb, note)) {
		COUNT(NOT_TAKEN);
		kfree(note);
		forget(sk);
		return 0;
	}
	COUNT(TAKEN);
	remember(note, sk);
	return 0;
}

/* A question for the peer. */

struct asking { const struct sock *sk; struct sockaddr *address; int peer; };

static int asking_begins(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct asking *asking = (struct asking *)instance->data;

	asking->sk = ((struct socket *)regs_get_kernel_argument(regs, 0))->sk;
	asking->address = (struct sockaddr *)regs_get_kernel_argument(regs, 1);
	asking->peer = (int)regs_get_kernel_argument(regs, 2);
	return 0;
}

static bool answer(const struct note *note, struct sockaddr *address)
{
	if (address->sa_family == AF_INET && ipv6_addr_v4mapped(&note->address)) {
		struct sockaddr_in *four = (struct sockaddr_in *)address;

		four->sin_port = note->port;
		four->sin_addr.s_addr = note->address.s6_addr32[3];
		return true;
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;

		six->sin6_port = note->port;
		six->sin6_addr = note->address;
		return true;
	}
	return false;
}

static int asking_ends(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	const struct asking *asking = (const struct asking *)instance->data;
	const struct note *note;
	unsigned long flags;
	bool told = false;

	if (!asking->peer || (int)regs_return_value(regs) < 0)
		return 0;
	spin_lock_irqsave(&lock, flags);
	note = find(asking->sk);
	if (note && work)
		told = answer(note, asking->address);
	spin_unlock_irqrestore(&lock, flags);
	COUNT(told ? OK : EMPTY);
	return 0;
}

/* A socket's end. */

static int ending(struct kprobe *probe, struct pt_regs *regs)
{
	forget((const struct sock *)regs_get_kernel_argument(regs, 0));
	return 0;
}

#define AT(symbol, begins, ends, kept) \
	{ .kp.symbol_name = symbol, .entry_handler = begins, .handler = ends, \
	  .data_size = sizeof(struct kept), .maxactive = 64 }
static struct kretprobe at_v4 = AT("tcp_v4_syn_recv_sock", making_begins, making_ends, making);
static struct kretprobe at_v6 = AT("tcp_v6_syn_recv_sock", making_begins, making_ends, making);
static struct kretprobe at_name4 = AT("inet_getname", asking_begins, asking_ends, asking);
static struct kretprobe at_name6 = AT("inet6_getname", asking_begins, asking_ends, asking);
static struct kretprobe *probes[] = { &at_v4, &at_v6, &at_name4, &at_name6 };
static struct kprobe at_end = { .symbol_name = "tcp_v4_destroy_sock", .pre_handler = ending };

static int show(struct seq_file *file, void *unused)
{
	int name, cpu;

	seq_printf(file, "%26s", "");
	for_each_online_cpu(cpu)
		seq_printf(file, "CPU%-7d", cpu);
	seq_putc(file, '\n');
	for (name = 0; name < COUNTERS; name++) {
		seq_printf(file, "%-25s:", names[name]);
		for_each_online_cpu(cpu)
			seq_printf(file, "%10lu", per_cpu(counters, cpu).of[name]);
		seq_putc(file, '\n');
	}
	return 0;
}

static int __init toa_begin(void)
{
	int status;

	if (!proc_create_single("toa_stats", 0444, init_net.proc_net, show))
		return -ENOMEM;
	status = register_kprobe(&at_end);
	if (!status) {
		status = register_kretprobes(probes, ARRAY_SIZE(probes));
		if (status)
			unregister_kprobe(&at_end);
	}
	if (status)
		remove_proc_entry("toa_stats", init_net.proc_net);
	return status;
}

static void __exit toa_end(void)
{
	struct hlist_node *next;
	struct note *note;
	int bucket;

	unregister_kretprobes(probes, ARRAY_SIZE(probes));
	unregister_kprobe(&at_end);
	remove_proc_entry("toa_stats", init_net.proc_net);
	hash_for_each_safe(notes, bucket, next, note, node)
		kfree(note);
}

module_init(toa_begin);
module_exit(toa_end);
