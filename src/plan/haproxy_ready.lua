-- Tells whoever started HAProxy that it serves: tasks run once the listeners are polled. Then counts lines of its log that were lost.
core.register_task(function()
	io.stdout:write("ready\n")
	io.stdout:flush()
	local told = 0
	while true do
		core.msleep(1000)
		local lost = tonumber(core.get_info().DroppedLogs) or 0
		if lost > told then
			io.stderr:write("HAProxy has lost " .. lost - told .. " lines of the decision log, " .. lost .. " in all\n")
			told = lost
		end
	end
end)
