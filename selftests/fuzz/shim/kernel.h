/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of a kernel as the pure parts of both modules use, for user space and
 * one thread. Included before all else when one of their files is compiled here;
 * the kernel headers that it names itself are empty then, but for what the ABI
 * defines. No part of a kernel is imitated that nobody asks for; but the rules
 * that a caller must keep are checked, and breaking one is a failure.
 */
#ifndef FUZZ_SHIM_KERNEL_H
#define FUZZ_SHIM_KERNEL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/types.h>
#include <linux/udp.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s32 s32;
typedef u64 dma_addr_t;
typedef u64 ktime_t;
typedef unsigned int gfp_t;

#define __percpu
#define __rcu
#define __must_hold(lock)
#define ____cacheline_aligned_in_smp
#define EXPORT_SYMBOL_GPL(sym)	extern int fuzz_exported_##sym
#define IS_ENABLED(option)	1

/* The rules: what does not keep them ends here. */
#define fuzz_check(cond)						\
	do {								\
		if (!(cond))						\
			fuzz_fail(__FILE__, __LINE__, #cond);		\
	} while (0)
void fuzz_fail(const char *file, int line, const char *what)
	__attribute__((noreturn));

#define WARN_ON(cond)	({ fuzz_check(!(cond)); false; })

/* What is held, and what is still to be done, at this moment. */
struct fuzz_state {
	unsigned int locks;
	unsigned int readers;		/* RCU read-side sections */
	unsigned int allocs;		/* not freed */
	unsigned int failed;		/* allocations that have failed */
	u32 fail;			/* bit 0: the next one fails, bit 1: the one after... */
};

extern struct fuzz_state fuzz_state;

#define BIT(nr)			(1UL << (nr))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define min(a, b)		({ typeof(a) a_ = (a); typeof(b) b_ = (b); \
				   (void)(&a_ == &b_); a_ < b_ ? a_ : b_; })
#define max(a, b)		({ typeof(a) a_ = (a); typeof(b) b_ = (b); \
				   (void)(&a_ == &b_); a_ > b_ ? a_ : b_; })
#define min_t(type, a, b)	({ type a_ = (a); type b_ = (b); a_ < b_ ? a_ : b_; })
#define max_t(type, a, b)	({ type a_ = (a); type b_ = (b); a_ > b_ ? a_ : b_; })
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define container_of(ptr, type, member)					\
	((type *)((char *)(ptr) - offsetof(type, member)))

#define READ_ONCE(x)		(*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, val)	(*(volatile typeof(x) *)&(x) = (val))
#define smp_load_acquire(p)	READ_ONCE(*(p))
#define smp_wmb()		((void)0)
#define smp_mb__after_atomic()	((void)0)
#define likely(x)		(x)
#define unlikely(x)		(x)
#define cond_resched()		((void)0)

#define SZ_32K			0x8000
#define SZ_2M			0x200000
#define SZ_16M			0x1000000
#define SZ_256M			0x10000000
#define SZ_1G			0x40000000
#define TASK_COMM_LEN		16
#define SMP_CACHE_BYTES		64

#undef htons
#undef ntohs
#undef htonl
#undef ntohl
#define htons(x)	((__be16)__builtin_bswap16(x))
#define ntohs(x)	((u16)__builtin_bswap16(x))
#define htonl(x)	((__be32)__builtin_bswap32(x))
#define ntohl(x)	((u32)__builtin_bswap32(x))

static inline u32 get_unaligned_be32(const void *p)
{
	const u8 *b = p;

	return (u32)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
}

/* memory */

#define GFP_KERNEL_ACCOUNT	1U	/* may sleep */
#define __GFP_NOWARN		2U	/* too much is the caller's matter */

void *fuzz_alloc(size_t n, size_t size, gfp_t gfp, bool zero);
void fuzz_free(const void *p);

#define kvcalloc(n, size, gfp)		fuzz_alloc(n, size, gfp, true)
#define kvmalloc_array(n, size, gfp)	fuzz_alloc(n, size, gfp, false)
#define kzalloc(size, gfp)		fuzz_alloc(1, size, gfp, true)
#define kmalloc(size, gfp)		fuzz_alloc(1, size, gfp, false)
#define kvfree(p)			fuzz_free(p)
#define kfree(p)			fuzz_free(p)

/* locks and counts */

typedef struct {
	bool held;
} spinlock_t;

struct mutex {
	bool held;
};

static inline void spin_lock_init(spinlock_t *lock)
{
	lock->held = false;
}

static inline void spin_lock_bh(spinlock_t *lock)
{
	fuzz_check(!lock->held);
	lock->held = true;
	fuzz_state.locks++;
}

