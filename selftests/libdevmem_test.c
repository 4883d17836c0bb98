// SPDX-License-Identifier: GPL-2.0
/*
 * libdevmem's own share: tokens given back in calls that the kernel takes
 * whole, receiving with room for few pieces, dumps, and that its calls say what
 * the kernel said. Must not know how the modules do their part.
 */
#include <net/if.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "common.h"

#define SEED		0x11bd
#define QUEUES		32
#define CHUNK		4096
#define BUFFER		(16U << 20)
#define STREAM		(10U << 20)	/* more than two calls' worth of tokens */
#define MAX_TOKENS	8192
#define CONNECTIONS	40
#define RANGES		DEVMEM_MAX_DONTNEED_RANGES
#define TOKENS		DEVMEM_MAX_DONTNEED_TOKENS

static struct bound b;
static struct conn c;

/* What the library asked the kernel to take back. */
static struct {
	unsigned int calls;
	unsigned int most_ranges;
	unsigned int most_tokens;
} given;

/* In place of the C library's. */
int setsockopt(int fd, int level, int optname, const void *optval, socklen_t optlen)
{
	const struct devmem_range *ranges = optval;
	unsigned int i, count = optlen / sizeof(*ranges), tokens = 0;

	if (level == SOL_SOCKET && optname == SO_DEVMEM_DONTNEED) {
		for (i = 0; i < count; i++)
			tokens += ranges[i].token_count;
		given.calls++;
		if (count > given.most_ranges)
			given.most_ranges = count;
		if (tokens > given.most_tokens)
			given.most_tokens = tokens;
	}
	return (int)syscall(SYS_setsockopt, fd, level, optname, optval, optlen);
}

static void check_given(unsigned int calls, unsigned int ranges, unsigned int tokens)
{
	check_eq(given.calls, calls);
	check_eq(given.most_ranges, ranges);
	check_eq(given.most_tokens, tokens);
	memset(&given, 0, sizeof(given));
}

static void error_says(const char *text)
{
	if (!strstr(devmem_error(), text))
		fail("'%s' does not say '%s'", devmem_error(), text);
}

static uint64_t tokens_held(void)
{
	struct devmem_info info;

	check_eq(devmem_sock_info(c.rx, &info, 0), 0);
	return info.tokens_held;
}

/* ---- tokens ------------------------------------------------------------ */

static uint32_t token[MAX_TOKENS];
static unsigned int nr;

/* Receive STREAM bytes in messages of @pieces pieces; keep all tokens. */
static void receive(unsigned int pieces)
{
	struct devmem_piece piece;
	struct devmem_msg *msg;
	uint64_t pos = 0;
	ssize_t n, sum;
	unsigned int i;
	pid_t pid;

	bind_buffer(&b, DEVMEM_BUF_HEAP, BUFFER, CHUNK);
	connect_pair(&c, AF_INET);
	attach(c.rx, &b);
	check_eq(devmem_msg_alloc(&msg, 1 << 20, pieces, 0), 0);
	pid = send_start(&c, STREAM, SEED, 1 << 20, SEND_SHUTDOWN);
	while ((n = devmem_recv(c.rx, msg, 0)) > 0) {
		for (sum = 0, i = 0; devmem_msg_next(msg, &piece); i++) {
			const void *data = piece.data;

			if (piece.type == DEVMEM_PIECE_DMABUF) {
				check_eq(piece.dmabuf_id, b.res.id);
				check_cmp(piece.offset + piece.size, <=, b.size);
				data = b.map + piece.offset;
				check_cmp(nr, <, MAX_TOKENS);
				token[nr++] = piece.token;
			}
			check_eq(devmem_pattern_check(data, piece.size, pos, SEED), -1);
			pos += piece.size;
			sum += piece.size;
		}
		check_cmp(i, <=, pieces);
		check_eq(sum, n);
	}
	if (n)
		fail("%s", devmem_error());
	check_eq(pos, STREAM);
	test_join(pid);
	devmem_msg_free(msg);
	check_cmp(nr, >, 2 * TOKENS);
	check_eq(tokens_held(), nr);
	for (i = 1; i < nr; i++)
		check_eq(token[i], token[0] + i);
	memset(&given, 0, sizeof(given));
}

