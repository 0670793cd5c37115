-- Scripts folders, rulebooks on them, and the store's questions put to them.
local ffi = require "ffi"
local lfs = require "lfs"
local json = require "cjson"
local tide = require "spec.support.tide"
local C = tide.load("base/buf.h", "base/clock.h", "base/metrics.h", "model/labels.h",
  "store/policy.h", "base/logger.h", "script/rulebook.h", "script/shape.h",
  "script/scheduler.h", "script/host.h", "script/session.h")

local FOREVER, DEFAULT = 9223372036854775807LL, -9223372036854775807LL - 1
local NOW = 1700000000000

C.logger_set_level(C.LOG_LEVEL_ERROR)

local folders = {}
local alive = {} -- label blocks that views point to
local kept = {} -- texts that requests point to

-- A scripts folder with the given files ("keep.lua" = text, "lib/x.lua" = text).
local function write(folder, files)
  for name, text in pairs(files) do
    if name:find("^lib/") then lfs.mkdir(folder .. "/lib") end
    local file = assert(io.open(folder .. "/" .. name, "w"))
    file:write(text)
    file:close()
  end
end

local function folder_of(files)
  local folder = os.tmpname()
  os.remove(folder)
  assert(lfs.mkdir(folder))
  folders[#folders + 1] = folder
  write(folder, files)
  return folder
end

local clock = ffi.new("struct clock")
local open_books = {}
local book_folders = {} -- by the book's address

local function open(files, options)
  C.clock_init_manual(clock, NOW)
  local folder = type(files) == "table" and folder_of(files) or files
  local given = ffi.new("struct rulebook_options", { folder = folder, clock = clock })
  for name, value in pairs(options or {}) do given[name] = value end
  local err = tide.error()
  local book = C.rulebook_open(given, err)
  if book == nil then return nil, (tide.text(err):gsub(folder:gsub("%p", "%%%0"), "SCRIPTS")) end
  open_books[#open_books + 1] = book
  book_folders[tostring(book)] = folder
  return book, folder
end

local schedulers = {}

-- A scheduler without a thread, on a store of spec/unit/store/engine.lua; a run may take `time_ms`.
local function scheduler(book, store, time_ms)
  local host = ffi.new("struct script_host", { store = store.store, lookback_ms = 300000,
    query_timeout_ms = 10000, query_max_samples = 1e6, query_max_series = 1e6 })
  C.rulebook_attach(book, host)
  local err = tide.error()
  local made = C.scheduler_start(ffi.new("struct scheduler_options",
    { book = book, no_thread = true, time_ms = time_ms or 0 }), err)
  assert(made ~= nil, tide.text(err))
  schedulers[#schedulers + 1] = made
  C.scheduler_run_due(made) -- takes the rules over: events are waited for from now on
  return made
end

local function run_due(made) return tonumber(C.scheduler_run_due(made)) end

local function stop_schedulers()
  for _, made in ipairs(schedulers) do C.scheduler_stop(made) end
  schedulers = {}
end

local Console = {}
Console.__index = Console
local OUTCOMES = { [0] = "done", "incomplete", "failed", "cancelled" }

-- A console session, with options such as time_ms.
local function console(book, members)
  local err = tide.error()
  local options = ffi.new("struct session_options", { book = book })
  for name, value in pairs(members or {}) do options[name] = value end
  local session = C.session_open(options, err)
  assert(session ~= nil, tide.text(err))
  return setmetatable({ session = session }, Console)
end

function Console:close() C.session_close(self.session) end

-- Outcome, text and JSON of lines.
function Console:eval(text)
  local reply = ffi.new("struct session_reply")
  C.session_eval(self.session, text, #text, reply)
  local shown = ffi.string(reply.text.data, reply.text.len)
  local data = json.decode(ffi.string(reply.json.data, reply.json.len))
  C.session_reply_destroy(reply)
  return OUTCOMES[tonumber(reply.outcome)], shown, data
end

-- What scripts share under a name, as a session sees it.
local function shared(book, name)
  local one = console(book)
  local values = select(3, one:eval(("tide.shared.get(%q)"):format(name))).values
  one:close()
  return values[1] ~= json.null and values[1] or nil
end

local function advance(ms) C.clock_advance(clock, ms) end

-- For after_each: closes and removes all that a spec opened.
local function close_all()
  stop_schedulers()
  for _, book in ipairs(open_books) do C.rulebook_close(book) end
  for _, folder in ipairs(folders) do os.execute("rm -r " .. folder) end
  open_books, folders, alive, kept = {}, {}, {}, {}
end

local function labels_of(map)
  local names, err = {}, tide.error()
  for name in pairs(map) do names[#names + 1] = name end
  local list = ffi.new("struct label[?]", #names + 1)
  for i, name in ipairs(names) do list[i - 1] = { name, map[name], #name, #map[name] } end
  local labels = C.labels_new(list, #names, err)
  assert(labels ~= nil, tide.text(err))
  alive[#alive + 1] = ffi.gc(labels, C.labels_unref)
  return labels
end

local function view_of(map, fields)
  local view = ffi.new("struct series_view", { labels = labels_of(map), first_ms = NOW - 1000000,
    last_ms = NOW - 5000, chunks = 7, bytes = 7 * 1024 })
  for name, value in pairs(fields or {}) do view[name] = value end
  return view
end

-- Days that a series is kept ("forever", "default"), and until when that holds, in seconds from
-- now ("always").
local function keep(book, map, fields)
  local policy = C.rulebook_policy(book)
  local view = view_of(map, fields)
  local verdict = policy.retention_of(policy.ctx, view)
  local days = verdict.keep_ms == FOREVER and "forever" or verdict.keep_ms == DEFAULT and
    "default" or tonumber(verdict.keep_ms) / 86400000
  return days, verdict.valid_until_ms == FOREVER and "always" or
    (tonumber(verdict.valid_until_ms) - NOW) / 1000
end

-- What admission makes of a series: "as_is", "changed" or "drop"; labels afterwards; why.
local function admit(book, map)
  local policy = C.rulebook_policy(book)
  local builder = ffi.new("struct labels_builder")
  C.labels_builder_init(builder)
  for name, value in pairs(map) do C.labels_builder_set(builder, name, #name, value, #value) end
  local why = ffi.new("char[200]")
  local verdict = tonumber(policy.admit(policy.ctx, builder, why, 200))
  local after = {}
  for i = 0, tonumber(builder.count) - 1 do
    local label = builder.list[i]
    if label.value_len > 0 then
      after[ffi.string(label.name, label.name_len)] = ffi.string(label.value, label.value_len)
    end
  end
  C.labels_builder_destroy(builder)
  return ({ [0] = "as_is", "changed", "drop", "limit" })[verdict], after, ffi.string(why)
end

local function quarantine(book, map, damage)
  local policy = C.rulebook_policy(book)
  local view = map and view_of(map) or nil
  local given = ffi.new("struct damage", damage or { file = "ab/cdef.db", text = "bad header",
    offset = 1024, chunks_sound = 6, chunks_bad = 1 })
  local verdict = tonumber(policy.quarantine(policy.ctx, view, given))
  return ({ [0] = "quarantine", "salvage", "delete" })[verdict]
end

-- What becomes of old samples: { { method, every_ms, after_ms, title }, ... }.
local function thin(book, map)
  local policy = C.rulebook_policy(book)
  local verdict = ffi.new("struct downsample_verdict")
  policy.downsample_of(policy.ctx, view_of(map), verdict)
  local list = {}
  for i = 0, tonumber(verdict.count) - 1 do
    local tier = verdict.tiers[i]
    list[i + 1] = { ({ [0] = "last", "counter", "avg", "min", "max", "sum", "count",
      "function" })[tonumber(tier.method)], tonumber(tier.every_ms), tonumber(tier.after_ms),
      ffi.string(tier.rule) }
  end
  return list
end

-- Who loses samples first: { { index, keep_ms }, ... } of candidates { labels, last_ms, ... }; nil:
-- nobody does. Second: the rule.
local function press(book, candidates)
  local policy = C.rulebook_policy(book)
  local list = ffi.new("struct pressure_candidate[?]", #candidates + 1)
  local order, ordered = ffi.new("uint32_t[?]", #candidates + 1), ffi.new("size_t[1]")
  local title = ffi.new("char[101]")
  for i, one in ipairs(candidates) do
    list[i - 1].view = view_of(one.labels, { last_ms = one.last_ms, bytes = one.bytes })
    list[i - 1].keep_ms = 86400000
  end
  if policy.rank(policy.ctx, list, #candidates, order, ordered, title) ~= 1 then return nil end
  local out = {}
  for i = 0, tonumber(ordered[0]) - 1 do
    out[i + 1] = { index = order[i] + 1, keep_ms = tonumber(list[order[i]].keep_ms) }
  end
  return out, ffi.string(title)
end

-- Shapes a read with the given members, an hour's range query where they say nothing; the request,
-- or nil with status, text and name of the error.
local function read(book, members)
  local request = ffi.gc(ffi.new("struct read_request", {
    kind = C.READ_QUERY_RANGE, start_ms = 1000000, end_ms = 4600000, step_ms = 15000,
    timeout_ms = 120000, max_samples = 50000000, max_series = 1000, max_points = 11000,
  }), C.read_request_destroy)
  for name, value in pairs(members or {}) do
    kept[#kept + 1] = value
    request[name] = value
  end
  local err = tide.error()
  if C.rulebook_shape(book, request, err) == 0 then return request end
  return nil, request.status, tide.text(err), ffi.string(C.error_code_name(err.code))
end

local function rules(book)
  local buf = ffi.new("struct buf")
  C.rulebook_describe(book, buf)
  local text = ffi.string(buf.data, buf.len)
  C.buf_destroy(buf)
  return json.decode(text)
end

local function reload(book)
  local err = tide.error()
  return C.rulebook_reload(book, err) == 0, tide.text(err)
end

return { C = C, FOREVER = FOREVER, DEFAULT = DEFAULT, NOW = NOW, open = open, write = write,
  folder_of = folder_of, reload = reload, keep = keep, admit = admit, thin = thin, press = press,
  quarantine = quarantine,
  rules = rules, read = read, scheduler = scheduler, run_due = run_due, shared = shared,
  stop_schedulers = stop_schedulers, console = console, advance = advance, clock = clock,
  folder = function(book) return book_folders[tostring(book)] end, close_all = close_all }
