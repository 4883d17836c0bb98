// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the steps of attaching, see common_attach.h. Must not know what any case
 * expects of them.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "common_attach.h"

#define SEED	0xa77ac4
#define STREAM	(300 * 1000)

int set_ulp(int sock, const char *name)
{
	return setsockopt(sock, IPPROTO_TCP, TCP_ULP, name, strlen(name) + 1);
}

int try_attach(int sock, uint32_t id, int dmabuf)
{
	struct devmem_attach a = { .binding_id = id, .dmabuf_fd = dmabuf };

	return setsockopt(sock, SOL_DEVMEM, DEVMEM_ATTACH, &a, sizeof(a));
}

int new_socket(int type, int protocol)
{
	return must(socket(AF_INET, type | SOCK_CLOEXEC, protocol));
}

void carries_plainly(struct conn *c)
{
	static unsigned char buf[STREAM];
	pid_t pid = send_start(c, STREAM, SEED, 10000, SEND_SHUTDOWN);

	check_eq(recv(c->rx, buf, STREAM, MSG_WAITALL), STREAM);
	check_eq(devmem_pattern_check(buf, STREAM, 0, SEED), -1);
	check_eq(recv(c->rx, buf, 1, 0), 0);
	test_join(pid);
}

void carries(struct conn *c, const struct bound *b)
{
	struct rx rx;
	pid_t pid;

	rx_init(&rx, c->rx, b, SEED);
	pid = send_start(c, STREAM, SEED, 10000, SEND_SHUTDOWN);
	rx_all(&rx, STREAM);
	rx_eof(&rx);
	test_join(pid);
	check_eq(rx.placed, b ? STREAM : 0);
	rx_free(&rx);
}

void no_flow(const struct bound *b)
{
	struct devmem_bind_info info;

	bound_info(b, &info);
	check_eq(info.flows, 0);
	check(within(2000, !live_object("flows")));
	check_eq(live_object("rules"), 0);
}
