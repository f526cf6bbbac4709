#include "verify/hello.h"

#include <stdio.h>

struct writer {
	char *p;
	size_t size, used;
	bool full;
};

static void put(struct writer *w, const void *bytes, size_t n)
{
	if (w->full || n > w->size - w->used) {
		w->full = true;
		return;
	}
	memcpy(w->p + w->used, bytes, n);
	w->used += n;
}

static void put8(struct writer *w, unsigned v)
{
	const uint8_t b = (uint8_t)v;

	put(w, &b, 1);
}

static void put16(struct writer *w, unsigned v)
{
	put8(w, v >> 8);
	put8(w, v);
}

/* Room for a two-byte length; begin_end fills it in. */
static size_t begin(struct writer *w)
{
	put16(w, 0);
	return w->used;
}

static void end(struct writer *w, size_t from)
{
	if (w->full)
		return;
	const size_t n = w->used - from;

	w->p[from - 2] = (char)(n >> 8);
	w->p[from - 1] = (char)n;
}

static void put_name(struct writer *w, const char *name)
{
	put16(w, 0); /* server_name */
	const size_t whole = begin(w), list = begin(w);

	put8(w, 0);
	const size_t host = begin(w);

	put(w, name, strlen(name));
	end(w, host);
	end(w, list);
	end(w, whole);
}

static void put_extensions(struct writer *w, const char *name, const uint8_t key[static 32])
{
	static const uint8_t fixed[] = {
		0, 10, 0, 6,  0, 4,  0, 29, 0, 23,                                     /* groups: x25519, secp256r1 */
		0, 11, 0, 2,  1, 0,                                                    /* point formats */
		0, 13, 0, 18, 0, 16, 4, 3,  8, 4,  4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1, /* signatures */
		0, 43, 0, 5,  4, 3,  4, 3,  3,                                         /* versions: 1.3, 1.2 */
		0, 45, 0, 2,  1, 1,                                                    /* key exchange modes */
		0, 51, 0, 38, 0, 36, 0, 29, 0, 32,                                     /* the key of x25519 follows */
	};
	const size_t all = begin(w);

	if (name)
		put_name(w, name);
	put(w, fixed, sizeof fixed);
	put(w, key, 32);
	end(w, all);
}

size_t hello_write(const char *name, const uint8_t random[static 64], char *out, size_t size)
{
	static const uint8_t suites[] = { 0,    18,   0x13, 1,    0x13, 2, 0x13, 3, 0xc0, 0x2b, 0xc0,
					  0x2f, 0xc0, 0x2c, 0xc0, 0x30, 0, 0x9c, 0, 0x2f, 1,    0 };
	struct writer w = { out, size, 0, false };

	put(&w, "\x16\x03\x01", 3);
	const size_t record = begin(&w);

	put(&w, "\x01\x00", 2);
	const size_t message = begin(&w);

	put(&w, "\x03\x03", 2);
	put(&w, random, 32);
	put8(&w, 0);
	put(&w, suites, sizeof suites);
	put_extensions(&w, name, random + 32);
	end(&w, message);
	end(&w, record);
	return w.full ? 0 : w.used;
}

size_t question_write(const char *name, uint16_t type, uint16_t id, char *out, size_t size)
{
	struct writer w = { out, size, 0, false };

	put16(&w, id);
	put(&w, "\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 10);
	while (*name) {
		const size_t n = strcspn(name, ".");

		if (n == 0 || n > 63)
			return 0;
		put8(&w, (unsigned)n);
		put(&w, name, n);
		name += n + (name[n] == '.');
	}
	put8(&w, 0);
	put16(&w, type);
	put16(&w, 1);
	return w.full ? 0 : w.used;
}

struct reader {
	struct span in;
	size_t at;
	bool bad;
};

static unsigned get8(struct reader *r)
{
	if (r->at >= r->in.n) {
		r->bad = true;
		return 0;
	}
	return (uint8_t)r->in.p[r->at++];
}

static unsigned get16(struct reader *r)
{
	const unsigned high = get8(r);

	return high << 8 | get8(r);
}

static void skip(struct reader *r, size_t n)
{
	if (r->bad || n > r->in.n - r->at)
		r->bad = true;
	else
		r->at += n;
}

static void skip_name(struct reader *r)
{
	while (!r->bad) {
		const unsigned n = get8(r);

		if (n >= 0xc0) {
			(void)get8(r);
			return;
		}
		if (n == 0)
			return;
		skip(r, n);
	}
}

static void read_record(struct reader *r, struct dns_reply *ret)
{
	skip_name(r);
	const unsigned type = get16(r);

	skip(r, 6);
	const unsigned n = get16(r);
	const size_t at = r->at;

	skip(r, n);
	if (r->bad || ret->address.family || !((type == 1 && n == 4) || (type == 28 && n == 16)))
		return;
	ret->address.family = type == 1 ? 4 : 6;
	memcpy(ret->address.bytes, r->in.p + at, n);
}

bool dns_reply_read(struct span in, uint16_t id, struct dns_reply *ret)
{
	struct reader r = { in, 0, false };
	struct dns_reply reply = { 0 };
	const unsigned got = get16(&r), flags = get16(&r), questions = get16(&r);

	reply.answers = get16(&r);
	reply.rcode = flags & 15;
	skip(&r, 4);
	if (r.bad || got != id || !(flags & 0x8000))
		return false;
	for (unsigned i = 0; i < questions && !r.bad; i++) {
		skip_name(&r);
		skip(&r, 4);
	}
	for (unsigned i = 0; i < reply.answers && !r.bad; i++)
		read_record(&r, &reply);
	if (r.bad)
		return false;
	*ret = reply;
	return true;
}
