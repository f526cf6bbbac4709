/* Inside this room: the Lua files beside this one, as the build has put them in (src/embed.py). */
#ifndef STOCKADE_PLAN_HAPROXY_LUA_H
#define STOCKADE_PLAN_HAPROXY_LUA_H

#include <stddef.h>

extern const char haproxy_connect_lua[], haproxy_ready_lua[];
extern const size_t haproxy_connect_lua_size, haproxy_ready_lua_size;

#endif
