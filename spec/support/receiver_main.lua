-- receiver_main.lua PORT STATUSES - answers posts, and prints "STATUS BODY" for each.
local socket = require "socket"

local listener = assert(socket.bind("127.0.0.1", tonumber(arg[1])))
local statuses = {}
for status in (arg[2] or ""):gmatch("%d+") do statuses[#statuses + 1] = status end
io.stdout:setvbuf "line"
print "listening"
while true do
  local client = listener:accept()
  client:settimeout(5)
  local length
  repeat
    local line = client:receive("*l") or ""
    length = tonumber(line:lower():match("^content%-length: (%d+)")) or length
  until line == ""
  local body = client:receive(length or 0) or ""
  local status = table.remove(statuses, 1) or "200"
  print(status .. " " .. body)
  client:send("HTTP/1.1 " .. status .. " X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
  client:close()
end
