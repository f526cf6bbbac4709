#include "engine/live_port.h"

#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "engine/publish.h"

static int start(struct live_port *p, struct err *err);

static void again_due(struct timer *t)
{
	struct live_port *p = (struct live_port *)((char *)t - offsetof(struct live_port, again));
	struct err err = { 0 };

	if (start(p, &err) == 0)
		return;
	log_error("pod %s, port %u: %s", p->pod->name, p->planned->host_port, err.text);
	loop_timer_set(p->pod->house->loop, &p->again, PORT_AGAIN_MS);
}

static void ended(struct child *c, int wait_status)
{
	struct live_port *p = (struct live_port *)((char *)c - offsetof(struct live_port, child));

	log_error("pod %s, port %u: its process ended with %d; it is started anew", p->pod->name, p->planned->host_port,
		  child_exit_code(wait_status));
	loop_timer_set(p->pod->house->loop, &p->again, PORT_AGAIN_MS);
}

static int start(struct live_port *p, struct err *err)
{
	const pid_t pid = publish_start(p->listener, p->pod->walls.netns, p->planned->container_port, err);

	return pid < 0 ? -1 : child_watch(&p->child, p->pod->house->loop, pid, ended, err);
}

int live_port_open(struct live_port *p, struct err *err)
{
	p->again.expired = again_due;
	p->listener = publish_listen(p->planned->host_ip, p->planned->host_port, err);
	return p->listener < 0 ? -1 : start(p, err);
}

void live_port_close(struct live_port *p)
{
	loop_timer_cancel(p->pod->house->loop, &p->again);
	child_kill(&p->child);
	fd_close(&p->listener);
}
