#include "verify/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void read_line(const char *line, struct proc_status *s)
{
	unsigned long long set;
	unsigned number;

	if (sscanf(line, "CapInh: %llx", &set) == 1 || sscanf(line, "CapPrm: %llx", &set) == 1 ||
	    sscanf(line, "CapEff: %llx", &set) == 1 || sscanf(line, "CapAmb: %llx", &set) == 1)
		s->capabilities |= set;
	else if (sscanf(line, "CapBnd: %llx", &set) == 1)
		s->bounding = set;
	else if (sscanf(line, "Uid: %u", &number) == 1)
		s->uid = number;
	else if (sscanf(line, "NoNewPrivs: %u", &number) == 1)
		s->no_new_privs = (int)number;
	else if (sscanf(line, "Seccomp: %u", &number) == 1)
		s->seccomp = (int)number;
}

bool proc_status(pid_t pid, pid_t task, struct proc_status *ret)
{
	char path[64], line[512];

	if (task)
		(void)snprintf(path, sizeof path, "/proc/%d/task/%d/status", pid, task);
	else
		(void)snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *file = fopen(path, "re");
	unsigned lines = 0;

	if (!file)
		return false;
	*ret = (struct proc_status) { .no_new_privs = -1, .seccomp = -1 };
	for (; fgets(line, sizeof line, file); lines++)
		read_line(line, ret);
	(void)fclose(file);
	return lines > 0;
}

ino_t proc_namespace(pid_t pid, const char *name)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, name);
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

static int each_number(const char *path, bool (*each)(void *arg, pid_t pid), void *arg)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;

	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]) && !each(arg, (pid_t)strtol(entry->d_name, NULL, 10)))
			break;
	(void)closedir(dir);
	return 0;
}

void proc_each(bool (*each)(void *arg, pid_t pid), void *arg)
{
	(void)each_number("/proc", each, arg);
}

int proc_each_task(pid_t pid, bool (*each)(void *arg, pid_t task), void *arg)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%d/task", pid);
	return each_number(path, each, arg);
}

struct socket_search {
	pid_t pid;
	char link[64];
	bool found;
};

static bool is_socket(void *arg, pid_t fd)
{
	struct socket_search *s = arg;
	char path[64], link[64];

	(void)snprintf(path, sizeof path, "/proc/%d/fd/%d", s->pid, fd);
	const ssize_t n = readlink(path, link, sizeof link - 1);

	if (n > 0) {
		link[n] = '\0';
		s->found = strcmp(link, s->link) == 0;
	}
	return !s->found;
}

bool proc_holds_socket(pid_t pid, ino_t socket)
{
	struct socket_search s = { .pid = pid };
	char path[64];

	(void)snprintf(s.link, sizeof s.link, "socket:[%llu]", (unsigned long long)socket);
	(void)snprintf(path, sizeof path, "/proc/%d/fd", pid);
	(void)each_number(path, is_socket, &s);
	return s.found;
}
