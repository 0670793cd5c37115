-- verify_volume on the folders of the original: sound ones have no finding, damage is named.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local disk = require "spec.support.disk"
local C = tide.load("disk/verify.h", "disk/volume_fault.h")
jit.off(true, true)

-- A fresh copy of a fixture's folder.
local function unpack_fixture(name)
  local folder = disk.folder()
  assert.equal(0, os.execute(("tar -C %s -xzf spec/data/prom1x/%s.tar.gz"):format(folder, name)))
  return folder .. "/" .. name
end

-- Names, sizes and times of everything in a folder.
local function state_of(path)
  local pipe = io.popen("cd '" .. path .. "' && find . -type f -printf '%p %s %T@ %m\\n' | sort")
  local text = pipe:read("*a")
  pipe:close()
  return text
end

local function verify(path, wrap)
  local volume = disk.volume(path)
  local scratch, scratch_path = disk.volume()
  local options, summary = ffi.new("struct verify_options"), ffi.new("struct verify_summary")
  local read = { list = {}, summary = summary }
  options.scratch = scratch
  options.finding = function(_, f)
    local name = ffi.string(f.file)
    read.list[#read.list + 1] = ("%s%s: %s"):format(name,
      f.chunk >= 0 and "#" .. tostring(tonumber(f.chunk)) or "", ffi.string(f.text))
  end
  options.progress = function(_, done, total) read.done, read.total = done, total end
  local err = tide.error()
  volume = wrap and wrap(volume) or volume
  read.ok = C.verify_volume(volume, options, summary, err) == 0
  read.text, read.code = tide.text(err), tonumber(err.code)
  if wrap then
    read.failed = tonumber(C.volume_fault_failed(volume)) > 0
    volume.close(volume)
  end
  options.finding:free()
  options.progress:free()
  local left = io.popen("ls -A " .. scratch_path)
  assert.equal("", left:read("*a"))
  left:close()
  return read
end

describe("verify_volume", function()
  after_each(disk.cleanup)

  for _, name in ipairs { "clean-delta", "clean-doubledelta", "clean-varbit", "mixed-encodings",
    "archived", "wide", "collisions", "heads-v1", "heads-v2-offset", "quarantined" } do
    it("finds nothing wrong in " .. name .. ", counts all of it and changes nothing", function()
      local path = unpack_fixture(name)
      local before = state_of(path)
      local read = verify(path)
      assert.is_true(read.ok, read.text)
      assert.same({}, read.list)
      assert.equal(before, state_of(path))
      local expected = tide.vectors("prom1x/" .. name .. ".expected.json")
      local samples, files = 0, 0
      for _, series in ipairs(expected.series) do
        samples = samples + series.count
        if series.file_chunks > 0 then files = files + 1 end
      end
      assert.equal(samples, tonumber(read.summary.samples))
      assert.equal(files, tonumber(read.summary.series_files))
      assert.equal(#expected.series,
        tonumber(read.summary.series_in_heads + read.summary.series_archived))
      assert.is_true(read.done == read.summary.series_files and read.done == read.total)
    end)
  end

  local function has(list, pattern)
    for _, line in ipairs(list) do
      if line:match(pattern) then return true end
    end
    return false
  end

  it("tells what a crash leaves from damage", function()
    local read = verify(unpack_fixture("crashed"))
    assert.is_true(read.ok)
    assert.equal(0, tonumber(read.summary.damages))
    assert.equal(#read.list, tonumber(read.summary.differences))
    assert.is_true(has(read.list, "^06/0ebc8f89f5064f.db: it has 4 chunks, heads.db says 2$"))
    assert.is_true(has(read.list, "^heads.db: .*in memory and archived"))
    -- Files that the original moves to orphaned/ when it recovers.
    local orphans = 0
    for _, orphan in ipairs(tide.vectors("prom1x/crashed.expected.json").quarantined) do
      if orphan.stage == "open" and orphan.size > 0 then
        orphans = orphans + 1
        local name = orphan.file:gsub("orphaned/", "")
        assert.is_true(has(read.list, "^" .. name .. ": neither"), name)
      end
    end
    assert.is_true(orphans > 5)
  end)

  it("names every damage that was done to crashed-torn", function()
    local read = verify(unpack_fixture("crashed-torn"))
    assert.is_true(read.ok)
    for _, pattern in ipairs {
      "^c7/db6014e2537e28.db: 500 bytes behind the last whole chunk$",
      "^69/8762febd45a918.db#1: unknown chunk encoding 127$",
      "^ef/21f7bf8c4bca19.db#3: unknown chunk encoding 238$",
      "^97/4483aa80b8740d.db: it holds no chunk$",
      "^0b/fb31d0f44b457f.db: 1 bytes behind the last whole chunk$",
      "^0b/fb31d0f44b457f.db: it holds .* the archive says",
      "^48/3311aab06223a1.db#1: unknown chunk encoding 127$",
      "^d3/fb8e5b2dfd0d94.db#1: delta chunk: used length 65535",
      "^0c/fd3d51ac6390ec.db: neither heads.db nor the archive",
      "^0c/notaseries.db: this is not the name",
      "^0c/fd3d51ac6390ec.db.tmp: this is not the name",
      '^mappings.db: it does not begin with "PrometheusMappings"$',
      "^heads.db: 1 damaged places, 27 of 36 series readable",
    } do assert.is_true(has(read.list, pattern), pattern) end
  end)

  it("sees a flipped byte in any of the files that cannot hide one", function()
    for _, case in ipairs {
      { "heads.db", 3 }, { "heads.db", 40 }, { "archived_fingerprint_to_metric/CURRENT", 9 },
    } do
      local path = unpack_fixture("archived")
      local bytes = disk.read(path .. "/" .. case[1])
      disk.write(path .. "/" .. case[1], bytes:sub(1, case[2]) ..
        string.char(bit.bxor(bytes:byte(case[2] + 1), 0x55)) .. bytes:sub(case[2] + 2))
      local read = verify(path)
      assert.is_true(read.ok, read.text)
      assert.is_true(has(read.list, "^" .. case[1]:match("^[^/]+") .. ": "), case[1])
    end
  end)

  it("refuses what is no store, and says so", function()
    assert.equal(C.ERR_UNSUPPORTED, verify(unpack_fixture("wrong-version")).code)
    assert.equal(C.ERR_UNSUPPORTED, verify(unpack_fixture("no-version")).code)
    assert.equal(C.ERR_NOT_FOUND, verify(disk.folder()).code)
  end)

  it("gives up with the error when a read fails, wherever that is", function()
    local failures = 0
    for after = 0, 10000, 71 do
      local read = verify(unpack_fixture("archived"), function(inner)
        local volume = C.volume_fault_new(inner)
        C.volume_fault_arm(volume, C.FAULT_READ, after, 1, 5, C.FAULT_CLEAN)
        return volume
      end)
      disk.cleanup()
      if not read.failed then
        assert.is_true(read.ok)
        break
      end
      assert.is_false(read.ok)
      assert.equal(C.ERR_IO, read.code)
      failures = failures + 1
    end
    assert.is_true(failures > 5, failures)
  end)
end)
