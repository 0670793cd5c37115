-- Runs the commands of a test script against a real server: loads by remote write, asks over HTTP,
-- compares as upstream's test engine does.
local cjson = require "cjson"
local ffi = require "ffi"
local http = require "socket.http"
local process = require "spec.support.process"
local remote_write = require "spec.support.remote_write"
local tide = require "spec.support.tide"
local url = require "socket.url"
local C = tide.load("base/regex.h")

local build = os.getenv("BUILD") or "build"
local NAN = "7ff8000000000001"

local runner = {}
runner.__index = runner

function runner.new() return setmetatable({}, runner) end

-- Every `clear` is a fresh, empty server.
function runner:clear()
  self:close()
  self.folder, self.port = process.folder("memory"), process.free_port()
  self.server = process.start({ build .. "/tidemark", "serve", "--data", self.folder .. "/data",
    "--retention", "forever", "--log-level", "error", "--listen", "127.0.0.1:" .. self.port },
    self.folder .. "/log")
  process.wait_for("the server", 30, function()
    return select(2, http.request(self:url("/-/ready"))) == 200
  end)
end

function runner:close()
  if not self.server then return end
  self.server:kill()
  process.remove(self.folder)
  self.server = nil
end

function runner:url(path) return ("http://127.0.0.1:%d%s"):format(self.port, path) end

