-- A store through the shared library, in the terms of a spec: push tables, ask with tables.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("base/clock.h", "base/buf.h", "base/arena.h", "base/metrics.h",
  "model/labels.h", "model/columns.h", "base/regex.h", "model/matcher.h", "model/fingerprint.h",
  "store/querier.h", "store/batch.h", "store/append.h", "store/policy.h", "store/store.h")

local engine = { C = C }
local Store = {}
Store.__index = Store

local operators = {
  ["="] = C.MATCH_EQUAL, ["!="] = C.MATCH_NOT_EQUAL, ["=~"] = C.MATCH_REGEX,
  ["!~"] = C.MATCH_NOT_REGEX,
}

local function check(status, err)
  if status ~= 0 then error(tide.text(err), 2) end
end

-- A fresh folder, and its end. In memory where there is such a place: these specs crash stores,
-- not machines, and a busy disk makes every sync slow.
function engine.folder()
  local name = os.tmpname()
  os.remove(name)
  local shared = "/dev/shm/" .. name:match("[^/]+$")
  if os.execute("mkdir -m 700 " .. shared .. " 2>/dev/null") == 0 then return shared end
  assert(os.execute("mkdir -m 700 " .. name) == 0)
  return name
end

function engine.remove(folder)
  assert(folder:find("^/%w+/.*%w") and os.execute("rm -rf " .. folder) == 0)
end

