// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the cases of a self-test and says how they went. Owns processes, time
 * and what was deferred; must not know what is being tested, except where the
 * modules count their live objects.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "ktap.h"

#define STATUS_FAIL	1
#define MAX_DEFERRED	64
#define GRACE_S		10	/* for what was deferred, after the time is up */
#define SETTLE_MS	2000	/* for work items and RCU */

static struct {
	void (*fn)(void *arg);
	void *arg;
} deferred[MAX_DEFERRED];
static unsigned int nr_deferred;

static sigjmp_buf the_end;
static bool is_helper;		/* made by test_fork() */
static const char *running;	/* name of the case */

int slow(void)
{
	static int factor;

	if (!factor)
		factor = atoi(getenv("SLOW") ?: "1");
	return factor > 0 ? factor : 1;
}

long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static void vdiag(const char *prefix, const char *fmt, va_list ap)
{
	char text[1024], *line, *save;

	vsnprintf(text, sizeof(text), fmt, ap);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		printf("# %s%s\n", prefix, line);
	fflush(stdout);
}

void diag(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vdiag("", fmt, ap);
	va_end(ap);
}

static void finish(int status) __attribute__((noreturn));
static void finish(int status)
{
	fflush(stdout);
	if (is_helper)
		_exit(status);
	siglongjmp(the_end, status);
}

void ktap_fail(const char *file, int line, const char *fmt, ...)
{
	char prefix[256];
	va_list ap;

	snprintf(prefix, sizeof(prefix), "%s:%d: ",
		 strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line);
	va_start(ap, fmt);
	vdiag(prefix, fmt, ap);
	va_end(ap);
	finish(STATUS_FAIL);
}

void skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vdiag("skipped: ", fmt, ap);
	va_end(ap);
	finish(KTAP_SKIP);
}

void defer(void (*fn)(void *arg), void *arg)
{
	if (nr_deferred == MAX_DEFERRED)
		fail("more than %d deferred", MAX_DEFERRED);
	deferred[nr_deferred].fn = fn;
	deferred[nr_deferred++].arg = arg;
}

/* Also goes on after a deferred function that fails. */
static int run_deferred(int status)
{
	int err = sigsetjmp(the_end, 1);

	if (err)
		status = err;
	while (nr_deferred) {
		nr_deferred--;
		deferred[nr_deferred].fn(deferred[nr_deferred].arg);
	}
	return status;
}

pid_t test_fork(void)
{
	pid_t parent = getpid();
	pid_t pid;

	fflush(stdout);
	pid = must(fork());
	if (!pid) {
		is_helper = true;
		nr_deferred = 0;
		alarm(0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(STATUS_FAIL);
	}
	return pid;
}

void test_join(pid_t pid)
{
	int status;
	pid_t got;

	do {
		got = waitpid(pid, &status, 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		fail("waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status))
		fail("helper %d: killed by signal %d", pid, WTERMSIG(status));
	if (WEXITSTATUS(status) == KTAP_SKIP)
		skip("helper");
	if (WEXITSTATUS(status))
		fail("helper %d: exit status %d", pid, WEXITSTATUS(status));
}

static void time_is_up(int sig)
{
	(void)sig;
	ktap_fail("timeout", 0, "%s: hangs", running);
}

static unsigned int seconds_of(const struct ktap_case *c)
{
	return (unsigned int)patient((int)(c->timeout ? c->timeout : KTAP_TIMEOUT));
}

static void run_in_child(const struct ktap_case *c)
{
	int status;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	nr_deferred = 0;
	running = c->name;
	signal(SIGALRM, time_is_up);
	alarm(seconds_of(c));

	status = sigsetjmp(the_end, 1);
	if (!status)
		c->run();
	alarm(0);
	status = run_deferred(status);
	fflush(stdout);
	_exit(status);
}

/* The case's process and all it left running are gone when this returns. */
static int wait_for_case(pid_t pid, const struct ktap_case *c)
{
	long long until = now_ms() + 1000LL * (GRACE_S + seconds_of(c));
	siginfo_t info = {};
	int status;

	while (!waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG) &&
	       !info.si_pid && now_ms() < until)
		usleep(5000);
	if (!info.si_pid)
		diag("%s: does not end, killed", c->name);
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	while (waitpid(-pid, NULL, 0) > 0)
		;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	diag("%s: killed by signal %d", c->name, WTERMSIG(status));
	return STATUS_FAIL;
}

static bool objects_gone(void)
{
	if (!live_objects(NULL, 0))
		return true;
	unpark();
	return false;
}

static int run_case(const struct ktap_case *c)
{
	char left[256];
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		diag("fork: %s", strerror(errno));
		return STATUS_FAIL;
	}
	if (!pid)
		run_in_child(c);

	setpgid(pid, pid);
	status = wait_for_case(pid, c);
	if (!c->dirty && !within(SETTLE_MS, objects_gone())) {
		live_objects(left, sizeof(left));
		diag("%s: leaves objects behind: %s", c->name, left);
		status = STATUS_FAIL;
	}
	return status;
}

static void print_result(size_t number, const struct ktap_case *c, int status,
			 long long ms)
{
	const char *p;

	diag("%s: %lld ms", c->name, ms);
	printf("%s %zu - ", status && status != KTAP_SKIP ? "not ok" : "ok",
	       number);
	for (p = c->name; *p; p++)
		putchar(*p == '_' ? ' ' : *p);
	printf("%s\n", status == KTAP_SKIP ? " # SKIP" : "");
	fflush(stdout);
}

static bool chosen(const struct ktap_case *c, const char *only)
{
	return !only || !*only || !strcmp(only, c->name);
}

static int run_cases(const struct ktap_case *cases, size_t nr, const char *only)
{
	size_t i, number = 0, skipped = 0, failed = 0;
	long long start;
	int status;

	for (i = 0; i < nr; i++) {
		if (!chosen(&cases[i], only))
			continue;
		start = now_ms();
		status = run_case(&cases[i]);
		print_result(++number, &cases[i], status, now_ms() - start);
		if (status == KTAP_SKIP)
			skipped++;
		else if (status)
			failed++;
	}
	if (failed)
		return STATUS_FAIL;
	return skipped == number ? KTAP_SKIP : 0;
}

int ktap_main(int argc, char **argv, void (*setup)(void),
	      const struct ktap_case *cases, size_t nr)
{
	const char *only = argc > 1 ? argv[1] : getenv("KTAP_CASE");
	size_t i, planned = 0;
	int status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (i = 0; i < nr; i++)
		planned += chosen(&cases[i], only);
	printf("KTAP version 1\n1..%zu\n", planned);

	running = "setup";
	signal(SIGALRM, time_is_up);
	alarm((unsigned int)patient(KTAP_TIMEOUT));
	status = sigsetjmp(the_end, 1);
	if (!status && setup)
		setup();
	alarm(0);
	if (status)
		printf("Bail out! setup failed\n");
	else
		status = run_cases(cases, nr, only);
	return run_deferred(status);
}
