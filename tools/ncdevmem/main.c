// SPDX-License-Identifier: GPL-2.0
/*
 * ncdevmem: TCP into device memory, by hand and for tests.
 *
 * Owns the choice of the command. Must not know what any of them does.
 */
#include <string.h>

#include "ncdevmem.h"

static const char nd_main_help[] =
"Usage: ncdevmem COMMAND [options]\n"
"TCP into device memory.\n"
"\n"
"  listen   receive connections into device memory\n"
"  send     send a pattern or stdin over plain TCP\n"
"  bind     hold a binding for other processes\n"
"  show     show bindings, their counters and notifications\n"
"  doctor   say what this machine and a device can do\n"
"  cleanup  undo what killed receivers have left of a device's set-up\n"
"\n"
"ncdevmem COMMAND --help says more, with examples.\n";

static const struct {
	const char *name;
	char *argv0;
	int (*run)(int argc, char **argv);
} nd_commands[] = {
	{ "listen", "ncdevmem listen", nd_listen },
	{ "send", "ncdevmem send", nd_send },
	{ "bind", "ncdevmem bind", nd_bind },
	{ "show", "ncdevmem show", nd_show },
	{ "doctor", "ncdevmem doctor", nd_doctor },
	{ "cleanup", "ncdevmem cleanup", nd_cleanup },
};

int main(int argc, char **argv)
{
	unsigned int i;

	if (argc < 2) {
		fputs(nd_main_help, stderr);
		return ND_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help"))
		return nd_help(nd_main_help);

	nd_signals_default();
	for (i = 0; i < ARRAY_SIZE(nd_commands); i++) {
		if (strcmp(argv[1], nd_commands[i].name))
			continue;
		argv[1] = nd_commands[i].argv0;
		return nd_commands[i].run(argc - 1, argv + 1);
	}
	return nd_usage("'%s': unknown command; see ncdevmem --help", argv[1]);
}
