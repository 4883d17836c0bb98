// SPDX-License-Identifier: GPL-2.0
/*
 * Owns what every command needs: messages, numbers, time, signals. Must not
 * know any command.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "ncdevmem.h"

static void nd_verr(const char *fmt, va_list ap)
{
	char text[1280];

	/* One write, so that lines of several threads do not mix. */
	vsnprintf(text, sizeof(text), fmt, ap);
	fprintf(stderr, "%sncdevmem: %s\n",
		isatty(STDERR_FILENO) ? "\r\033[K" : "", text);
}

void nd_err(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	nd_verr(fmt, ap);
	va_end(ap);
}

int nd_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	nd_verr(fmt, ap);
	va_end(ap);
	return ND_USAGE;
}

int nd_help(const char *text)
{
	return fputs(text, stdout) == EOF || fflush(stdout) ? ND_FAIL : ND_OK;
}

static int nd_parse(const char *name, const char *s, uint64_t min,
		    uint64_t max, bool suffix, uint64_t *val)
{
	static const char units[] = "KMGT";
	unsigned int shift = 0;
	const char *unit;
	uint64_t v;
	char *end;

	errno = 0;
	v = strtoull(s, &end, 0);
	if (end == s || s[strspn(s, " \t\n")] == '-' || errno)
		return nd_usage("%s '%s': not a number", name, s);
	if (suffix && *end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (unit) {
			shift = 10 * (unsigned int)(unit - units + 1);
			end++;
		}
	}
	if (*end)
		return nd_usage("%s '%s': '%s' behind the number%s", name, s,
				end, suffix ? ", only K, M, G or T may be" : "");
	if (v > UINT64_MAX >> shift || v << shift > max || v << shift < min)
		return nd_usage("%s '%s': not between %" PRIu64 " and %" PRIu64,
				name, s, min, max);
	*val = v << shift;
	return ND_OK;
}

int nd_parse_size(const char *name, const char *s, uint64_t min, uint64_t max,
		  uint64_t *val)
{
	return nd_parse(name, s, min, max, true, val);
}

int nd_parse_uint(const char *name, const char *s, uint64_t min, uint64_t max,
		  uint64_t *val)
{
	return nd_parse(name, s, min, max, false, val);
}

/* "pattern" or "pattern:SEED" */
int nd_parse_pattern(const char *name, const char *s, uint64_t *seed)
{
	static const char word[] = "pattern";
	size_t len = sizeof(word) - 1;

	*seed = 0;
	if (strncmp(s, word, len) || (s[len] && s[len] != ':'))
		return nd_usage("%s '%s': must be pattern or pattern:SEED",
				name, s);
	if (!s[len])
		return ND_OK;
	return nd_parse_uint("seed", s + len + 1, 0, UINT64_MAX, seed);
}

double nd_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* SIGINT, SIGTERM and SIGHUP become readable on @sigfd, in every thread. */
int nd_signals(int *sigfd)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);

	*sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (*sigfd >= 0)
		return ND_OK;
	nd_err("signalfd: %s", strerror(errno));
	return ND_FAIL;
}

/*
 * Has a signal arrived? The next one ends the process at once, should the
 * orderly end get stuck, e.g. in a pipe that nobody reads.
 */
bool nd_signalled(int sigfd)
{
	struct signalfd_siginfo info;
	sigset_t set;

	if (read(sigfd, &info, sizeof(info)) != sizeof(info))
		return false;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return true;
}

int nd_write_all(int fd, const void *buf, size_t len)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	const char *p = buf;
	ssize_t n;

	while (len) {
		n = write(fd, p, len);
		if (n >= 0) {
			p += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			poll(&pfd, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

const char *nd_bytes(char text[ND_BYTES_LEN], uint64_t bytes)
{
	static const char * const units[] = { "KiB", "MiB", "GiB", "TiB" };
	double v = (double)bytes / 1024;
	unsigned int i;

	if (bytes < 1024) {
		snprintf(text, ND_BYTES_LEN, "%" PRIu64 " B", bytes);
		return text;
	}
	for (i = 0; v >= 1024 && i < ARRAY_SIZE(units) - 1; i++)
		v /= 1024;
	snprintf(text, ND_BYTES_LEN, "%.1f %s", v, units[i]);
	return text;
}
