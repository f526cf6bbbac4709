/* A stub resolver sends one question and at most one OPT record. All else is refused, so there is nothing to skip over and no
 * compression pointer to follow. */
#include "wire/dns_msg.h"

#include "wire/byte_class.h"

enum { HEADER = 12, NAME_WIRE_MAX = 255, LABEL_MAX = 63, OPT_FIXED = 11, CLASS_IN = 1 };
enum { FLAG_QR = 0x8000, FLAG_OPCODE = 0x7800, FLAG_AA = 0x0400, FLAG_RD = 0x0100, FLAG_RA = 0x0080, FLAG_CD = 0x0010 };

static uint16_t read16(struct span s, size_t at)
{
	return (uint16_t)((uint8_t)s.p[at] << 8 | (uint8_t)s.p[at + 1]);
}

static size_t write16(char *out, size_t at, unsigned v)
{
	out[at] = (char)(v >> 8);
	out[at + 1] = (char)v;
	return at + 2;
}

static bool is_plain(char c)
{
	return c > ' ' && c < 0x7f && c != '.' && c != '\\' && c != '"' && c != ';' && c != '(' && c != ')' && c != '@' && c != '$';
}

static size_t write_text(char *text, size_t at, char c)
{
	const unsigned b = (uint8_t)c;

	if (is_plain(c)) {
		text[at] = ascii_lower(c);
		return at + 1;
	}
	text[at] = '\\';
	text[at + 1] = (char)('0' + b / 100);
	text[at + 2] = (char)('0' + b / 10 % 10);
	text[at + 3] = (char)('0' + b % 10);
	return at + 4;
}

/* The QNAME at msg[HEADER]: labels only. Returns its size on the wire, 0 when broken. */
static size_t read_name(struct span msg, struct dns_question *q)
{
	size_t at = HEADER, text = 0;

	_Static_assert(DNS_NAME_TEXT_MAX > 4 * NAME_WIRE_MAX, "every byte may need four");
	while (at < msg.n && msg.p[at] != 0) {
		const size_t label = (uint8_t)msg.p[at++];

		if (label > LABEL_MAX || label >= msg.n - at || at + label + 1 - HEADER > NAME_WIRE_MAX)
			return 0;
		if (text > 0)
			q->name[text++] = '.';
		for (size_t i = 0; i < label; i++)
			text = write_text(q->name, text, msg.p[at++]);
	}
	if (at >= msg.n)
		return 0;
	q->name[text] = '\0';
	q->name_length = text;
	q->wire_name = (struct span) { msg.p + HEADER, at + 1 - HEADER };
	return q->wire_name.n;
}

/* RFC 6891 6.1.2: root name, type, size, extended rcode, version 0, flags, and options to the end of the message. */
static bool is_opt(struct span rr)
{
	if (rr.n < OPT_FIXED || rr.p[0] != 0 || read16(rr, 1) != DNS_OPT || rr.p[6] != 0)
		return false;
	return read16(rr, 9) == rr.n - OPT_FIXED;
}

static bool read_sections(struct span msg, struct dns_question *q)
{
	const unsigned extra = read16(msg, 10);
	size_t at;

	if (read16(msg, 4) != 1 || read16(msg, 6) != 0 || read16(msg, 8) != 0 || extra > 1)
		return false;
	at = read_name(msg, q);
	if (at == 0 || msg.n - HEADER - at < 4)
		return false;
	at += HEADER;
	q->type = read16(msg, at);
	q->class = read16(msg, at + 2);
	at += 4;
	q->edns = extra == 1;
	return q->edns ? is_opt(span_skip(msg, at)) : at == msg.n;
}

enum wire_result dns_question_parse(struct span msg, struct dns_question *ret, int *ret_rcode)
{
	*ret_rcode = -1;
	if (msg.n < HEADER)
		return WIRE_BAD;
	ret->id = read16(msg, 0);
	ret->flags = read16(msg, 2);
	if (ret->flags & FLAG_QR)
		return WIRE_BAD;
	*ret_rcode = DNS_NOTIMP;
	if (ret->flags & FLAG_OPCODE)
		return WIRE_BAD;
	*ret_rcode = DNS_FORMERR;
	if (!read_sections(msg, ret))
		return WIRE_BAD;
	*ret_rcode = DNS_NOERROR;
	return WIRE_DONE;
}

static size_t write_record(char *out, size_t at, unsigned type, uint32_t ttl, struct span data)
{
	at = write16(out, at, 0xc000 | HEADER); /* the question's name */
	at = write16(out, at, type);
	at = write16(out, at, CLASS_IN);
	at = write16(out, at, ttl >> 16);
	at = write16(out, at, ttl & 0xffff);
	at = write16(out, at, (unsigned)data.n);
	memcpy(out + at, data.p, data.n);
	return at + data.n;
}

static size_t write_opt(char *out, size_t at)
{
	memset(out + at, 0, OPT_FIXED);
	(void)write16(out, at + 1, DNS_OPT);
	(void)write16(out, at + 3, DNS_UDP_MAX);
	return at + OPT_FIXED;
}

size_t dns_answer_write(const struct dns_question *q, enum dns_rcode rcode, struct span addr, uint32_t ttl, char *out, size_t size)
{
	const size_t want = q->type == DNS_A ? 4 : q->type == DNS_AAAA ? 16 : 0;
	const size_t need = HEADER + q->wire_name.n + 4 + (addr.n > 0 ? 12 + addr.n : 0) + (q->edns ? OPT_FIXED : 0);
	size_t at = 0;

	_Static_assert(DNS_ANSWER_MAX == HEADER + NAME_WIRE_MAX + 4 + 12 + 16 + OPT_FIXED, "the longest answer");
	if (need > size || (addr.n > 0 && addr.n != want))
		return 0;
	at = write16(out, at, q->id);
	at = write16(out, at, FLAG_QR | FLAG_AA | FLAG_RA | (q->flags & (FLAG_RD | FLAG_CD)) | (unsigned)rcode);
	at = write16(out, at, 1);
	at = write16(out, at, addr.n > 0);
	at = write16(out, at, 0);
	at = write16(out, at, q->edns);
	memcpy(out + at, q->wire_name.p, q->wire_name.n);
	at = write16(out, at + q->wire_name.n, q->type);
	at = write16(out, at, q->class);
	if (addr.n > 0)
		at = write_record(out, at, q->type, ttl & INT32_MAX, addr); /* RFC 2181 8 */
	return q->edns ? write_opt(out, at) : at;
}

size_t dns_error_write(struct span msg, int rcode, char *out, size_t size)
{
	if (msg.n < HEADER || size < HEADER)
		return 0;
	memset(out, 0, HEADER);
	memcpy(out, msg.p, 2);
	(void)write16(out, 2, FLAG_QR | (read16(msg, 2) & (FLAG_OPCODE | FLAG_RD)) | ((unsigned)rcode & 15));
	return HEADER;
}
