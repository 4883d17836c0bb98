// SPDX-License-Identifier: GPL-2.0
/*
 * Owns "ncdevmem send": an ordinary TCP sender of a pattern or of stdin. Must
 * not know that there is such a thing as device memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pattern.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ncdevmem.h"

static const char nd_send_help[] =
"Usage: ncdevmem send [options] HOST PORT\n"
"Send a stream over plain TCP, as any program would.\n"
"\n"
"  --bytes SIZE       how much (default 256M of the pattern, all of the input)\n"
"  --pattern[=SEED]   send the test pattern (the default, with SEED 0);\n"
"                     --pattern:SEED is the same\n"
"  --input FILE       send FILE instead, or stdin if FILE is -\n"
"  --size SIZE        bytes of one send() (default 256K)\n"
"  --nodelay          TCP_NODELAY\n"
"  --wait SECONDS     go on trying to connect for so long (default 0)\n"
"  -4, -6             IPv4 or IPv6 only\n"
"  --json             print one JSON object on stdout at the end\n"
"  -h, --help         this text\n"
"\n"
"Sizes take the suffixes K, M, G and T. Exit status: 0 all was sent and\n"
"acknowledged, 1 failure, 2 usage.\n"
"\n"
"Examples:\n"
"  ncdevmem send --bytes 1G 192.0.2.1 5201\n"
"  tar c . | ncdevmem send --input - fe80::1%eth0 5201\n";

enum {
	ND_OPT_BYTES = ND_OPT_PRIVATE,
	ND_OPT_PATTERN,
	ND_OPT_INPUT,
	ND_OPT_WRITE,
	ND_OPT_NODELAY,
	ND_OPT_WAIT,
	ND_OPT_JSON,
};

static const struct option nd_send_long[] = {
	{ "bytes",	required_argument, NULL, ND_OPT_BYTES },
	{ "pattern",	optional_argument, NULL, ND_OPT_PATTERN },
	{ "input",	required_argument, NULL, ND_OPT_INPUT },
	{ "size",	required_argument, NULL, ND_OPT_WRITE },
	{ "nodelay",	no_argument, NULL, ND_OPT_NODELAY },
	{ "wait",	required_argument, NULL, ND_OPT_WAIT },
	{ "json",	no_argument, NULL, ND_OPT_JSON },
	{ "help",	no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

struct nd_send_opts {
	const char *host;
	const char *port;
	const char *input;
	uint64_t bytes;		/* 0: not given */
	uint64_t seed;
	uint64_t size;
	uint64_t wait;
	int family;
	bool bytes_given;
	bool pattern_given;
	bool nodelay;
	bool json;
};

struct nd_sender {
	const struct nd_send_opts *o;
	int sock;
	int sigfd;
	int input;		/* -1: pattern */
	char *buf;
	uint64_t limit;
	uint64_t sent;
	uint64_t calls;
	double begin;
	double told;
	bool tty;
	bool interrupted;
};

#define ND_DEFAULT_BYTES	(256ULL << 20)
#define ND_HELP_WANTED		(-1)
#define ND_ACK_POLL_MS		20

static int nd_send_option(struct nd_send_opts *o, int opt, const char *arg)
{
	switch (opt) {
	case '4':
		o->family = AF_INET;
		return ND_OK;
	case '6':
		o->family = AF_INET6;
		return ND_OK;
	case 'h':
		return ND_HELP_WANTED;
	case ND_OPT_BYTES:
		o->bytes_given = true;
		return nd_parse_size("--bytes", arg, 0, UINT64_MAX, &o->bytes);
	case ND_OPT_PATTERN:
		o->pattern_given = true;
		return arg ? nd_parse_uint("--pattern", arg, 0, UINT64_MAX,
					   &o->seed) : ND_OK;
	case ND_OPT_INPUT:
		o->input = arg;
		return ND_OK;
	case ND_OPT_WRITE:
		return nd_parse_size("--size", arg, 1, 1 << 30, &o->size);
	case ND_OPT_NODELAY:
		o->nodelay = true;
		return ND_OK;
	case ND_OPT_WAIT:
		return nd_parse_uint("--wait", arg, 0, 86400, &o->wait);
	case ND_OPT_JSON:
		o->json = true;
		return ND_OK;
	default:
		return ND_USAGE;
	}
}

