-- Decoding bodies through the library and looking at what came out, for the specs of core/wire.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("wire/push.h", "wire/label_pairs.h", "store/append.h", "store/batch.h",
  "model/labels.h", "base/buf.h")

local push = {}

push.now_ms = 1700000000123

local function text_of_labels(labels)
  local buf = ffi.new("struct buf")
  C.labels_format_set(buf, labels)
  local text = ffi.string(buf.data, buf.len)
  C.buf_destroy(buf)
  return text
end

-- The labels of entry i as text, or nil and the parser's complaint.
local function parse(batch, i)
  local builder, arena = ffi.new("struct labels_builder"), ffi.new("struct arena")
  local err = tide.error()
  local entry, text, problem = batch.entries[i], nil, nil
  C.labels_builder_init(builder)
  if batch.parse(entry.block, entry.block_len, batch.parse_ctx, arena, builder, err) == 0 then
    local labels = C.labels_builder_build(builder)
    text = text_of_labels(labels)
    C.labels_unref(labels)
  else
    problem = tide.text(err)
  end
  C.labels_builder_destroy(builder)
  C.arena_destroy(arena)
  return text, problem
end

-- Runs decode(body, len, state, batch, result, err) on a copy of the body that ends where its
-- memory ends. Returns a table:
--   error        text when the body was refused as a whole
--   series       list of { labels = text, problem = text, line = n, { time_ms, value }, ... }
--   refused      number; examples: list of { line = n, text = "..." }
--   skipped      table; metadata: list of { name, type, help, unit }
-- Values are numbers; times are numbers (exact up to 2^53).
function push.decode(body, decode, extra)
  local copy = ffi.new("uint8_t[?]", #body)
  ffi.copy(copy, body, #body)
  local state = ffi.new("struct push", { now_ms = push.now_ms })
  local batch, result, err = ffi.new("struct batch"), ffi.new("struct append_result"), tide.error()
  C.append_result_init(result)
  local out = { series = {}, examples = {}, metadata = {}, skipped = {} }
  local sink = ffi.cast("metadata_sink *", function(_, m)
    local function text(s, len) if s ~= nil then return ffi.string(s, len) end end
    out.metadata[#out.metadata + 1] = {
      name = text(m.name, m.name_len), help = text(m.help, m.help_len),
      unit = text(m.unit, m.unit_len),
      type = m.has_type and ffi.string(C.metadata_type_name(m.type)) or nil,
    }
  end)
  state.on_metadata = sink
  if decode(copy, #body, state, batch, result, err) ~= 0 then out.error = tide.text(err) end
  sink:free()
  if extra then C.label_extra_apply(extra, batch) end
  for i = 0, tonumber(batch.entry_count) - 1 do
    local entry = batch.entries[i]
    local labels, problem = parse(batch, i)
    local series = { labels = labels, problem = problem, line = entry.line,
      block = ffi.string(entry.block, entry.block_len) }
    for s = entry.first_sample, entry.first_sample + entry.sample_count - 1 do
      series[#series + 1] = { tonumber(batch.times_ms[s]), batch.values[s],
        bits = tide.bits(batch.values[s]) }
    end
    out.series[#out.series + 1] = series
  end
  out.samples = tonumber(batch.sample_count)
  out.refused = tonumber(C.append_result_refused(result))
  for i = 0, tonumber(result.example_count) - 1 do
    local example = result.examples[i]
    out.examples[i + 1] = { line = example.line, text = ffi.string(example.text) }
  end
  for _, name in ipairs { "exemplars", "histograms", "created", "texts", "empty" } do
    out.skipped[name] = tonumber(state.skipped[name])
  end
  C.batch_destroy(batch)
  return out
end

-- "labels = value" of the first sample of all series; all are of one time.
function push.values_at(got, time_ms)
  if got.error then error(got.error, 2) end
  local out = {}
  for i, one in ipairs(got.series) do
    if one[1][1] ~= time_ms then error(one[1][1] .. " is another time", 2) end
    out[i] = (one.labels or one.problem) .. " = " .. tostring(one[1][2])
  end
  return out
end

return push
