-- Tells whoever started HAProxy that it serves: tasks run once the listeners are polled.
core.register_task(function()
	io.stdout:write("ready\n")
	io.stdout:flush()
end)