static int nd_send_parse(struct nd_send_opts *o, int argc, char **argv)
{
	static const char colon[] = "--pattern:";
	int opt, ret, i;

	/* The spelling of "listen --verify pattern:SEED" works here too. */
	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strncmp(argv[i], colon, sizeof(colon) - 1))
			argv[i][sizeof(colon) - 2] = '=';

	while ((opt = getopt_long(argc, argv, "46h", nd_send_long,
				  NULL)) != -1) {
		ret = nd_send_option(o, opt, optarg);
		if (ret)
			return ret;
	}
	if (argc - optind != 2)
		return nd_usage("send takes HOST PORT; see ncdevmem send --help");
	o->host = argv[optind];
	o->port = argv[optind + 1];
	if (o->input && o->pattern_given)
		return nd_usage("--input and --pattern exclude each other");
	return nd_parse_port(o->port, 1);
}

static void nd_send_progress(struct nd_sender *s)
{
	char text[ND_BYTES_LEN], rate[ND_BYTES_LEN];
	double now = nd_now();

	if (!s->tty || now - s->told < 0.25)
		return;
	s->told = now;
	fprintf(stderr, "\r\033[K%s, %s/s", nd_bytes(text, s->sent),
		nd_bytes(rate, (uint64_t)((double)s->sent /
					  (now - s->begin + 1e-9))));
	fflush(stderr);
}

/* Return: 0 when @fd is ready, -1 when a signal came first. */
static int nd_send_poll(struct nd_sender *s, int fd, short events)
{
	struct pollfd pfd[] = {
		{ .fd = fd, .events = events },
		{ .fd = s->sigfd, .events = POLLIN },
	};

	while (poll(pfd, ARRAY_SIZE(pfd), -1) < 0 && errno == EINTR)
		;
	if (!pfd[1].revents || !nd_signalled(s->sigfd))
		return 0;
	s->interrupted = true;
	return -1;
}

/* The next bytes of the stream into @s->buf. Return: how many, 0: the end,
 * -1: stop.
 */
static ssize_t nd_send_next(struct nd_sender *s)
{
	uint64_t want = s->limit - s->sent;
	ssize_t n;

	if (want > s->o->size)
		want = s->o->size;
	if (!want)
		return 0;
	if (s->input < 0) {
		devmem_pattern_fill(s->buf, want, s->sent, s->o->seed);
		return (ssize_t)want;
	}

	do {
		if (nd_send_poll(s, s->input, POLLIN))
			return -1;
		n = read(s->input, s->buf, want);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n < 0)
		nd_err("--input %s: %s", s->o->input, strerror(errno));
	return n;
}

static int nd_send_buf(struct nd_sender *s, size_t len)
{
	const char *p = s->buf;
	ssize_t n;

	while (len) {
		n = send(s->sock, p, len, MSG_NOSIGNAL);
		if (n >= 0) {
			s->calls++;
			s->sent += (uint64_t)n;
			p += n;
			len -= (size_t)n;
			nd_send_progress(s);
		} else if (errno == EAGAIN) {
			if (nd_send_poll(s, s->sock, POLLOUT))
				return -1;
		} else if (errno != EINTR) {
			nd_err("send after %" PRIu64 " bytes: %s", s->sent,
			       strerror(errno));
			return -1;
		}
	}
	return 0;
}

/*
 * Closing now would lose what is queued if the peer resets. Wait until all is
 * acknowledged; whether the peer then closes its side is its own business.
 */
static int nd_send_end(struct nd_sender *s)
{
	struct pollfd pfd[] = {
		{ .fd = s->sock, .events = 0 },
		{ .fd = s->sigfd, .events = POLLIN },
	};
	struct tcp_info info;
	socklen_t len;
	int err = 0;

	if (shutdown(s->sock, SHUT_WR) && errno != ENOTCONN) {
		nd_err("shutdown: %s", strerror(errno));
		return -1;
	}
	for (;;) {
		len = sizeof(info);
		if (getsockopt(s->sock, IPPROTO_TCP, TCP_INFO, &info, &len)) {
			nd_err("TCP_INFO: %s", strerror(errno));
			return -1;
		}
		if (info.tcpi_state == TCP_FIN_WAIT2 ||
		    info.tcpi_state == TCP_TIME_WAIT)
			return 0;
		if (info.tcpi_state == TCP_CLOSE)
			break;
		if (poll(pfd, ARRAY_SIZE(pfd), ND_ACK_POLL_MS) > 0 &&
		    pfd[1].revents && nd_signalled(s->sigfd)) {
			s->interrupted = true;
			return -1;
		}
	}

	/* Closed: in good order, or by a reset. */
	len = sizeof(err);
	if (getsockopt(s->sock, SOL_SOCKET, SO_ERROR, &err, &len) || !err)
		return 0;
	nd_err("after all %" PRIu64 " bytes: %s", s->sent, strerror(err));
	return -1;
}

