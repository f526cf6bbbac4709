#include "engine/gate_image.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sha256.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "plan/bridge.h"

enum { IMAGE_MS = 120000, LIBRARIES_MAX = 64, PATH_SIZE = 512, HASH_SHOWN = 16, COPY_BYTES = 65536 };
#define LABEL "stockade.gate"

static const char set_label[] = "LABEL " LABEL "=%s", by_label[] = "label=" LABEL, read_label[] = "{{index .Labels \"" LABEL "\"}}";

/* --- what goes into it --- */

struct libraries {
	struct arena *a;
	const char *paths[LIBRARIES_MAX];
	size_t count;
	bool too_many;
};

/* Called for each thing that is mapped; what is no file of its own (this program, the kernel's page) has no path. */
static int take_library(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct libraries *l = arg;

	(void)size;
	if (info->dlpi_name[0] != '/')
		return 0;
	l->too_many = l->count == LIBRARIES_MAX;
	if (!l->too_many)
		l->paths[l->count++] = arena_strdup(l->a, info->dlpi_name);
	return l->too_many;
}

static int find_libraries(struct libraries *l, struct err *err)
{
	(void)dl_iterate_phdr(take_library, l);
	if (l->too_many || l->count == 0)
		return err_set(err, ERR_FAULT, "the libraries of this program cannot be told");
	for (size_t i = 0; i < l->count; i++)
		for (const char *p = l->paths[i]; *p; p++)
			if ((unsigned char)*p <= ' ' || *p == '\\')
				return err_set(err, ERR_INPUT, "a library at an odd path: %.200s", l->paths[i]);
	return 0;
}

static int digest_file(SHA256_CTX *c, const char *path, struct err *err)
{
	char bytes[COPY_BYTES];
	FD_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 0;

	SHA256Update(c, (const uint8_t *)path, strlen(path) + 1);
	while (fd >= 0 && (n = read(fd, bytes, sizeof bytes)) > 0)
		SHA256Update(c, (const uint8_t *)bytes, (size_t)n);
	return n < 0 ? err_errno(err, "%s", path) : 0;
}

static int digest(const struct libraries *l, char ret[static SHA256_DIGEST_STRING_LENGTH], struct err *err)
{
	SHA256_CTX c;

	SHA256Init(&c);
	if (digest_file(&c, "/proc/self/exe", err) < 0)
		return -1;
	for (size_t i = 0; i < l->count; i++)
		if (digest_file(&c, l->paths[i], err) < 0)
			return -1;
	(void)SHA256End(&c, ret);
	return 0;
}

/* --- making it --- */

static int copy_program(const char *to, struct err *err)
{
	char bytes[COPY_BYTES];
	FD_CLOSE int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	FD_CLOSE int fd = from < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0755);
	ssize_t n = fd < 0 || fchmod(fd, 0755) < 0 ? -1 : 0;

	while (fd >= 0 && n >= 0 && (n = read(from, bytes, sizeof bytes)) > 0) {
		const int rc = fd_write_all(fd, bytes, (size_t)n);

		errno = -rc;
		n = rc < 0 ? -1 : n;
		if (rc < 0)
			break;
	}
	return n < 0 ? err_errno(err, "%s", to) : 0;
}

/* The program as /stockade, each library where the loader looks for it. The same files give the same bytes. */
static int write_tar(const struct program *like, const struct libraries *l, const char *dir, const char *tar, struct arena *a,
		     struct err *err)
{
	const char *argv[LIBRARIES_MAX + 16] = {
		"tar",       "--create",        "--file", tar, "--dereference", "--mtime=@0", "--owner=0",
		"--group=0", "--numeric-owner", "-C",     dir, "stockade",      "-C",         "/"
	};
	size_t n = 14;
	struct program p = *like;

	if (copy_program(arena_printf(a, "%s/stockade", dir), err) < 0)
		return -1;
	for (size_t i = 0; i < l->count; i++)
		argv[n++] = l->paths[i] + 1;
	p.argv = argv;
	return program_wait(&p, a, NULL, err) == 0 ? 0 : err_wrap(err, "tar");
}

