-- The admin routes on a real server: deletes and their way back, snapshots, restore, the clock; all
-- while pushes go on. Contents are compared sample by sample.
local json = require "cjson"
local process = require "spec.support.process"
local server = require "spec.support.server"
local storage_v1 = require "spec.support.storage_v1"

local build = os.getenv("BUILD") or "build"
local BASE = "/api/v1/admin/tsdb/"

local escape = server.escape

-- Output and exit code of a subcommand.
local function run(...)
  local words = { build .. "/tidemark" }
  for _, word in ipairs { ... } do words[#words + 1] = "'" .. word .. "'" end
  local pipe = io.popen(table.concat(words, " ") .. " 2>&1; echo $?")
  local text = pipe:read("*a")
  pipe:close()
  local output, code = text:match("^(.-)(%d+)\n$")
  return output, tonumber(code)
end

describe("the admin routes", function()
  local tidemark, folder
  local now = os.time() * 1000
  local pushed = 0 -- steps of a second, ending about now

  before_each(function()
    folder = process.folder()
    tidemark, pushed = server.start(folder), 0
  end)
  after_each(function()
    if tidemark then assert.equal(0, tidemark:stop()) end
    process.remove(folder)
  end)

  local function restart(...)
    assert.equal(0, tidemark:stop())
    tidemark = server.start(folder, ...)
  end

  local function at(k) return now - 3600000 + k * 1000 end
  local function value(i, k) return (i * 7919 + k * 104729) % 65536 / 256 end

  -- Samples `pushed` + 1 to `to` of series 1 to 4.
  local function push(to)
    local lines = {}
    for k = pushed + 1, to do
      for i = 1, 4 do
        lines[#lines + 1] = ('load{i="%d"} %.17g %d'):format(i, value(i, k), at(k))
      end
    end
    pushed = to
    local body = table.concat(lines, "\n") .. "\n"
    local answer = tidemark:request("POST", "/api/v1/import/prometheus", body)
    assert.equal(204, answer.status, answer.body)
  end

  -- What the server has: { ["1"] = { [time] = value } }, and how many samples.
  local function contents(of)
    local answer = (of or tidemark):request("GET", "/api/v1/export?match[]=" ..
      escape('{__name__="load"}'))
    assert.equal(200, answer.status, answer.body)
    local found, count = {}, 0
    for line in answer.body:gmatch("[^\n]+") do
      local one = json.decode(line)
      local samples = found[one.metric.i] or {}
      for n, time in ipairs(one.timestamps) do
        assert.is_nil(samples[time])
        samples[time], count = one.values[n], count + 1
      end
      found[one.metric.i] = samples
    end
    return found, count
  end

  local function call(method, path, expected)
    local answer = tidemark:request(method, BASE .. path)
    assert.equal(expected or 200, answer.status, answer.body)
    return answer.body ~= "" and json.decode(answer.body) or nil, answer
  end

  -- Every sample of series i from k = 1 to `to`, but for those of `gone`; no more.
  local function expect(found, to, gone)
    for i = 1, 4 do
      local samples, count = found[tostring(i)] or {}, 0
      for k = 1, to do
        local there = not (gone and gone(i, k))
        assert.equal(there and value(i, k) or nil, samples[at(k)])
        count = count + (there and 1 or 0)
      end
      local all = 0
      for _ in pairs(samples) do all = all + 1 end
      assert.equal(count, all)
    end
  end

  it("delete a range in Prometheus' form, list it, and bring it back while pushes go on", function()
    push(600)
    local path = "delete_series?match[]=" .. escape('load{i=~"1|2"}') .. "&start=" ..
      at(100) / 1000 .. "&end=" .. at(500) / 1000
    local dry = call("POST", path .. "&dry_run=true").data
    assert.equal(802, dry.samples)
    expect(contents(), 600)
    local _, answer = call("PUT", path, 204)
    local id = answer.headers["tidemark-trash-id"]
    local function gone(i, k) return i <= 2 and k >= 100 and k <= 500 end
    expect(contents(), 600, gone)
    push(700)
    expect(contents(), 700, gone)
    call("POST", "clean_tombstones", 204)
    expect(contents(), 700, gone)
    local trash = call("GET", "trash").data
    assert.equal(1, #trash)
    assert.equal(id, trash[1].id)
    assert.equal(802, trash[1].samples)
    assert.equal(2, trash[1].series)
    assert.equal(trash[1].time_ms + 86400000, trash[1].expires_ms)
    restart()
    push(750)
    expect(contents(), 750, gone)
    assert.equal(802, call("POST", "undelete?id=" .. id).data.samples)
    push(800)
    expect(contents(), 800)
    assert.same({}, call("GET", "trash").data)
    restart()
    expect(contents(), 800)
    local actions = {}
    for line in io.lines(folder .. "/audit.jsonl") do
      local told = json.decode(line)
      actions[#actions + 1] = told.action
      assert.equal("127.0.0.1", told.by)
    end
    assert.same({ "delete", "undelete" }, actions)
  end)

  it("forget the names of series that are gone", function()
    push(10)
    call("POST", "delete_series?match[]=" .. escape('{i=~"3|4"}') .. "&match[]=" ..
      escape('load{i="1"}'), 204)
    local values = json.decode(tidemark:request("GET", "/api/v1/label/i/values").body).data
    assert.same({ "2" }, values)
    call("DELETE", "trash?all=true", 204)
    assert.same({}, call("GET", "trash").data)
  end)

  it("survive kill -9 right after a delete was answered", function()
    push(400)
    local _, answer = call("POST", "delete_series?match[]=" .. escape('{i="1"}') .. "&end=" ..
      at(350) / 1000, 204)
    tidemark.process:kill()
    tidemark = server.start(folder)
    local function gone(i, k) return i == 1 and k <= 350 end
    expect(contents(), 400, gone)
    call("POST", "undelete?id=" .. answer.headers["tidemark-trash-id"])
    tidemark.process:kill()
    tidemark = server.start(folder)
    expect(contents(), 400)
  end)

  it("answer bad requests with what is wrong", function()
    push(5)
    for path, text in pairs {
      ["delete_series"] = "no match",
      ["delete_series?match[]=up%7B"] = "match",
      ["delete_series?match[]=up&start=x"] = "start",
      ["delete_series?match[]=load&start=20&end=10"] = "range",
      ["delete_series?match[]=load&dry_run=maybe"] = "dry_run",
      ["delete_series?match[]=rate(load%5B5m%5D)"] = "selector",
      ["undelete"] = "id",
      ["undelete?id=..%2F.."] = "no id",
      ["snapshot?skip_head=perhaps"] = "skip_head",
    } do
      local refused = call("POST", path, 400)
      assert.equal("error", refused.status)
      assert.equal("bad_data", refused.errorType)
      assert.truthy(refused.error:find(text, 1, true), refused.error)
    end
    call("POST", "undelete?id=20200101T000000Z-0123456789abcdef", 404)
    call("DELETE", "snapshot?name=20200101T000000Z-0123456789abcdef", 404)
    call("DELETE", "trash", 400)
    assert.equal(405, tidemark:request("GET", BASE .. "delete_series?match[]=load").status)
    assert.equal(204, tidemark:request("POST", BASE .. "delete_series?match[]=nothing").status)
    expect(contents(), 5)
  end)

  it("make snapshots under load that hold what was answered, and restore them", function()
    push(500)
    local url = "http://" .. tidemark.address
    -- A pusher of its own goes on until the snapshots are made.
    local script = folder .. ".pusher.sh"
    local file = io.open(script, "w")
    file:write(([[for n in $(seq 1 100000); do
      printf 'other{n="%%d"} 1\nother{n="x"} %%d\n' $n $n |
        curl -s -o /dev/null --data-binary @- %s/api/v1/import/prometheus || exit
    done]]):format(url))
    file:close()
    local pusher = process.start { "sh", script }
    local names = {}
    for step = 1, 3 do
      local name, code = run("snapshot", "--url", url)
      assert.equal(0, code, name)
      names[step] = name:match("^(%d+T%d+Z%-%x+)\n$")
      assert.truthy(names[step], name)
      push(500 + step * 100)
    end
    pusher:kill()
    os.remove(script)
    assert.same(names, (function()
      local listed = {}
      for name in run("snapshot", "--url", url, "--list"):gmatch("[^\n]+") do
        listed[#listed + 1] = name
      end
      return listed
    end)())
    for step, name in ipairs(names) do
      local copy = process.folder()
      local output, code = run("restore", "--data", copy, folder .. "/snapshots/" .. name)
      assert.equal(0, code, output)
      storage_v1.check(copy)
      assert.equal(0, select(2, run("verify", "--data", copy)))
      local other = server.start(copy)
      expect(contents(other), 500 + (step - 1) * 100)
      assert.equal(0, other:stop())
      process.remove(copy)
    end
    assert.equal(0, select(2, run("snapshot", "--url", url, "--remove", names[1])))
    assert.equal(2, #call("GET", "snapshot").data)
    local vm = json.decode(tidemark:request("GET", "/snapshot/create").body)
    assert.equal("ok", vm.status)
    assert.equal(3, #json.decode(tidemark:request("GET", "/snapshot/list").body).snapshots)
    assert.equal(200, tidemark:request("GET", "/snapshot/delete?snapshot=" .. vm.snapshot).status)
    assert.equal(200, tidemark:request("GET", "/snapshot/delete_all").status)
    assert.same({}, call("GET", "snapshot").data)
  end)

  it("restore into the folder itself, and keep what was there beside it", function()
    push(300)
    local name = call("POST", "snapshot").data.name
    push(400)
    local output, code = run("restore", "--data", folder, name)
    assert.equal(1, code)
    assert.truthy(output:find("lock", 1, true), output)
    assert.equal(0, tidemark:stop())
    output, code = run("restore", "--data", folder, name)
    assert.equal(1, code)
    assert.truthy(output:find("--replace", 1, true), output)
    output, code = run("restore", "--data", folder, "--replace", name)
    assert.equal(0, code, output)
    tidemark = server.start(folder)
    expect(contents(), 300)
    assert.equal(1, #call("GET", "snapshot").data)
    local aside = output:match("in (%S+/replaced%-%S+)")
    local other = server.start(aside)
    expect(contents(other), 400)
    assert.equal(0, other:stop())
    assert.equal(1, select(2, run("restore", "--data", folder .. "/none", "no-such-snapshot")))
    assert.equal(2, select(2, run("restore", "--data", folder)))
  end)

  it("keep an admin of one tenant to that tenant's series", function()
    local web = server.configured([[return { listen = "127.0.0.1:PORT", tenants = { label = "org" },
      http = { users = {
        { user = "root", token = "the-token-of-all-tenants", tenant = "*",
          roles = { "admin", "push", "read" } },
        { user = "ann", token = "the-token-of-ann-in-web", tenant = "web", roles = "admin" },
      } } }]]):ready()
    local root = { Authorization = "Bearer the-token-of-all-tenants" }
    local ann = { Authorization = "Bearer the-token-of-ann-in-web" }
    assert.equal(204, web:request("POST", "/api/v1/import/prometheus",
      'a{org="web"} 1\na{org="mail"} 2\nb{org="web"} 3\n', root).status)
    local answer = web:request("POST", BASE .. "delete_series?match[]=a", nil, ann)
    assert.equal(204, answer.status, answer.body)
    local left = json.decode(web:request("GET", "/api/v1/series?match[]=" ..
      escape('{org!=""}'), nil, root).body).data
    table.sort(left, function(x, y) return x.__name__ < y.__name__ end)
    assert.same({ { __name__ = "a", org = "mail" }, { __name__ = "b", org = "web" } }, left)
    for _, call_of_all in ipairs { { "POST", "snapshot" }, { "GET", "snapshot" },
      { "GET", "trash" }, { "DELETE", "trash?all=true" }, { "POST", "confirm" },
      { "POST", "clean_tombstones" },
      { "POST", "undelete?id=" .. answer.headers["tidemark-trash-id"] } } do
      assert.equal(403, web:request(call_of_all[1], BASE .. call_of_all[2], nil, ann).status,
        call_of_all[2])
    end
    local told = json.decode(web:request("GET", BASE .. "trash", nil, root).body).data
    assert.equal("ann from 127.0.0.1", told[1].by)
    assert.equal(0, web:stop())
    process.remove(web.folder)
  end)

  it("hold deletions by age in an old folder until the clock is confirmed", function()
    assert.equal(0, tidemark:stop())
    tidemark = nil
    assert(os.execute("tar -xzf spec/data/prom1x/clean-varbit.tar.gz -C " .. folder) == 0)
    local old = folder .. "/clean-varbit"
    -- Rules that would drop all of it; a sweep of all series every second.
    tidemark = server.start(old, "--set", "storage.retention=10s", "--set",
      "storage.head_chunk_timeout=1s")
    local function metric(name)
      local body = tidemark:request("GET", "/metrics").body
      return tonumber(body:match("\n" .. name:gsub("%p", "%%%0") .. " (%d+)"))
    end
    local series = json.decode(tidemark:request("GET", "/api/v1/labels").body).data
    assert.is_true(#series > 1)
    process.wait_for("drops that are held", 30, function()
      return metric("tidemark_retention_held_drops_total") > 0
    end)
    assert.equal(1, metric("tidemark_retention_held"))
    assert.equal(0, metric('tidemark_removed_samples_total{reason="retention"}'))
    local clock = call("GET", "confirm").data
    assert.equal("ahead", clock.clock)
    assert.is_true(clock.held)
    assert.same(series, json.decode(tidemark:request("GET", "/api/v1/labels").body).data)
    assert.is_false(call("POST", "confirm").data.held)
    process.wait_for("drops", 30, function()
      return metric('tidemark_removed_samples_total{reason="retention"}') > 0
    end)
    assert.equal(0, metric("tidemark_retention_held"))
  end)
end)
