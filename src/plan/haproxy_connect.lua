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
--		tcp-request content reject if !{ req.ssl_sni -m len 1: }                               # waits for the whole greeting
--		tcp-request content lua.hello_strict
--		tcp-request content reject if !{ var(txn.hello_name),strcmp(txn.connect_host) eq 0 }
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

-- hello_strict: the name of the one ClientHello that is there, as txn.hello_name, lower case; nothing where another reader might find
-- another name: a second server_name extension or a second name in it, a final dot, a greeting in several records, or anything of TLS's
-- handshake behind it. (What the client sends later, after a HelloRetryRequest, is not seen here.)
local function u16(s, at)
	local high, low = s:byte(at, at + 1)
	return low and high * 256 + low
end

-- What is behind a length of one or two bytes at that place, and where it ends.
local function vector(s, at, width)
	local n = width == 1 and s:byte(at) or width == 2 and u16(s, at)
	if not n or at + width + n - 1 > #s then return nil end
	return s:sub(at + width, at + width + n - 1), at + width + n
end

local function server_name(list)
	local names, over = vector(list, 1, 2)
	if not names or over ~= #list + 1 or names:byte(1) ~= 0 then return nil end
	local name, after = vector(names, 2, 2)
	if not name or after ~= #names + 1 then return nil end
	return #name <= 253 and name:match("^[%w_.-]*[%w_-]$")
end

local function find_name(all)
	local found, at, kind, body = nil, 1, nil, nil
	while at <= #all do
		kind = u16(all, at)
		body, at = vector(all, at + 2, 2)
		if not kind or not body then return nil end
		if kind == 0 then
			if found then return nil end
			found = server_name(body)
			if not found then return nil end
		end
	end
	return found
end

local function read_hello(data)
	if data:byte(1) ~= 22 or data:byte(2) ~= 3 then return nil end
	local record, behind = vector(data, 4, 2)
	if not record or data:byte(behind) == 22 or record:byte(1) ~= 1 or #record < 39 then return nil end
	if record:byte(2) ~= 0 or u16(record, 3) ~= #record - 4 then return nil end
	local _, at = vector(record, 39, 1) -- after the version and the random: session, ciphers, compressions
	if at then _, at = vector(record, at, 2) end
	if at then _, at = vector(record, at, 1) end
	if not at then return nil end
	local extensions, over = vector(record, at, 2)
	return extensions and over == #record + 1 and find_name(extensions) or nil
end

core.register_action("hello_strict", { "tcp-req" }, function(txn)
	local name = read_hello(txn.req:data() or "")
	if name then txn:set_var("txn.hello_name", name:lower()) end
	return act.CONTINUE
end)
