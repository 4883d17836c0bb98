// SPDX-License-Identifier: GPL-2.0
/*
 * "ncdevmem listen" and "send": numbers they refuse, what a listener outlives,
 * and that a signal ends either wherever it waits. Must not know what happens
 * to a byte that is received.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "common_ctl.h"
#include "common_tool.h"

#define PORT		5201
#define LISTEN		"listen --dev nsd0 --queues 0-3 --buffer gpu --size 8M "
#define MANY		40

static const struct tool_opts on_receiver;
static const struct tool_opts on_sender = { .side = SENDER };
static struct tool listener, sender;

static int connect_to(enum side side)
{
	struct sockaddr_storage ss;
	socklen_t len = side_addr(&ss, side, AF_INET, PORT);
	int fd;

	env_enter(SENDER);
	fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	env_enter(RECEIVER);
	must(connect(fd, (struct sockaddr *)&ss, len));
	return fd;
}

static void listen_with(const struct tool_opts *o)
{
	tool_start(&listener, o, LISTEN "--connections 0 --verify pattern %u", PORT);
	tool_must_say(&listener, "listening on");
}

static void send_some(void)
{
	tool_start(&sender, &on_sender, "send --bytes 200K %s %u", ADDR4(RECEIVER), PORT);
	check_eq(tool_end(&sender), 0);
}

/* ---- numbers ----------------------------------------------------------- */

static void refused(const char *text, const char *words)
{
	struct tool t;

	tool_start(&t, &on_receiver, "%s", words);
	tool_must_say(&t, text);
	check_eq(tool_end(&t), 2);
}

static void numbers_that_wrap(void)
{
	refused("port '65536': not between 0 and 65535", "listen --dev nsd0 65536");
	refused("port '70737': not between 0 and 65535", "listen --dev nsd0 10.9.0.1 70737");
	refused("port '18446744073709556817': not between", "listen --dev nsd0 18446744073709556817");
	refused("port '-60335': not a number", "listen --dev nsd0 -- -60335");
	refused("port '+5201': not a number", "listen --dev nsd0 +5201");
	refused("port '70737': not between 1 and 65535", "send 10.9.0.1 70737");
	refused("port '0': not between 1 and 65535", "send 10.9.0.1 0");
	refused("--queues '4294967296': more than 4294967295",
		"listen --dev nsd0 --queues 4294967296 5201");
	refused("--queues '18446744073709551617': more than",
		"listen --dev nsd0 --queues 18446744073709551617 5201");
	refused("--queues '-18446744073709551615-1': must be",
		"bind --dev nsd0 --queues -18446744073709551615-1");
	refused("--queues '0,+1': must be", "bind --dev nsd0 --queues 0,+1");
	refused("--mode '-18446744073709551615': not an octal number",
		"bind --dev nsd0 --socket nd --mode -18446744073709551615");
	refused("--mode '1000': not between 0 and 777",
		"bind --dev nsd0 --socket nd --mode 1000");
	refused("--group '4294967296': not between 0 and 4294967294",
		"bind --dev nsd0 --socket nd --group 4294967296");
	refused("--group 'nobody-has-this': there is no such group",
		"bind --dev nsd0 --socket nd --group nobody-has-this");
	refused("--size '17592186044416M': not between",
		"listen --dev nsd0 --size 17592186044416M 5201");
	refused("--connections '18446744073709551616': not between",
		"listen --dev nsd0 --connections 18446744073709551616 5201");
	refused("--connections '-1': not a number", "listen --dev nsd0 --connections -1 5201");
	refused("seed '\v-1': not a number", "listen --dev nsd0 --verify pattern:\v-1 5201");
	refused("--id '4294967297': not between", "show --id 4294967297");
	refused("--wait '86401': not between", "send --wait 86401 10.9.0.1 5201");
}

/* ---- what a listener outlives ------------------------------------------ */