function runner:load(command)
  local list = {}
  for _, series in ipairs(command.series) do
    local one = { labels = series.labels }
    for i, point in ipairs(series.points) do
      if point then one[#one + 1] = { (i - 1) * command.interval, point } end
    end
    if #one > 0 then list[#list + 1] = one end
  end
  remote_write.push(self:url("/api/v1/write"), list)
end

function runner:ask(path, parameters)
  local list = {}
  for name, value in pairs(parameters) do list[#list + 1] = name .. "=" .. url.escape(value) end
  local body, status = http.request(self:url(path), table.concat(list, "&"))
  local ok, answer = pcall(cjson.decode, body or "")
  if not ok then error(("status %s, no JSON: %s"):format(tostring(status), tostring(body)), 0) end
  return status, answer
end

local function seconds(ms) return ("%.3f"):format(ms / 1000) end

local function label_text(labels)
  local parts = {}
  for name, value in pairs(labels) do parts[#parts + 1] = ("%s=%q"):format(name, value) end
  table.sort(parts)
  return "{" .. table.concat(parts, ", ") .. "}"
end

-- Upstream's almost-equal: a relative tolerance of 1e-6, NaN equals NaN.
local function close(expected, text)
  if expected == NAN then return text == "NaN" end
  local value = tonumber((text:gsub("Inf", "1e999")))
  if text == "NaN" or value == nil then return false end
  if expected == value then return true end
  local sum, difference = math.abs(expected) + math.abs(value), math.abs(expected - value)
  if expected == 0 or value == 0 or sum < 2.2250738585072014e-308 then
    return difference < 1e-6 * 2.2250738585072014e-308
  end
  return difference / math.min(sum, 1.7976931348623157e308) < 1e-6
end

local function matches(expect, text)
  if expect.how == "regex" then
    local pattern, err = ".*(?:" .. expect.text .. ").*", tide.error()
    local regex = C.regex_compile(nil, pattern, #pattern, err)
    assert(regex ~= nil, tide.text(err))
    local result = C.regex_matches(ffi.gc(regex, C.regex_unref), text, #text)
    return result
  end
  return not expect.text or text == expect.text
end

local function check_failure(expect, status, answer)
  if status ~= 400 and status ~= 422 then
    error(("expected to fail, status %s"):format(status), 0)
  end
  local text = answer.error:gsub('^invalid parameter "query": ', "")
  local bare = text:gsub("^%d+:%d+: parse error: ", "")
  if not matches(expect, text) and not matches(expect, bare) then
    error(("failed with %q, expected %q"):format(text, expect.text), 0)
  end
end

-- Notes of a kind against the expectations of that kind.
local function check_notes(eval, kind, notes)
  local expects = {}
  for _, expect in ipairs(eval.expects) do
    if expect.kind == kind then expects[#expects + 1] = expect end
    if expect.kind == "no_" .. kind and #notes > 0 then
      error(("unexpected %s: %s"):format(kind, notes[1]), 0)
    end
  end
  for _, expect in ipairs(expects) do
    local found = false
    for _, note in ipairs(notes) do found = found or matches(expect, note) end
    if not found then
      error(("no %s like %q among: %s"):format(kind, tostring(expect.text),
        table.concat(notes, " | ")), 0)
    end
  end
  if #expects == 0 then return end
  for _, note in ipairs(notes) do
    local found = false
    for _, expect in ipairs(expects) do found = found or matches(expect, note) end
    if not found then error(("no expectation for the %s %q"):format(kind, note), 0) end
  end
end

local function value_text(value) return value == NAN and "NaN" or tostring(value) end

-- Expected points of a series as a list of { ms, value }.
local function timed(points, from, step)
  local list = {}
  for i, point in ipairs(points) do
    if point then list[#list + 1] = { from + (i - 1) * step, point } end
  end
  return list
end

local function check_points(name, expected, values)
  if #expected ~= #values then
    error(("%s: %d points, expected %d"):format(name, #values, #expected), 0)
  end
  for i, point in ipairs(expected) do
    if math.floor(values[i][1] * 1000 + 0.5) ~= point[1] then
      error(("%s: a point at %s, expected %s"):format(name, values[i][1], seconds(point[1])), 0)
    end
    if not close(point[2], values[i][2]) then
      error(("%s at %s: %s, expected %s"):format(name, values[i][1], values[i][2],
        value_text(point[2])), 0)
    end
  end
end

local function index_by_labels(result)
  local by_labels = {}
  for _, series in ipairs(result) do
    local name = label_text(series.metric)
    if by_labels[name] then error("twice in the result: " .. name, 0) end
    by_labels[name] = series
  end
  return by_labels
end

local function check_series(eval, result, points_of)
  local by_labels = index_by_labels(result)
  for i, expected in ipairs(eval.series) do
    local name = label_text(expected.labels)
    local points = points_of(expected.points)
    local found = by_labels[name]
    if not found then
      local there = {}
      for other in pairs(by_labels) do there[#there + 1] = other end
      error(("no series %s among %s"):format(name, table.concat(there, " ")), 0)
    end
    if eval.ordered and label_text(result[i].metric) ~= name then
      error(("position %d is %s, expected %s"):format(i, label_text(result[i].metric), name), 0)
    end
    check_points(name, points, found.values or { found.value })
    by_labels[name] = nil
  end
  local extra = next(by_labels)
  if extra then error("not expected: " .. extra, 0) end
end

local function check_instant(eval, data)
  if eval.string then
    if data.resultType ~= "string" or data.result[2] ~= eval.string then
      error(("got %s %s"):format(data.resultType, tostring(data.result[2])), 0)
    end
  elseif data.resultType == "scalar" then
    if not close(eval.scalar, data.result[2]) then
      error(("%s, expected %s"):format(data.result[2], value_text(eval.scalar)), 0)
    end
  else
    check_series(eval, data.result, function(points)
      if eval.vector then return timed(points, eval.vector.from, eval.vector.step) end
      return timed(points, eval.at, 1)
    end)
  end
end

local function failing(eval)
  for _, expect in ipairs(eval.expects) do
    if expect.kind == "fail" then return expect end
  end
end

local function succeed(status, answer)
  if status ~= 200 then error(("status %s: %s"):format(status, tostring(answer.error)), 0) end
  return answer.data
end

-- The same query as the middle step of a range query must give the same.
function runner:repeat_as_range(eval, data)
  if eval.ordered or eval.string or eval.vector or data.resultType == "matrix" then return end
  for _, word in ipairs { "start", "end", "step", "range" } do
    if eval.expression:lower():find("%f[%w_]" .. word .. "%s*%(") then return end
  end
  local status, answer = self:ask("/api/v1/query_range", { query = eval.expression,
    start = seconds(eval.at - 60000), ["end"] = seconds(eval.at + 60000), step = "60" })
  local result = {}
  for _, series in ipairs(succeed(status, answer).result) do
    for _, pair in ipairs(series.values) do
      if math.floor(pair[1] * 1000 + 0.5) == eval.at then
        result[#result + 1] = { metric = series.metric, value = pair }
      end
    end
  end
  if data.resultType == "scalar" then
    if not close(eval.scalar, result[1].value[2]) then
      error(("as range: %s, expected %s"):format(result[1].value[2], value_text(eval.scalar)), 0)
    end
    return
  end
  local ok, problem = pcall(check_instant, eval, { resultType = "vector", result = result })
  if not ok then error("as range: " .. problem, 0) end
end

function runner:eval(eval)
  local status, answer
  if eval.at then
    status, answer = self:ask("/api/v1/query", { query = eval.expression, time = seconds(eval.at) })
  else
    status, answer = self:ask("/api/v1/query_range", { query = eval.expression,
      start = seconds(eval.from), ["end"] = seconds(eval.to), step = seconds(eval.step) })
  end
  local failure = failing(eval)
  if failure then return check_failure(failure, status, answer) end
  local data = succeed(status, answer)
  check_notes(eval, "warn", answer.warnings or {})
  check_notes(eval, "info", answer.infos or {})
  if eval.at then
    check_instant(eval, data)
    self:repeat_as_range(eval, data)
  else
    check_series(eval, data.result, function(points) return timed(points, eval.from, eval.step) end)
  end
end

return runner
