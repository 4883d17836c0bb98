/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ncdevmem as a child process: what it prints, how it ends, and system calls of
 * it that a test answers in the kernel's stead.
 */
#ifndef SELFTESTS_COMMON_TOOL_H
#define SELFTESTS_COMMON_TOOL_H

#include "common.h"

#define TOOL_CALLS	2

struct tool_opts {
	enum side side;
	unsigned int soft;	/* RLIMIT_NOFILE, if not 0 */
	unsigned int hard;
	uid_t uid;		/* run as that one */
	gid_t gid;
	int ignored;		/* signal, as with nohup(1) */
	int output;		/* standard output, if not 0 */
	int calls[TOOL_CALLS];	/* to be answered by tool_answer() */
	bool no_names;		/* the only name server is the sender's */
};

struct tool {
	pid_t pid;
	int out;		/* files: what it printed */
	int err;
	int calls;		/* seccomp's, if the options have some */
};

/* For the rest of the case: a new directory, where anybody may look. Names of files
 * are relative.
 */
void tool_directory(void);

/* Words as for cmd(), the first is a command of ncdevmem. */
void tool_start(struct tool *t, const struct tool_opts *o, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* How often does its standard error have @text? */
unsigned int tool_said(const struct tool *t, const char *text);
void tool_must_say(const struct tool *t, const char *text);

/* Does its standard output have @text? */
bool tool_printed(const struct tool *t, const char *text);

/* The number that is the first thing on its standard output. */
unsigned int tool_number(const struct tool *t);

/* Fails unless it ends in time: its exit status, or 128 + the signal. */
int tool_end(struct tool *t);

/* Send a signal, then tool_end(). */
int tool_kill(struct tool *t, int sig);

bool tool_runs(const struct tool *t);

/* Does it make one of the calls within @ms? */
bool tool_calls(const struct tool *t, int ms);

/* The next such call fails with @err; 0: the kernel shall answer. */
void tool_answer(const struct tool *t, int err);

#endif /* SELFTESTS_COMMON_TOOL_H */