/* Waits when it has no descriptor left, says so once, and goes on when one is. */
static void no_descriptor_left(void)
{
	const struct tool_opts few = { .soft = 20, .hard = 20 };
	int fd[MANY], i;

	listen_with(&few);
	for (i = 0; i < MANY; i++)
		fd[i] = connect_to(RECEIVER);
	tool_must_say(&listener, "accept: Too many open files");
	usleep(1000 * 1000);
	check(tool_runs(&listener));
	for (i = 0; i < MANY; i++)
		close(fd[i]);
	send_some();
	check_eq(tool_said(&listener, "accept: "), 1);
	check_eq(tool_kill(&listener, SIGTERM), 0);
}

static int see_flows(const struct devmem_bind_info *info, void *arg)
{
	*(unsigned int *)arg += info->flows;
	return 0;
}

static unsigned int flows(struct devmem_nl *nl)
{
	unsigned int n = 0;

	check_eq(devmem_bind_dump(nl, env_ifindex(), see_flows, &n, 0), 0);
	return n;
}

/* A soft limit is no reason to serve fewer at a time than it can. */
static void low_soft_limit(void)
{
	const struct tool_opts few = { .soft = 20, .hard = 4096 };
	struct devmem_nl *nl;
	int fd[MANY], i;

	check_eq(devmem_nl_open(&nl, 0), 0);
	listen_with(&few);
	for (i = 0; i < MANY; i++)
		fd[i] = connect_to(RECEIVER);
	check(within(5000, flows(nl) == MANY));
	for (i = 0; i < MANY; i++)
		close(fd[i]);
	send_some();
	check_eq(tool_said(&listener, "accept"), 0);
	check_eq(tool_kill(&listener, SIGTERM), 0);
	devmem_nl_close(nl);
}

/* Errors of accept(), each in its turn, and the listener serves the same. */
static void errors_of_accept(void)
{
	static const int of_the_connection[] = {
		ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET,
		EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, EINTR, EAGAIN,
	};
	static const int of_resources[] = { ENFILE, EMFILE, ENOBUFS, ENOMEM, EPERM };
	const struct tool_opts o = { .calls = { SYS_accept4, SYS_accept } };
	unsigned int i;

	listen_with(&o);
	tool_start(&sender, &on_sender, "send --bytes 200K %s %u", ADDR4(RECEIVER), PORT);
	for (i = 0; i < ARRAY_SIZE(of_the_connection); i++)
		tool_answer(&listener, of_the_connection[i]);
	check_eq(tool_said(&listener, "accept"), 0);
	for (i = 0; i < ARRAY_SIZE(of_resources); i++)
		tool_answer(&listener, of_resources[i]);
	check_eq(tool_said(&listener, "accept"), 1);
	check_eq(tool_said(&listener, "accept: Too many open files in system"), 1);
	tool_answer(&listener, 0);
	check_eq(tool_end(&sender), 0);
	check_eq(tool_kill(&listener, SIGTERM), 0);
}

/* It does not use up a CPU meanwhile. */
static void backs_off(void)
{
	const struct tool_opts o = { .calls = { SYS_accept4, SYS_accept } };
	long long end;
	int n = 0;

	listen_with(&o);
	tool_start(&sender, &on_sender, "send --bytes 200K %s %u", ADDR4(RECEIVER), PORT);
	tool_answer(&listener, EMFILE);
	end = now_ms() + 1000;
	while (now_ms() < end) {
		if (!tool_calls(&listener, 10))
			continue;
		tool_answer(&listener, EMFILE);
		n++;
	}
	check_cmp(n, <=, 10);
	tool_answer(&listener, 0);
	check_eq(tool_end(&sender), 0);
	check_eq(tool_kill(&listener, SIGTERM), 0);
}

/* That connection is lost, and the exit status tells; the next is served. */
static void no_thread_for_it(void)
{
	const struct tool_opts o = { .calls = { SYS_clone3, SYS_clone } };
	char byte;
	int fd;

	listen_with(&o);
	fd = connect_to(RECEIVER);
	tool_answer(&listener, EAGAIN);
	tool_must_say(&listener, "no thread for it");
	check_eq(read(fd, &byte, 1), 0);
	close(fd);
	tool_start(&sender, &on_sender, "send --bytes 200K %s %u", ADDR4(RECEIVER), PORT);
	tool_answer(&listener, 0);
	check_eq(tool_end(&sender), 0);
	check_eq(tool_kill(&listener, SIGTERM), 1);
}

