-- Deletes by matchers and time, the trash, and the way back; samples are compared one by one.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local engine = require "spec.unit.store.engine"
local C = tide.load("disk/volume.h", "disk/wal.h", "disk/volume_fault.h", "store/audit.h",
  "store/trash.h", "store/delete.h")

local T = 1600000000000
local HOUR = 3600000
local EIO = 5
local FOREVER = 9223372036854775807LL
local EARLIEST, LATEST = -9223372036854775807LL - 1, 9223372036854775807LL

local function value(i, k) return math.sin(i * 7919 + k * 104729) * 1e6 end
local function at(k) return T - HOUR + k * 1000 end

for mode, wal_sync in pairs { ["without a log"] = C.WAL_SYNC_OFF, ["with a log"] =
  C.WAL_SYNC_ALWAYS } do
  describe("a delete " .. mode, function()
    local folder, store

    local function open(settings)
      settings = settings or {}
      if not settings.volume then settings.data_dir = folder end
      settings.retention_ms = settings.retention_ms or FOREVER
      settings.clock_ms = settings.clock_ms or T
      settings.wal_sync = wal_sync
      store = assert(engine.open(settings))
      return store
    end

    local function fill(from, to, series)
      for k = from, to do
        local entries = {}
        for i = 1, series or 6 do
          entries[i] = { { __name__ = "m", i = tostring(i) }, { at(k), value(i, k) } }
        end
        assert.equal(series or 6, (store:push(entries)))
      end
    end

    local function name(i) return ('{__name__="m", i="%d"}'):format(i) end
    local function all() return store:query({ { "__name__", "=~", ".+" } }) end

    local operators = { ["="] = C.MATCH_EQUAL, ["=~"] = C.MATCH_REGEX }

    -- matchers of one set, as engine's; returns the removal, or nil with text and code.
    local function delete(matchers, from_ms, to_ms, dry_run)
      local list, err = ffi.new("struct matcher[?]", #matchers), tide.error()
      for i, m in ipairs(matchers) do
        local type, name_len, value_len = operators[m[2]], #m[1], #m[3]
        assert(C.matcher_init(list[i - 1], type, m[1], name_len, m[3], value_len, nil, err) == 0)
      end
      local set = ffi.new("struct select_request")
      set.matchers, set.matcher_count = list, #matchers
      local request = ffi.new("struct delete_request")
      request.sets, request.set_count = set, 1
      request.from_ms, request.to_ms = from_ms or EARLIEST, to_ms or LATEST
      request.by, request.dry_run = "spec \"one\"", dry_run or false
      local removed = ffi.new("struct removal")
      local status = C.store_delete(store.store, request, removed, err)
      for i = 0, #matchers - 1 do C.matcher_destroy(list[i]) end
      if status ~= 0 then return nil, tide.text(err), err.code, removed end
      return removed
    end

    local function undelete(id)
      local removed, err = ffi.new("struct removal"), tide.error()
      if C.store_undelete(store.store, id, "spec", removed, err) ~= 0 then
        return nil, tide.text(err), err.code
      end
      return removed
    end

    local function trash()
      local list, count, err = ffi.new("struct removal *[1]"), ffi.new("size_t[1]"), tide.error()
      assert(C.store_trash_list(store.store, list, count, err) == 0, tide.text(err))
      local out = {}
      for i = 0, tonumber(count[0]) - 1 do
        local one = list[0][i]
        out[i + 1] = { id = ffi.string(one.id), by = ffi.string(one.by),
          samples = tonumber(one.samples), interrupted = one.interrupted }
      end
      C.mem_free(list[0])
      return out
    end

    local function audit()
      local lines = {}
      for line in io.lines(folder .. "/audit.jsonl") do
        lines[#lines + 1] = require("cjson").decode(line)
      end
      return lines
    end

    -- Says where two contents differ first.
    local function same(expected, found)
      for text, samples in pairs(expected) do
        local others = found[text] or {}
        for i, sample in ipairs(samples) do
          local other = others[i] or {}
          if sample[1] ~= other[1] or sample[2] ~= other[2] then
            error(("%s: sample %d is %s %s instead of %s %s; %d instead of %d"):format(text, i,
              other[1], other[2], sample[1], sample[2], #others, #samples), 2)
          end
        end
        if #others ~= #samples then error(text .. ": " .. #others .. " for " .. #samples, 2) end
      end
      for text in pairs(found) do
        if not expected[text] then error(text .. " is there", 2) end
      end
    end

    -- What `expected` is without a range of some series.
    local function without(expected, series, from_ms, to_ms)
      local out = {}
      for text, samples in pairs(expected) do
        local i = tonumber(text:match('i="(%d+)"'))
        if series[i] then
          local kept = {}
          for _, sample in ipairs(samples) do
            if sample[1] < from_ms or sample[1] > to_ms then kept[#kept + 1] = sample end
          end
          if #kept > 0 then out[text] = kept end
        else
          out[text] = samples
        end
      end
      return out
    end

    local function settle()
      store:advance(61000)
      for _ = 1, 3 do store:run "tick" end
    end

    local function restart(how)
      if how == "close" then assert(store:close()) else store:abandon() end
      open { clock_ms = T + 200000 }
    end

    -- Series 1 to 6: 400 samples in files and heads; 5 and 6 archived; then 60 more for 1 to 4.
    local function history()
      open()
      fill(1, 400)
      store:run "persist"
      store:advance(2 * HOUR)
      fill(401, 460, 4)
      store:run "maintain"
      store:run "persist"
      store:run "maintain"
      assert.equal(2, tonumber(store:stats().series_archived))
    end

    before_each(function() folder = engine.folder() end)
    after_each(function()
      if store and store.store then store:abandon() end
      engine.remove(folder)
    end)

    it("takes whole series with their names, in memory and in the archive", function()
      history()
      local before = all()
      local removed = assert(delete { { "i", "=~", "2|5" } })
      assert.equal(2, tonumber(removed.series))
      assert.equal(2, tonumber(removed.series_gone))
      assert.equal(860, tonumber(removed.samples))
      assert.equal(at(1), tonumber(removed.first_ms))
      assert.equal(at(460), tonumber(removed.last_ms))
      local expected = without(before, { [2] = true, [5] = true }, 0, math.huge)
      same(expected, all())
      assert.same({ "1", "3", "4", "6" }, store:label_values("i"))
      for _, how in ipairs { "close", "abandon" } do
        restart(how)
        same(expected, all())
        assert.same({ "1", "3", "4", "6" }, store:label_values("i"))
      end
      local restored = assert(undelete(ffi.string(removed.id)))
      assert.equal(860, tonumber(restored.samples))
      same(before, all())
      assert.same({}, trash())
      for _, how in ipairs { "abandon", "close" } do
        restart(how)
        same(before, all())
      end
      settle()
      same(before, all())
    end)

    for case, range in pairs {
      ["in files"] = { 20, 90 }, ["from the begin"] = { 0, 150 }, ["across files and heads"] =
        { 120, 430 }, ["in heads"] = { 440, 450 }, ["to the end"] = { 300, 1e6 },
      ["of one sample"] = { 77, 77 },
    } do
      it("takes a range " .. case .. ", border chunks included, and gives it back", function()
        history()
        local before = all()
        local from_ms, to_ms = at(range[1]), at(range[2])
        local expected = without(before, { [1] = true, [6] = true }, from_ms, to_ms)
        local dry = assert(delete({ { "i", "=~", "1|6" } }, from_ms, to_ms, true))
        same(before, all())
        assert.equal("", ffi.string(dry.id))
        local removed = assert(delete({ { "i", "=~", "1|6" } }, from_ms, to_ms))
        assert.equal(tonumber(dry.samples), tonumber(removed.samples))
        assert.equal(tonumber(dry.chunks), tonumber(removed.chunks))
        local gone = 0
        for text, samples in pairs(before) do gone = gone + #samples - #(expected[text] or {}) end
        assert.equal(gone, tonumber(removed.samples))
        same(expected, all())
        restart "abandon"
        same(expected, all())
        settle()
        same(expected, all())
        restart "close"
        same(expected, all())
        assert(undelete(ffi.string(removed.id)))
        same(before, all())
        settle()
        restart "close"
        same(before, all())
      end)
    end

    it("leaves no empty series, also after a crash: whole ones and those of a range", function()
      open()
      fill(0, 5)
      assert.equal(1, tonumber(delete({ { "i", "=", "1" } }).series))
      assert.equal(1, tonumber(delete({ { "i", "=", "2" } }, at(0), at(5)).series))
      assert.equal(1, tonumber(delete({ { "i", "=", "3" } }, at(0), at(4)).series))
      local left = { name(3), name(4), name(5), name(6) }
      assert.same(left, store:names { { "__name__", "=", "m" } })
      restart "abandon"
      if wal_sync ~= C.WAL_SYNC_OFF then
        assert.same(left, store:names { { "__name__", "=", "m" } })
        assert.equal(4, tonumber(store:stats().series_in_memory))
        -- They may come again.
        fill(6, 7)
        store:wait_durable()
        restart "abandon"
        assert.same({ name(1), name(2), unpack(left) }, store:names { { "__name__", "=", "m" } })
        local _, samples = next(store:query { { "i", "=", "1" } })
        assert.equal(2, #samples)
      end
    end)

    it("leaves what comes after it, and undelete gives way to samples that are there", function()
      history()
      local before = all()
      local removed = assert(delete({ { "i", "=", "1" } }))
      assert.equal(2, (store:push { { { __name__ = "m", i = "1" }, { at(100), 42 },
        { at(461), 7 } } }))
      assert.same({ [name(1)] = { { at(100), 42 }, { at(461), 7 } } },
        store:query({ { "i", "=", "1" } }))
      assert(undelete(ffi.string(removed.id)))
      before[name(1)][100][2] = 42
      table.insert(before[name(1)], { at(461), 7 })
      same(before, all())
      settle()
      same(before, all())
      restart "abandon"
      same(before, all())
    end)

    it("takes late samples that wait for their merge", function()
      open { out_of_order_ms = 2 * HOUR }
      fill(1, 400)
      store:run "persist"
      assert.equal(2, (store:push { { { __name__ = "m", i = "1" }, { at(10) + 500, 1 },
        { at(399) + 500, 2 } } }))
      local before = all()
      assert.equal(402, #before[name(1)])
      local removed = assert(delete({ { "i", "=", "1" } }, at(10), at(11)))
      assert.equal(3, tonumber(removed.samples))
      same(without(before, { [1] = true }, at(10), at(11)), all())
      assert(undelete(ffi.string(removed.id)))
      same(before, all())
    end)

    it("is nothing when nothing matches", function()
      history()
      for _, removed in ipairs { assert(delete { { "i", "=", "9" } }),
        assert(delete({ { "i", "=", "1" } }, at(1000), at(2000))) } do
        assert.equal("", ffi.string(removed.id))
        assert.equal(0, tonumber(removed.samples))
      end
      assert.same({}, trash())
      local _, problem, code = delete({ { "i", "=", "1" } }, at(2), at(1))
      assert.equal(C.ERR_INVALID, code)
      assert.truthy(problem:find("range"))
    end)

    it("refuses ids that are none, or are over", function()
      history()
      for _, bad in ipairs { "", "..", "../../etc", "20200101T000000Z-xyz" } do
        assert.equal(C.ERR_INVALID, select(3, undelete(bad)))
      end
      assert.equal(C.ERR_NOT_FOUND, select(3, undelete("20200101T000000Z-0123456789abcdef")))
      local removed = assert(delete { { "i", "=", "1" } })
      assert(undelete(ffi.string(removed.id)))
      assert.equal(C.ERR_NOT_FOUND, select(3, undelete(ffi.string(removed.id))))
    end)

    it("is written down, and the trash goes when its time is over", function()
      history()
      local removed = assert(delete { { "i", "=", "1" } })
      local id = ffi.string(removed.id)
      local listed = trash()
      assert.same({ { id = id, by = 'spec "one"', samples = 460, interrupted = false } }, listed)
      store:push { { { __name__ = "m", i = "2" }, { T + 2 * HOUR, 1 } } }
      store:advance(20 * HOUR)
      store:run "tick"
      assert.equal(1, #trash())
      store:advance(3 * HOUR)
      store:push { { { __name__ = "m", i = "2" }, { T + 25 * HOUR, 1 } } }
      store:advance(90 * 60000)
      store:run "tick"
      store:push { { { __name__ = "m", i = "2" }, { T + 26 * HOUR, 1 } } }
      store:advance(HOUR)
      store:run "tick"
      assert.same({}, trash())
      assert.equal(C.ERR_NOT_FOUND, select(3, undelete(id)))
      local lines = audit()
      assert.equal(2, #lines)
      assert.equal("delete", lines[1].action)
      assert.equal('spec "one"', lines[1].by)
      assert.equal(id, lines[1].id)
      assert.equal(460, lines[1].samples)
      assert.equal(1, lines[1].series)
      assert.equal(1, lines[1].series_gone)
      assert.is_true(lines[1].chunks > 3 and lines[1].bytes == lines[1].chunks * 1041)
      assert.equal(at(1), lines[1].first_ms)
      assert.equal(at(460), lines[1].last_ms)
      assert.equal("expire", lines[2].action)
      assert.equal("trash.ttl", lines[2].by)
    end)

    it("heals a line of the audit file that a crash cut off", function()
      history()
      local file = io.open(folder .. "/audit.jsonl", "w")
      file:write('{"time":"20')
      file:close()
      assert(delete { { "i", "=", "1" } })
      file = io.open(folder .. "/audit.jsonl")
      local text = file:read("*a")
      file:close()
      assert.truthy(text:find('^{"time":"20\n{"time":"2020[^\n]*}\n$'))
    end)

    it("can be undone after a crash at any of its steps", function()
      local err = tide.error()
      local inner = C.volume_posix_open(folder, true, err)
      local volume = C.volume_fault_new(inner)
      -- A failed sync of the log waits for its background, so that kind is left out.
      local kinds = C.FAULT_ANY - C.FAULT_SYNC
      open { volume = volume }
      fill(1, 300)
      store:run "persist"
      fill(301, 320)
      store:run "checkpoint"
      local before = all()
      local after, crashes, kept = 0, 0, 0
      repeat
        C.volume_fault_arm(volume, kinds, after, 1, EIO, C.FAULT_CLEAN)
        delete({ { "i", "=~", "1|2" } }, at(50), after % 2 == 0 and at(310) or LATEST)
        delete { { "i", "=", "3" } }
        local hit = tonumber(C.volume_fault_failed(volume)) > 0
        C.volume_fault_disarm(volume)
        store:abandon()
        open { volume = volume }
        crashes, kept = crashes + 1, kept + #trash()
        for _, entry in ipairs(trash()) do assert(undelete(entry.id)) end
        same(before, all())
        after = after + 1
      until not hit or after > 200
      assert.is_true(crashes > 20 and kept > 20 and after < 200)
      assert(store:close())
      open { volume = volume }
      same(before, all())
      assert(store:close())
      volume.close(volume)
      inner.close(inner)
    end)

    it("does not happen when its copy fails, and what a crash leaves of it goes", function()
      if wal_sync ~= C.WAL_SYNC_OFF then return end -- a log that fails needs its background
      local err = tide.error()
      local inner = C.volume_posix_open(folder, true, err)
      local volume = C.volume_fault_new(inner)
      open { volume = volume }
      fill(1, 400)
      store:run "persist"
      local before = all()
      local gone = without(before, { [1] = true }, 0, math.huge)
      local after, failed, half = 0, 0, 0
      repeat
        C.volume_fault_arm(volume, C.FAULT_ANY, after, 1, EIO, C.FAULT_CLEAN)
        local removed, problem, _, part = delete { { "i", "=", "1" } }
        local hit = tonumber(C.volume_fault_failed(volume)) > 0
        C.volume_fault_disarm(volume)
        if removed then
          same(gone, all())
          assert(undelete(ffi.string(removed.id)))
        else
          failed = failed + 1
          assert.truthy(problem:find("injected"), problem)
          local id = ffi.string(part.id)
          if id ~= "" then -- half way: it is gone, and can come back
            half = half + 1
            same(gone, all())
            assert(undelete(id))
          end
        end
        same(before, all())
        after = after + 1
      until not hit or after > 150
      assert.is_true(failed > 10 and half > 1 and after < 150)
      store:abandon()
      os.execute(("mkdir -p %s/trash/20200101T000000Z-0123456789abcdef.tmp/00"):format(folder))
      open { volume = volume }
      same(before, all())
      assert.is_nil(io.open(folder .. "/trash/20200101T000000Z-0123456789abcdef.tmp/00"))
      assert(store:close())
      volume.close(volume)
      inner.close(inner)
    end)
  end)
end