static void room_for_one_piece(void)
{
	receive(1);
}

static void more_than_one_call_takes(void)
{
	struct devmem_range range, ranges[3];

	receive(64);
	range.token_start = token[0];
	range.token_count = nr - 5;
	check_eq(devmem_release(c.rx, &range, 1, 0), nr - 5);
	check_given((nr - 5 + TOKENS - 1) / TOKENS, 1, TOKENS);
	check_eq(tokens_held(), 5);

	/* given back before, or never issued: they do not count */
	check_eq(devmem_release(c.rx, &range, 1, 0), 0);
	memset(&given, 0, sizeof(given));
	ranges[0] = (struct devmem_range) { token[nr - 5], 2 };
	ranges[1] = (struct devmem_range) { token[nr - 1] + 1000, 5 };
	ranges[2] = (struct devmem_range) { token[nr - 3], 4 };
	check_eq(devmem_release(c.rx, ranges, 3, 0), 5);
	check_given(1, 3, 11);
	check_eq(tokens_held(), 0);
	check_eq(devmem_release(c.rx, ranges, 0, 0), 0);
	check_eq(devmem_release(c.rx, ranges, 3, 1), -EINVAL);
	error_says("flags 0x1");
	check_given(0, 0, 0);
}

static void more_ranges_than_one_call_takes(void)
{
	struct devmem_range ranges[RANGES + 3];
	unsigned int i;

	receive(64);
	for (i = 0; i < ARRAY_SIZE(ranges); i++)
		ranges[i] = (struct devmem_range) { token[2 * i], 1 };
	check_eq(devmem_release(c.rx, ranges, RANGES, 0), RANGES);
	check_given(1, RANGES, RANGES);
	check_eq(devmem_release(c.rx, ranges + RANGES, 3, 0), 3);
	check_given(1, 3, 3);
	for (i = 0; i < ARRAY_SIZE(ranges); i++)
		ranges[i].token_start++;
	check_eq(devmem_release(c.rx, ranges, RANGES + 3, 0), RANGES + 3);
	check_given(2, RANGES, RANGES);

	/* ranges that do not end where calls do */
	for (i = 0; i < 3; i++)
		ranges[i] = (struct devmem_range) { token[300 + i * 700], 700 };
	check_eq(devmem_release(c.rx, ranges, 3, 0), 2100);
	check_given(3, 2, TOKENS);
	check_eq(tokens_held(), nr - 2 * (RANGES + 3) - 2100);
}

static struct devmem_tokens *collector(void)
{
	struct devmem_tokens *t = NULL;

	check_eq(devmem_tokens_alloc(&t, c.rx, 1), -EINVAL);
	check(!t);
	check_eq(devmem_tokens_alloc(&t, c.rx, 0), 0);
	check_eq(devmem_tokens_pending(t), 0);
	check_eq(devmem_tokens_flush(t), 0);
	check_given(0, 0, 0);
	return t;
}

static void collected_upwards(void)
{
	struct devmem_tokens *t;
	unsigned int i;

	receive(64);
	t = collector();
	for (i = 0; i < nr; i++) {
		check_eq(devmem_tokens_add(t, token[i]), 0);
		check_eq(devmem_tokens_pending(t), i % TOKENS + 1);
		check_eq(given.calls, i / TOKENS);
	}
	check_eq(devmem_tokens_released(t), nr / TOKENS * TOKENS);
	check_eq(devmem_tokens_flush(t), 0);
	check_eq(devmem_tokens_pending(t), 0);
	check_eq(devmem_tokens_released(t), nr);
	check_eq(devmem_tokens_calls(t), (nr + TOKENS - 1) / TOKENS);
	check_given((nr + TOKENS - 1) / TOKENS, 1, TOKENS);
	check_eq(tokens_held(), 0);

	/* twice does not count */
	check_eq(devmem_tokens_add(t, token[0]), 0);
	check_eq(devmem_tokens_flush(t), 0);
	check_eq(devmem_tokens_released(t), nr);
	devmem_tokens_free(t);
	devmem_tokens_free(NULL);
}