/* ---- signals ----------------------------------------------------------- */

static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

/* Nothing tells that it waits: give it time to get there. */
static void ends_while_it_waits(const struct tool_opts *o, const char *words)
{
	struct tool t;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		tool_start(&t, o, "%s", words);
		usleep(1000 * (useconds_t)(300 * slow()));
		check(tool_runs(&t));
		check_eq(tool_kill(&t, signals[i]), 128 + signals[i]);
	}
}

static int unix_listener(const char *path, int backlog)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = must(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));

	strcpy(sun.sun_path, path);
	unlink(path);
	must(bind(fd, (struct sockaddr *)&sun, sizeof(sun)));
	must(listen(fd, backlog));
	return fd;
}

static void binding_that_nobody_hands_out(void)
{
	int fd;

	tool_directory();
	fd = unix_listener("silent.sock", 8);
	ends_while_it_waits(&on_receiver, "listen --binding silent.sock 5201");
	close(fd);
}

/* Nor even accepts who wants it. */
static void binding_with_a_full_backlog(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = "full.sock" };
	int fd, other;

	tool_directory();
	fd = unix_listener(sun.sun_path, 0);
	do {
		other = must(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	} while (!connect(other, (struct sockaddr *)&sun, sizeof(sun)));
	check_eq(errno, EAGAIN);
	ends_while_it_waits(&on_receiver, "listen --binding full.sock 5201");
	close(fd);
}

static void output_that_nobody_opens(void)
{
	tool_directory();
	must(mkfifo("nobody.fifo", 0600));
	ends_while_it_waits(&on_receiver, LISTEN "--output nobody.fifo 5201");
	ends_while_it_waits(&on_sender, "send --input nobody.fifo 10.9.0.1 5201");
}

static void silent_name_server(void)
{
	const struct tool_opts listens = { .no_names = true };
	const struct tool_opts sends = { .side = SENDER, .no_names = true };
	struct sockaddr_storage ss;
	socklen_t len = side_addr(&ss, SENDER, AF_INET, 53);
	int fd;

	env_enter(SENDER);
	fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	must(bind(fd, (struct sockaddr *)&ss, len));
	env_enter(RECEIVER);
	ends_while_it_waits(&listens, LISTEN "example.net 5201");
	check_cmp(recv(fd, &ss, sizeof(ss), MSG_DONTWAIT), >, 0);
	ends_while_it_waits(&sends, "send example.net 5201");
	close(fd);
}

/* Whatever keeps the kernel from answering. */
static void request_without_an_answer(void)
{
	const struct tool_opts o = { .calls = { SYS_sendto } };

	ends_while_it_waits(&o, LISTEN "5201");
	ends_while_it_waits(&o, "bind --dev nsd0 --buffer gpu");
	ends_while_it_waits(&o, "show");
}

static void no_loss(void *arg)
{
	(void)arg;
	impair_none(RECEIVER);
}

static void nobody_answers_the_sender(void)
{
	defer(no_loss, NULL);
	impair(RECEIVER, "loss", 1000000);
	ends_while_it_waits(&on_sender, "send 10.9.0.1 5201");
	ends_while_it_waits(&on_sender, "send --wait 100 10.9.0.1 5201");
}

static void nobody_notifies(void)
{
	ends_while_it_waits(&on_receiver, "show --watch");
}

/* Once it listens there is something to tell: it ends in order. */
static void listener_that_waits(void)
{
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		listen_with(&on_receiver);
		check_eq(tool_kill(&listener, signals[i]), 0);
		listen_with(&on_receiver);
		fd = connect_to(RECEIVER);
		check_eq(tool_kill(&listener, signals[i]), 0);
		close(fd);
	}
}

static bool writable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };

	return poll(&pfd, 1, 0) == 1;
}

