-- A server of ours and Debian's Prometheus 2.42 over the same pushed samples.
local http = require "socket.http"
local process = require "spec.support.process"
local remote_write = require "spec.support.remote_write"

local pair = {}
pair.__index = pair

local build = os.getenv("BUILD") or "build"

-- Both ready, with these series (as remote_write.push takes them). Ports: self.ours, self.theirs.
function pair.start(series)
  local folder = process.folder()
  local self = setmetatable({ folder = folder, ours = process.free_port(),
    theirs = process.free_port() }, pair)
  self.processes = {
    process.start({ build .. "/tidemark", "serve", "--data", folder .. "/data", "--retention",
      "forever", "--listen", "127.0.0.1:" .. self.ours }, folder .. "/tidemark.log"),
  }
  io.open(folder .. "/prometheus.yml", "w"):close()
  self.processes[2] = process.start({ "prometheus", "--config.file=" .. folder ..
    "/prometheus.yml", "--storage.tsdb.path=" .. folder .. "/peer",
    "--storage.tsdb.retention.time=100y", "--web.enable-remote-write-receiver",
    "--web.listen-address=127.0.0.1:" .. self.theirs,
    "--enable-feature=promql-at-modifier,promql-negative-offset" }, folder .. "/peer.log")
  for _, port in ipairs { self.ours, self.theirs } do
    process.wait_for("port " .. port, 30, function()
      return select(2, http.request(("http://127.0.0.1:%d/-/ready"):format(port))) == 200
    end)
    remote_write.push(("http://127.0.0.1:%d/api/v1/write"):format(port), series)
  end
  return self
end

function pair:stop()
  for _, one in ipairs(self.processes) do one:kill() end
  process.remove(self.folder)
end

return pair
