// SPDX-License-Identifier: GPL-2.0
/*
 * Who listens and does not keep up loses notifications, and libdevmem makes up
 * for them: what is told in the end is what is there. Must not know of a
 * notification's way.
 */
#include <linux/netlink.h>
#include <poll.h>
#include <sys/syscall.h>

#include "common.h"
#include "common_ctl.h"

#define SEED		0x1057
#define QUEUES		6
#define NOISE_QUEUE	5
#define CHUNK		4096
#define ROOM		(8 << 10)	/* SO_RCVBUF */
#define NOISE		20		/* does not fit */

static struct bound b;
static struct conn c;
static int events;	/* the socket of the last subscription */

/* In place of the C library's. */
int setsockopt(int fd, int level, int optname, const void *optval, socklen_t optlen)
{
	if (level == SOL_NETLINK && optname == NETLINK_ADD_MEMBERSHIP)
		events = fd;
	return (int)syscall(SYS_setsockopt, fd, level, optname, optval, optlen);
}

static void bind_one(struct bound *one, uint32_t queue)
{
	bind_queues(one, DEVMEM_BUF_GPU, 64 << 10, CHUNK, &queue, 1);
}

static struct devmem_nl *hard_of_hearing(void)
{
	struct devmem_nl *nl;
	int room = ROOM;

	check_eq(devmem_nl_open(&nl, 0), 0);
	check_eq(devmem_nl_event_fd(nl), -ENOTCONN);
	check_eq(devmem_nl_subscribe(nl, 0), 0);
	must(setsockopt(events, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)));
	return nl;
}

static void make_noise(void)
{
	struct bound noise;
	unsigned int i;

	for (i = 0; i < NOISE; i++) {
		bind_one(&noise, NOISE_QUEUE);
		free_bound(&noise);
	}
}

static bool readable(const struct devmem_nl *nl)
{
	struct pollfd pfd = { .fd = devmem_nl_event_fd(nl), .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

/* Of all notifications that wait, the last about binding @id: as 10 * command +
 * state. Each makes the descriptor readable; the last one does not leave it so.
 */
static unsigned int last_word(struct devmem_nl *nl, const uint32_t *id,
			      unsigned int *word, unsigned int nr_ids)
{
	struct devmem_event ev;
	unsigned int i, n = 0;

	while (readable(nl)) {
		int ret = devmem_nl_event(nl, &ev, 0, 0);

		if (ret == -ETIMEDOUT)	/* what was lost mattered to nobody */
			continue;
		if (ret)
			fail("%s", devmem_error());
		check_eq(ev.info.ifindex, env_ifindex());
		n++;
		for (i = 0; i < nr_ids; i++)
			if (ev.info.id == id[i])
				word[i] = 10 * ev.cmd + ev.info.state;
	}
	check_eq(devmem_nl_event(nl, &ev, 0, 0), -ETIMEDOUT);
	check(!readable(nl));
	return n;
}

#define WORD(cmd, state)						\
	(10 * NETDEV_DEVMEM_CMD_##cmd##_NTF + NETDEV_DEVMEM_STATE_##state)

enum { STAYS, ENDS, REVOKED, HELD, COMES, ALL };

static void lost_notifications(void)
{
	static struct bound bound[ALL];
	unsigned int word[ALL] = {}, i, n;
	uint32_t id[ALL], kept;
	struct devmem_nl *nl;
	struct rx rx;

	bind_one(&bound[STAYS], 0);
	bind_one(&bound[ENDS], 1);
	bind_one(&bound[REVOKED], 2);
	bind_one(&bound[HELD], 3);
	connect_pair(&c, AF_INET);
	attach(c.rx, &bound[HELD]);
	rx_init(&rx, c.rx, &bound[HELD], SEED);
	rx.keep = true;
	send_pattern(c.tx, 5000, 0, SEED, 5000);
	rx_all(&rx, 5000);
	check_cmp(rx.nr_held, >, 0);

	nl = hard_of_hearing();
	check(!readable(nl));
	make_noise();
	unbind(&bound[ENDS]);
	unbind(&bound[HELD]);
	check_eq(ctl_gpu_revoke(devmem_buf_fd(bound[REVOKED].buf)), 0);
	bind_one(&bound[COMES], 4);
	kept = bound[HELD].res.id;
	for (i = 0; i < ALL; i++)
		id[i] = bound[i].res.id;
	/* the work item that tells of the revocation */
	usleep(1000 * (useconds_t)patient(100));

	n = last_word(nl, id, word, ALL);
	check_cmp(n, <, 2 * NOISE);
	check_eq(word[STAYS], 0);
	check_eq(word[ENDS], WORD(UNBIND, CLOSING));
	check_eq(word[HELD], WORD(UNBIND, CLOSING));
	check_eq(word[REVOKED], WORD(UNBIND, REVOKED));
	check_eq(word[COMES], WORD(BIND, ACTIVE));

	/* once, not again after the next loss */
	memset(word, 0, sizeof(word));
	make_noise();
	unbind(&bound[COMES]);
	check_cmp(last_word(nl, id, word, ALL), <, 2 * NOISE);
	check_eq(word[STAYS], 0);
	check_eq(word[ENDS], 0);
	check_eq(word[HELD], 0);
	check_eq(word[REVOKED], 0);
	check_eq(word[COMES], WORD(UNBIND, CLOSING));

	/* and it goes on as before */
	unbind(&bound[STAYS]);
	check(within(2000, readable(nl)));
	check_eq(last_word(nl, id, word, ALL), 1);
	check_eq(word[STAYS], WORD(UNBIND, CLOSING));
	rx_return(&rx);
	check_eq(devmem_nl_wait(nl, kept, 0, 0), 0);
	devmem_nl_close(nl);
}

/* Pressure that nobody told of. */
static void lost_pressure(void)
{
	unsigned int word = 0;
	struct devmem_nl *nl;
	struct rx rx;

	bind_one(&b, 0);
	nl = hard_of_hearing();
	make_noise();
	connect_pair(&c, AF_INET);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	rx.keep = true;
	send_pattern(c.tx, 200 << 10, 0, SEED, 4000);
	rx_all(&rx, 200 << 10);
	usleep(1000 * (useconds_t)patient(100));
	check_cmp(last_word(nl, &b.res.id, &word, 1), <, 2 * NOISE);
	check_eq(word, WORD(PRESSURE, ACTIVE));
	rx_return(&rx);
	devmem_nl_close(nl);
}

static void setup(void)
{
	env_setup(QUEUES);
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(lost_notifications),
	KTAP_CASE(lost_pressure),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