-- Options as a table: members of struct store_options; clock_ms makes a manual clock.
function engine.open(settings)
  settings = settings or {}
  local options = ffi.new("struct store_options")
  local self = setmetatable({ clock = ffi.new("struct clock"), keep = {} }, Store)
  C.store_options_init(options)
  C.clock_init_manual(self.clock, settings.clock_ms or 1600000000000LL)
  options.clock = self.clock
  options.no_background = true
  for name, value in pairs(settings) do
    if name == "limits" then
      for limit, bound in pairs(value) do options.limits[limit] = bound end
    elseif name ~= "clock_ms" then
      options[name] = value
    end
    self.keep[#self.keep + 1] = value
  end
  local err = tide.error()
  self.store = C.store_open(options, nil, err)
  if self.store == nil then return nil, tide.text(err), tonumber(err.code) end
  self.appender = C.appender_new(self.store)
  self.querier = C.store_querier(self.store)
  return self
end

function Store:close()
  local err = tide.error()
  C.appender_free(self.appender)
  local status = C.store_close(self.store, err)
  self.store = nil
  return status == 0, tide.text(err)
end

function Store:abandon()
  C.appender_free(self.appender)
  C.store_abandon(self.store)
  self.store = nil
end

local function put_varint(n)
  local out = ""
  while n >= 128 do out, n = out .. string.char(n % 128 + 128), math.floor(n / 128) end
  return out .. string.char(n)
end

-- A block of LABEL_FORMAT_PAIRS from { name = value } or { {name, value}, ... } (in that order).
function engine.block(labels)
  local list = {}
  if #labels > 0 then
    list = labels
  else
    for name, value in pairs(labels) do list[#list + 1] = { name, value } end
    table.sort(list, function(a, b) return a[1] < b[1] end)
  end
  local out = {}
  for _, pair in ipairs(list) do
    out[#out + 1] = put_varint(#pair[1]) .. pair[1] .. put_varint(#pair[2]) .. pair[2]
  end
  return table.concat(out)
end

-- A value is a number, or the bits of one as uint64_t: LuaJIT keeps no NaN as it is.
local function add_sample(batch, time, value)
  local is_bits = type(value) == "cdata"
  C.batch_add_sample(batch, time, is_bits and 0 or value)
  if is_bits then
    ffi.cast("uint64_t *", batch.values)[tonumber(batch.sample_count) - 1] = value
  end
end

local parser = ffi.cast("label_parser *", C.label_parse_pairs)

-- entries: { { labels, { t, v }, { t, v }, ... }, ... }; labels a table or a block.
-- Returns accepted and a table of refusals by reason, examples as a list of texts, the result.
function Store:push(entries) return self:append(entries, C.store_append) end

-- The same for samples of any age; `rule` is an enum duplicate_rule, by default the store's.
function Store:import(entries, rule)
  rule = rule or C.appender_rule(self.appender)
  return self:append(entries, function(appender, batch, result, err)
    return C.store_import(appender, batch, rule, result, err)
  end)
end

function Store:append(entries, call)
  local batch = ffi.new("struct batch")
  local result = ffi.new("struct append_result")
  local err = tide.error()
  local keep = {}
  batch.format, batch.parse = C.LABEL_FORMAT_PAIRS, parser
  for line, entry in ipairs(entries) do
    local block = type(entry[1]) == "table" and engine.block(entry[1]) or entry[1]
    keep[#keep + 1] = block
    C.batch_add_entry(batch, ffi.cast("const uint8_t *", block), #block, line)
    for i = 2, #entry do add_sample(batch, entry[i][1], entry[i][2]) end
  end
  C.append_result_init(result)
  local status = call(self.appender, batch, result, err)
  C.batch_destroy(batch)
  self.result, self.ticket = result, result.ticket -- which lives in the result
  assert(#keep == #entries) -- the blocks were alive during the call
  if status ~= 0 then return nil, tide.text(err) end
  local refused, examples = {}, {}
  for reason = 0, C.REFUSED_REASONS - 1 do
    local count = tonumber(result.refused[reason])
    if count > 0 then refused[ffi.string(C.refusal_name(reason))] = count end
  end
  for i = 0, tonumber(result.example_count) - 1 do
    examples[i + 1] = ffi.string(result.examples[i].text)
  end
  return tonumber(result.accepted), refused, examples, result
end

-- Waits until the last push is as durable as wal_sync promises.
function Store:wait_durable()
  local err = tide.error()
  check(C.store_wait_durable(self.store, self.ticket, 20000, err), err)
end

-- matchers: { { name, operator, value }, ... }
local function with_request(matchers, from_ms, to_ms, use)
  local list = ffi.new("struct matcher[?]", #matchers + 1)
  local request = ffi.new("struct select_request")
  local err = tide.error()
  for i, m in ipairs(matchers) do
    check(C.matcher_init(list[i - 1], operators[m[2]], m[1], #m[1], m[3], #m[3], nil, err), err)
  end
  request.matchers, request.matcher_count = list, #matchers
  request.from_ms, request.to_ms = from_ms or -9223372036854775807LL - 1, to_ms or
    9223372036854775807LL
  local ok, a, b = pcall(use, request)
  for i = 0, #matchers - 1 do C.matcher_destroy(list[i]) end
  if not ok then error(a, 0) end
  return a, b
end

function engine.metric(labels)
  local out = {}
  for i = 0, tonumber(C.labels_count(labels)) - 1 do
    local label = C.labels_at(labels, i)
    out[ffi.string(label.name, label.name_len)] = ffi.string(label.value, label.value_len)
  end
  return out
end

function engine.text(labels)
  local buf = ffi.new("struct buf")
  C.labels_format_set(buf, labels)
  local text = ffi.string(buf.data, buf.len)
  C.buf_destroy(buf)
  return text
end

-- Calls visit(series, columns, text, i) for each series; columns is reused. Returns the count.
function Store:each(matchers, from_ms, to_ms, visit, max_series)
  return with_request(matchers, from_ms, to_ms, function(request)
    local out, err = ffi.new("struct selection *[1]"), tide.error()
    request.max_series = max_series or 0
    check(self.querier.select(self.querier.ctx, request, out, err), err)
    local columns = ffi.new("struct columns")
    local count = tonumber(out[0].count)
    for i = 0, count - 1 do
      columns.len = 0
      local status = self.querier.read(out[0], i, request.from_ms, request.to_ms, columns, err)
      if status ~= 0 then
        visit(out[0].series[i], nil, tide.text(err), i)
      else
        visit(out[0].series[i], columns, engine.text(out[0].series[i].labels), i)
      end
    end
    C.columns_destroy(columns)
    self.querier.selection_free(self.querier.ctx, out[0])
    return count
  end)
end

-- { ["{...}"] = { {t, v}, ... } }
function Store:query(matchers, from_ms, to_ms)
  local found = {}
  self:each(matchers, from_ms, to_ms, function(_, columns, text)
    local samples = {}
    for i = 0, tonumber(columns.len) - 1 do
      samples[i + 1] = { tonumber(columns.times_ms[i]), columns.values[i] }
    end
    found[text] = samples
  end)
  return found
end

-- The same with values as bits (uint64_t).
function Store:query_bits(matchers, from_ms, to_ms)
  local found = {}
  self:each(matchers, from_ms, to_ms, function(_, columns, text)
    local samples, bits = {}, ffi.cast("uint64_t *", columns.values)
    for i = 0, tonumber(columns.len) - 1 do
      samples[i + 1] = { tonumber(columns.times_ms[i]), bits[i] }
    end
    found[text] = samples
  end)
  return found
end

-- Sorted texts of the series that match.
function Store:names(matchers, from_ms, to_ms)
  local found = {}
  self:each(matchers, from_ms, to_ms, function(_, _, text) found[#found + 1] = text end)
  table.sort(found)
  return found
end

local function texts(self, call, request)
  local list, err = ffi.new("struct text_list"), tide.error()
  check(call(self.querier.ctx, request, list, err), err)
  local out = {}
  for i = 0, tonumber(list.count) - 1 do
    out[i + 1] = ffi.string(list.items[i].value, list.items[i].value_len)
  end
  C.text_list_destroy(list)
  return out
end

function Store:label_names(matchers, limit)
  return with_request(matchers or {}, nil, nil, function(set)
    local request = ffi.new("struct label_request")
    request.from_ms, request.to_ms, request.limit = set.from_ms, set.to_ms, limit or 0
    if matchers then request.sets, request.set_count = set, 1 end
    return texts(self, self.querier.label_names, request)
  end)
end

function Store:label_values(name, matchers, limit)
  return with_request(matchers or {}, nil, nil, function(set)
    local request = ffi.new("struct label_request")
    request.name, request.name_len = name, #name
    request.from_ms, request.to_ms, request.limit = set.from_ms, set.to_ms, limit or 0
    if matchers then request.sets, request.set_count = set, 1 end
    return texts(self, self.querier.label_values, request)
  end)
end

function Store:stats()
  local stats = ffi.new("struct store_stats")
  C.store_stats_get(self.store, stats)
  return stats
end

-- One of the background functions ("tick", "persist", "maintain", "checkpoint"); raises on failure.
function Store:run(what)
  local err = tide.error()
  check(C["store_" .. what](self.store, err), err)
end

function Store:advance(by_ms) C.clock_advance(self.clock, by_ms) end

return engine