static void collected_downwards(void)
{
	struct devmem_tokens *t;
	unsigned int i;

	receive(64);
	t = collector();
	for (i = nr; i; i--)
		check_eq(devmem_tokens_add(t, token[i - 1]), 0);
	check_eq(devmem_tokens_flush(t), 0);
	check_eq(devmem_tokens_released(t), nr);
	check_given((nr + TOKENS - 1) / TOKENS, 1, TOKENS);
	check_eq(tokens_held(), 0);
	devmem_tokens_free(t);
}

/* Each a range of its own; then the gaps, each between two that have gone. */
static void collected_with_gaps(void)
{
	unsigned int i, first, half;
	struct devmem_tokens *t;

	receive(64);
	t = collector();
	half = (nr + 1) / 2;
	for (first = 0; first < 2; first++)
		for (i = first; i < nr; i += 2) {
			check_eq(devmem_tokens_add(t, token[i]), 0);
			check_cmp(devmem_tokens_pending(t), <=, RANGES);
		}
	check_eq(devmem_tokens_flush(t), 0);
	check_eq(devmem_tokens_released(t), nr);
	check_eq(devmem_tokens_calls(t), given.calls);
	check_cmp(given.calls, <=, half / RANGES + (nr - half) / RANGES + 2);
	check_eq(given.most_ranges, RANGES);
	check_eq(tokens_held(), 0);
	devmem_tokens_free(t);
}

/* A socket that takes none back: said at the flush, and nothing is kept but
 * what came with that very call.
 */
static void taken_by_nobody(void)
{
	struct devmem_tokens *t;
	unsigned int i;
	int sock;

	sock = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	check_eq(devmem_tokens_alloc(&t, sock, 0), 0);
	for (i = 0; i < TOKENS; i++)
		check_eq(devmem_tokens_add(t, 7 + i), 0);
	check_cmp(devmem_tokens_add(t, 7 + i), <, 0);
	error_says("SO_DEVMEM_DONTNEED of 1 ranges: ");
	check_eq(devmem_tokens_pending(t), 1);
	for (i = 1; i < RANGES; i++)
		check_eq(devmem_tokens_add(t, 10 * i), 0);
	check_cmp(devmem_tokens_add(t, 10 * i), <, 0);
	error_says("SO_DEVMEM_DONTNEED of 128 ranges: ");
	check_eq(devmem_tokens_pending(t), 1);
	check_cmp(devmem_tokens_flush(t), <, 0);
	check_eq(devmem_tokens_pending(t), 0);
	check_eq(devmem_tokens_released(t), 0);
	check_eq(devmem_tokens_calls(t), 0);
	devmem_tokens_free(t);
}

/* ---- dumps ------------------------------------------------------------- */

struct seen {
	struct devmem_bind_info info[QUEUES];
	unsigned int nr;
	unsigned int stop;
	int with;
};

static int see(const struct devmem_bind_info *info, void *arg)
{
	struct seen *seen = arg;

	check_cmp(seen->nr, <, QUEUES);
	seen->info[seen->nr++] = *info;
	return seen->nr == seen->stop ? seen->with : 0;
}

static void bind_one(struct bound *one, uint32_t queue)
{
	bind_queues(one, DEVMEM_BUF_GPU, 64 << 10, CHUNK, &queue, 1);
}

