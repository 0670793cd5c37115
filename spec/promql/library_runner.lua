-- The runner without a server: scripts are evaluated by the library over series in memory.
local ffi = require "ffi"
local memory = require "spec.support.memory_querier"
local runner = require "spec.promql.runner"
local tide = require "spec.support.tide"
local C = tide.load("base/buf.h", "base/number.h", "promql/annotations.h", "promql/engine.h")

local library = setmetatable({}, { __index = runner })
library.__index = library

function library.new() return setmetatable({}, library) end

function library:clear()
  self:close()
  self.store, self.by_labels = memory.new(), {}
end

function library:close()
  if self.store then self.store.close() end
  self.store = nil
end

local function labels_of(labels)
  local list, names = {}, {}
  for name in pairs(labels) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    if labels[name] ~= "" then list[#list + 1] = { name, labels[name] } end
  end
  return list
end

local function value_of(point)
  if type(point) == "number" then return point end
  return point == "7ff0000000000002" and memory.STALE or 0 / 0
end

function library:load(command)
  for _, series in ipairs(command.series) do
    local list, parts, samples = labels_of(series.labels), {}, {}
    for _, pair in ipairs(list) do parts[#parts + 1] = pair[1] .. "\1" .. pair[2] end
    local key = table.concat(parts, "\2")
    local known = self.by_labels[key]
    if not known then
      known = {}
      self.by_labels[key] = known
      self.store.add(list, known)
    end
    for _, sample in ipairs(known) do samples[sample[1]] = sample[2] end
    for i, point in ipairs(series.points) do
      if point then samples[(i - 1) * command.interval] = value_of(point) end
    end
    for i = #known, 1, -1 do known[i] = nil end
    for ms, value in pairs(samples) do known[#known + 1] = { ms, value } end
    table.sort(known, function(a, b) return a[1] < b[1] end)
  end
end

local function number_text(value)
  local out = ffi.new("char[32]")
  return ffi.string(out, C.number_format_api(out, value))
end

local function metric_of(labels)
  local metric = {}
  for i = 0, tonumber(C.labels_count(labels)) - 1 do
    local label = C.labels_at(labels, i)
    metric[ffi.string(label.name, label.name_len)] = ffi.string(label.value, label.value_len)
  end
  return metric
end

local types = { "scalar", "string", "vector", "matrix" }

-- As the answer of /api/v1/query, decoded.
local function data_of(value)
  local data = { resultType = types[tonumber(value.type)], result = {} }
  local time = tonumber(value.time_ms) / 1000
  if data.resultType == "scalar" then
    data.result = { time, number_text(value.scalar) }
  elseif data.resultType == "string" then
    data.result = { time, ffi.string(value.text, value.text_len) }
  end
  for i = 0, tonumber(value.count) - 1 do
    local series = value.series[i]
    local one = { metric = metric_of(series.labels) }
    if data.resultType == "vector" then
      one.value = { time, number_text(series.value) }
    else
      one.values = {}
      for k = 0, tonumber(series.samples.len) - 1 do
        one.values[k + 1] = { tonumber(series.samples.times_ms[k]) / 1000,
          number_text(series.samples.values[k]) }
      end
    end
    data.result[i + 1] = one
  end
  return data
end

local function notes_of(notes, kind, text)
  local list, buf = {}, ffi.new("struct buf")
  for i = 0, tonumber(C.annotations_shown(notes, kind)) - 1 do
    buf.len = 0
    C.annotations_write(notes, kind, i, text, #text, buf)
    list[#list + 1] = ffi.string(buf.data, buf.len)
  end
  C.buf_destroy(buf)
  return list
end

function library:ask(path, parameters)
  local query, text = ffi.new("struct promql_query"), parameters.query
  local function ms(name) return math.floor(tonumber(parameters[name]) * 1000 + 0.5) end
  query.text, query.len, query.querier = text, #text, self.store.querier
  if path:find("range") then
    query.start_ms, query.end_ms, query.step_ms = ms("start"), ms("end"), ms("step")
  else
    query.start_ms = ms("time")
  end
  local value, notes = ffi.new("struct value"), ffi.new("struct annotations")
  local err = tide.error()
  if C.promql_execute(query, value, notes, nil, err) ~= 0 then
    C.annotations_destroy(notes)
    local status = err.code == C.ERR_INVALID and 400 or 422
    return status, { status = "error", error = tide.text(err) }
  end
  local answer = { status = "success", data = data_of(value),
    warnings = notes_of(notes, C.ANNOTATION_WARNING, text),
    infos = notes_of(notes, C.ANNOTATION_INFO, text) }
  C.value_destroy(value)
  C.annotations_destroy(notes)
  return 200, answer
end

return library
