-- The chunks of series one by one, and what is in quarantine, on a real server. What the files hold
-- is read by the format's rules in Lua, without the C code.
local json = require "cjson"
local engine = require "spec.unit.store.engine"
local layout = require "spec.support.layout"
local lfs = require "lfs"
local process = require "spec.support.process"
local server = require "spec.support.server"
local C = require "spec.support.tide".load("base/logger.h")

local CHUNKS = "/api/v1/admin/tsdb/chunks"
local QUARANTINED = "/api/v1/admin/tsdb/quarantined"
local HOUR = 3600000
local STEPS = 2400 -- of 15 s: ten hours

C.logger_set_level(C.LOG_LEVEL_ERROR)

local function fingerprint(labels)
  local list = {}
  for name, value in pairs(labels) do list[#list + 1] = { name, value } end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return layout.fingerprint(list)
end

describe("chunks, listed over HTTP", function()
  local base, tidemark
  local now = os.time() * 1000
  local live = { __name__ = "load", host = "live" }
  local idle = { __name__ = "load", host = "idle" }

  before_each(function()
    base = process.folder()
    local store = assert(engine.open { data_dir = base .. "/data", clock_ms = now - 10 * HOUR })
    local entries = { { live }, { idle } }
    for n = 0, STEPS - 1 do
      for _, entry in ipairs(entries) do
        -- The idle one ends after an hour.
        if entry[1] == live or n < 240 then
          table.insert(entry, { now - 10 * HOUR + n * 15000, n * n % 977 + 0.5 })
        end
      end
    end
    store:advance(HOUR)
    assert.equal(240, (store:push { entries[2] }))
    store:advance(2 * HOUR)
    store:run "maintain" -- closes the head of the idle one
    store:run "persist"
    store:run "maintain" -- archives it
    store:advance(7 * HOUR)
    assert.equal(STEPS, (store:push { entries[1] }))
    store:run "persist"
    assert.is_true(store:close())
    tidemark = server.start(base .. "/data")
  end)
  after_each(function()
    assert.equal(0, tidemark:stop())
    process.remove(base)
  end)

  local function ask(path)
    local answer = tidemark:request("GET", path)
    assert.equal(200, answer.status, answer.body)
    return json.decode(answer.body).data
  end

  local function one(path)
    local data = ask(path)
    assert.equal(1, #data.series)
    return data.series[1], data.more
  end

  local function restart(change)
    assert.equal(0, tidemark:stop())
    change()
    tidemark = server.start(base .. "/data")
  end

  it("tells of each where it is, and agrees with the bytes of the file", function()
    local series = one(CHUNKS .. '?match[]=load{host="live"}')
    assert.same({ fingerprint(live), live, false, 0 },
      { series.fingerprint, series.labels, series.archived, series.late })
    local path = layout.file_of(base .. "/data", fingerprint(live))
    local stored = layout.file_chunks(path)
    assert.is_true(#stored >= 3)
    assert.equal(#stored * 1041, series.file_bytes)
    assert.equal(0, series.rest_bytes)
    local samples, heads = 0, 0
    for i, chunk in ipairs(series.chunks) do
      assert.is_nil(chunk.problem)
      assert.equal("varbit", chunk.encoding)
      assert.is_true(chunk.bytes > 38 and chunk.bytes <= 1024)
      samples = samples + chunk.samples
      if stored[i] then
        assert.same({ tonumber(stored[i].first), tonumber(stored[i].last), (i - 1) * 1041 },
          { chunk.first_ms, chunk.last_ms, chunk.offset })
        assert.truthy(chunk.place == "file" or chunk.place == "file and memory")
      else
        assert.equal(json.null, chunk.offset)
        if chunk.place == "head" then heads = heads + 1 end
      end
    end
    assert.same({ STEPS, 1 }, { samples, heads })
    assert.equal("head", series.chunks[#series.chunks].place)

    local archived = one(CHUNKS .. "?fingerprint=" .. fingerprint(idle))
    assert.same({ true, idle }, { archived.archived, archived.labels })
    samples = 0
    for _, chunk in ipairs(archived.chunks) do
      assert.equal("file", chunk.place)
      samples = samples + chunk.samples
    end
    assert.equal(240, samples)
  end)

  it("lists a part by time and number, and says that there is more", function()
    local all = one(CHUNKS .. "?fingerprint=" .. fingerprint(live)).chunks
    local some, more = one(CHUNKS .. "?limit=2&fingerprint=" .. fingerprint(live))
    assert.same({ { all[1], all[2] }, true }, { some.chunks, more })
    some, more = one(("%s?match[]=load{host=\"live\"}&start=%.3f&end=%.3f"):format(CHUNKS,
      all[2].first_ms / 1000, all[3].last_ms / 1000))
    assert.same({ { all[2], all[3] }, false }, { some.chunks, more })
    local data = ask(CHUNKS .. "?match[]=load&limit=1")
    assert.same({ 1, true }, { #data.series, data.more })
    assert.equal(2, #ask(CHUNKS .. "?match[]=load").series)
    assert.equal(0, #ask(CHUNKS .. "?match[]=nothing").series)
  end)

  it("shows where a damaged chunk breaks, and the sound ones around it", function()
    local before = one(CHUNKS .. "?fingerprint=" .. fingerprint(live)).chunks
    restart(function()
      local file = assert(io.open(layout.file_of(base .. "/data", fingerprint(live)), "r+b"))
      file:seek("set", 1041 + 17 + 500) -- into the samples of the second
      file:write(("\255"):rep(200))
      file:close()
    end)
    local after = one(CHUNKS .. "?fingerprint=" .. fingerprint(live)).chunks
    assert.same({ before[1].samples, before[3].samples }, { after[1].samples, after[3].samples })
    assert.truthy(after[2].problem)
    assert.is_true(after[2].samples < before[2].samples)
    assert.is_nil(after[1].problem or after[3].problem)
    assert.equal(1041, after[2].offset)
  end)

  it("lists what was put aside, with its hint, and looks into it", function()
    assert.same({ files = {}, total = 0 }, (function()
      local data = ask(QUARANTINED)
      return { files = data.files, total = data.total }
    end)())
    local path = layout.file_of(base .. "/data", fingerprint(idle))
    local bytes = layout.slurp(path)
    restart(function() -- a crash, and a series file of which no record is sound
      local file = assert(io.open(path, "wb"))
      file:write(bytes:sub(1, 17), ("\1"):rep(1024), bytes:sub(1, 100))
      file:close()
      assert(io.open(base .. "/data/DIRTY", "w")):close()
    end)
    local data = ask(QUARANTINED)
    assert.equal(1, data.total)
    local file = data.files[1]
    assert.equal(fingerprint(idle), file.fingerprint)
    assert.same({ false, 1141 }, { file.missing, file.bytes })
    assert.equal('load{host="idle"}', file.metric)
    assert.is_true(#file.reason > 0)
    assert.equal(1141, lfs.attributes(base .. "/data/orphaned/" .. file.name, "size"))

    local look = one(QUARANTINED .. "?fingerprint=" .. file.fingerprint)
    assert.same({ 1, 100, 1141 }, { #look.chunks, look.rest_bytes, look.file_bytes })
    assert.truthy(look.chunks[1].problem)
    assert.equal(404, tidemark:request("GET", CHUNKS .. "?fingerprint=" .. file.fingerprint).status)
  end)

  it("refuses what it does not understand", function()
    for path, expected in pairs {
      [CHUNKS] = "no match[] and no fingerprint",
      [CHUNKS .. "?fingerprint=xyz"] = "not 1 to 16 hex digits",
      [CHUNKS .. "?fingerprint="] = "not 1 to 16 hex digits",
      [CHUNKS .. "?fingerprint=12345678901234567"] = "not 1 to 16 hex digits",
      [CHUNKS .. "?match[]=1%2B1"] = "not a series selector",
      [CHUNKS .. "?match[]=up&limit=1000001"] = "is over 100000",
      [QUARANTINED .. "?limit=x"] = 'invalid parameter "limit"',
    } do
      local answer = tidemark:request("GET", path)
      assert.equal(400, answer.status, path)
      assert.truthy(json.decode(answer.body).error:find(expected, 1, true), answer.body)
    end
    assert.equal(404, tidemark:request("GET", CHUNKS .. "?fingerprint=1").status)
    assert.equal(404, tidemark:request("GET", QUARANTINED .. "?fingerprint=1").status)
    assert.equal(405, tidemark:request("POST", CHUNKS .. "?fingerprint=1").status)
  end)
end)
