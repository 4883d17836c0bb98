// SPDX-License-Identifier: GPL-2.0
/*
 * The surroundings of a test: two network namespaces with a pair of NICs. Owns
 * namespaces, links and the files that describe them; must not know of sockets
 * that carry data, or of bindings.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

#define MAX_WORDS	96
#define CARRIER_MS	5000

static int home_ns = -1;
static int side_ns[2] = { -1, -1 };
static int stamper = -1;

/* @text is cut into words. @input, if any, is what the program reads. */
static int run_words(char *text, const char *input)
{
	char *words[MAX_WORDS + 1], *save, *word;
	posix_spawn_file_actions_t actions;
	int status, err, fd = -1;
	unsigned int n = 0;
	pid_t pid;

	for (word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (n == MAX_WORDS)
			fail("a command of more than %d words", MAX_WORDS);
		words[n++] = word;
	}
	if (!n)
		fail("an empty command");
	words[n] = NULL;

	posix_spawn_file_actions_init(&actions);
	if (input) {
		fd = must(memfd_create("input", MFD_CLOEXEC));
		if (write(fd, input, strlen(input)) != (ssize_t)strlen(input))
			fail("input of %s: %s", words[0], strerror(errno));
		lseek(fd, 0, SEEK_SET);
		posix_spawn_file_actions_adddup2(&actions, fd, 0);
	}
	err = posix_spawnp(&pid, words[0], &actions, NULL, words, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (fd >= 0)
		close(fd);
	if (err)
		fail("%s: %s", words[0], strerror(err));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fail("waitpid: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int cmd(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return run_words(text, NULL);
}

void must_cmd(const char *fmt, ...)
{
	char text[1024], words[1024];
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	strcpy(words, text);
	status = run_words(words, NULL);
	if (status)
		fail("'%s': exit status %d", text, status);
}

static void ip_batch(const char *ns, const char *lines)
{
	char text[64];

	if (ns)
		snprintf(text, sizeof(text), "ip -n %s -batch -", ns);
	else
		snprintf(text, sizeof(text), "ip -batch -");
	if (run_words(text, lines))
		fail("'ip -batch' of:\n%s", lines);
}

static void enter_fd(int fd)
{
	if (setns(fd, CLONE_NEWNET))
		fail("setns: %s", strerror(errno));
}

void env_enter(enum side side)
{
	enter_fd(side_ns[side]);
}

void env_leave(void)
{
	enter_fd(home_ns);
}

unsigned int env_ifindex(void)
{
	unsigned int ifindex = if_nametoindex(DEV_NAME(RECEIVER));

	if (!ifindex)
		fail("%s: %s", DEV_NAME(RECEIVER), strerror(errno));
	return ifindex;
}

static void env_teardown(void *arg)
{
	int side;

	(void)arg;
	for (side = RECEIVER; side <= SENDER; side++) {
		if (side_ns[side] < 0)
			continue;
		env_enter(side);
		if (if_nametoindex(DEV_NAME(side)))
			cmd("ip link delete %s", DEV_NAME(side));
	}
	env_leave();
	for (side = RECEIVER; side <= SENDER; side++) {
		if (side_ns[side] >= 0)
			close(side_ns[side]);
		side_ns[side] = -1;
		cmd("ip netns delete %s", NS_NAME(side));
	}
}

/* It has a carrier, and the kernel is through with that: it may take it a second to
 * make use of one that comes back, with queues that send and routes that begin anew,
 * unless somebody asks.
 */
static bool link_runs(enum side side)
{
	struct ethtool_value link = { .cmd = ETHTOOL_GLINK };
	struct ifreq ifr = { .ifr_data = (void *)&link };
	int fd, err;

	env_enter(side);
	strcpy(ifr.ifr_name, DEV_NAME(side));
	fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	err = ioctl(fd, SIOCETHTOOL, &ifr);
	close(fd);
	return !err && link.data;
}

/* Its address in IPv6 has its route: the kernel sees to that in its own time, and
 * all that is cached of routes is void afterwards.
 */
static bool has_route(enum side side)
{
	unsigned char addr[16];
	char wanted[40], line[256];
	bool found = false;
	unsigned int i;
	FILE *f;

	inet_pton(AF_INET6, ADDR6(side), addr);
	for (i = 0; i < sizeof(addr); i++)
		sprintf(wanted + 2 * i, "%02x", addr[i]);
	strcat(wanted, " 80 ");
	env_enter(side);
	f = fopen("/proc/thread-self/net/ipv6_route", "re");
	while (f && !found && fgets(line, sizeof(line), f))
		found = !strncmp(line, wanted, strlen(wanted));
	if (f)
		fclose(f);
	return found;
}

/* No link-local address: when its duplicate detection ends the routes change,
 * and with them whatever depends on a cached route.
 */
static void side_up(enum side side)
{
	char path[64], lines[512];

	snprintf(path, sizeof(path), "/run/netns/%s", NS_NAME(side));
	side_ns[side] = must(open(path, O_RDONLY | O_CLOEXEC));
	snprintf(lines, sizeof(lines),
		 "link set lo up\n"
		 "link set %s addrgenmode none\n"
		 "addr add %s/24 dev %s\n"
		 "addr add %s/64 dev %s nodad\n"
		 "link set %s up\n",
		 DEV_NAME(side), ADDR4(side), DEV_NAME(side), ADDR6(side),
		 DEV_NAME(side), DEV_NAME(side));
	ip_batch(NS_NAME(side), lines);
	/* an MTU below IPv6's takes the setting away, a larger one this default */
	env_sysctl(side, "ipv6/conf/default/addr_gen_mode", "1");
}

int env_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* Taps and sockets that ask for time stamps have the kernel patch its own code
 * when the first comes and when the last goes, which emulators have been seen to
 * get wrong when packets are under way. So one is there all the time.
 */
static void open_stamper(void)
{
	int on = 1;

	stamper = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	must(setsockopt(stamper, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof(on)));
}

/* @links makes nsd0 and nsd1. */
static void env_with(const char *links)
{
	if (stamper < 0)
		open_stamper();
	if (home_ns < 0)
		home_ns = must(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
	defer(env_teardown, NULL);
	ip_batch(NULL, "netns add devmem-a\nnetns add devmem-b\n");
	ip_batch(NULL, links);
	ip_batch(NULL, "link set nsd0 netns devmem-a\nlink set nsd1 netns devmem-b\n");
	side_up(RECEIVER);
	side_up(SENDER);
	env_ready();
}

void env_setup(unsigned int nr_queues)
{
	char lines[512];

	snprintf(lines, sizeof(lines),
		 "link add nsd0 numrxqueues %u numtxqueues %u type netdevsim-devmem\n"
		 "link add nsd1 link nsd0 numrxqueues %u numtxqueues %u type netdevsim-devmem\n",
		 nr_queues, nr_queues, nr_queues, nr_queues);
	env_with(lines);
}

void env_setup_veth(void)
{
	env_with("link add nsd0 type veth peer name nsd1\n");
}

void env_ready(void)
{
	if (!within(CARRIER_MS, link_runs(RECEIVER) && link_runs(SENDER)))
		fail("no carrier");
	if (!within(CARRIER_MS, has_route(RECEIVER) && has_route(SENDER)))
		fail("no route");
	env_enter(RECEIVER);
}

void env_sysctl(enum side side, const char *name, const char *value)
{
	char path[128];
	int err;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	env_enter(side);
	err = env_write(path, value);
	env_enter(RECEIVER);
	if (err)
		fail("%s = %s: %s", path, value, strerror(-err));
}

void env_patient(void)
{
	env_sysctl(SENDER, "ipv4/tcp_early_retrans", "0");
	must_cmd("ip -n %s route replace 10.9.0.0/24 dev %s src %s rto_min 5s",
		 NS_NAME(SENDER), DEV_NAME(SENDER), ADDR4(SENDER));
	must_cmd("ip -n %s -6 route replace fd09::/64 dev %s metric 256 rto_min 5s",
		 NS_NAME(SENDER), DEV_NAME(SENDER));
}

/* sysfs shows the network namespace that it was mounted in. */
int env_sysfs_write(enum side side, const char *name, const char *value)
{
	char dir[] = "/tmp/devmem-sys.XXXXXX", path[256];
	int here = must(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
	int err = 0;

	if (!mkdtemp(dir))
		fail("%s: %s", dir, strerror(errno));
	env_enter(side);
	if (mount("sysfs", dir, "sysfs", 0, NULL))
		err = -errno;
	enter_fd(here);
	close(here);
	if (!err) {
		snprintf(path, sizeof(path), "%s/class/net/%s/%s", dir,
			 DEV_NAME(side), name);
		err = env_write(path, value);
		umount2(dir, MNT_DETACH);
	}
	rmdir(dir);
	return err;
}

void impair(enum side side, const char *what, unsigned int value)
{
	char name[64], number[16];
	int err;

	snprintf(name, sizeof(name), "impair/%s", what);
	snprintf(number, sizeof(number), "%u", value);
	err = env_sysfs_write(side, name, number);
	if (err)
		fail("%s = %u: %s", name, value, strerror(-err));
}

void impair_none(enum side side)
{
	static const char * const all[] = {
		"loss", "reorder", "duplicate", "corrupt", "delay_us"
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		impair(side, all[i], 0);
}

/* Ask ethtool about the device; the caller frees the result. */
static void *ethtool_ask(int fd, const char *dev, void *data)
{
	struct ifreq ifr = { .ifr_data = data };

	strcpy(ifr.ifr_name, dev);
	if (!data || ioctl(fd, SIOCETHTOOL, &ifr))
		fail("%s: SIOCETHTOOL: %s", dev, strerror(errno));
	return data;
}

uint64_t nic_counter(enum side side, const char *name)
{
	int here = must(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
	const char *dev = DEV_NAME(side);
	struct ethtool_gstrings *names;
	struct ethtool_stats *stats;
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	uint64_t value = 0;
	bool found = false;
	uint32_t i;
	int fd;

	env_enter(side);
	fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	enter_fd(here);
	close(here);

	ethtool_ask(fd, dev, &info);
	names = calloc(1, sizeof(*names) + (size_t)info.n_stats * ETH_GSTRING_LEN);
	stats = calloc(1, sizeof(*stats) + info.n_stats * sizeof(uint64_t));
	if (!names || !stats)
		fail("out of memory");
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_STATS;
	names->len = info.n_stats;
	ethtool_ask(fd, dev, names);
	stats->cmd = ETHTOOL_GSTATS;
	stats->n_stats = info.n_stats;
	ethtool_ask(fd, dev, stats);
	close(fd);

	for (i = 0; i < info.n_stats && !found; i++) {
		found = !strncmp((char *)names->data + i * ETH_GSTRING_LEN, name,
				 ETH_GSTRING_LEN);
		value = stats->data[i];
	}
	free(names);
	free(stats);
	if (!found)
		fail("%s has no counter '%s'", dev, name);
	return value;
}

/* Reads them all. Returns whether all are as they were. */
static bool counts_same(struct nic_count *counts, size_t nr)
{
	bool same = true;
	uint64_t now;
	size_t i;

	for (i = 0; i < nr; i++) {
		now = nic_counter(counts[i].side, counts[i].name);
		same &= now == counts[i].value;
		counts[i].value = now;
	}
	return same;
}

static bool counts_stay(struct nic_count *counts, size_t nr)
{
	unsigned int i;

	counts_same(counts, nr);
	for (i = 0; i < 3; i++) {
		usleep(10000);
		if (!counts_same(counts, nr))
			return false;
	}
	return true;
}

void nic_counts_quiet(struct nic_count *counts, size_t nr)
{
	if (!within(5000, counts_stay(counts, nr)))
		fail("it does not get quiet");
}

void unpark(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	cpu_set_t all, one;
	int cpu;

	must(sched_getaffinity(0, sizeof(all), &all));
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		must(sched_setaffinity(0, sizeof(one), &one));
		sendto(fd, "", 1, 0, (struct sockaddr *)&to, sizeof(to));
	}
	must(sched_setaffinity(0, sizeof(all), &all));
	close(fd);
}

static const char * const object_files[] = {
	"/sys/kernel/debug/netdev-devmem/objects",
	"/sys/kernel/debug/netdevsim-devmem/objects",
};

unsigned int live_objects(char *text, size_t size)
{
	unsigned int i, n = 0;
	char name[64];
	size_t used = 0;
	long count;
	FILE *f;

	if (size)
		text[0] = 0;
	for (i = 0; i < ARRAY_SIZE(object_files); i++) {
		f = fopen(object_files[i], "re");
		if (!f)
			continue;
		while (fscanf(f, "%63s %ld", name, &count) == 2) {
			if (!count || !strcmp(name, "devices") ||
			    !strcmp(name, "links"))
				continue;
			n++;
			if (used < size)
				used += (size_t)snprintf(text + used, size - used, "%s%s %ld",
							 used ? ", " : "", name, count);
		}
		fclose(f);
	}
	return n;
}

long long meminfo(const char *wanted)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128], name[64];
	long long kib = -1;

	check(f);
	while (kib < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63[^:]: %lld", name, &kib) != 2 || strcmp(name, wanted))
			kib = -1;
	fclose(f);
	check_cmp(kib, >=, 0);
	return kib;
}

long live_object(const char *wanted)
{
	unsigned int i;
	char name[64];
	long count;
	FILE *f;

	for (i = 0; i < ARRAY_SIZE(object_files); i++) {
		f = fopen(object_files[i], "re");
		if (!f)
			fail("%s: %s", object_files[i], strerror(errno));
		while (fscanf(f, "%63s %ld", name, &count) == 2) {
			if (strcmp(name, wanted))
				continue;
			fclose(f);
			return count;
		}
		fclose(f);
	}
	fail("no object counter '%s'", wanted);
}

/* ---- modules ----------------------------------------------------------- */

static void insert(const char *name)
{
	const char *dir = getenv("MODULE_DIR");
	char path[256];

	snprintf(path, sizeof(path), "%s/%s.ko", dir ? dir : "/modules", name);
	if (access(path, R_OK))
		must_cmd("modprobe %s", name);
	else
		must_cmd("insmod %s", path);
}

void env_modules(void *unused)
{
	(void)unused;
	if (access("/sys/module/netdev_devmem", F_OK))
		insert("netdev-devmem");
	if (access("/sys/module/netdevsim_devmem", F_OK))
		insert("netdevsim-devmem");
}

int env_rmmod(const char *name)
{
	return (int)syscall(SYS_delete_module, name, O_NONBLOCK);
}
