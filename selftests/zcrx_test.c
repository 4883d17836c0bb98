// SPDX-License-Identifier: GPL-2.0
/*
 * io_uring's zero-copy receive over our NIC, the second provider of memory that a
 * kernel has: every byte lands in the area that the ring was registered with. Owns
 * a queue that receives this way. Skipped where the kernel has no such thing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common_provider.h"
#include "common_zcrx.h"

#define SEED	0x7a637278ULL
#define KIB	1024UL
#define MIB	(1UL << 20)
#define AREA	(8 * MIB)

static struct zcrx z;
static struct zcrx_area area;
static unsigned char *memory;	/* the area as this process sees it */

static void setup(void)
{
	env_setup(1);
	ask_for_split();
}

static void dmabuf_area(enum devmem_buf_kind kind, uint32_t page)
{
	struct devmem_buf *buf;
	void *map;

	if (!zcrx_known())
		skip("this kernel has no zero-copy receive of io_uring");
	if (devmem_buf_alloc(&buf, kind, AREA, 0) || devmem_buf_map(buf, &map, 0))
		fail("%s", devmem_error());
	memory = map;
	memset(memory, 0xa5, AREA);
	area.dmabuf = devmem_buf_fd(buf);
	area.size = AREA;
	area.page = page;
}

static void user_area(void)
{
	if (!zcrx_known())
		skip("this kernel has no zero-copy receive of io_uring");
	memory = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(memory != MAP_FAILED);
	memset(memory, 0xa5, AREA);
	area.dmabuf = -1;
	area.addr = memory;
	area.size = AREA;
	area.page = 4 * KIB;
}

static void compare(const struct zcrx_piece *piece, uint64_t pos)
{
	uint64_t i;

	check_cmp(piece->offset + piece->size, <=, AREA);
	for (i = 0; i < piece->size; i++)
		if (memory[piece->offset + i] != devmem_pattern_byte(pos + i, SEED))
			fail("byte %llu of the stream is wrong at %llu of the area",
			     (unsigned long long)(pos + i),
			     (unsigned long long)(piece->offset + i));
}

/* From *@pos on, until all has come, or the end of the stream. */
static void receive(int sock, uint64_t *pos, uint64_t end, bool eof)
{
	struct zcrx_piece piece;
	bool ended = false;

	while (eof ? !ended : *pos < end) {
		zcrx_wait(&z);
		while (zcrx_next(&z, &piece)) {
			if (piece.last) {
				if (piece.error && piece.error != ENOSPC)
					fail("receive: %s", strerror(piece.error));
				ended = !piece.error;
				if (!ended)
					zcrx_receive(&z, sock, 0);
				continue;
			}
			compare(&piece, *pos);
			*pos += piece.size;
		}
	}
	check_eq(*pos, end);
}

/* A stream in writes of @size bytes. */
static void stream(int family, uint64_t bytes, size_t size)
{
	uint64_t pos = 0;
	struct conn c;
	pid_t pid;

	zcrx_open(&z, 0, &area);
	connect_pair(&c, family);
	zcrx_receive(&z, c.rx, 0);
	pid = send_start(&c, bytes, SEED, size, SEND_SHUTDOWN);
	close(c.tx);
	receive(c.rx, &pos, bytes, true);
	test_join(pid);
	check_eq(nic_counter(RECEIVER, "rx_drop_unreadable"), 0);
	close(c.rx);
	zcrx_close(&z);
}

static void stream_dmabuf(void)
{
	dmabuf_area(DEVMEM_BUF_GPU, 4 * KIB);
	stream(AF_INET, 4 * AREA, 65536);
	stream(AF_INET6, 4 * AREA, 65536);
}

static void stream_udmabuf(void)
{
	dmabuf_area(DEVMEM_BUF_UDMABUF, 4 * KIB);
	stream(AF_INET, 4 * AREA, 65536);
}

static void stream_user(void)
{
	user_area();
	stream(AF_INET, 4 * AREA, 65536);
	stream(AF_INET6, 4 * AREA, 65536);
}

static void odd_segments(void)
{
	static const size_t sizes[] = { 1, 2, 63, 64, 65, 1447, 1448, 1449, 4095,
					4096, 4097, 8192, 65535 };
	unsigned int i;

	user_area();
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		stream(i % 2 ? AF_INET6 : AF_INET, sizes[i] * 40, sizes[i]);
}

static void large_pages(void)
{
	static const uint32_t pages[] = { 8 * KIB, 64 * KIB, 2 * MIB };
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		dmabuf_area(DEVMEM_BUF_GPU, pages[i]);
		err = zcrx_try_open(&z, 0, &area);
		if (err == EINVAL && !i)
			skip("this kernel gives the NIC pages of 4 KiB only");
		check_eq(err, 0);
		zcrx_close(&z);
		stream(AF_INET, 2 * AREA, 65536);
		stream(AF_INET, MIB, 1448);
	}
}

/* The NIC comes back with the same memory, and a connection goes on. */
static void down_up(void)
{
	uint64_t pos = 0;
	struct conn c;

	dmabuf_area(DEVMEM_BUF_GPU, 4 * KIB);
	zcrx_open(&z, 0, &area);
	connect_pair(&c, AF_INET);
	zcrx_receive(&z, c.rx, 0);
	send_pattern(c.tx, 100000, 0, SEED, 50000);
	receive(c.rx, &pos, 100000, false);
	must_cmd("ip link set nsd0 down");
	must_cmd("ip link set nsd0 up");
	send_pattern(c.tx, 100000, pos, SEED, 50000);
	receive(c.rx, &pos, 200000, false);
	zcrx_close(&z);
}

/* Who comes second is refused, and header split stays. */
static void claims(void)
{
	static struct ctl_nl nl;
	struct ctl_answer answer;
	struct bound b = { 0 };
	const uint32_t queue = 0;

	dmabuf_area(DEVMEM_BUF_GPU, 4 * KIB);
	bind_queues(&b, DEVMEM_BUF_GPU, MIB, 4 * KIB, &queue, 1);
	check_eq(zcrx_try_open(&z, 0, &area), EBUSY);
	unbind(&b);
	check(within(5000, !live_object("bindings")));

	zcrx_open(&z, 0, &area);
	devmem_bind(&nl, &b, 0, &answer);
	check_eq(answer.err, EBUSY);
	check(strstr(answer.text, "io_uring"));
	set_split(false, &answer);
	check_cmp(answer.err, !=, 0);
	must_cmd("ip link set nsd0 mtu 9000");
	must_cmd("ip link set nsd0 mtu 1500");
	zcrx_close(&z);
	check(within(5000, (devmem_bind(&nl, &b, 0, &answer), !answer.err)));
	ctl_nl_close(&nl);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(stream_dmabuf),
	KTAP_CASE(stream_udmabuf),
	KTAP_CASE(stream_user),
	KTAP_CASE(odd_segments),
	KTAP_CASE(large_pages),
	KTAP_CASE(down_up),
	KTAP_CASE(claims),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
