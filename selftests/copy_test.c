// SPDX-License-Identifier: GPL-2.0
/*
 * The path that copies, where there is none of our modules: on veth and on lo, for a
 * user without privileges, in a user and network namespace as containers have them.
 * Through the library, through ncdevmem and through the example.
 */
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common_receiver.h"
#include "common_tool.h"

#define NOBODY		1000
#define PORT		5201
#define STREAM		"64M"

static const struct tool_opts on_receiver = { .uid = NOBODY, .gid = NOBODY };
static const struct tool_opts on_sender = { .side = SENDER };
static const struct tool_opts on_same = { .side = RECEIVER };

static void open_host(enum devmem_via via)
{
	struct devmem_rx_config config = { .via = via, .dev = "lo" };

	make_tensor();
	must_ok(devmem_buf_alloc(&staging, DEVMEM_BUF_HOST, STAGING, 0));
	must_ok(devmem_rx_open(&rx, staging, &config, 0));
	check_eq(devmem_rx_via(rx), DEVMEM_VIA_COPY);
}

static void receive_lo(int family)
{
	connect_lo(family);
	check_eq(devmem_conn_open(&conn, rx, c.rx, 0), 0);
}

static void read_some(void)
{
	pid_t pid = send_start(&c, 4 * (TENSOR - 2), SEED, 100000, SEND_SHUTDOWN);
	unsigned int i;

	for (i = 0; i < 4; i++) {
		check_eq(devmem_conn_read(conn, tensor, 1, TENSOR - 2, 0), TENSOR - 2);
		check_tensor((uint64_t)i * (TENSOR - 2), 1, TENSOR - 2);
	}
	check_eq(devmem_conn_read(conn, tensor, 0, 1, 0), 0);
	test_join(pid);
	devmem_conn_close(conn);
	close(c.tx);
}

static void no_modules(void)
{
	check(access("/sys/module/netdev_devmem", F_OK));
	check(access("/sys/module/netdevsim_devmem", F_OK));
}

static void library_on_lo(void)
{
	no_modules();
	open_host(DEVMEM_VIA_AUTO);
	if (!strstr(devmem_rx_passed_over(rx), "load the module netdev-devmem"))
		fail("'%s'", devmem_rx_passed_over(rx));
	receive_lo(AF_INET);
	read_some();
	receive_lo(AF_INET6);
	read_some();
	close_all();
}

static void library_on_veth(void)
{
	open_host(DEVMEM_VIA_COPY);
	connect_rx(AF_INET);
	read_some();
	connect_rx(AF_INET6);
	read_some();
	close_all();
}

static void lo_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	must(ioctl(fd, SIOCGIFFLAGS, &ifr));
	ifr.ifr_flags |= IFF_UP;
	must(ioctl(fd, SIOCSIFFLAGS, &ifr));
	close(fd);
}

/* As in a container: root of nothing but his own namespaces. */
static void in_a_container(void)
{
	pid_t pid = test_fork();

	if (!pid) {
		must(setresgid(NOBODY, NOBODY, NOBODY));
		must(setresuid(NOBODY, NOBODY, NOBODY));
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
			_exit(77);
		lo_up();
		open_host(DEVMEM_VIA_AUTO);
		receive_lo(AF_INET);
		read_some();
		receive_lo(AF_INET6);
		read_some();
		close_all();
		_exit(0);
	}
	test_join(pid);
}

/* ---- ncdevmem -------------------------------------------------------------- */

static void tool_receives(const char *options, const char *addr,
			  const struct tool_opts *from, const char *to)
{
	struct tool listener, sender;

	tool_start(&listener, &on_receiver,
		   "listen --json --verify pattern --expect " STREAM " %s %s %u", options,
		   addr, PORT);
	tool_must_say(&listener, "copying into 67108864 bytes");
	tool_start(&sender, from, "send --bytes " STREAM " %s %u", to, PORT);
	check_eq(tool_end(&sender), 0);
	check(within(5000, !tool_runs(&listener)));
	check(tool_printed(&listener, "\"verified\": true"));
	check(tool_printed(&listener, "\"via\": \"copy\""));
	check_eq(tool_end(&listener), 0);
}

