-- The four indexes, and a whole store of the original: its tables, its files, its modes.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local disk = require "spec.support.disk"
local C = tide.load("disk/archive.h", "disk/label_index.h", "disk/volume_fault.h",
  "disk/series_file.h", "disk/heads.h", "disk/mappings.h", "disk/version.h", "chunk/chunk.h")
local must, try = disk.must, disk.try
jit.off(true, true)

local store = tide.vectors("vectors/store.json")

-- Writes a store's files; `tables` wins over them (the same data in tables).
local function unpack_store(tables)
  local path = disk.folder()
  for name, hex in pairs(store.files) do
    if not (tables and name:match("^%l+_")) then
      disk.write(path .. "/" .. name, tide.unhex(hex))
    end
  end
  for name, hex in pairs(tables or {}) do disk.write(path .. "/" .. name, tide.unhex(hex)) end
  return path
end

local function scan(kv, from, to)
  local list = {}
  local visit = ffi.cast("int (*)(void *, const void *, size_t, const void *, size_t, " ..
    "struct error *)", function(_, key, key_len, value, value_len)
      list[#list + 1] = { tide.hex(ffi.string(key, key_len)),
        tide.hex(ffi.string(value, value_len)) }
      return 0
    end)
  local err = tide.error()
  local status = kv.scan(kv, from, from and #from or 0, to, to and #to or 0, visit, nil, err)
  visit:free()
  assert(status == 0, tide.text(err))
  return list
end

describe("a table", function()
  after_each(disk.cleanup)

  it("has all that the original wrote, in journals and in tables", function()
    for _, tables in ipairs { false, store.leveldb_files_after_reopen } do
      local volume = disk.volume(unpack_store(tables or nil))
      for name, entries in pairs(store.leveldb) do
        local kv = must(volume.open_kv, volume, name, nil)
        assert.same(entries, scan(kv))
        local value, found = ffi.new("struct buf"), ffi.new("bool[1]")
        for _, entry in ipairs(entries) do
          local key = tide.unhex(entry[1])
          must(kv.get, kv, key, #key, value, found)
          assert.is_true(found[0])
          assert.equal(entry[2], tide.hex(disk.take(value)))
        end
        must(kv.close, kv)
      end
    end
  end)

  it("applies batches, in order, and gives ranges", function()
    local volume, path = disk.volume()
    local kv = must(volume.open_kv, volume, "table", nil)
    local batch = ffi.new("struct kv_batch")
    for _, key in ipairs { "b", "a", "ab", "c", "d" } do
      C.kv_batch_put(batch, key, #key, key .. key, 2 * #key)
    end
    C.kv_batch_delete(batch, "c", 1)
    C.kv_batch_put(batch, "a", 1, "", 0)
    must(kv.write, kv, batch, true)
    C.kv_batch_destroy(batch)
    assert.same({ { "61", "" }, { "6162", "61626162" }, { "62", "6262" }, { "64", "6464" } },
      scan(kv))
    assert.same({ { "6162", "61626162" }, { "62", "6262" } }, scan(kv, "aa", "d"))
    local value, found = ffi.new("struct buf"), ffi.new("bool[1]")
    must(kv.get, kv, "c", 1, value, found)
    assert.is_false(found[0])
    assert.is_nil((try(volume.open_kv, volume, "table", nil))) -- a second time
    must(kv.close, kv)
    assert.equal("drwxr-xr-x", disk.mode(path .. "/table"))
    assert.equal("-rw-r--r--", disk.mode(path .. "/table/CURRENT"))
  end)

  it("tells missing from damaged", function()
    local volume, path = disk.volume()
    local options = ffi.new("struct kv_options", { must_exist = true })
    assert.equal(C.ERR_NOT_FOUND, select(3, try(volume.open_kv, volume, "none", options)))
    assert.is_nil(disk.mode(path .. "/none"))
    disk.write(path .. "/bad/CURRENT", "MANIFEST-000009\n")
    local _, text, code = try(volume.open_kv, volume, "bad", nil)
    assert.equal(C.ERR_CORRUPT, code, text)
    assert.matches("index .*/bad", text)
  end)
end)

describe("archive", function()
  after_each(disk.cleanup)

  local function walk(archive, call, from, to)
    local list = {}
    local visitor = ffi.new("struct archive_visitor")
    visitor.metric = function(_, fp, labels)
      list[#list + 1] = { disk.hex64(fp), disk.label_list(labels) }
      return 0
    end
    visitor.range = function(_, fp, first, last)
      list[#list + 1] = { disk.hex64(fp), tonumber(first), tonumber(last) }
      return 0
    end
    visitor.damaged = function(_, fp)
      list[#list + 1] = { disk.hex64(fp), "damaged" }
      return 0
    end
    local err = tide.error()
    local status = call(archive, from or 0, to or 0xffffffffffffffffULL, visitor, err)
    visitor.metric:free()
    visitor.range:free()
    visitor.damaged:free()
    assert(status == 0, tide.text(err))
    return list
  end

  it("reads the archived series of the original's store", function()
    local volume = disk.volume(unpack_store())
    local lost = ffi.new("bool[1]")
    local archive = must(C.archive_open, volume, lost)
    assert.is_false(lost[0])
    local metrics, ranges = {}, {}
    for _, series in ipairs(store.series) do
      if series.state == "archived" then
        table.sort(series.labels, function(a, b) return a[1] < b[1] end)
        metrics[#metrics + 1] = { series.fingerprint, series.labels }
        ranges[#ranges + 1] = { series.fingerprint, series.first_time, series.last_time }
      end
    end
    local function by_fp(a, b) return a[1] < b[1] end
    table.sort(metrics, by_fp)
    table.sort(ranges, by_fp)
    assert.is_true(#metrics > 1)
    assert.same(metrics, walk(archive, C.archive_scan_metrics))
    assert.same(ranges, walk(archive, C.archive_scan_ranges))
    local some = tide.hex64(metrics[2][1])
    assert.same({ metrics[2] }, walk(archive, C.archive_scan_metrics, some, some))
    local labels = ffi.new("struct labels *[1]")
    must(C.archive_metric, archive, some, labels)
    assert.same(metrics[2][2], disk.label_list(labels[0]))
    C.labels_unref(labels[0])
    must(C.archive_metric, archive, 12345, labels)
    assert.is_true(labels[0] == nil)
    must(C.archive_close, archive)
  end)

  it("puts, moves and deletes in synced batches, and keeps a batch that failed", function()
    local inner = disk.volume()
    local volume = C.volume_fault_new(inner)
    local lost = ffi.new("bool[1]")
    local archive = must(C.archive_open, volume, lost)
    local batch = ffi.new("struct archive_batch")
    for i = 1, 256 do
      C.archive_put(batch, i * 1000, disk.labels { { "n", tostring(i) } }, i, 2 * i)
    end
    assert.equal(256, tonumber(batch.count))
    C.volume_fault_arm(volume, C.FAULT_KV, 1, 1, 28, C.FAULT_CLEAN)
    assert.is_nil((try(C.archive_write, archive, batch, true)))
    assert.equal(256, tonumber(batch.count))
    C.volume_fault_disarm(volume)
    must(C.archive_write, archive, batch, true)
    assert.equal(0, tonumber(batch.count))
    C.archive_put_range(batch, 1000, -5, 7)
    C.archive_delete(batch, 2000)
    C.archive_delete_range(batch, 3000)
    must(C.archive_write, archive, batch, true)
    C.archive_batch_destroy(batch)
    local ranges = walk(archive, C.archive_scan_ranges, 0, 4000)
    assert.same({ { disk.hex64(1000), -5, 7 }, { disk.hex64(4000), 4, 8 } }, ranges)
    assert.equal(255, #walk(archive, C.archive_scan_metrics))
    must(C.archive_close, archive)
    volume.close(volume)
  end)

  it("makes damaged ranges anew, and reads the metrics without a manifest", function()
    local path = unpack_store()
    local volume = disk.volume(path)
    disk.write(path .. "/archived_fingerprint_to_timerange/CURRENT", "MANIFEST-000077\n")
    local lost = ffi.new("bool[1]")
    local archive = must(C.archive_open, volume, lost)
    assert.is_true(lost[0])
    assert.equal(0, #walk(archive, C.archive_scan_ranges))
    assert.is_true(#walk(archive, C.archive_scan_metrics) > 1)
    must(C.archive_close, archive)
    disk.write(path .. "/archived_fingerprint_to_metric/CURRENT", "MANIFEST-000077\n")
    archive = must(C.archive_open, volume, lost)
    assert.is_true(lost[0])
    assert.is_true(#walk(archive, C.archive_scan_metrics) > 1)
    must(C.archive_close, archive)
  end)

  it("takes missing indexes of a folder in use for damage", function()
    local volume = disk.volume()
    local lost = ffi.new("bool[1]")
    must(C.archive_close, must(C.archive_open, volume, lost))
    assert.is_false(lost[0])
    must(C.archive_close, must(C.archive_open_existing, volume, lost))
    assert.is_false(lost[0])
    must(volume.remove_folder, volume, "archived_fingerprint_to_metric")
    must(C.archive_close, must(C.archive_open_existing, volume, lost))
    assert.is_true(lost[0])
  end)

  it("shows damaged entries and goes on", function()
    local volume = disk.volume()
    local kv = must(volume.open_kv, volume, "archived_fingerprint_to_metric", nil)
    local batch = ffi.new("struct kv_batch")
    C.kv_batch_put(batch, "short", 5, "x", 1)
    C.kv_batch_put(batch, "\0\0\0\0\0\0\0\7", 8, "\4\2a", 3)
    C.kv_batch_put(batch, "\0\0\0\0\0\0\0\8", 8, "\2\2a\2b", 5)
    must(kv.write, kv, batch, false)
    C.kv_batch_destroy(batch)
    must(kv.close, kv)
    local archive = must(C.archive_open, volume, ffi.new("bool[1]"))
    assert.same({ { disk.hex64(7), "damaged" }, { disk.hex64(8), { { "a", "b" } } },
      { disk.hex64(0), "damaged" } }, walk(archive, C.archive_scan_metrics))
    local labels = ffi.new("struct labels *[1]")
    assert.equal(C.ERR_CORRUPT, select(3, try(C.archive_metric, archive, 7, labels)))
    must(C.archive_close, archive)
  end)
end)

describe("label index", function()
  after_each(disk.cleanup)

  -- A reader of its own: numbers of the format are zigzag varints, all below 64 * 128 here.
  local function decoder(bytes)
    local at = 1
    local read = {}
    function read.number()
      local low = bytes:byte(at)
      at = at + 1
      if low < 128 then return low / 2 end
      at = at + 1
      return (low - 128 + 128 * bytes:byte(at - 1)) / 2
    end
    function read.bytes(n)
      at = at + n
      return bytes:sub(at - n, at - 1)
    end
    function read.text() return read.bytes(read.number()) end
    function read.list(item)
      local list = {}
      for i = 1, read.number() do list[i] = item() end
      assert.equal(#bytes + 1, at)
      table.sort(list)
      return list
    end
    return read
  end

  -- "name=value" -> fingerprints, name -> values, as they are in the tables of a volume.
  local function contents(volume)
    local sets, names = {}, {}
    local kv = must(volume.open_kv, volume, "labelpair_to_fingerprints", nil)
    for _, entry in ipairs(scan(kv)) do
      local key, value = decoder(tide.unhex(entry[1])), decoder(tide.unhex(entry[2]))
      local name = key.text()
      sets[name .. "=" .. key.text()] = value.list(function() return tide.hex(value.bytes(8)) end)
    end
    must(kv.close, kv)
    kv = must(volume.open_kv, volume, "labelname_to_labelvalues", nil)
    for _, entry in ipairs(scan(kv)) do
      local value = decoder(tide.unhex(entry[2]))
      names[decoder(tide.unhex(entry[1])).text()] = value.list(value.text)
    end
    must(kv.close, kv)
    return sets, names
  end

  it("gives for each pair of the original's store its set, and writes it as it was", function()
    local volume = disk.volume(unpack_store())
    local copy = disk.volume()
    local got_sets, got_names = contents(volume)
    local index = must(C.label_index_open, volume)
    local batch = ffi.new("struct label_index_batch")
    local fps, count = ffi.new("uint64_t *[1]"), ffi.new("size_t[1]")
    for _, series in ipairs(store.series) do
      for _, label in ipairs(series.labels) do
        must(C.label_index_pair, index, label[1], #label[1], label[2], #label[2], fps, count)
        local found = false
        for i = 0, tonumber(count[0]) - 1 do
          found = found or disk.hex64(fps[0][i]) == series.fingerprint
          assert.is_true(i == 0 or fps[0][i - 1] < fps[0][i])
        end
        assert.is_true(found)
        C.label_index_put_pair(batch, label[1], #label[1], label[2], #label[2], fps[0], count[0])
        C.mem_free(fps[0])
      end
    end
    must(C.label_index_pair, index, "none", 4, "x", 1, fps, count)
    assert.equal(0, tonumber(count[0]))
    -- And nothing else.
    local sets, names = {}, {}
    for _, series in ipairs(store.series) do
      for _, label in ipairs(series.labels) do
        local key = label[1] .. "=" .. label[2]
        if not sets[key] then
          names[label[1]] = names[label[1]] or {}
          table.insert(names[label[1]], label[2])
        end
        sets[key] = sets[key] or {}
        table.insert(sets[key], series.fingerprint)
      end
    end
    for _, set in pairs(sets) do table.sort(set) end
    for _, list in pairs(names) do table.sort(list) end
    assert.same(sets, got_sets)
    assert.same(names, got_names)
    must(C.label_index_close, index)
    for name, list in pairs(names) do
      local values = ffi.new("struct codable_string[?]", #list)
      for i, text in ipairs(list) do values[i - 1] = { text, #text } end
      C.label_index_put_name(batch, name, #name, values, #list)
    end
    index = must(C.label_index_open, copy)
    must(C.label_index_write, index, batch, true)
    must(C.label_index_close, index)
    C.label_index_batch_destroy(batch)
    assert.same({ sets, names }, { contents(copy) })
  end)

  it("writes sets, deletes empty ones, keeps a batch that failed", function()
    local inner = disk.volume()
    local volume = C.volume_fault_new(inner)
    local index = must(C.label_index_open, volume)
    local batch = ffi.new("struct label_index_batch")
    local list = ffi.new("uint64_t[3]", 5, 7, 0xffffffffffffffffULL)
    local values = ffi.new("struct codable_string[2]", { { "x", 1 }, { "y", 1 } })
    C.label_index_put_pair(batch, "a", 1, "x", 1, list, 3)
    C.label_index_put_pair(batch, "a", 1, "y", 1, list, 1)
    C.label_index_put_name(batch, "a", 1, values, 2)
    assert.is_true(tonumber(C.label_index_batch_bytes(batch)) > 30)
    for after = 0, 1 do
      C.volume_fault_arm(volume, C.FAULT_KV, after, 1, 5, C.FAULT_CLEAN)
      assert.is_nil((try(C.label_index_write, index, batch, false)))
    end
    C.volume_fault_disarm(volume)
    must(C.label_index_write, index, batch, false)
    assert.equal(0, tonumber(C.label_index_batch_bytes(batch)))
    C.label_index_put_pair(batch, "a", 1, "y", 1, nil, 0)
    C.label_index_put_name(batch, "a", 1, values, 1)
    must(C.label_index_write, index, batch, true)
    C.label_index_batch_destroy(batch)
    must(C.label_index_close, index)
    volume.close(volume)
    -- As the original would read it: keys and values as in the format.
    local pairs_kv = must(inner.open_kv, inner, "labelpair_to_fingerprints", nil)
    assert.same({ { "02610278", "060000000000000005" .. "0000000000000007" .. ("ff"):rep(8) } },
      scan(pairs_kv))
    must(pairs_kv.close, pairs_kv)
    local names_kv = must(inner.open_kv, inner, "labelname_to_labelvalues", nil)
    assert.same({ { "0261", "020278" } }, scan(names_kv))
    must(names_kv.close, names_kv)
    must(C.label_index_remove, inner)
    assert.same({ {}, {} }, { contents(inner) })
  end)
end)

describe("the original's store", function()
  after_each(disk.cleanup)

  it("has series files whose records are sound chunks", function()
    local volume = disk.volume(unpack_store())
    local record = ffi.new("uint8_t[1041]")
    local summary = ffi.new("struct chunk_summary")
    for _, series in ipairs(store.series) do
      local stat = ffi.new("struct series_file_stat")
      local fp = tide.hex64(series.fingerprint)
      must(C.series_file_stat, volume, fp, stat)
      assert.equal(series.chunks_in_series_file, tonumber(stat.chunks))
      for i = 0, series.chunks_in_series_file - 1 do
        must(C.series_file_read, volume, fp, i, 1, record)
        local header = C.series_record_get(record)
        must(C.chunk_check, header.encoding, record + 17, 1024, summary)
        assert.is_true(summary.first_ms == header.first_ms)
        assert.is_true(summary.last_ms == header.last_ms)
        if i == 0 then assert.equal(series.first_time, tonumber(header.first_ms)) end
      end
    end
  end)

  it("has the modes that our files get", function()
    local volume, path = disk.volume()
    local existed, created = ffi.new("bool[1]"), ffi.new("bool[1]")
    must(C.version_check, volume, true, created)
    must(volume.lock, volume, existed)
    local chunk = ffi.new("struct series_chunk[1]", { { 1, 2, ffi.new("uint8_t[1024]"), 1 } })
    for name in pairs(store.files) do
      local fp = ffi.new("uint64_t[1]")
      local folder, file = name:match("^(%x%x)/(.*)$")
      if folder and C.series_file_parse(folder, file, fp) then
        must(C.series_file_append, volume, fp[0], 0, chunk, 1, false, nil)
      end
    end
    local writer = must(C.heads_writer_begin, volume)
    must(C.heads_writer_finish, writer, true)
    must(C.heads_writer_publish, writer, false, nil)
    must(C.mappings_write, volume, ffi.new("struct mappings"))
    local archive = must(C.archive_open, volume, created)
    local index = must(C.label_index_open, volume)
    must(C.archive_close, archive)
    must(C.label_index_close, index)
    must(volume.unlock, volume, true)
    local compared = 0
    for _, entry in ipairs(store.modes) do
      -- Numbers of LevelDB's files are its own.
      if not entry.path:match("/%d+%.l%l+$") and not entry.path:match("MANIFEST") then
        compared = compared + 1
        assert.equal(entry.mode, disk.mode(path .. "/" .. entry.path), entry.path)
      end
    end
    assert.is_true(compared > 15)
  end)
end)
