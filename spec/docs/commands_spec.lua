-- Subcommands and their options: the usage, the manual pages and the completion know all that the
-- sources take, and no other.
local lfs = require "lfs"

local build = os.getenv("BUILD") or "build"

local read = require("spec.support.file").read

local function output_of(command)
  local pipe = io.popen(command)
  local text = pipe:read("*a")
  pipe:close()
  return text
end

local CLIENT = { "--url", "--user", "--ca" }

-- { command = { ["--option"] = true } }, without what all commands take.
local function commands()
  local found = {}
  for name in read("core/main.c"):match("commands%[%] = (%b{})"):gmatch('{"([%l-]+)",') do
    found[name] = {}
    local path = "core/command_" .. name:gsub("-", "_") .. ".c"
    local text = lfs.attributes(path) and read(path) or ""
    for option in text:gmatch('{"(%-%-[%l-]+)",') do found[name][option] = true end
    if text:find("CLIENT_OPTIONS(", 1, true) then
      for _, option in ipairs(CLIENT) do found[name][option] = true end
    end
  end
  return found
end

-- What every command takes.
local function common()
  local list = { "--config", "--set", "--help" }
  local text = read("core/arguments.c"):match("key_flags%[%] = (%b{})")
  for flag in text:gmatch('{"(%-%-[%l-]+)",') do list[#list + 1] = flag end
  return list
end

-- What the completion offers behind `words`, the last of them begun.
local function complete(...)
  local words = { ... }
  local text = output_of(([[bash -c '
    source .package/tidemark.bash
    COMP_WORDS=(tidemark %s) COMP_CWORD=%d
    _tidemark
    printf "%%s\n" "${COMPREPLY[@]}"']]):format(table.concat(words, " "), #words))
  local found = {}
  for word in text:gmatch("%S+") do found[word] = true end
  return found
end

describe("the subcommands", function()
  local all, everywhere = commands(), common()

  it("are completed, with all their options and no other", function()
    local offered = complete("''")
    for name, options in pairs(all) do
      assert.is_true(offered[name], name)
      local expected = {}
      for option in pairs(options) do expected[option] = true end
      for _, option in ipairs(everywhere) do expected[option] = true end
      assert.same(expected, complete(name, "--"), name)
    end
    for name in pairs(offered) do assert.is_table(all[name], name) end
  end)

  it("are in the usage, with all their options", function()
    local usage = output_of(build .. "/tidemark --help")
    for name, options in pairs(all) do
      local line = usage:match("\n  tidemark " .. name .. " ([^\n]*)")
      assert.is_string(line, name)
      for option in pairs(options) do
        assert.truthy(line:find(option, 1, true), name .. " " .. option)
      end
    end
  end)

  it("have a manual page, with all their options", function()
    local pages = {}
    for name in lfs.dir("docs/man") do
      if name:find("%.scd$") then pages[#pages + 1] = read("docs/man/" .. name) end
    end
    local manual = table.concat(pages):gsub("\\", "")
    local about_all = read("docs/man/tidemark.1.scd"):gsub("\\", "")
    for name, options in pairs(all) do
      local synopsis = {}
      for line in manual:gmatch("\n%*tidemark ([^\n]*)") do
        if line:find("^" .. name .. "%*") or line:find("^%[serve%]") and name == "serve" or
          line:find("%*tidemark%* %[%*serve") then
          synopsis[#synopsis + 1] = line
        end
      end
      local text = table.concat(synopsis, "\n")
      assert.is_true(name == "serve" or #text > 0, name .. " has no synopsis")
      for option in pairs(options) do
        assert.truthy(text:find("*" .. option .. "*", 1, true) or option == "--user" or
          option == "--ca", name .. " " .. option)
      end
      assert.truthy(about_all:find("*" .. name .. "*", 1, true), name .. " in tidemark(1)")
    end
    for _, option in ipairs(everywhere) do
      assert.truthy(about_all:find("*" .. option .. "*", 1, true), option)
    end
    for _, option in ipairs(CLIENT) do
      assert.truthy(manual:find("*" .. option .. "*", 1, true), option)
    end
  end)

  it("have manual pages that render without a warning", function()
    if os.execute("command -v scdoc >/dev/null && command -v man >/dev/null") ~= 0 then
      pending("scdoc and man are not installed (make deb, man-db)")
      return
    end
    assert.equal(0, os.execute("make --no-print-directory -s man B=" .. build .. " >/dev/null"))
    local count, mandoc = 0, os.execute("command -v mandoc >/dev/null") == 0
    for name in lfs.dir(build .. "/man") do
      if name:find("%.%d$") then
        local path = build .. "/man/" .. name
        local warnings = output_of("LC_ALL=C.UTF-8 MANROFFSEQ= man --warnings -E UTF-8 -l " ..
          "-Tutf8 " .. path .. " 2>&1 >/dev/null")
        assert.equal("", warnings, path)
        if mandoc then
          assert.equal("", output_of("mandoc -T lint -W warning " .. path .. " 2>&1"))
        end
        assert.truthy(output_of("man -l -P cat " .. path .. " 2>&1"):find("NAME"), path)
        count = count + 1
      end
    end
    assert.is_true(count >= 7)
  end)
end)
