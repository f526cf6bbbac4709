-- CONNECT for HAProxy 2.6 and later, which hands that method on to a server instead of answering it. With these actions HAProxy is that
-- server too: an http frontend decides, and sends what it has allowed to a second, inner proxy in tcp mode, which is one of these two.
--
-- 1. Any protocol may follow; 200 is answered once the connection to the destination stands. When that fails nothing has been answered,
--    and the http frontend says 502.
--	connect_head         takes the request's head, up to and with the empty line, out of what goes to the destination
--	connect_established  answers 200 (the rules for answers run first when the destination has accepted)
-- 2. TLS must follow, and be meant for the host that was decided on. For this 200 is answered before the destination is connected to, as
--    rules for requests run before that; a destination that does not answer is a tunnel that is closed.
--	connect_accept       takes the head, answers 200, and keeps the host, lower case and without a final dot, as txn.connect_host, and
--	                     the value of a field X-Connect-Client as txn.connect_client
--
-- Use (the destination travels in the PROXY header, so the inner proxy connects to exactly what was decided):
--	global
--		lua-load-per-thread /path/haproxy_connect.lua
--	frontend clients                          # mode http, with all the rules
--		http-request set-dst var(txn.dst)       # the address that was checked
--		http-request set-dst-port var(txn.port)
--		http-request set-src ipv4(127.0.0.1)    # of the address's family, as a PROXY header has one
--		use_backend connect if METH_CONNECT
--	backend connect
--		mode http
--		server inner unix@/run/connect.sock send-proxy-v2
--	listen inner                              # the first kind
--		mode tcp
--		bind unix@/run/connect.sock mode 600 accept-proxy    # where no client can reach it
--		tcp-request inspect-delay 5s
--		tcp-request content lua.connect_head
--		tcp-response inspect-delay 5s
--		tcp-response content lua.connect_established
--		server destination 0.0.0.0:0            # the one in the PROXY header
--	listen inner                              # or the second kind
--		mode tcp
--		bind unix@/run/connect.sock mode 600 accept-proxy
--		tcp-request inspect-delay 5s
--		tcp-request content lua.connect_accept if !{ var(txn.connect_host) -m found }  # once: rules run again when more has come
--		tcp-request content reject if !{ req.ssl_hello_type 1 }
--		tcp-request content reject if !{ req.ssl_sni,lower,strcmp(txn.connect_host) eq 0 }
--		server destination 0.0.0.0:0
-- bind abns@NAME serves as well where only HAProxy is in that network namespace.

-- Takes the head away; its target and client, or nothing when it is not CONNECT's, or ends too early.
local function take_head(txn)
	local size, line, target, client = 0, nil, nil, nil
	repeat
		line = txn.req:line(size) -- waits for a whole one; at the end of data, what there is or nothing
		if not line or line:sub(-1) ~= "\n" then return nil end
		if size == 0 then
			target = line:match("^CONNECT ([^ ]+) HTTP/1%.[01]\r?\n$")
			if not target then return nil end
		end
		client = client or line:lower():match("^x%-connect%-client: *([^\r\n]*)")
		size = size + #line
	until line == "\r\n" or line == "\n"
	txn.req:remove(0, size)
	return target, client
end

local function answer(txn)
	txn.res:send("HTTP/1.1 200 Connection established\r\n\r\n")
end

core.register_action("connect_head", { "tcp-req" }, function(txn)
	return take_head(txn) and act.CONTINUE or act.DENY
end)

core.register_action("connect_established", { "tcp-res" }, function(txn)
	answer(txn)
	return act.CONTINUE
end)

core.register_action("connect_accept", { "tcp-req" }, function(txn)
	local target, client = take_head(txn)
	local host = target and target:match("^(.-)%.?:%d+$")
	if not host then return act.DENY end
	txn:set_var("txn.connect_host", host:lower())
	txn:set_var("txn.connect_client", client or "")
	answer(txn)
	return act.CONTINUE
end)
