#include "plan/json_out.h"

#include <stdio.h>

void json_out_text(struct json_out *j, const char *s)
{
	arena_text_put(&j->text, (struct span) { s, strlen(s) });
}

static void json_out_quoted(struct json_out *j, const char *s)
{
	char escaped[8];

	json_out_text(j, "\"");
	for (; *s; s++) {
		const unsigned char c = (unsigned char)*s;

		if (c >= 0x20 && c != 0x7f && c != '"' && c != '\\') {
			arena_text_put(&j->text, (struct span) { s, 1 });
			continue;
		}
		(void)snprintf(escaped, sizeof escaped, "\\u%04x", c);
		json_out_text(j, escaped);
	}
	json_out_text(j, "\"");
}

static void separate(struct json_out *j)
{
	if (j->comma)
		json_out_text(j, ",");
	j->comma = true;
}

void json_out_open(struct json_out *j, const char *key, const char *bracket)
{
	separate(j);
	if (key) {
		json_out_quoted(j, key);
		json_out_text(j, ":");
	}
	json_out_text(j, bracket);
	j->comma = false;
}

void json_out_close(struct json_out *j, const char *bracket)
{
	json_out_text(j, bracket);
	j->comma = true;
}

void json_out_string(struct json_out *j, const char *key, const char *value)
{
	if (!value)
		return;
	json_out_open(j, key, "");
	json_out_quoted(j, value);
	j->comma = true;
}

/* A number or a bool. */
void json_out_bare(struct json_out *j, const char *key, const char *value)
{
	json_out_open(j, key, value);
	j->comma = true;
}

void json_out_strings(struct json_out *j, const char *key, const struct strings *list)
{
	if (list->count == 0)
		return;
	json_out_open(j, key, "[");
	for (size_t i = 0; i < list->count; i++)
		json_out_string(j, NULL, list->items[i]);
	json_out_close(j, "]");
}
