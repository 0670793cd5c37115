-- The POSIX volume: names, modes, locks, VERSION, and what stays after failures.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local disk = require "spec.support.disk"
local C = tide.load("disk/version.h", "disk/volume_fault.h", "disk/quarantine.h")
local must, try = disk.must, disk.try
jit.off(true, true)

local function parts_of(...)
  local texts = { ... }
  local parts = ffi.new("struct volume_part[?]", #texts + 1)
  for i, text in ipairs(texts) do
    parts[i - 1].bytes, parts[i - 1].len = ffi.cast("const char *", text), #text
  end
  return parts, #texts
end

local function append(volume, name, expected, ...)
  local parts, count = parts_of(...)
  return try(volume.append, volume, name, expected, parts, count, false, nil)
end

local function list(volume, folder)
  local names, err = {}, tide.error()
  local visit = ffi.cast(
    "int (*)(void *, const struct volume_entry *, struct error *)", function(_, entry)
      names[ffi.string(entry.name)] = { size = tonumber(entry.stat.size),
        mtime = entry.stat.mtime_ns, is_folder = entry.stat.is_folder }
      return 0
    end)
  local status = volume.list(volume, folder, visit, nil, err)
  visit:free()
  return status == 0 and names or nil, tonumber(err.code)
end

describe("a POSIX volume", function()
  after_each(disk.cleanup)

  it("makes its folder with parents, and refuses a missing one unless told to", function()
    local path = disk.folder() .. "/a/b"
    assert.equal(C.ERR_NOT_FOUND, select(3, try(C.volume_posix_open, path, false)))
    disk.volume(path)
    assert.equal("drwx------", disk.mode(path))
    disk.write(path .. "/file", "")
    assert.is_nil(try(C.volume_posix_open, path .. "/file", true))
  end)

  it("appends several hundred parts in one call, and lists them with size and time", function()
    local volume = disk.volume()
    local texts = {}
    for i = 1, 700 do texts[i] = ("%d,"):format(i):rep(i % 5) end
    assert.is_true(append(volume, "a/x", 0, unpack(texts)))
    local all = table.concat(texts)
    assert.is_true(append(volume, "a/x", #all, "end"))
    local bytes, got = ffi.new("char[?]", #all + 100), ffi.new("size_t[1]")
    must(volume.read, volume, "a/x", 0, bytes, #all + 100, got)
    assert.equal(all .. "end", ffi.string(bytes, got[0]))
    must(volume.read, volume, "a/x", #all + 1, bytes, 100, got)
    assert.equal("nd", ffi.string(bytes, got[0]))
    local stat = ffi.new("struct volume_stat")
    must(volume.stat, volume, "a/x", stat)
    local names = list(volume, "a")
    assert.equal(#all + 3, names.x.size)
    assert.is_true(names.x.mtime == stat.mtime_ns)
    assert.is_true(list(volume, "").a.is_folder)
    assert.equal(C.ERR_NOT_FOUND, select(2, list(volume, "b")))
  end)

  it("makes no file when the first append of it fails", function()
    local inner, path = disk.volume()
    assert.equal(C.ERR_CONFLICT, select(3, append(inner, "a/x", 5, "text")))
    assert.is_nil(disk.mode(path .. "/a/x"))
  end)

  it("replaces by rename: nothing is seen before publish or after discard", function()
    local volume, path = disk.volume()
    append(volume, "f", 0, "old")
    local writer = must(volume.replace, volume, "f")
    must(writer.write, writer, "new content", 11)
    must(writer.patch, writer, 0, "NEW", 3)
    must(writer.copy, writer, "f", 1, 2)
    assert.equal(C.ERR_CORRUPT, select(3, try(writer.copy, writer, "f", 1, 3)))
    assert.equal("old", disk.read(path .. "/f"))
    writer.discard(writer)
    assert.is_nil(disk.read(path .. "/f.tmp"))
    writer = must(volume.replace, volume, "f")
    must(writer.write, writer, "new content", 11)
    must(writer.finish, writer, true)
    must(writer.publish, writer, true, nil)
    assert.equal("new content", disk.read(path .. "/f"))
  end)

  it("begins write-back of large replacements and keeps every byte of them", function()
    local volume, path = disk.volume()
    local piece = ("0123456789abcdef"):rep(65536) -- 1 MiB
    local writer = must(volume.replace, volume, "big")
    for _ = 1, 20 do must(writer.write, writer, piece, #piece) end
    must(writer.finish, writer, false)
    local stat = ffi.new("struct volume_stat")
    must(writer.publish, writer, false, stat)
    assert.equal(20 * #piece, tonumber(stat.size))
    assert.is_true(disk.read(path .. "/big") == piece:rep(20))
  end)

  it("cuts, moves, shares and removes", function()
    local volume, path = disk.volume()
    append(volume, "f", 0, "12345")
    must(volume.truncate, volume, "f", 3)
    assert.equal(C.ERR_CONFLICT, select(3, try(volume.truncate, volume, "f", 4)))
    must(volume.share, volume, "f", "s/g")
    must(volume.share, volume, "f", "s/g")
    assert.is_true(append(volume, "f", 3, "more"))
    assert.equal("123", disk.read(path .. "/s/g"))
    must(volume.move, volume, "f", "t/u/h")
    assert.equal("123more", disk.read(path .. "/t/u/h"))
    for _, call in ipairs { "remove", "sync" } do
      assert.equal(C.ERR_NOT_FOUND, select(3, try(volume[call], volume, "f")))
    end
    assert.equal(C.ERR_NOT_FOUND, select(3, try(volume.move, volume, "f", "g")))
    assert.equal(C.ERR_NOT_FOUND, select(3, try(volume.share, volume, "f", "g")))
    must(volume.remove, volume, "s/g")
    must(volume.remove_folder, volume, "t")
    must(volume.remove_folder, volume, "t")
    assert.is_nil(disk.mode(path .. "/t"))
    local space = ffi.new("struct volume_space")
    must(volume.space, volume, space)
    assert.is_true(space.free_bytes <= space.total_bytes and space.total_bytes > 0)
  end)
end)

describe("the lock", function()
  after_each(disk.cleanup)
  local existed = ffi.new("bool[1]")

  it("leaves its marker unless the stop was clean", function()
    local volume, path = disk.volume()
    must(volume.lock, volume, existed)
    assert.is_false(existed[0])
    assert.equal("-rw-r--r--", disk.mode(path .. "/DIRTY"))
    must(volume.unlock, volume, false)
    assert.equal("", disk.read(path .. "/DIRTY"))
    must(volume.lock, volume, existed)
    assert.is_true(existed[0])
    must(volume.unlock, volume, true)
    assert.is_nil(disk.read(path .. "/DIRTY"))
    must(volume.lock, volume, existed)
    assert.is_false(existed[0])
  end)

  it("is held by one at a time, and the second one hears where", function()
    local first, path = disk.volume()
    local second = disk.volume(path)
    must(first.lock, first, existed)
    local ok, text, code = try(second.lock, second, existed)
    assert.is_nil(ok)
    assert.equal(C.ERR_CONFLICT, code)
    assert.matches("in use", text)
    must(first.unlock, first, true)
    must(second.lock, second, existed)
  end)

  it("is one that flock(1) sees, as the original takes it", function()
    local volume, path = disk.volume()
    must(volume.lock, volume, existed)
    assert.not_equal(0, os.execute("flock -n " .. path .. "/DIRTY true"))
    must(volume.unlock, volume, false)
    assert.equal(0, os.execute("flock -n " .. path .. "/DIRTY true"))
  end)
end)

describe("version_check", function()
  after_each(disk.cleanup)

  local function check(files, make)
    local volume, path = disk.volume()
    for name, bytes in pairs(files) do disk.write(path .. "/" .. name, bytes) end
    local created = ffi.new("bool[1]")
    local ok, text, code = try(C.version_check, volume, make ~= false, created)
    return ok, text, code, created[0], path
  end

  it("makes an empty folder a store", function()
    local ok, _, _, created, path = check {}
    assert.is_true(ok and created)
    assert.equal("1\n", disk.read(path .. "/VERSION"))
    assert.equal("-rw-r--r--", disk.mode(path .. "/VERSION"))
  end)

  it("does not when it is told not to", function()
    local ok, _, code, _, path = check({}, false)
    assert.is_nil(ok)
    assert.equal(C.ERR_NOT_FOUND, code)
    assert.is_nil(disk.read(path .. "/VERSION"))
  end)

  it("counts dot files and a folder lost+found as nothing", function()
    assert.is_true(check { [".x"] = "", ["lost+found/y"] = "" })
    assert.is_nil(check { ["lost+found"] = "a file" })
    local ok, text, code = check { ["heads.db"] = "" }
    assert.is_nil(ok)
    assert.equal(C.ERR_UNSUPPORTED, code)
    assert.matches('"heads.db"', text)
  end)

  it("reads a number with white space around it", function()
    for _, good in ipairs { "1\n", "1", " \t1 \r\n", "+1", "01" } do
      assert.is_true(check { VERSION = good })
    end
    for _, bad in ipairs { "2\n", "0", "-1", "", "x", "1x", "1 1", "1.0", "0x1",
      "99999999999999999999999", ("1"):rep(100), "\0001" } do
      local ok, text, code, _, path = check { VERSION = bad }
      assert.is_nil(ok, bad)
      assert.equal(C.ERR_UNSUPPORTED, code)
      assert.is_true(#text > 20)
      assert.equal(bad, disk.read(path .. "/VERSION"))
    end
    assert.matches("storage version 2", (select(2, check { VERSION = "2" })))
  end)

  it("says so when VERSION cannot be read", function()
    assert.is_nil(check { ["VERSION/x"] = "" })
  end)

  it("leaves no half-made store when writing fails", function()
    for after = 0, 3 do
      local inner, path = disk.volume()
      local volume = C.volume_fault_new(inner)
      C.volume_fault_arm(volume, C.FAULT_WRITE + C.FAULT_SYNC, after, 1, 28, C.FAULT_CLEAN)
      local ok, _, code = try(C.version_check, volume, true, nil)
      volume.close(volume)
      assert.equal(after > 2, ok == true)
      if not ok then -- whole or not there; only the sync of its name comes after it is there
        assert.equal(C.ERR_IO, code)
        assert.equal(after == 2 and "1\n" or nil, disk.read(path .. "/VERSION"))
      end
    end
  end)
end)

describe("quarantine_series", function()
  after_each(disk.cleanup)
  local FP = 0x94130327cc8add45ULL

  it("moves the file and says why", function()
    local volume, path = disk.volume()
    disk.write(path .. "/94/130327cc8add45.db", "damaged")
    local labels = disk.labels { { "__name__", "up" }, { "job", 'a"b' } }
    must(C.quarantine_series, volume, FP, labels, "chunk 3 is bad")
    assert.is_nil(disk.read(path .. "/94/130327cc8add45.db"))
    assert.equal("damaged", disk.read(path .. "/orphaned/94/130327cc8add45.db"))
    assert.equal('up{job="a\\"b"}\nchunk 3 is bad\n',
      disk.read(path .. "/orphaned/94/130327cc8add45.hint"))
    assert.equal("-rw-r--r--", disk.mode(path .. "/orphaned/94/130327cc8add45.hint"))
    assert.equal("drwx------", disk.mode(path .. "/orphaned/94"))
  end)

  it("writes the hint also without a file, a metric or a reason", function()
    local volume, path = disk.volume()
    must(C.quarantine_series, volume, FP, nil, nil)
    assert.equal("[UNKNOWN METRIC]\n[UNKNOWN REASON]\n",
      disk.read(path .. "/orphaned/94/130327cc8add45.hint"))
  end)

  it("leaves the file where it was when it cannot be moved", function()
    local inner, path = disk.volume()
    disk.write(path .. "/94/130327cc8add45.db", "damaged")
    local volume = C.volume_fault_new(inner)
    C.volume_fault_arm(volume, C.FAULT_RENAME, 0, 1, 5, C.FAULT_CLEAN)
    assert.equal(C.ERR_IO, select(3, try(C.quarantine_series, volume, FP, nil, "x")))
    volume.close(volume)
    assert.equal("damaged", disk.read(path .. "/94/130327cc8add45.db"))
    assert.matches("\nx\n", disk.read(path .. "/orphaned/94/130327cc8add45.hint"))
  end)
end)
