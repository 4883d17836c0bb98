// SPDX-License-Identifier: GPL-2.0
/*
 * ncdevmem on each path: the same command, every byte verified; and bindings of each path
 * that somebody else holds. The path that copies, where there is none of our modules:
 * copy_test.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common_receiver.h"
#include "common_tool.h"
#include "common_undo.h"

#define PORT	5201
#define STREAM	"64M"
#define NOBODY	1000

static const struct tool_opts on_receiver;
static const struct tool_opts on_sender = { .side = SENDER };
static const struct tool_opts nobody = { .uid = NOBODY, .gid = NOBODY };

/* @listener listens already. */
static void stream_to(const struct tool *listener, const char *addr)
{
	struct tool sender;

	tool_must_say(listener, "listening on");
	tool_start(&sender, &on_sender, "send --bytes " STREAM " %s %u", addr, PORT);
	check_eq(tool_end(&sender), 0);
}

static void verified(struct tool *listener, const char *via)
{
	char text[32];

	check(within(10000, !tool_runs(listener)));
	snprintf(text, sizeof(text), "\"via\": \"%s\"", via);
	check(tool_printed(listener, text));
	check(tool_printed(listener, "\"verified\": true"));
	check_eq(tool_end(listener), 0);
}

static void streams(const char *via)
{
	static struct picture before;
	static const char * const addrs[] = { ADDR4(RECEIVER), ADDR6(RECEIVER) };
	struct tool listener;
	unsigned int i;

	picture_take(&before);
	for (i = 0; i < ARRAY_SIZE(addrs); i++) {
		tool_start(&listener, &on_receiver,
			   "listen --json --via %s --dev nsd0 --verify pattern --expect " STREAM
			   " %s %u", via, addrs[i], PORT);
		stream_to(&listener, addrs[i]);
		verified(&listener, via);
	}
	check_undone(&before);
}

static void via_devmem(void)
{
	streams("devmem");
}

static void via_kernel(void)
{
	streams("kernel");
}

static void via_zcrx(void)
{
	need_path(DEVMEM_VIA_ZCRX);
	streams("zcrx");
}

static void via_copy(void)
{
	streams("copy");
}

/* Another user receives, and while he does nobody else's connection is his. */
static void handed_out(const char *via)
{
	static struct picture before;
	struct tool holder, listener;

	picture_take(&before);
	tool_directory();
	tool_start(&holder, &on_receiver, "bind --json --via %s --dev nsd0 --socket sock --mode 0666",
		   via);
	check(within(10000, tool_printed(&holder, "\"chunks\"")));
	tool_start(&listener, &nobody, "show --json --dev nsd0");
	check(within(5000, !tool_runs(&listener)));
	check_eq(tool_printed(&listener, "\"queue\": 3, \"via\": \"kernel\""),
		 !strcmp(via, "kernel"));
	check_eq(tool_printed(&listener, "\"queues\": [0]"), !strcmp(via, "devmem"));
	check_eq(tool_end(&listener), 0);
	tool_start(&listener, &nobody,
		   "listen --json --binding sock --verify pattern --expect " STREAM
		   " --connections 2 %u", PORT);
	stream_to(&listener, ADDR4(RECEIVER));
	stream_to(&listener, ADDR6(RECEIVER));
	check(within(10000, !tool_runs(&listener)));
	check(tool_printed(&listener, "\"own\": false"));
	check(tool_printed(&listener, "\"attached\": 2"));
	verified(&listener, via);

	/* one that is killed leaves no rule, and its place to others */
	tool_start(&listener, &nobody, "listen --binding sock --connections 0 %u", PORT);
	stream_to(&listener, ADDR4(RECEIVER));
	check_eq(tool_kill(&listener, SIGKILL), 128 + SIGKILL);
	check_eq(tool_kill(&holder, SIGTERM), 0);
	check_undone(&before);
}

static void handed_out_devmem(void)
{
	handed_out("devmem");
}

static void handed_out_kernel(void)
{
	handed_out("kernel");
}

static void nothing_to_hold(void)
{
	struct tool t;

	tool_start(&t, &on_receiver, "bind --via copy --dev nsd0");
	tool_must_say(&t, "--via copy: there is no binding to hold on this path");
	check_eq(tool_end(&t), 2);
	tool_start(&t, &on_receiver, "listen --via kernel %u", PORT);
	tool_must_say(&t, "--dev IFNAME, --binding PATH or --via copy is needed");
	check_eq(tool_end(&t), 2);
	tool_start(&t, &on_receiver, "listen --via kernel --dev nsd0 --buffer host %u", PORT);
	tool_must_say(&t, "memory of kind host is no dma-buf");
	check_eq(tool_end(&t), 1);
	tool_start(&t, &nobody, "listen --via kernel --dev nsd0 --buffer host %u", PORT);
	check_eq(tool_end(&t), 1);
}

static void setup(void)
{
	env_setup(4);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(via_devmem),
	KTAP_CASE(via_kernel),
	KTAP_CASE(via_zcrx),
	KTAP_CASE(via_copy),
	KTAP_CASE(handed_out_devmem),
	KTAP_CASE(handed_out_kernel),
	KTAP_CASE(nothing_to_hold),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