/* A pipe that is full, and a stream that goes on. */
static void output_that_nobody_reads(void)
{
	unsigned int i;
	int ends[2];

	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		struct tool_opts o = { .output = -1 };

		must(pipe2(ends, O_CLOEXEC));
		o.output = ends[1];
		tool_start(&listener, &o, LISTEN "--output - %u", PORT);
		tool_must_say(&listener, "listening on");
		tool_start(&sender, &on_sender, "send --bytes 32M %s %u", ADDR4(RECEIVER), PORT);
		check(within(5000, !writable(ends[1])));
		usleep(1000 * (useconds_t)(300 * slow()));
		check(tool_runs(&listener));
		check_eq(tool_kill(&listener, signals[i]), 0);
		check_eq(tool_end(&sender), 1);
		close(ends[0]);
		close(ends[1]);
	}
}

/* nohup(1) */
static void ignored_stays_ignored(void)
{
	const struct tool_opts nohup = { .ignored = SIGHUP };

	listen_with(&nohup);
	must(kill(listener.pid, SIGHUP));
	usleep(1000 * (useconds_t)(300 * slow()));
	check(tool_runs(&listener));
	send_some();
	check_eq(tool_kill(&listener, SIGTERM), 0);
}

static void doctor_finds(const struct tool_opts *o, const char *words, const char *text,
			 int status)
{
	struct tool t;

	tool_start(&t, o, "doctor %s", words);
	check(within(5000, !tool_runs(&t)));
	if (!tool_printed(&t, text))
		fail("doctor %s does not say '%s'", words, text);
	check_eq(tool_end(&t), status);
	check(within(2000, !live_object("bindings")));
}

/* It asks by a request to bind that cannot be met. */
static void doctor(void)
{
	static const struct tool_opts nobody = { .uid = 65534, .gid = 65534 };
	struct tool holder;

	doctor_finds(&on_receiver, "nsd0", "nsd0 places payload in device memory", 0);
	doctor_finds(&on_receiver, "nsd0", "nsd0: MTU 1500", 0);
	doctor_finds(&on_receiver, "nsd0", "ip link set dev nsd0 gro_max_size 524280", 0);
	doctor_finds(&on_receiver, "--json nsd0", "\"places\": true}", 0);
	doctor_finds(&nobody, "nsd0", "takes CAP_NET_ADMIN", 1);
	doctor_finds(&on_receiver, "lo", "lo cannot receive into device memory", 1);
	doctor_finds(&on_receiver, "", "name a device", 0);
	check_eq(ctl_gro_max("nsd0", 100000), 0);
	doctor_finds(&on_receiver, "nsd0", "up to 100000 bytes, for IPv4 100000", 0);
	must_cmd("ip link set dev nsd0 down");
	doctor_finds(&on_receiver, "nsd0", "nsd0 is down", 1);
	must_cmd("ip link set dev nsd0 up");
	refused("doctor takes one DEV", "doctor nsd0 nsd1");

	tool_start(&holder, &on_receiver, "bind --dev nsd0 --buffer gpu --size 1M");
	tool_number(&holder);
	tool_start(&sender, &on_receiver, "doctor nsd0");
	check(within(5000, !tool_runs(&sender)));
	check(tool_printed(&sender, "taken now: "));
	check_eq(tool_end(&sender), 0);
	check_eq(tool_kill(&holder, SIGTERM), 0);
}

static void setup(void)
{
	env_setup(8);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(numbers_that_wrap),
	KTAP_CASE(no_descriptor_left),
	KTAP_CASE(low_soft_limit),
	KTAP_CASE(errors_of_accept),
	KTAP_CASE(backs_off),
	KTAP_CASE(no_thread_for_it),
	KTAP_CASE(binding_that_nobody_hands_out),
	KTAP_CASE(binding_with_a_full_backlog),
	KTAP_CASE(output_that_nobody_opens),
	KTAP_CASE(silent_name_server),
	KTAP_CASE(request_without_an_answer),
	KTAP_CASE(nobody_answers_the_sender),
	KTAP_CASE(nobody_notifies),
	KTAP_CASE(listener_that_waits),
	KTAP_CASE(output_that_nobody_reads),
	KTAP_CASE(ignored_stays_ignored),
	KTAP_CASE(doctor),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
