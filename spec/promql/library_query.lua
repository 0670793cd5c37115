-- Queries over series in memory, evaluated by the library: what the fuzz specs compare.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("promql/annotations.h", "promql/engine.h")

local library = {}

local function labels_text(labels)
  local text = {}
  for i = 0, tonumber(C.labels_count(labels)) - 1 do
    local label = C.labels_at(labels, i)
    text[#text + 1] = ffi.string(label.name, label.name_len) .. "=" ..
      ffi.string(label.value, label.value_len)
  end
  return table.concat(text, ",")
end

-- { [time] = { [labels] = value } }, or nil and the error.
function library.ask(store, text, start, stop, step)
  local query = ffi.new("struct promql_query")
  query.text, query.len = text, #text
  query.start_ms, query.end_ms, query.step_ms = start, stop, step
  query.querier = store.querier
  local value, notes = ffi.new("struct value"), ffi.new("struct annotations")
  local err = tide.error()
  local status = C.promql_execute(query, value, notes, nil, err)
  C.annotations_destroy(notes)
  if status ~= 0 then return nil, tide.text(err) end
  local answer = {}
  for i = 0, tonumber(value.count) - 1 do
    local series = value.series[i]
    local labels = labels_text(series.labels)
    local function put(time, number)
      answer[time] = answer[time] or {}
      answer[time][labels] = number
    end
    if step == 0 then put(start, series.value) end
    for k = 0, tonumber(series.samples.len) - 1 do
      put(tonumber(series.samples.times_ms[k]), series.samples.values[k])
    end
  end
  C.value_destroy(value)
  return answer
end


local function close(a, b, tolerance)
  if a == b or a ~= a and b ~= b then return true end
  if not tolerance or math.abs(a) == 1 / 0 or math.abs(b) == 1 / 0 then return false end
  return math.abs(a - b) <= tolerance * math.max(math.abs(a), math.abs(b), 1e-6)
end

-- Are two answers at one time ({ [labels] = value }) the same? Else false and what differs first.
-- tolerance: relative; nil: to the bit.
function library.same(a, b, tolerance)
  a, b = a or {}, b or {}
  for labels, value in pairs(a) do
    if b[labels] == nil then return false, labels .. " is extra" end
    if not close(value, b[labels], tolerance) then
      return false, ("%s: %.17g and %.17g"):format(labels, value, b[labels])
    end
  end
  for labels in pairs(b) do
    if a[labels] == nil then return false, labels .. " is missing" end
  end
  return true
end

return library
