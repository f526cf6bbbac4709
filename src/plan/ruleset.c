/* The jail as text. Every destination is local (`local default dev lo`), so whatever a pod sends passes output, then prerouting
 * on lo, then input. The first two hold the same list of what may pass; each alone would be enough.
 *
 * What passes output and prerouting, and why:
 *	loopback and the pod's own addresses   containers of a pod talk among themselves
 *	tcp                                    goes to the gate; prerouting hands it to the transparent listener
 *	udp to and from port 53                goes to, and comes from, the pod's DNS listener, whatever the address
 *	destination-unreachable                the kernel's own word to a program that its packet was refused
 * Answers of the transparent listener bear the original destination as source. They belong to a connection whose client end is
 * no transparent socket, so tproxy passes them by and the rule after it lets them through; a SYN that tproxy passes by
 * has nobody to go to - the listener is gone - and is reset. */
#include "plan/ruleset.h"

#include "plan/plan.h"

#define LOG "limit rate 50/second burst 100 packets log group %d snaplen 96"

static const char prerouting[] = "	chain prerouting {\n"
				 "		type filter hook prerouting priority mangle; policy drop;\n"
				 "		iif != \"lo\" goto foreign\n"
				 "		ip daddr 127.0.0.0/8 accept\n"
				 "		ip6 daddr ::1 accept\n"
				 "		ip daddr %s accept\n"
				 "		ip6 daddr %s accept\n"
				 "		tcp dport 53 accept\n"
				 "		udp dport 53 accept\n"
				 "		udp sport 53 accept\n"
				 "		icmp type destination-unreachable accept\n"
				 "		icmpv6 type destination-unreachable accept\n"
				 "		meta nfproto ipv4 meta l4proto tcp tproxy ip to :%d accept\n"
				 "		meta nfproto ipv6 meta l4proto tcp tproxy ip6 to :%d accept\n"
				 "		tcp flags syn / fin,syn,rst,ack reject with tcp reset\n"
				 "		meta l4proto tcp accept\n"
				 "	}\n";

static const char others[] = "	chain input {\n"
			     "		type filter hook input priority filter; policy drop;\n"
			     "		iif != \"lo\" goto foreign\n"
			     "		accept\n"
			     "	}\n"
			     "	chain forward {\n"
			     "		type filter hook forward priority filter; policy drop;\n"
			     "		goto foreign\n"
			     "	}\n"
			     "	chain output {\n"
			     "		type filter hook output priority filter; policy drop;\n"
			     "		oif != \"lo\" goto refuse\n"
			     "		ip daddr 127.0.0.0/8 accept\n"
			     "		ip6 daddr ::1 accept\n"
			     "		ip daddr %s accept\n"
			     "		ip6 daddr %s accept\n"
			     "		meta l4proto tcp accept\n"
			     "		udp dport 53 accept\n"
			     "		udp sport 53 accept\n"
			     "		icmp type destination-unreachable accept\n"
			     "		icmpv6 type destination-unreachable accept\n"
			     "		goto refuse\n"
			     "	}\n";

static const char verdicts[] = "	chain refuse {\n"
			       "		" LOG "\n"
			       "		counter\n"
			       "		meta l4proto tcp reject with tcp reset\n"
			       "		reject with icmpx admin-prohibited\n"
			       "	}\n"
			       "	chain foreign {\n"
			       "		" LOG "\n"
			       "		counter drop\n"
			       "	}\n";

const char *ruleset_verdicts(struct arena *a)
{
	return arena_printf(a, verdicts, PLAN_NFLOG_GROUP, PLAN_NFLOG_GROUP);
}

const char *plan_ruleset(const struct plan *p, const struct plan_pod *pod, struct arena *a)
{
	char v4[IP_TEXT_MAX], v6[IP_TEXT_MAX];

	(void)ip_format(&pod->v4, v4);
	(void)ip_format(&pod->v6, v6);
	const char *head = "add table inet stockade\ndelete table inet stockade\ntable inet stockade {\n";
	const char *first = arena_printf(a, prerouting, v4, v6, PLAN_TPROXY_PORT, PLAN_TPROXY_PORT);
	const char *rest = arena_printf(a, others, v4, v6);

	return arena_printf(a, "%s%s%s%s}\n", head, ruleset_verdicts(a), first, rest);
}
