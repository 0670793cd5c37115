-- README.md here: every promise names specs that exist, and every file of attacks is named.
local lfs = require "lfs"
local read = require("spec.support.file").read

-- { promise, proofs = { { path, words } } } of each row of the page's tables.
local function rows()
  local list = {}
  for line in read("spec/script/README.md"):gmatch "[^\n]+" do
    local promise, proofs = line:match "^| (.-) | (.+) |$"
    if promise and not promise:find "^%-" and proofs:find "_spec%.lua" then
      local row = { promise = promise, proofs = {} }
      for part in (proofs .. ";"):gmatch "(.-);%s*" do
        local path, words = part:match "^`([%w_/]+%.lua)` (.+)$"
        assert(path, promise .. ": a file in backquotes and words in quotes, please: " .. part)
        for text in words:gmatch '"([^"]+)"' do row.proofs[#row.proofs + 1] = { path, text } end
      end
      list[#list + 1] = row
    end
  end
  return list
end

describe("the promises of spec/script/README.md", function()
  it("are proved by specs that exist", function()
    local missing, count = {}, 0
    for _, row in ipairs(rows()) do
      assert.is_true(#row.proofs > 0, row.promise)
      for _, proof in ipairs(row.proofs) do
        count = count + 1
        local there = lfs.attributes(proof[1], "mode") == "file" and
          read(proof[1]):gsub('" %.%.%s*"', ""):find(proof[2], 1, true)
        if not there then
          missing[#missing + 1] = row.promise .. ": " .. proof[1] .. " " .. proof[2]
        end
      end
    end
    assert.equal("", table.concat(missing, "\n"))
    assert.is_true(#rows() > 40 and count > 70, #rows() .. " " .. count)
  end)

  it("name every class of hook_attacks_spec.lua, and every file of attacks", function()
    local page = read "spec/script/README.md"
    local classes = read("spec/script/hook_attacks_spec.lua"):match "local CLASSES = (%b{})"
    local count = 0
    for name in classes:gmatch '\n  %["([^"]+)"%]' do
      count = count + 1
      assert.is_truthy(page:find('"' .. name .. '"', 1, true), name)
    end
    assert.equal(18, count)
    for name in lfs.dir "spec/script" do
      if name:find "attacks_spec" then
        assert.is_truthy(page:find("spec/script/" .. name, 1, true), name)
      end
    end
  end)
end)
