-- A receiver of posts: a process (spec/support/receiver_main.lua) that writes each body to a file.
local process = require "spec.support.process"

local receiver = {}
receiver.__index = receiver

--- Starts one; it answers `statuses` (a list) in turn, then 200.
function receiver.start(statuses)
  local self = setmetatable({ port = process.free_port(), log = os.tmpname() }, receiver)
  self.process = process.start({ "luajit", "spec/support/receiver_main.lua",
    tostring(self.port), table.concat(statuses or {}, ",") }, self.log)
  process.wait_for("the receiver", 10, function()
    return self.process:output():find("listening", 1, true)
  end)
  self.url = "http://127.0.0.1:" .. self.port .. "/api/v2/alerts"
  return self
end

--- The bodies that came so far.
function receiver:bodies()
  local list = {}
  for status, body in self.process:output():gmatch("(%d+) ([^\n]+)\n") do
    list[#list + 1] = { status = tonumber(status), body = body }
  end
  return list
end

function receiver:stop()
  self.process:kill()
  os.remove(self.log)
end

return receiver
