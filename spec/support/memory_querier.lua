-- A struct querier over Lua tables, so that PromQL is tested without a store. Its functions are FFI
-- callbacks: whatever calls into the library must not be compiled, so the compiler is off.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("base/arena.h", "base/buf.h", "base/regex.h", "model/columns.h",
  "model/labels.h", "model/matcher.h", "model/value.h", "store/querier.h")
jit.off()

local memory = {}
memory.STALE = {} -- a point that is a staleness marker

local STALE_BITS = 0x7ff0000000000002ULL

local function address(pointer)
  return tonumber(ffi.cast("uintptr_t", ffi.cast("void *", pointer)))
end

local function new_labels(pairs_list)
  local list = ffi.new("struct label[?]", #pairs_list + 1)
  for i, pair in ipairs(pairs_list) do
    list[i - 1] = { pair[1], pair[2], #pair[1], #pair[2] }
  end
  local err = tide.error()
  local labels = C.labels_new(list, #pairs_list, err)
  assert(labels ~= nil, tide.text(err))
  return labels
end

-- A store: add(labels, samples) with labels = { {name, value}, ... } and samples = { {ms, value} }
-- in order of time; querier is the struct. knows_last: whether last values are offered.
function memory.new(options)
  local store = { series = {}, reads = 0, selects = 0 }
  local knows_last = not (options and options.knows_last == false)
  local selections = {}

  function store.add(labels, samples)
    store.series[#store.series + 1] = { labels = new_labels(labels), samples = samples }
  end

  -- The same from { labels = { name = value }, samples = ... }.
  function store.add_series(series)
    local names, list = {}, {}
    for name in pairs(series.labels) do names[#names + 1] = name end
    table.sort(names)
    for i, name in ipairs(names) do list[i] = { name, series.labels[name] } end
    store.add(list, series.samples)
  end

  local querier = ffi.new("struct querier")
  local function set_bits(array, i, field)
    local at = ffi.cast("char *", array + i) + ffi.offsetof("struct selected_series", field)
    ffi.cast("uint64_t *", at)[0] = STALE_BITS
  end

  local callbacks = {
    ffi.cast("int (*)(void *, const struct select_request *, struct selection **, struct error *)",
      function(_, request, out, _)
        local found = {}
        store.selects = store.selects + 1
        for i = #store.series, 1, -1 do -- not in order of labels: no order is promised
          local series = store.series[i]
          if #series.samples > 0 and
            C.matchers_accept(request.matchers, request.matcher_count, series.labels) then
            found[#found + 1] = series
          end
        end
        local selection = ffi.new("struct selection")
        local array = ffi.new("struct selected_series[?]", #found + 1)
        for i, series in ipairs(found) do
          local last = series.samples[#series.samples]
          local item = array[i - 1]
          item.labels, item.fp = series.labels, i
          item.first_ms, item.last_ms = series.samples[1][1], last[1]
          item.last_value_known = knows_last
          if last[2] == memory.STALE then
            set_bits(array, i - 1, "last_value")
          else
            item.last_value = last[2]
          end
        end
        selection.series, selection.count = array, #found
        selections[address(selection)] = { selection, array, found }
        out[0] = selection
        return 0
      end),
    ffi.cast("int (*)(struct selection *, size_t, int64_t, int64_t, struct columns *, " ..
      "struct error *)", function(selection, i, from_ms, to_ms, out, _)
        local series = selections[address(selection)][3][tonumber(i) + 1]
        local from, to = tonumber(from_ms), tonumber(to_ms)
        store.reads = store.reads + 1
        for _, sample in ipairs(series.samples) do
          if sample[1] >= from and sample[1] <= to then
            local stale = sample[2] == memory.STALE
            C.columns_append(out, sample[1], stale and 0 or sample[2])
            if stale then ffi.cast("uint64_t *", out.values)[out.len - 1] = STALE_BITS end
          end
        end
        return 0
      end),
    ffi.cast("void (*)(void *, struct selection *)", function(_, selection)
      selections[address(selection)] = nil
    end),
  }
  querier.select, querier.read, querier.selection_free = callbacks[1], callbacks[2], callbacks[3]
  store.querier = querier

  -- Selections that were not given back.
  function store.open()
    local count = 0
    for _ in pairs(selections) do count = count + 1 end
    return count
  end

  function store.close()
    for _, series in ipairs(store.series) do C.labels_unref(series.labels) end
    for _, callback in ipairs(callbacks) do callback:free() end
  end
  return store
end

return memory