/* One to each queue: they do not fit one message of the kernel. */
static void all_bindings(void)
{
	static struct bound bound[QUEUES];
	static struct seen seen;
	struct devmem_bind_info info;
	struct devmem_nl *nl;
	unsigned int i;

	for (i = 0; i < QUEUES; i++)
		bind_one(&bound[i], i);
	must_cmd("ip link add nsd8 type netdevsim-devmem");
	check_eq(devmem_nl_open(&nl, 0), 0);

	check_eq(devmem_bind_dump(nl, 0, see, &seen, 0), 0);
	check_eq(seen.nr, QUEUES);
	for (i = 0; i < QUEUES; i++) {
		check_eq(seen.info[i].id, bound[i].res.id);
		check_eq(seen.info[i].ifindex, env_ifindex());
		check_eq(seen.info[i].state, NETDEV_DEVMEM_STATE_ACTIVE);
		check_eq(seen.info[i].size, 64 << 10);
		check_eq(seen.info[i].chunk_size, CHUNK);
		check_eq(seen.info[i].chunks, 16);
		check_eq(seen.info[i].chunks_free, 16);
		check_eq(seen.info[i].pid, getpid());
		check(!strcmp(seen.info[i].comm, program_invocation_short_name));
		check_eq(seen.info[i].flows, 0);
		check_eq(seen.info[i].nr_queues, 1);
		check_eq(seen.info[i].queues[0], i);
	}

	seen.nr = 0;
	check_eq(devmem_bind_dump(nl, env_ifindex(), see, &seen, 0), 0);
	check_eq(seen.nr, QUEUES);
	seen.nr = 0;
	check_eq(devmem_bind_dump(nl, if_nametoindex("nsd8"), see, &seen, 0), 0);
	check_eq(seen.nr, 0);

	/* ended by who is called, and nothing of the rest gets in the way */
	seen.stop = 3;
	seen.with = 77;
	check_eq(devmem_bind_dump(nl, 0, see, &seen, 0), 77);
	check_eq(seen.nr, 3);
	check_eq(devmem_bind_get(nl, bound[9].res.id, &info, 0), 0);
	check_eq(info.queues[0], 9);
	seen.nr = 0;
	seen.with = -ECANCELED;
	check_eq(devmem_bind_dump(nl, 0, see, &seen, 0), -ECANCELED);
	check_eq(seen.nr, 3);

	seen.nr = 0;
	check_eq(devmem_bind_dump(nl, 0, see, &seen, 4), -EINVAL);
	error_says("flags 0x4");
	check_eq(seen.nr, 0);
	check_eq(devmem_bind_get(nl, bound[9].res.id + 1000, &info, 0), -ENOENT);
	error_says("no binding ");
	check(!!strstr(devmem_nl_error(nl), "no binding "));
	devmem_nl_close(nl);
	must_cmd("ip link delete nsd8");
}

/* ---- sockets ----------------------------------------------------------- */

/* Which device a connection comes through is not known while that is down, if it
 * knows no way in yet: that of who connects may have got lost on its way.
 */
static void link_down_for_a_moment(void)
{
	const struct conn_opts opts = { .family = AF_INET, .reverse = true };
	static struct conn conns[CONNECTIONS];
	unsigned int i, refused = 0;
	int tos = 8, ret;

	bind_one(&b, 0);
	for (i = 0; i < CONNECTIONS; i++) {
		connect_with(&conns[i], &opts);
		must(setsockopt(conns[i].rx, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)));
	}
	must_cmd("ip link set nsd0 down");
	for (i = 0; i < CONNECTIONS; i++) {
		ret = devmem_attach(conns[i].rx, b.res.id, devmem_buf_fd(b.buf), 0);
		if (!ret)
			continue;
		check_eq(ret, -ENETDOWN);
		error_says("device is down");
		c = conns[i];
		refused++;
	}
	must_cmd("ip link set nsd0 up");
	must_cmd("ip addr add %s/64 dev nsd0 nodad", ADDR6(RECEIVER));
	env_ready();
	if (!refused)
		skip("all %u knew their way in", CONNECTIONS);
	check_eq(devmem_attach(c.rx, b.res.id, devmem_buf_fd(b.buf), 0), 0);
}

static void setup(void)
{
	env_setup(QUEUES);
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(room_for_one_piece),
	KTAP_CASE(more_than_one_call_takes),
	KTAP_CASE(more_ranges_than_one_call_takes),
	KTAP_CASE(collected_upwards),
	KTAP_CASE(collected_downwards),
	KTAP_CASE(collected_with_gaps),
	KTAP_CASE(taken_by_nobody),
	KTAP_CASE(all_bindings),
	KTAP_CASE(link_down_for_a_moment),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