static int import(const struct program *like, const char *tar, const char *hash, const char *name, struct arena *a, struct err *err)
{
	const char *const argv[] = { "podman",
				     "import",
				     "--quiet",
				     "--change",
				     "ENTRYPOINT [\"/stockade\"]",
				     "--change",
				     arena_printf(a, set_label, hash),
				     tar,
				     name,
				     NULL };
	struct program p = *like;

	p.argv = argv;
	return program_wait(&p, a, NULL, err) == 0 ? 0 : err_wrap(err, "podman import");
}

static bool is_there(const struct program *like, const char *hash, const char *name, struct arena *a)
{
	const char *const argv[] = { "podman", "image", "inspect", "--format", read_label, name, NULL };
	struct program p = *like;
	const char *out = "";
	struct err ignored = { 0 };

	p.argv = argv;
	return program_wait(&p, a, &out, &ignored) == 0 && strncmp(out, hash, strlen(hash)) == 0;
}

/* Images of that name that are ours by their label, but not this one. One in use stays. */
static void remove_older(const struct program *like, const char *name, struct arena *a)
{
	const char *const list[] = { "podman", "images", "--filter", by_label, "--format", "{{.Repository}}:{{.Tag}}", NULL };
	struct program p = *like;
	const char *at = "";
	struct err ignored = { 0 };

	p.argv = list;
	if (program_wait(&p, a, &at, &ignored) != 0)
		return;
	for (size_t n; *at; at += n + (at[n] == '\n')) {
		n = strcspn(at, "\n");
		const char *one = arena_span(a, (struct span) { at, n });
		const char *const argv[] = { "podman", "image", "rm", one, NULL };

		if (strncmp(one, BRIDGE_IMAGE ":", sizeof BRIDGE_IMAGE) != 0 || strcmp(one, name) == 0)
			continue;
		p.argv = argv;
		(void)program_wait(&p, a, NULL, &ignored);
	}
}

static unsigned long long now_ms(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long long)t.tv_sec * 1000 + (unsigned long long)t.tv_nsec / 1000000;
}

static int build(const struct program *like, const struct libraries *l, const char *dir, const char *hash, struct gate_image *ret,
		 struct arena *a, struct err *err)
{
	const unsigned long long began = now_ms();
	const char *image = arena_printf(a, "%s/image", dir), *tar = arena_printf(a, "%s/image.tar", dir),
		   *copy = arena_printf(a, "%s/stockade", image);
	struct stat st = { 0 };
	int rc = mkdir(image, 0700) < 0 && errno != EEXIST ? err_errno(err, "%s", image) : 0;

	if (rc == 0)
		rc = write_tar(like, l, image, tar, a, err);
	if (rc == 0)
		rc = import(like, tar, hash, ret->name, a, err);
	(void)stat(tar, &st);
	(void)unlink(tar);
	(void)unlink(copy);
	(void)rmdir(image);
	ret->built = true;
	ret->bytes = (unsigned long long)st.st_size;
	ret->ms = (unsigned)(now_ms() - began);
	return rc;
}

int gate_image_ensure(const struct program *like, const char *dir, struct gate_image *ret, struct err *err)
{
	struct arena a = { 0 };
	struct libraries l = { .a = &a };
	struct program p = *like;
	char hash[SHA256_DIGEST_STRING_LENGTH];
	int rc = find_libraries(&l, err) < 0 || digest(&l, hash, err) < 0 ? -1 : 0;

	p.limit_ms = IMAGE_MS;
	*ret = (struct gate_image) { 0 };
	if (rc == 0) {
		(void)snprintf(ret->name, sizeof ret->name, BRIDGE_IMAGE ":%.*s", HASH_SHOWN, hash);
		if (!is_there(&p, hash, ret->name, &a)) {
			rc = build(&p, &l, dir, hash, ret, &a, err);
			remove_older(&p, ret->name, &a);
		}
	}
	arena_free(&a);
	return rc < 0 ? err_wrap(err, "the image of the gate") : 0;
}
