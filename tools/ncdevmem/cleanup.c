// SPDX-License-Identifier: GPL-2.0
/*
 * Owns "ncdevmem cleanup": undo what killed receivers have left of a device's set-up.
 * Must not know what that is.
 */
#include <getopt.h>

#include "ncdevmem.h"

static const char nd_cleanup_help[] =
"Usage: ncdevmem cleanup DEV\n"
"Undo what receivers have changed about the device DEV and could not undo, because\n"
"they and their process devmem-nic were killed. Leaves alone what is in use, and\n"
"what somebody else has changed since. The next receiver that sets DEV up does the\n"
"same.\n"
"\n"
"  -h, --help  this text\n"
"\n"
"Exit status: 0 nothing is left, 1 failure, 2 usage.\n"
"\n"
"Example:\n"
"  ncdevmem cleanup eth0\n";

static const struct option nd_cleanup_long[] = {
	{ "help",	no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

int nd_cleanup(int argc, char **argv)
{
	int opt = getopt_long(argc, argv, "h", nd_cleanup_long, NULL);

	if (opt == 'h')
		return nd_help(nd_cleanup_help);
	if (opt != -1)
		return ND_USAGE;
	if (argc - optind != 1)
		return nd_usage("cleanup takes one DEV; see ncdevmem cleanup --help");
	if (!devmem_dev_cleanup(argv[optind], 0))
		return ND_OK;
	nd_err("%s", devmem_error());
	return ND_FAIL;
}