static int nd_send_all(struct nd_sender *s)
{
	ssize_t n;

	while ((n = nd_send_next(s)) > 0)
		if (nd_send_buf(s, (size_t)n))
			return ND_FAIL;
	return n < 0 || nd_send_end(s) ? ND_FAIL : ND_OK;
}

static int nd_send_setup(struct nd_sender *s)
{
	const struct nd_send_opts *o = s->o;
	int on = 1;

	if (o->input) {
		s->input = !strcmp(o->input, "-") ? STDIN_FILENO :
			   open(o->input, O_RDONLY | O_CLOEXEC);
		if (s->input < 0) {
			nd_err("--input %s: %s", o->input, strerror(errno));
			return ND_FAIL;
		}
	}
	s->limit = o->bytes_given ? o->bytes :
		   o->input ? UINT64_MAX : ND_DEFAULT_BYTES;
	s->buf = malloc(o->size);
	if (!s->buf) {
		nd_err("--size %" PRIu64 ": out of memory", o->size);
		return ND_FAIL;
	}

	s->sock = nd_addr_connect(o->family, o->host, o->port, (double)o->wait);
	if (s->sock < 0)
		return ND_FAIL;
	if (o->nodelay && setsockopt(s->sock, IPPROTO_TCP, TCP_NODELAY, &on,
				     sizeof(on))) {
		nd_err("TCP_NODELAY: %s", strerror(errno));
		return ND_FAIL;
	}
	return nd_signals(&s->sigfd);
}

static int nd_send_report(const struct nd_sender *s, int ret)
{
	double seconds = nd_now() - s->begin;
	char text[ND_BYTES_LEN], rate[ND_BYTES_LEN];
	struct nd_json j = { .f = stdout };

	if (s->tty)
		fputs("\r\033[K", stderr);
	if (s->o->json) {
		nd_json_open(&j, NULL, '{');
		nd_json_uint(&j, "bytes_total", s->sent);
		nd_json_uint(&j, "send_calls", s->calls);
		nd_json_seconds(&j, "seconds", seconds);
		nd_json_bool(&j, "interrupted", s->interrupted);
		nd_json_uint(&j, "exit_status", (uint64_t)ret);
		nd_json_close(&j, '}');
		putchar('\n');
	} else {
		printf("sent      %" PRIu64 " bytes (%s) in %.3f s, %s/s, %" PRIu64 " calls%s\n",
		       s->sent, nd_bytes(text, s->sent), seconds,
		       nd_bytes(rate, (uint64_t)((double)s->sent /
						 (seconds + 1e-9))),
		       s->calls, s->interrupted ? " (interrupted)" : "");
	}
	if (fflush(stdout) || ferror(stdout)) {
		nd_err("summary: write error");
		return ret ? ret : ND_FAIL;
	}
	return ret;
}

int nd_send(int argc, char **argv)
{
	struct nd_send_opts o = { .size = 256 << 10 };
	struct nd_sender s = { .o = &o, .sock = -1, .sigfd = -1, .input = -1 };
	int ret;

	ret = nd_send_parse(&o, argc, argv);
	if (ret == ND_HELP_WANTED)
		return nd_help(nd_send_help);
	if (ret)
		return ret;

	s.tty = isatty(STDERR_FILENO);
	ret = nd_send_setup(&s);
	if (!ret) {
		s.begin = nd_now();
		ret = nd_send_all(&s);
		ret = nd_send_report(&s, ret);
	}

	free(s.buf);
	if (s.sock >= 0)
		close(s.sock);
	if (s.sigfd >= 0)
		close(s.sigfd);
	if (s.input > STDERR_FILENO)
		close(s.input);
	return ret;
}