static void tool_on_veth(void)
{
	tool_receives("--via copy", ADDR4(RECEIVER), &on_sender, ADDR4(RECEIVER));
	tool_receives("--via auto --dev nsd0", ADDR6(RECEIVER), &on_sender, ADDR6(RECEIVER));
}

static void tool_on_lo(void)
{
	tool_receives("--via copy --read 1000", "127.0.0.1", &on_same, "127.0.0.1");
	tool_receives("--via copy --hold 64", "::1", &on_same, "::1");
}

static void tool_says_why(void)
{
	struct tool t;

	tool_start(&t, &on_receiver, "listen --via auto --dev nsd0 %u", PORT);
	tool_must_say(&t, "not via devmem: ");
	tool_must_say(&t, "load the module netdev-devmem");
	tool_must_say(&t, "copying into");
	check_eq(tool_kill(&t, SIGTERM), 0);

	tool_start(&t, &on_same, "listen --via devmem --dev nsd0 %u", PORT);
	tool_must_say(&t, "load the module netdev-devmem");
	check_eq(tool_end(&t), 1);
	tool_start(&t, &on_same, "listen --via carrier-pigeon %u", PORT);
	tool_must_say(&t, "path 'carrier-pigeon': unknown, use auto, devmem, kernel, zcrx or copy");
	check_eq(tool_end(&t), 2);
	tool_start(&t, &on_same, "listen %u", PORT);
	tool_must_say(&t, "--dev IFNAME, --binding PATH or --via copy is needed");
	check_eq(tool_end(&t), 2);
	tool_start(&t, &on_same, "bind --dev nsd0 --via copy");
	check_eq(tool_end(&t), 2);
}

static void doctor(void)
{
	struct tool t;

	tool_start(&t, &on_same, "doctor nsd0");
	check_eq(tool_end(&t), 1);
	tool_start(&t, &on_receiver, "doctor --json");
	check(within(5000, !tool_runs(&t)));
	check(tool_printed(&t, "load the module netdev-devmem"));
	check(tool_printed(&t, "CAP_NET_ADMIN is missing"));
	check(tool_printed(&t, "\"places\": false"));
	check(tool_printed(&t, "\"memory gpu\", \"finding\": \"no\""));
	check(tool_printed(&t, "\"memory host\", \"finding\": \"ok\""));
	check(tool_printed(&t, "\"path copy\", \"finding\": \"ok\""));
	check_eq(tool_end(&t), 0);
}

/* ---- the example ------------------------------------------------------------- */

static void example(void)
{
	enum { RECORDS = 3, RECORD = 1 << 20 };
	struct sockaddr_storage ss;
	unsigned int n = 0;
	char line[128], wanted[128];
	int listener, sock;
	FILE *records;
	pid_t pid;

	env_enter(SENDER);
	listener = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	must(bind(listener, (void *)&ss, side_addr(&ss, SENDER, AF_INET, PORT)));
	must(listen(listener, 1));
	env_enter(RECEIVER);
	pid = test_fork();
	if (!pid) {
		sock = must(accept(listener, NULL, NULL));
		send_pattern(sock, RECORDS * RECORD, 0, SEED, 10000);
		_exit(0);
	}
	snprintf(line, sizeof(line), "records nsd0 %s %d", ADDR4(SENDER), PORT);
	records = popen(line, "re");
	check(records);
	for (; fgets(line, sizeof(line), records); n++) {
		snprintf(wanted, sizeof(wanted), "a record via copy begins with %02x %02x\n",
			 devmem_pattern_byte((uint64_t)n * RECORD, SEED),
			 devmem_pattern_byte((uint64_t)n * RECORD + 1, SEED));
		if (strcmp(line, wanted))
			fail("'%s' instead of '%s'", line, wanted);
	}
	check_eq(n, RECORDS);
	check_eq(pclose(records), 0);
	test_join(pid);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(library_on_lo),
	KTAP_CASE(library_on_veth),
	KTAP_CASE(in_a_container),
	KTAP_CASE(tool_on_veth),
	KTAP_CASE(tool_on_lo),
	KTAP_CASE(tool_says_why),
	KTAP_CASE(doctor),
	KTAP_CASE(example),
};

static void setup(void)
{
	defer(env_modules, NULL);
	must(env_rmmod("netdevsim_devmem"));
	must(env_rmmod("netdev_devmem"));
	env_setup_veth();
}

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
