// SPDX-License-Identifier: GPL-2.0
/*
 * "ncdevmem bind": whose the path of its socket is, who may connect there, and
 * that it notices the end of its binding. Must not know how a binding receives.
 */
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common_tool.h"

#define BIND		"bind --buffer gpu --size 64K "
#define PATH		"nd.sock"
#define NOBODY		65534
#define SOMEBODY	1000

static const struct tool_opts on_receiver;
static struct tool first, second;

static int try_connect(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = must(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)), err = 0;

	strcpy(sun.sun_path, path);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)))
		err = -errno;
	close(fd);
	return err;
}

/* Which binding does whoever listens at PATH hand out? */
static uint32_t handed_out(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = PATH };
	int fd = must(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	uint32_t say[6] = {};

	must(connect(fd, (struct sockaddr *)&sun, sizeof(sun)));
	check_eq(recv(fd, say, sizeof(say), 0), sizeof(say));
	close(fd);
	return say[2];
}

static void bind_at(struct tool *t, unsigned int queue)
{
	tool_start(t, &on_receiver, BIND "--dev nsd0 --queues %u --socket " PATH, queue);
}

static void bind_first(void)
{
	uint32_t id;

	bind_at(&first, 0);
	id = tool_number(&first);
	check_eq(handed_out(), id);
}

static unsigned int files(void)
{
	unsigned int n = 0;
	struct dirent *entry;
	DIR *dir = opendir(".");

	check(dir);
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

/* ---- the path ---------------------------------------------------------- */

static void one_at_a_time(void)
{
	tool_directory();
	bind_first();
	bind_at(&second, 1);
	tool_must_say(&second, "--socket " PATH ": somebody listens there already");
	check_eq(tool_end(&second), 1);
	check_eq(files(), 1);
	check_eq(handed_out(), tool_number(&first));
	check_eq(tool_kill(&first, SIGTERM), 0);
	check_eq(files(), 0);
}

/* Also one that does not get to accept anybody. */
static void one_that_is_busy(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = PATH };
	int fd, kind;

	tool_directory();
	for (kind = SOCK_STREAM; kind <= SOCK_SEQPACKET; kind++) {
		if (kind != SOCK_STREAM && kind != SOCK_DGRAM && kind != SOCK_SEQPACKET)
			continue;
		fd = must(socket(AF_UNIX, kind | SOCK_CLOEXEC, 0));
		must(bind(fd, (struct sockaddr *)&sun, sizeof(sun)));
		if (kind != SOCK_DGRAM)
			must(listen(fd, 0));
		if (kind == SOCK_SEQPACKET)
			check_eq(try_connect(PATH), 0);
		bind_at(&first, 0);
		tool_must_say(&first, "somebody listens there already");
		check_eq(tool_end(&first), 1);
		check_eq(files(), 1);
		close(fd);
		must(unlink(PATH));
	}
}

static void what_is_no_socket(void)
{
	char text[8] = "";
	int fd;

	tool_directory();
	fd = must(open(PATH, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	check_eq(write(fd, "mine", 4), 4);
	bind_at(&first, 0);
	tool_must_say(&first, "is there and is no socket");
	check_eq(tool_end(&first), 1);
	check_eq(pread(fd, text, sizeof(text), 0), 4);
	check_eq(access(PATH, F_OK), 0);
	check_eq(files(), 1);
	close(fd);
}

static void what_a_killed_one_left(void)
{
	tool_directory();
	bind_first();
	check_eq(tool_kill(&first, SIGKILL), 128 + SIGKILL);
	check_eq(files(), 1);
	check_eq(try_connect(PATH), -ECONNREFUSED);
	bind_first();
	check_eq(files(), 1);
	check_eq(tool_kill(&first, SIGTERM), 0);
	check_eq(files(), 0);
}

/* At its end the path is another's. */
static void path_of_another(void)
{
	uint32_t id;

	tool_directory();
	bind_first();
	must(unlink(PATH));
	bind_at(&second, 1);
	id = tool_number(&second);
	check_eq(handed_out(), id);
	check_eq(tool_kill(&first, SIGTERM), 0);
	check_eq(handed_out(), id);
	check_eq(tool_kill(&second, SIGTERM), 0);
	check_eq(files(), 0);
}

/* Whoever gets a connection is served, until *@over. */
static pid_t connect_again_and_again(const bool *over)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = PATH };
	pid_t pid = test_fork();
	uint32_t say[6];

	if (pid)
		return pid;
	while (!__atomic_load_n(over, __ATOMIC_RELAXED)) {
		int fd = must(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));

		if (!connect(fd, (struct sockaddr *)&sun, sizeof(sun)))
			check_eq(recv(fd, say, sizeof(say), 0), sizeof(say));
		close(fd);
	}
	_exit(0);
}

