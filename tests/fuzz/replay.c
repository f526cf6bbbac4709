/* Runs a fuzz target over every file of its corpus: what the fuzzer once found stays found. Fails when the corpus is empty. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *dir, const char *name)
{
	char path[4096];
	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "rb");
	if (!f) {
		perror(path);
		return -1;
	}
	uint8_t *bytes = malloc(1 << 20);
	size_t n = bytes ? fread(bytes, 1, 1 << 20, f) : 0;
	uint8_t *exact = malloc(n ? n : 1); /* so that a read past the end is seen */
	for (size_t i = 0; i < n && exact; i++)
		exact[i] = bytes[i];
	free(bytes);
	(void)fclose(f);
	if (exact)
		(void)LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 0;
}

int main(int argc, char **argv)
{
	DIR *d = argc == 2 ? opendir(argv[1]) : NULL;
	unsigned count = 0;

	if (!d) {
		fprintf(stderr, "usage: %s CORPUS-DIRECTORY\n", argv[0]);
		return 2;
	}
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			count += replay(argv[1], e->d_name) == 0;
	(void)closedir(d);
	printf("%u inputs replayed\n", count);
	return count ? 0 : 1;
}
