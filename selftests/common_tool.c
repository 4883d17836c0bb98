// SPDX-License-Identifier: GPL-2.0
/*
 * Runs ncdevmem and looks at it from outside. Must not know what its commands
 * are for.
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common_tool.h"

#define MAX_WORDS	32
#define END_MS		5000

static void tool_limit(const struct tool_opts *o)
{
	struct rlimit rl = { .rlim_cur = o->soft, .rlim_max = o->hard };

	if (o->soft)
		must(setrlimit(RLIMIT_NOFILE, &rl));
}

static void tool_write(const char *path, const char *text)
{
	int fd = must(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));

	check_eq(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void tool_resolver(void)
{
	char text[64];

	must(unshare(CLONE_NEWNS));
	must(mount("", "/", "none", MS_PRIVATE | MS_REC, NULL));
	must(mount("tmpfs", "/etc", "tmpfs", 0, NULL));
	snprintf(text, sizeof(text), "nameserver %s\n", ADDR4(SENDER));
	tool_write("/etc/resolv.conf", text);
	tool_write("/etc/nsswitch.conf", "hosts: dns\n");
}

/* Have @o->calls wait for whoever has the descriptor, which is returned. */
static int tool_filter(const struct tool_opts *o)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)o->calls[0], 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			 (unsigned int)(o->calls[1] ?: o->calls[0]), 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	};
	struct sock_fprog prog = { ARRAY_SIZE(code), code };

	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			    SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
}

static void tool_exec(const struct tool *t, const struct tool_opts *o,
		      char *text, const int *pipes)
{
	char *words[MAX_WORDS + 2] = { (char *)"ncdevmem" }, *save, *word;
	unsigned int n = 1;
	char go;
	int fd;

	for (word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		check_cmp(n, <=, MAX_WORDS);
		words[n++] = word;
	}
	env_enter(o->side);
	if (o->no_names)
		tool_resolver();
	if (o->ignored)
		signal(o->ignored, SIG_IGN);
	must(dup2(o->output ?: t->out, STDOUT_FILENO));
	must(dup2(t->err, STDERR_FILENO));
	if (o->calls[0]) {
		fd = tool_filter(o);
		check_eq(write(pipes[1], &fd, sizeof(fd)), sizeof(fd));
		if (fd < 0)
			_exit(1);
		check_eq(read(pipes[2], &go, 1), 1);
	}
	tool_limit(o);
	if (o->uid) {
		must(setgroups(0, NULL));
		must(setresgid(o->gid, o->gid, o->gid));
		must(setresuid(o->uid, o->uid, o->uid));
	}
	execvp(words[0], words);
	_exit(127);
}

/* Take the descriptor that tool_filter() returned to the child. */
static int tool_take(const struct tool *t, const int *pipes)
{
	int pidfd, theirs, fd;

	check_eq(read(pipes[0], &theirs, sizeof(theirs)), sizeof(theirs));
	if (theirs < 0)
		skip("no seccomp with notifications");
	pidfd = (int)must(syscall(SYS_pidfd_open, t->pid, 0));
	fd = (int)must(syscall(SYS_pidfd_getfd, pidfd, theirs, 0));
	close(pidfd);
	check_eq(write(pipes[3], "g", 1), 1);
	return fd;
}

void tool_start(struct tool *t, const struct tool_opts *o, const char *fmt, ...)
{
	char text[1024];
	int pipes[4], i;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	t->out = must(memfd_create("out", MFD_CLOEXEC));
	t->err = must(memfd_create("err", MFD_CLOEXEC));
	must(fcntl(t->out, F_SETFL, O_APPEND));
	must(fcntl(t->err, F_SETFL, O_APPEND));
	must(pipe2(pipes, O_CLOEXEC));
	must(pipe2(pipes + 2, O_CLOEXEC));
	t->calls = -1;
	t->pid = test_fork();
	if (!t->pid)
		tool_exec(t, o, text, pipes);
	if (o->calls[0])
		t->calls = tool_take(t, pipes);
	for (i = 0; i < 4; i++)
		close(pipes[i]);
}

static void tool_text(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);

	text[n > 0 ? n : 0] = '\0';
}

unsigned int tool_said(const struct tool *t, const char *text)
{
	char said[8192], *at = said;
	unsigned int n = 0;

	tool_text(t->err, said, sizeof(said));
	while ((at = strstr(at, text))) {
		at += strlen(text);
		n++;
	}
	return n;
}

bool tool_printed(const struct tool *t, const char *text)
{
	char said[8192];

	tool_text(t->out, said, sizeof(said));
	return strstr(said, text);
}

void tool_must_say(const struct tool *t, const char *text)
{
	char said[900];

	if (within(END_MS, tool_said(t, text)))
		return;
	tool_text(t->err, said, sizeof(said));
	fail("'%s' does not say '%s'", said, text);
}

unsigned int tool_number(const struct tool *t)
{
	char text[64] = "";

	check(within(END_MS, (tool_text(t->out, text, sizeof(text)), strchr(text, '\n'))));
	return (unsigned int)strtoul(text, NULL, 10);
}

bool tool_runs(const struct tool *t)
{
	siginfo_t info = {};

	must(waitid(P_PID, (id_t)t->pid, &info, WEXITED | WNOWAIT | WNOHANG));
	return !info.si_pid;
}

int tool_end(struct tool *t)
{
	char said[900];
	int status;

	if (!within(END_MS, !tool_runs(t))) {
		tool_text(t->err, said, sizeof(said));
		fail("ncdevmem does not end; it said '%s'", said);
	}
	must(waitpid(t->pid, &status, 0));
	close(t->out);
	close(t->err);
	if (t->calls >= 0)
		close(t->calls);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int tool_kill(struct tool *t, int sig)
{
	must(kill(t->pid, sig));
	return tool_end(t);
}

bool tool_calls(const struct tool *t, int ms)
{
	struct pollfd pfd = { .fd = t->calls, .events = POLLIN };

	return poll(&pfd, 1, ms) == 1 && pfd.revents & POLLIN;
}

void tool_answer(const struct tool *t, int err)
{
	struct seccomp_notif_resp resp = { .error = -err };
	struct seccomp_notif call = { .id = 0 };

	if (!tool_calls(t, patient(END_MS)))
		fail("ncdevmem does not make the call");
	must(ioctl(t->calls, SECCOMP_IOCTL_NOTIF_RECV, &call));
	resp.id = call.id;
	if (!err)
		resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	must(ioctl(t->calls, SECCOMP_IOCTL_NOTIF_SEND, &resp));
}

static char directory[64];

static void no_directory(void *unused)
{
	(void)unused;
	must(chdir("/"));
	cmd("rm -rf %s", directory);
}

void tool_directory(void)
{
	strcpy(directory, "/tmp/devmem-tool.XXXXXX");
	if (!mkdtemp(directory))
		fail("%s: %s", directory, strerror(errno));
	defer(no_directory, NULL);
	must(chmod(directory, 0755));
	must(chdir(directory));
}
