// SPDX-License-Identifier: GPL-2.0
/*
 * See common_undo.h. Must not know what a receiver changes.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common_undo.h"

void picture_take(struct picture *p)
{
	FILE *f = popen("for option in -g -k -n -x; do ethtool $option nsd0; done", "re");
	size_t n;

	check(f);
	n = fread(p->text, 1, sizeof(p->text) - 1, f);
	check_cmp(n, >, 0);
	check_cmp(n, <, sizeof(p->text) - 1);
	p->text[n] = '\0';
	check_eq(pclose(f), 0);
}

void picture_check(const struct picture *before)
{
	struct picture *now = malloc(sizeof(*now));
	const char *a = before->text, *b;

	check(now);
	picture_take(now);
	for (b = now->text; *a && *a == *b; a++, b++)
		;
	while (a > before->text && a[-1] != '\n') {
		a--;
		b--;
	}
	if (*a || *b)
		fail("ethtool said '%.*s', now '%.*s'", (int)strcspn(a, "\n"), a,
		     (int)strcspn(b, "\n"), b);
	free(now);
}

/* Not one that has ended, and whose parent has not looked yet. */
static bool is_nic(const char *pid)
{
	char path[64], line[128] = "";
	const char *name;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.16s/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	name = strstr(line, "(devmem-nic) ");
	return name && !strchr("ZX", name[strlen("(devmem-nic) ")]);
}

unsigned int nic_processes(pid_t *pid)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	unsigned int nr = 0;

	check(proc);
	while ((entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]) || !is_nic(entry->d_name))
			continue;
		nr++;
		if (pid)
			*pid = atoi(entry->d_name);
	}
	closedir(proc);
	return nr;
}

void check_undone(const struct picture *before)
{
	check(within(10000, !nic_processes(NULL)));
	picture_check(before);
}