/* Of several that find what a killed one left, one gets the place. The others leave
 * no trace, not even for who connects meanwhile.
 */
static void race_for_the_place(void)
{
	enum { RACERS = 4 };
	bool *over = mmap(NULL, sizeof(*over), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct tool t[RACERS];
	unsigned int round, i, serve;
	int status;
	pid_t pid;

	check(over != MAP_FAILED);
	tool_directory();
	for (round = 0; round < 4; round++) {
		bind_first();
		check_eq(tool_kill(&first, SIGKILL), 128 + SIGKILL);
		__atomic_store_n(over, false, __ATOMIC_RELAXED);
		pid = connect_again_and_again(over);
		for (i = 0; i < RACERS; i++)
			bind_at(&t[i], i + 1);
		for (i = 0, serve = 0; i < RACERS; i++) {
			check(within(5000, !tool_runs(&t[i]) ||
				     lseek(t[i].out, 0, SEEK_END) > 0));
			if (tool_runs(&t[i])) {
				serve++;
				check_eq(handed_out(), tool_number(&t[i]));
				first = t[i];
			} else {
				tool_must_say(&t[i], "somebody listens there already");
				check_eq(tool_end(&t[i]), 1);
			}
		}
		check_eq(serve, 1);
		check_eq(files(), 1);
		__atomic_store_n(over, true, __ATOMIC_RELAXED);
		must(waitpid(pid, &status, 0));
		check_eq(status, 0);
		check_eq(tool_kill(&first, SIGTERM), 0);
		check_eq(files(), 0);
	}
}

/* Who takes a place holds the directory's lock, and waits for it, not for ever. */
static void place_that_is_locked(void)
{
	uint32_t id;
	int dir;

	tool_directory();
	bind_first();
	check_eq(tool_kill(&first, SIGKILL), 128 + SIGKILL);
	dir = must(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	must(flock(dir, LOCK_EX));
	bind_at(&first, 0);
	tool_must_say(&first, "another process keeps its directory locked");
	check_eq(tool_end(&first), 1);
	check_eq(files(), 1);
	check_eq(try_connect(PATH), -ECONNREFUSED);

	bind_at(&first, 0);
	check(within(5000, files() == 2));	/* it is about to take it */
	check_eq(try_connect(PATH), -ECONNREFUSED);
	must(flock(dir, LOCK_UN));
	id = tool_number(&first);
	check_eq(handed_out(), id);
	check_eq(tool_kill(&first, SIGTERM), 0);
	check_eq(files(), 0);
	close(dir);
}

/* ---- who may connect --------------------------------------------------- */

static int connect_as(uid_t uid, gid_t gid)
{
	pid_t pid = test_fork();
	int status;

	if (!pid) {
		must(setgroups(0, NULL));
		must(setresgid(gid, gid, gid));
		must(setresuid(uid, uid, uid));
		_exit(-try_connect(PATH));
	}
	must(waitpid(pid, &status, 0));
	check(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void admits(const char *options, mode_t mode, gid_t gid, int group, int others)
{
	struct stat st;

	tool_start(&first, &on_receiver, BIND "--dev nsd0 --socket " PATH "%s", options);
	tool_number(&first);
	must(stat(PATH, &st));
	check_eq(st.st_mode & 07777, mode);
	check_eq(st.st_gid, gid);
	check_eq(connect_as(SOMEBODY, NOBODY), group);
	check_eq(connect_as(SOMEBODY, SOMEBODY), others);
	check_eq(tool_kill(&first, SIGTERM), 0);
}

static void group_and_mode(void)
{
	tool_directory();
	umask(0);
	admits("", 0600, 0, -EACCES, -EACCES);
	admits(" --group 65534", 0660, NOBODY, 0, -EACCES);
	admits(" --group nogroup", 0660, NOBODY, 0, -EACCES);
	admits(" --group 65534 --mode 0600", 0600, NOBODY, -EACCES, -EACCES);
	admits(" --mode 0666", 0666, 0, 0, 0);
	umask(077);
	admits(" --group 65534", 0660, NOBODY, 0, -EACCES);
}

/* Somebody of the group receives; the descriptor is all it takes. */
static void received_by_the_group(void)
{
	struct tool sender;
	const struct tool_opts on_sender = { .side = SENDER };
	const struct tool_opts as = { .uid = SOMEBODY, .gid = NOBODY };

	tool_directory();
	tool_start(&first, &on_receiver,
		   "bind --buffer gpu --size 8M --dev nsd0 --queues 0-3 --group 65534 --socket " PATH);
	tool_number(&first);
	tool_start(&second, &as, "listen --binding " PATH " --verify pattern 5201");
	tool_must_say(&second, "listening on");
	tool_start(&sender, &on_sender, "send --bytes 1M %s 5201", ADDR4(RECEIVER));
	check_eq(tool_end(&sender), 0);
	check_eq(tool_end(&second), 0);
	check_eq(tool_kill(&first, SIGTERM), 0);
}

/* ---- the binding ------------------------------------------------------- */

/* Let the netlink sockets of the process hold few notifications. */
static void hard_of_hearing(const struct tool *t)
{
	int pidfd = (int)must(syscall(SYS_pidfd_open, t->pid, 0));
	int theirs, fd, domain, room = 8 << 10, found = 0;
	socklen_t len = sizeof(domain);

	for (theirs = 3; theirs < 32; theirs++) {
		fd = (int)syscall(SYS_pidfd_getfd, pidfd, theirs, 0);
		if (fd < 0)
			continue;
		if (!getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) &&
		    domain == AF_NETLINK) {
			must(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)));
			found++;
		}
		close(fd);
	}
	close(pidfd);
	check_eq(found, 2);
}

static void end_that_was_not_heard_of(void)
{
	static const uint32_t queue;
	struct bound noise;
	unsigned int i;

	must_cmd("ip link add nsd8 type netdevsim-devmem");
	must_cmd("ip link set nsd8 up");
	tool_start(&first, &on_receiver, BIND "--dev nsd8");
	tool_number(&first);
	hard_of_hearing(&first);
	must(kill(first.pid, SIGSTOP));
	for (i = 0; i < 20; i++) {
		bind_queues(&noise, DEVMEM_BUF_GPU, 65536, 0, &queue, 1);
		free_bound(&noise);
	}
	must_cmd("ip link delete nsd8");
	must(kill(first.pid, SIGCONT));
	tool_must_say(&first, ": closing");
	check_eq(tool_end(&first), 1);
}

static void setup(void)
{
	env_setup(8);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(one_at_a_time),
	KTAP_CASE(one_that_is_busy),
	KTAP_CASE(what_is_no_socket),
	KTAP_CASE(what_a_killed_one_left),
	KTAP_CASE(path_of_another),
	KTAP_CASE(race_for_the_place),
	KTAP_CASE(place_that_is_locked),
	KTAP_CASE(group_and_mode),
	KTAP_CASE(received_by_the_group),
	KTAP_CASE(end_that_was_not_heard_of),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
