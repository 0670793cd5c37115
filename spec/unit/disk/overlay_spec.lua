-- An overlay does what a volume does, and its lower volume stays as it was: random changes of an
-- overlay and of a plain copy of the same folder end in the same files.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local disk = require "spec.support.disk"
local C = tide.load("disk/volume_overlay.h")
jit.off(true, true)

local names = { "heads.db", "00/a.db", "00/b.db", "7f/c.db", "ff/d.db", "ff/e/f.db" }
local folders = { "", "00", "7f", "ff", "ff/e", "orphaned" }

local function generator(seed)
  local state = seed * 7919 % 2147483646 + 1
  return function(n)
    state = state * 16807 % 2147483647
    return state % n + 1
  end
end

local function read(volume, name)
  local bytes, got = ffi.new("uint8_t[?]", 65536), ffi.new("size_t[1]")
  local ok, _, code = disk.try(volume.read, volume, name, 0, bytes, 65536, got)
  if not ok then return "error " .. code end
  return ffi.string(bytes, got[0])
end

-- Names with their sizes, sorted.
local function list(volume, folder)
  local found = {}
  local visit = ffi.cast("int (*)(void *, const struct volume_entry *, struct error *)",
    function(_, entry)
      local size = entry.stat.is_folder and "folder" or tostring(entry.stat.size)
      -- An empty folder may be missing: nobody looks for one.
      if size ~= "folder" then found[#found + 1] = ffi.string(entry.name) .. " " .. size end
      return 0
    end)
  disk.try(volume.list, volume, folder, visit, nil)
  visit:free()
  table.sort(found)
  return table.concat(found, "\n")
end

local steps = {
  append = function(v, random, name, size)
    local text = ("x"):rep(random(300))
    local part = ffi.new("struct volume_part[1]", { { ffi.cast("const void *", text), #text } })
    return disk.try(v.append, v, name, random(5) == 1 and 3 or size, part, 1, true, nil)
  end,
  truncate = function(v, random, name, size)
    return disk.try(v.truncate, v, name, random(size + 1))
  end,
  remove = function(v, _, name) return disk.try(v.remove, v, name) end,
  remove_folder = function(v, random)
    return disk.try(v.remove_folder, v, folders[1 + random(#folders - 1)])
  end,
  move = function(v, random, name)
    return disk.try(v.move, v, name, "orphaned/" .. names[random(#names)])
  end,
  share = function(v, random, name)
    return disk.try(v.share, v, name, "orphaned/s" .. random(3))
  end,
  replace = function(v, random, name)
    local from, at, len = names[random(#names)], random(50) - 1, random(50)
    local writer = disk.must(v.replace, v, name)
    disk.must(writer.write, writer, "new", 3)
    local ok = disk.try(writer.copy, writer, from, at, len)
    if not ok or random(4) == 1 then
      writer.discard(writer)
      return ok
    end
    disk.must(writer.patch, writer, 1, "E", 1)
    disk.must(writer.finish, writer, true)
    return disk.try(writer.publish, writer, true, nil)
  end,
}
local kinds = {}
for kind in pairs(steps) do kinds[#kinds + 1] = kind end
table.sort(kinds)

local function state_of(path)
  local pipe = io.popen("cd '" .. path .. "' && find . -type f -printf '%p %s %T@\\n' | sort; " ..
    "find . -type f | sort | xargs -r md5sum")
  local text = pipe:read("*a")
  pipe:close()
  return text
end

local function history(seed)
  local lower, path = disk.volume()
  for i, name in ipairs(names) do disk.write(path .. "/" .. name, ("%d"):format(i):rep(100 * i)) end
  local plain, plain_path = disk.volume()
  os.execute(("cp -a %s/. %s/"):format(path, plain_path))
  local before = state_of(path)
  local upper = disk.volume()
  local overlay = C.volume_overlay_new(lower, upper)
  local random = generator(seed)
  for step = 1, 40 do
    local kind, name, sub = kinds[random(#kinds)], names[random(#names)], random(100000)
    local stat = ffi.new("struct volume_stat")
    local size = disk.try(plain.stat, plain, name, stat) and tonumber(stat.size) or 0
    local what = ("seed %d step %d %s %s"):format(seed, step, kind, name)
    local _, text, code = steps[kind](plain, generator(sub), name, size)
    local _, text2, code2 = steps[kind](overlay, generator(sub), name, size)
    assert.equal(code, code2, ("%s: %s; %s"):format(what, tostring(text), tostring(text2)))
    for _, folder in ipairs(folders) do
      assert.equal(list(plain, folder), list(overlay, folder), what .. " in " .. folder)
    end
    for _, one in ipairs(names) do assert.equal(read(plain, one), read(overlay, one), what) end
  end
  assert.equal(before, state_of(path))
  overlay.close(overlay)
  disk.cleanup()
end

describe("an overlay", function()
  after_each(disk.cleanup)

  it("does what a volume does and leaves the lower one alone", function()
    for seed = 1, 15 do history(seed) end
  end)

  it("opens tables as copies, and guards without a marker", function()
    local lower, path = disk.volume()
    local kv = disk.must(lower.open_kv, lower, "table", nil)
    local batch = ffi.new("struct kv_batch")
    C.kv_batch_put(batch, "key", 3, "value", 5)
    disk.must(kv.write, kv, batch, true)
    disk.must(kv.close, kv)
    local before = state_of(path)
    local overlay = C.volume_overlay_new(lower, (disk.volume()))
    local existed = ffi.new("bool[1]")
    disk.must(overlay.lock, overlay, existed)
    assert.is_false(existed[0])
    local other = disk.volume(path)
    local ok, text, code = disk.try(other.lock, other, existed)
    assert.is_nil(ok)
    assert.equal(C.ERR_CONFLICT, code)
    assert.truthy(text:find("in use"))
    kv = disk.must(overlay.open_kv, overlay, "table", nil)
    local value, found = ffi.new("struct buf"), ffi.new("bool[1]")
    disk.must(kv.get, kv, "key", 3, value, found)
    assert.equal("value", disk.take(value))
    C.kv_batch_put(batch, "key", 3, "other", 5)
    disk.must(kv.write, kv, batch, true)
    disk.must(kv.close, kv)
    C.kv_batch_destroy(batch)
    disk.must(overlay.unlock, overlay, true)
    assert.equal(before, state_of(path))
    disk.must(other.lock, other, existed)
    assert.is_false(existed[0])
    disk.must(other.unlock, other, true)
    overlay.close(overlay)
  end)
end)