static inline void spin_unlock_bh(spinlock_t *lock)
{
	fuzz_check(lock->held);
	lock->held = false;
	fuzz_state.locks--;
}

#define spin_lock(lock)			spin_lock_bh(lock)
#define spin_unlock(lock)		spin_unlock_bh(lock)
#define lockdep_assert_held(lock)	fuzz_check((lock)->held)

typedef struct {
	int refs;
} refcount_t;

static inline void refcount_set(refcount_t *r, int n)
{
	r->refs = n;
}

static inline unsigned int refcount_read(const refcount_t *r)
{
	return r->refs;
}

static inline void refcount_inc(refcount_t *r)
{
	fuzz_check(r->refs > 0);
	r->refs++;
}

static inline bool refcount_inc_not_zero(refcount_t *r)
{
	if (!r->refs)
		return false;
	refcount_inc(r);
	return true;
}

static inline bool refcount_sub_and_test(int n, refcount_t *r)
{
	fuzz_check(n > 0 && r->refs >= n);
	r->refs -= n;
	return r->refs == 0;
}

static inline bool refcount_dec_and_test(refcount_t *r)
{
	return refcount_sub_and_test(1, r);
}

typedef struct {
	long v;
} atomic_t, atomic64_t, atomic_long_t;

#define DECLARE_PER_CPU(type, name)	extern typeof(type) name
#define this_cpu_add(x, n)		((void)((x) += (n)))
#define this_cpu_inc(x)			this_cpu_add(x, 1)

/* RCU: memory that a pointer has led to may not be freed before those who could
 * have seen it there are gone.
 */
struct rcu_head {
	void *next;
};

#define rcu_read_lock()			((void)fuzz_state.readers++)
#define rcu_read_unlock()		((void)fuzz_state.readers--)
#define rcu_dereference(p)						\
	({ fuzz_check(fuzz_state.readers); READ_ONCE(p); })
#define rcu_access_pointer(p)		READ_ONCE(p)
#define rcu_dereference_protected(p, c)	((void)(c), (p))
#define rcu_assign_pointer(p, v)	(fuzz_retire(p), (p) = (v))
#define RCU_INIT_POINTER(p, v)		rcu_assign_pointer(p, v)
void fuzz_retire(const void *p);
void synchronize_net(void);

/* of net/devmem-compat.h */
#define devmem_settings_dereference(dev, p)				\
	({ fuzz_check((dev)->settings_locked); (p); })

/* bits */

#define DECLARE_BITMAP(name, bits)	unsigned long name[DIV_ROUND_UP(bits, 64)]

static inline bool test_bit(unsigned long nr, const unsigned long *map)
{
	return map[nr / 64] >> nr % 64 & 1;
}

static inline void assign_bit(unsigned long nr, unsigned long *map, bool set)
{
	if (set)
		map[nr / 64] |= 1UL << nr % 64;
	else
		map[nr / 64] &= ~(1UL << nr % 64);
}

static inline unsigned long find_next_bit(const unsigned long *map, unsigned long size,
					  unsigned long nr)
{
	for (; nr < size; nr++)
		if (!(nr % 64) && !map[nr / 64])
			nr += 63;
		else if (test_bit(nr, map))
			break;
	return nr < size ? nr : size;
}

static inline unsigned long find_first_zero_bit(const unsigned long *map, unsigned long size)
{
	unsigned long nr = 0;

	while (nr < size && test_bit(nr, map))
		nr++;
	return nr;
}

static inline void bitmap_zero(unsigned long *map, unsigned long size)
{
	memset(map, 0, DIV_ROUND_UP(size, 64) * sizeof(*map));
}

#define for_each_set_bit(nr, map, size)					\
	for ((nr) = find_next_bit(map, size, 0); (nr) < (size);		\
	     (nr) = find_next_bit(map, size, (nr) + 1))

static inline const void *memchr_inv(const void *start, int c, size_t bytes)
{
	const u8 *p = start;

	for (; bytes; p++, bytes--)
		if (*p != (u8)c)
			return p;
	return NULL;
}

/* what is only a member of something, or behind a pointer */

struct list_head {
	struct list_head *next, *prev;
};

struct work_struct {
	void (*func)(struct work_struct *work);
};

struct llist_node {
	struct llist_node *next;
};

struct llist_head {
	struct llist_node *first;
};

struct rcu_work {
	struct work_struct work;
};

struct xarray {
	void *head;
};

typedef struct {
	void *user;
} sockptr_t;

struct device;
struct msghdr;
struct net;
struct module;
struct workqueue_struct;

#define __user

#include "net.h"

#endif /* FUZZ_SHIM_KERNEL_H */
