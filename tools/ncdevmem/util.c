// SPDX-License-Identifier: GPL-2.0
/*
 * Owns what every command needs: messages, numbers, time, signals. Must not
 * know any command.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
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

/*
 * Digits, and nothing before them: strtoull() takes blanks and signs, and makes
 * a large number of a negative one. What is too large becomes UINT64_MAX with
 * errno ERANGE; errno is 0 otherwise.
 */
bool nd_number(const char *s, int base, uint64_t *val, char **end)
{
	errno = 0;
	if (!isdigit((unsigned char)*s))
		return false;
	*val = strtoull(s, end, base);
	return *end != s;
}

static int nd_parse(const char *name, const char *s, int base, uint64_t min,
		    uint64_t max, bool suffix, uint64_t *val)
{
	static const char units[] = "KMGT";
	unsigned int shift = 0;
	const char *unit;
	bool fits;
	uint64_t v;
	char *end;

	if (!nd_number(s, base, &v, &end))
		return nd_usage("%s '%s': not %s number", name, s,
				base == 8 ? "an octal" : "a");
	fits = !errno;
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
	fits = fits && v <= UINT64_MAX >> shift && v << shift <= max &&
	       v << shift >= min;
	if (!fits && base == 8)
		return nd_usage("%s '%s': not between %" PRIo64 " and %" PRIo64,
				name, s, min, max);
	if (!fits)
		return nd_usage("%s '%s': not between %" PRIu64 " and %" PRIu64,
				name, s, min, max);
	*val = v << shift;
	return ND_OK;
}

int nd_parse_size(const char *name, const char *s, uint64_t min, uint64_t max,
		  uint64_t *val)
{
	return nd_parse(name, s, 0, min, max, true, val);
}

int nd_parse_uint(const char *name, const char *s, uint64_t min, uint64_t max,
		  uint64_t *val)
{
	return nd_parse(name, s, 0, min, max, false, val);
}

int nd_parse_octal(const char *name, const char *s, uint64_t max, uint64_t *val)
{
	return nd_parse(name, s, 8, 0, max, false, val);
}

/* The name of a service has a letter in it; what it means getaddrinfo() knows,
 * which makes a port of any number, too.
 */
int nd_parse_port(const char *s, uint64_t min)
{
	uint64_t port;
	const char *p;

	for (p = s; *p; p++)
		if (isalpha((unsigned char)*p))
			return ND_OK;
	return nd_parse("port", s, 10, min, UINT16_MAX, false, &port);
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

static const int nd_caught[] = { SIGINT, SIGTERM, SIGHUP };
static int nd_signal_fd;

/* A shell without job control ignores SIGINT for what it runs in the background.
 * Who sends it means it.
 */
void nd_signals_default(void)
{
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
}

/* The next one ends the process at once, should the orderly end get stuck, e.g.
 * in a pipe that nobody reads.
 */
static void nd_on_signal(int sig)
{
	int err = errno;
	uint64_t one = 1;
	unsigned int i;

	(void)sig;
	for (i = 0; i < ARRAY_SIZE(nd_caught); i++)
		signal(nd_caught[i], SIG_DFL);
	if (write(nd_signal_fd, &one, sizeof(one)) < 0)
		_exit(ND_FAIL);
	errno = err;
}

/*
 * From here on the first SIGINT, SIGTERM or SIGHUP becomes readable on @sigfd,
 * and ends system calls that wait. Until then they end the process, wherever it
 * waits: call this when there is something to put in order. SIGHUP stays ignored
 * under nohup(1).
 */
int nd_signals(int *sigfd)
{
	struct sigaction act = { .sa_handler = nd_on_signal }, old;
	unsigned int i;

	*sigfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (*sigfd < 0) {
		nd_err("eventfd: %s", strerror(errno));
		return ND_FAIL;
	}
	nd_signal_fd = *sigfd;
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&act.sa_mask);
	for (i = 0; i < ARRAY_SIZE(nd_caught); i++)
		if (!sigaction(nd_caught[i], NULL, &old) &&
		    old.sa_handler != SIG_IGN)
			sigaction(nd_caught[i], &act, NULL);
	return ND_OK;
}

/* Has a signal arrived? Says so once. */
bool nd_signalled(int sigfd)
{
	uint64_t count;

	return read(sigfd, &count, sizeof(count)) == sizeof(count);
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
